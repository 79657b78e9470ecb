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

from engineio_core.clock import Clock

CANCELLED: Final = asyncio.CancelledError
"""What a coroutine raises that was cancelled: it is no `Exception`, and must not get lost."""

FINISHED: Final = object()
"""What a driver yields when a coroutine has ended in its first step."""

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

    def enter_loop(self) -> None:
        """Forget the spares of another loop than the running one. Called when a client comes.

        Not with each event: before Python 3.12, asking which loop runs costs a system call.
        """
        if self._spares and self._spares[0].loop is not get_running_loop():
            self._spares.clear()

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run the first step. Returns the result, or a `Suspended`: then `hand_over` must follow.

        Raises what the coroutine raises.
        """
        # hot path: benchmarks/hop_budget.py
        spare = self._spares.pop() if self._spares else self._take_spare()
        if spare.is_over:
            spare = self._take_spare()
        loop, task = spare.loop, spare.task
        current = None
        try:
            _enter_task(loop, task)
        except RuntimeError:  # another task is under way: it is put aside
            current = current_task(loop)
            assert current is not None, "it is why"
            _leave_task(loop, current)
            _enter_task(loop, task)
        try:
            yielded = spare.run(spare.send, coroutine)
        except BaseException:
            spare.make_driver()  # the exception has ended it
            self._give_back(spare)
            raise
        finally:
            _leave_task(loop, task)
            if current is not None:
                _enter_task(loop, current)
        if yielded is not FINISHED:
            spare.is_lent = True
            return Suspended(yielded, spare)
        if spare.context == self._context:
            self._spares.append(spare)
        else:
            self._give_back(spare)
        result, spare.result = spare.result, None
        return result

    def _take_spare(self) -> _Spare:
        return _Spare(get_running_loop(), self._context.copy())

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
        spare.work = suspended
        if not spare.called.done():  # else its task was cancelled, and wakes for that
            spare.called.set_result(None)

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

    __slots__ = ("done", "spare", "timer", "yielded")

    def __init__(self, yielded: Any, spare: _Spare) -> None:
        self.yielded = yielded
        self.spare = spare
        self.done: Done = _nothing
        self.timer: Any = None


def _nothing(result: Any, error: BaseException | None) -> None:
    pass


class _Spare:
    """A task that waits for work."""

    __slots__ = ("_has_expired", "called", "context", "driver", "is_lent", "is_over", "loop",
                 "result", "run", "send", "task", "work")  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        self.loop = loop
        self.context = context
        self.run = context.run
        self.result: Any = None
        self.called: asyncio.Future[None] = loop.create_future()
        self.work: Suspended | None = None
        # Begun here: what is cancelled before it has begun would see nothing of `_run`.
        life = self._run()
        life.send(None)
        self.task = loop.create_task(life, name="socketio spare", context=context)
        self._has_expired = False
        self.is_lent = False  # it runs a coroutine that has suspended
        self.is_over = False
        self.make_driver()

    def make_driver(self) -> None:
        """Make what runs the first steps of coroutines."""
        self.driver = _drive(self)
        self.send = self.driver.send
        self.send(None)

    def expire(self) -> None:
        """Time is up."""
        self._has_expired = True
        self.task.cancel()

    async def _run(self) -> None:
        try:
            await _begun()
            await self.called
        except CANCELLED:
            self.is_over = True
            if self.work is not None:
                # The coroutine must hear of it, where it waits, and once: others count, too.
                self.task.uncancel()
                self.task.cancel()
        work, self.work = self.work, None
        if work is None:
            self.driver.close()  # nothing was handed over
            return
        error: BaseException | None = None
        result: Any = None
        try:
            result = await _resume(self.driver, work.yielded)
        except CANCELLED as cancelled:
            error = TimeoutError("it ran too long") if self._has_expired else cancelled
        except Exception as failure:
            error = failure
        if work.timer is not None:
            work.timer.cancel()
        work.done(result, error)
        error = None  # its traceback holds this frame


@types.coroutine
def _begun() -> Generator[None, None, None]:
    yield


@types.coroutine
def _drive(spare: _Spare) -> Generator[Any, Any, Any]:
    """Run coroutines one after the other; return what one returns that had suspended.

    A coroutine that is sent to directly ends with an exception, which costs as much as the rest
    of its first step; one that is awaited does not.
    """
    coroutine = yield FINISHED
    while True:
        spare.result = yield from coroutine
        if spare.is_lent:
            return spare.result
        coroutine = yield FINISHED


@types.coroutine
def _resume(driver: Generator[Any, Any, Any], yielded: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has run its first step elsewhere and yielded this."""
    while True:
        try:
            yield yielded
        except BaseException as error:
            try:
                yielded = driver.throw(error)
            except StopIteration as stop:
                return stop.value
        else:
            # A task resumes a coroutine by sending None: the result is read from the future.
            return (yield from driver)
