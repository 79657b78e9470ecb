"""Coroutines that start at once: the task that lends itself for their first step.

Knows: asyncio's tasks, 3.11 and later.  Does not know: what the coroutines do.
"""

from __future__ import annotations

import asyncio
import types
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

SUSPENDED: Final = object()
"""What `Runner.begin` returns for a coroutine that has not ended."""


class Runner:
    """Runs coroutines at once up to their first suspension, on one spare task.

    A coroutine needs a current task even in its first step (`asyncio.timeout` asks for it). Making
    one for each event costs more than the event: so one task, made ahead of time and waiting,
    lends itself for the first step, and takes over what suspends; then a new one takes its place.
    """

    __slots__ = ("_spare", "_yielded", "tasks")

    def __init__(self) -> None:
        self._spare: _Spare | None = None
        self._yielded: Any = None
        self.tasks: set[asyncio.Task[None]] = set()

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run the first step. Returns the result, or SUSPENDED: then `hand_over` must follow.

        Raises what the coroutine raises.
        """
        # hot path: benchmarks/hop_budget.py
        loop = asyncio.get_running_loop()
        spare = self._spare
        if spare is None or spare.loop is not loop or spare.task.done():
            spare = self._spare = _Spare(loop)
        current = asyncio.current_task(loop)
        if current is not None:
            _leave_task(loop, current)
        _enter_task(loop, spare.task)
        try:
            self._yielded = coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        finally:
            _leave_task(loop, spare.task)
            if current is not None:
                _enter_task(loop, current)
        return SUSPENDED

    def hand_over(
        self,
        coroutine: Coroutine[Any, Any, Any],
        done: Callable[[Any, BaseException | None], None],
        name: str,
        timeout: float | None = None,
    ) -> None:
        """Give a suspended coroutine to a task; `done(result, error)` is called when it ends."""
        spare, self._spare = self._spare, None
        assert spare is not None, "`begin` has just used it"
        spare.task.set_name(name)
        self.tasks.add(spare.task)
        spare.task.add_done_callback(self.tasks.discard)
        spare.work.set_result(_Work(coroutine, self._yielded, done, timeout))
        self._yielded = None

    def start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        done: Callable[[Any, BaseException | None], None],
        name: str,
    ) -> None:
        """Run a coroutine to its end, whenever that is; then call `done(result, error)`."""
        try:
            result = self.begin(coroutine)
        except Exception as error:
            done(None, error)
            return
        if result is SUSPENDED:
            self.hand_over(coroutine, done, name)
        else:
            done(result, None)

    async def close(self) -> None:
        """Cancel what runs, and the spare task, and see them end."""
        tasks = list(self.tasks)
        if self._spare is not None:
            tasks.append(self._spare.task)
            self._spare = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Work:
    """A coroutine that has suspended, and what follows it."""

    __slots__ = ("coroutine", "done", "timeout", "yielded")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        yielded: Any,
        done: Callable[[Any, BaseException | None], None],
        timeout: float | None,
    ) -> None:
        self.coroutine = coroutine
        self.yielded = yielded
        self.done = done
        self.timeout = timeout


class _Spare:
    """A task that waits for work."""

    __slots__ = ("loop", "task", "work")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.work: asyncio.Future[_Work] = loop.create_future()
        self.task = loop.create_task(self._run(), name="socketio spare")

    async def _run(self) -> None:
        try:
            work = await self.work
        except asyncio.CancelledError:
            if not self.work.done() or self.work.cancelled():
                raise  # nothing was handed over
            work = self.work.result()
            # The coroutine must hear of it: it is asked to cancel again, where it waits.
            self.task.cancel()
        error: BaseException | None = None
        result: Any = None
        try:
            if work.timeout is None:
                result = await _resume(work.coroutine, work.yielded)
            else:
                async with asyncio.timeout(work.timeout):
                    result = await _resume(work.coroutine, work.yielded)
        except asyncio.CancelledError as cancelled:
            work.done(None, cancelled)
            raise
        except Exception as failure:
            error = failure
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
