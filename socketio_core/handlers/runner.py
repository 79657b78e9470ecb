"""Eager coroutine start: runs the first step of a coroutine at once, and the rest in a task.

`SpareTaskRunner` runs the first step on a task that exists already, with two private functions of
asyncio. `PublicRunner` uses the public asyncio API only: eager tasks on Python 3.12 and later,
plain tasks, which start in the next loop iteration, on Python 3.11. `create_runner` selects one.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
from asyncio import current_task, get_running_loop
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, final

from engineio_core.clock import Clock, sleep
from engineio_core.noop import noop
from socketio_core.handlers.first_step import FINISHED, drive, resume, started

try:
    from asyncio.tasks import _enter_task, _leave_task
except ImportError:  # pragma: no cover - no supported Python lacks them today
    HAS_PRIVATE_FUNCTIONS = False
else:
    HAS_PRIVATE_FUNCTIONS = True
    # A compiled module reads a Final name of its own faster than an imported name.
    _enter: Final = _enter_task
    _leave: Final = _leave_task
_FINISHED: Final = FINISHED

CANCELLED: Final = asyncio.CancelledError
"""The exception of a canceled coroutine. Handle it explicitly: it is not an `Exception`."""

RUNNER_VARIABLE: Final = "SOCKETIO_RUNNER"
"""Environment variable that selects the runner; "public" selects `PublicRunner`."""

HAS_EAGER_TASKS: Final = sys.version_info >= (3, 12)

Done = Callable[[Any, BaseException | None], None]


def create_runner(clock: Callable[[], Clock]) -> Runner:
    """Return the fastest runner that this Python supports, or the one that the user selected."""
    if HAS_PRIVATE_FUNCTIONS and os.environ.get(RUNNER_VARIABLE) != "public":
        return SpareTaskRunner(clock)
    return PublicRunner(clock)


class Runner:
    """Runs coroutines: the first step at once where possible, the rest in a task.

    Each coroutine runs in one context from start to end: a copy of the context in which the
    runner was created.
    """

    __slots__ = ("_clock", "_context", "is_closing", "tasks")

    starts_eagerly: ClassVar[bool] = True
    """Whether `begin` runs the first step before it returns."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._context = contextvars.copy_context()
        self.is_closing = False
        self.tasks: set[asyncio.Task[None]] = set()

    def enter_loop(self) -> None:
        """Prepare for the running event loop. The server calls it for each new session."""

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run the first step. Return the result, or a `Suspended` for `hand_over`.

        Raises the exception of the coroutine.
        """
        raise NotImplementedError

    def hand_over(
        self, suspended: Suspended, done: Done, name: str, timeout: float | None = None
    ) -> None:
        """Continue a suspended coroutine in its task; call `done(result, error)` at the end.

        The coroutine is canceled after `timeout` seconds; the error is a TimeoutError then.
        """
        task = suspended.task
        task.set_name(name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        suspended.done = done
        if timeout is not None:
            suspended.timer = self._clock().call_later(timeout, suspended.expire)

    def start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        done: Done,
        name: str,
        timeout: float | None = None,
    ) -> None:
        """Run a coroutine and call `done(result, error)` at the end."""
        try:
            result = self.begin(coroutine)
        except (Exception, CANCELLED) as error:
            done(None, error)
            return
        if result.__class__ is Suspended:
            self.hand_over(result, done, name, timeout)
        else:
            done(result, None)

    async def settle(self, seconds: float) -> None:
        """Wait until no coroutine runs, except that of the caller; at most `seconds`."""
        caller = current_task()
        tasks = {task for task in self.tasks if task is not caller}
        if not tasks or seconds <= 0:
            return
        nap = asyncio.ensure_future(sleep(self._clock(), seconds))
        # The end of a handler may start that of the next event.
        while tasks and not nap.done():
            ended = asyncio.ensure_future(asyncio.wait(tasks))
            await asyncio.wait({ended, nap}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
            tasks = {task for task in self.tasks if task is not caller}
        nap.cancel()
        await asyncio.gather(nap, return_exceptions=True)

    async def close(self, grace: float) -> None:
        """Wait up to `grace` seconds for running coroutines, then cancel them."""
        caller = current_task()
        await self.settle(grace)
        self.is_closing = True
        tasks = {task for task in self.tasks if task is not caller}
        tasks |= self._take_idle_tasks()
        while tasks:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # The end of a handler may have started the "disconnect" handler of its socket.
            tasks = {task for task in self.tasks if task is not caller}
            tasks |= self._take_idle_tasks()
        self.is_closing = False

    def _take_idle_tasks(self) -> set[asyncio.Task[None]]:
        """Give up and return the tasks that run nothing."""
        return set()


@final
class Suspended:
    """A coroutine that has suspended in its first step."""

    __slots__ = ("done", "has_expired", "spare", "task", "timer", "yielded")

    def __init__(
        self,
        task: asyncio.Task[None],
        spare: _SpareTask | None = None,
        yielded: asyncio.Future[Any] | None = None,
    ) -> None:
        self.task = task
        self.spare = spare
        self.yielded = yielded
        self.done: Done = noop  # until `hand_over` sets the callback
        self.timer: Any = None
        self.has_expired = False

    def expire(self) -> None:
        """Cancel the coroutine because its time is up."""
        self.has_expired = True
        self.task.cancel()

    def end(self, result: Any, error: BaseException | None) -> None:
        """Report the end of the coroutine."""
        if self.timer is not None:
            self.timer.cancel()
        if self.has_expired and isinstance(error, CANCELLED):
            error = TimeoutError("the coroutine exceeded its time limit")
        self.done(result, error)


@final
class SpareTaskRunner(Runner):
    """Runs the first step of a coroutine on a spare task.

    A coroutine needs a current task even in its first step (`asyncio.timeout` reads it). A new
    task for each event costs more than the event. So a task created ahead of time, which waits, is
    entered as the current task for the first step; only a coroutine that suspends keeps the task.
    """

    __slots__ = ("_leaves_tasks", "_spare", "_spares")

    def __init__(self, clock: Callable[[], Clock]) -> None:
        super().__init__(clock)
        self._leaves_tasks = False  # a coroutine has begun while another task was current
        # The one that begins the next coroutine, unless it is busy. Others are idle only after the
        # first step of a coroutine has begun another coroutine.
        self._spare: _SpareTask | None = None
        self._spares: list[_SpareTask] = []

    def enter_loop(self) -> None:
        """Drop spare tasks of another event loop.

        Not checked for each event: before Python 3.12, reading the running loop costs a system
        call.
        """
        spare = self._spare
        if spare is None and self._spares:
            spare = self._spares[0]
        if spare is not None and spare.loop is not get_running_loop():
            self._spare = None
            self._spares.clear()

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run the first step. Return the result, or a `Suspended` for `hand_over`.

        Raises the exception of the coroutine.
        """
        # hot path: benchmarks/hop_budget.py
        spare = self._spare
        if spare is None or spare.is_busy or spare.is_over:
            spare = self._find_spare()
        spare.is_busy = True
        loop, task = spare.loop, spare.task
        current = None
        if self._leaves_tasks:
            current = current_task(loop)
            if current is not None:
                _leave(loop, current)
        try:
            _enter(loop, task)
        except RuntimeError:  # another task is current: leave it for the first step
            # From now on, read the current task first: under an ASGI host, a task receives each
            # message. The message of this exception contains both tasks: 9 us on Python 3.11.
            self._leaves_tasks = True
            current = current_task(loop)
            assert current is not None, "_enter_task fails only because of a current task"
            _leave(loop, current)
            _enter(loop, task)
        try:
            yielded = spare.run(spare.send, coroutine)
        except BaseException:
            spare.create_driver()  # the exception has ended the driver
            self._return_spare(spare)
            raise
        finally:
            _leave(loop, task)
            if current is not None:
                _enter(loop, current)
        box = spare.box
        if yielded is not _FINISHED:
            box[1] = True
            return Suspended(task, spare, yielded)
        if self._spare is spare and spare.context == self._context:
            spare.is_busy = False
        else:
            self._return_spare(spare)
        result, box[0] = box[0], None
        return result

    def _find_spare(self) -> _SpareTask:
        """Take an idle spare task or create one; begin coroutines with it from now on."""
        while self._spares:
            spare = self._spares.pop()
            if not spare.is_over:
                break
        else:
            spare = _SpareTask(get_running_loop(), self._context.copy())
        self._spare = spare
        return spare

    def _return_spare(self, spare: _SpareTask) -> None:
        """Make a spare task idle again."""
        spare.is_busy = False
        is_clean = spare.context == self._context
        if self._spare is not spare:
            if is_clean:
                self._spares.append(spare)
        elif not is_clean:
            self._spare = None
        if not is_clean:
            # The coroutine set a context variable, which later coroutines must not see.
            spare.task.cancel()

    def hand_over(
        self, suspended: Suspended, done: Done, name: str, timeout: float | None = None
    ) -> None:
        """Continue a suspended coroutine in its task; call `done(result, error)` at the end.

        The coroutine is canceled after `timeout` seconds; the error is a TimeoutError then.
        """
        super().hand_over(suspended, done, name, timeout)
        spare = suspended.spare
        assert spare is not None, "this runner suspends coroutines on spare tasks only"
        spare.work = suspended
        if not spare.called.done():  # else the task was canceled, and wakes for that reason
            spare.called.set_result(None)

    def _take_idle_tasks(self) -> set[asyncio.Task[None]]:
        tasks = {spare.task for spare in self._spares}
        if self._spare is not None and not self._spare.is_busy:
            tasks.add(self._spare.task)
        self._spare = None
        self._spares.clear()
        return tasks


@final
class _SpareTask:
    """A task that waits for a suspended coroutine."""

    __slots__ = ("box", "called", "context", "driver", "is_busy", "is_over", "loop", "run", "send",
                 "task", "work")  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        self.loop = loop
        self.context = context
        self.run = context.run
        # The result of a coroutine, and whether the task runs one that has suspended
        self.box: list[Any] = [None, False]
        self.called: asyncio.Future[None] = loop.create_future()
        self.work: Suspended | None = None
        self.task = _create_started_task(self._run(), loop, context)
        self.is_busy = False  # it runs a coroutine, or was lent to one
        self.is_over = False
        self.create_driver()

    def create_driver(self) -> None:
        """Create the generator that runs the first steps of coroutines."""
        self.driver = drive(self.box)
        self.send = self.driver.send
        self.send(None)

    async def _run(self) -> None:
        try:
            await started()
            await self.called
        except CANCELLED:
            self.is_over = True
            if self.work is not None:
                # Deliver the cancellation to the coroutine, once: cancellations are counted.
                self.task.uncancel()
                self.task.cancel()
        work, self.work = self.work, None
        if work is None:
            self.driver.close()  # no coroutine was handed over
            return
        error: BaseException | None = None
        result: Any = None
        try:
            result = await resume(self.driver, work.yielded)
        except (Exception, CANCELLED) as failure:
            error = failure
        work.end(result, error)
        error = None  # its traceback holds this frame


@final
class PublicRunner(Runner):
    """Runs each coroutine in a task of its own, with public asyncio API only."""

    __slots__ = ()

    starts_eagerly: ClassVar[bool] = HAS_EAGER_TASKS

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run the first step. Return the result, or a `Suspended` for `hand_over`.

        Without eager tasks, always return a `Suspended`. Raises the exception of the coroutine.
        """
        run = _PublicRun()
        loop, context = get_running_loop(), self._context.copy()
        if HAS_EAGER_TASKS:
            task = _create_eager_task(run.run(coroutine), loop, context)
            if task.done():
                if run.error is not None:
                    raise run.error
                return run.result
        else:
            task = _create_started_task(run.run_later(coroutine), loop, context)
        run.suspended = Suspended(task)
        return run.suspended


@final
class _PublicRun:
    """The execution of one coroutine in a task."""

    __slots__ = ("error", "result", "suspended")

    def __init__(self) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.suspended: Suspended | None = None

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self.result = await coroutine
        except (Exception, CANCELLED) as failure:
            self.error = failure
        if self.suspended is not None:
            self.suspended.end(self.result, self.error)
            self.error = None  # its traceback holds this frame

    async def run_later(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            await started()
        except CANCELLED as cancelled:
            coroutine.close()
            assert self.suspended is not None, "the task was canceled after `begin` returned"
            self.suspended.end(None, cancelled)
        else:
            await self.run(coroutine)


def _create_eager_task(
    coroutine: Coroutine[Any, Any, None],
    loop: asyncio.AbstractEventLoop,
    context: contextvars.Context,
) -> asyncio.Task[None]:
    options: dict[str, Any] = {"eager_start": True}  # Python 3.12
    return asyncio.Task(coroutine, loop=loop, context=context, **options)


def _create_started_task(
    coroutine: Coroutine[Any, Any, None],
    loop: asyncio.AbstractEventLoop,
    context: contextvars.Context,
) -> asyncio.Task[None]:
    """Create a task for a coroutine that awaits `started` first, and run it up to there.

    A task that is canceled before its first step would run no code of its coroutine.
    """
    coroutine.send(None)
    return loop.create_task(coroutine, name="socketio spare", context=context)
