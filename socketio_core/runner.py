"""Coroutines that start at once: the task that lends itself for their first step.

Knows: asyncio's tasks, 3.11 and later; deadlines by the clock that is handed in.
Does not know: what the coroutines do.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from asyncio import current_task, get_running_loop
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from engineio_core.transport import Clock

CANCELLED: Final = asyncio.CancelledError
"""What a coroutine raises that was cancelled: it is no `Exception`, and must not get lost."""

Done = Callable[[Any, BaseException | None], None]


class Runner:
    """Runs coroutines at once up to their first suspension, on a spare task.

    A coroutine needs a current task even in its first step (`asyncio.timeout` asks for it). Making
    one for each event costs more than the event: so a task made ahead of time, which waits, lends
    itself for the first step, and takes over what suspends. Each coroutine runs in one context
    from its beginning to its end, a copy of that in which the runner was made.
    """

    __slots__ = ("_clock", "_context", "_spares", "is_closing", "tasks")

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._context = contextvars.copy_context()
        # More than one only while a coroutine's first step begins another coroutine.
        self._spares: list[_Spare] = []
        self.is_closing = False
        self.tasks: set[asyncio.Task[None]] = set()

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run the first step. Returns the result, or a `Suspended`: then `hand_over` must follow.

        Raises what the coroutine raises.
        """
        # hot path: benchmarks/hop_budget.py
        loop = get_running_loop()
        spare = self._take_spare(loop) if not self._spares else self._spares.pop()
        if spare.loop is not loop or spare.is_over:
            spare = self._take_spare(loop)
        task, context = spare.task, spare.context
        current = None
        try:
            _enter_task(loop, task)
        except RuntimeError:  # another task is under way: it is put aside
            current = current_task(loop)
            assert current is not None, "it is why"
            _leave_task(loop, current)
            _enter_task(loop, task)
        try:
            yielded = context.run(coroutine.send, None)
        except StopIteration as stop:
            if context == self._context:
                self._spares.append(spare)
            else:
                self._give_back(spare)
            return stop.value
        except BaseException:
            self._give_back(spare)
            raise
        finally:
            _leave_task(loop, task)
            if current is not None:
                _enter_task(loop, current)
        return Suspended(coroutine, yielded, spare)

    def _take_spare(self, loop: asyncio.AbstractEventLoop) -> _Spare:
        return _Spare(loop, self._context.copy())

    def _give_back(self, spare: _Spare) -> None:
        if spare.context == self._context:
            self._spares.append(spare)
        else:
            # It set a context variable, which is nobody else's business.
            spare.task.cancel()

    def hand_over(
        self, suspended: Suspended, done: Done, name: str, timeout: float | None = None
    ) -> None:
        """Let a suspended coroutine go on; `done(result, error)` is called when it ends.

        After `timeout` seconds it is cancelled; the error is a TimeoutError then.
        """
        spare = suspended.spare
        spare.task.set_name(name)
        self.tasks.add(spare.task)
        spare.task.add_done_callback(self.tasks.discard)
        suspended.done = done
        if timeout is not None:
            suspended.timer = self._clock().call_later(timeout, spare.expire)
        spare.work.set_result(suspended)

    def start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        done: Done,
        name: str,
        timeout: float | None = None,
    ) -> None:
        """Run a coroutine to its end, whenever that is; then call `done(result, error)`."""
        try:
            result = self.begin(coroutine)
        except (Exception, CANCELLED) as error:
            done(None, error)
            return
        if result.__class__ is Suspended:
            self.hand_over(result, done, name, timeout)
        else:
            done(result, None)

    async def close(self, grace: float) -> None:
        """Wait for what runs, `grace` seconds at most; cancel the rest, and see it end."""
        caller = current_task()
        tasks = {task for task in self.tasks if task is not caller}
        if tasks and grace > 0:
            ended = asyncio.ensure_future(asyncio.wait(tasks))
            nap = asyncio.ensure_future(sleep(self._clock(), grace))
            await asyncio.wait({ended, nap}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            nap.cancel()
            await asyncio.gather(ended, nap, return_exceptions=True)
        self.is_closing = True
        tasks = {task for task in self.tasks if task is not caller}
        tasks |= {spare.task for spare in self._spares}
        self._spares.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.is_closing = False


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait, by a clock that need not be the loop's."""
    waiter = get_running_loop().create_future()
    timer = clock.call_later(seconds, _wake, waiter)
    try:
        await waiter
    finally:
        timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Suspended:
    """A coroutine that has suspended in its first step, and what follows it."""

    __slots__ = ("coroutine", "done", "spare", "timer", "yielded")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], yielded: Any, spare: _Spare) -> None:
        self.coroutine = coroutine
        self.yielded = yielded
        self.spare = spare
        self.done: Done = _nothing
        self.timer: Any = None


def _nothing(result: Any, error: BaseException | None) -> None:
    pass


class _Spare:
    """A task that waits for work."""

    __slots__ = ("_has_expired", "context", "is_over", "loop", "task", "work")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        self.loop = loop
        self.context = context
        self.work: asyncio.Future[Suspended] = loop.create_future()
        self.task = loop.create_task(self._run(), name="socketio spare", context=context)
        self._has_expired = False
        self.is_over = False

    def expire(self) -> None:
        """Time is up."""
        self._has_expired = True
        self.task.cancel()

    async def _run(self) -> None:
        try:
            work = await self.work
        except CANCELLED:
            self.is_over = True
            if not self.work.done() or self.work.cancelled():
                raise  # nothing was handed over
            work = self.work.result()
            # The coroutine must hear of it: it is asked to cancel again, where it waits.
            self.task.cancel()
        error: BaseException | None = None
        result: Any = None
        try:
            result = await _resume(work.coroutine, work.yielded)
        except CANCELLED as cancelled:
            error = TimeoutError("it ran too long") if self._has_expired else cancelled
        except Exception as failure:
            error = failure
        if work.timer is not None:
            work.timer.cancel()
        work.done(result, error)


@types.coroutine
def _resume(coroutine: Coroutine[Any, Any, Any], yielded: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has run its first step elsewhere and yielded this."""
    while True:
        try:
            yield yielded
        except BaseException as error:
            try:
                yielded = coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
        else:
            # A task resumes a coroutine by sending None: the result is read from the future.
            return (yield from coroutine)
