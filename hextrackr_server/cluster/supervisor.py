"""A supervisor of worker processes: starts, restarts and stops them.

The supervisor has neither threads nor an event loop, so it may fork. It waits for signals only:

    SIGTERM, SIGINT   stop the workers, one stage after the other; a second signal kills them, and
                      the exit code is 128 plus its number
    SIGHUP            restart the workers of the last stage, one after the other
    SIGCHLD           start a worker again that has ended by itself, with increasing delays

A worker ends when its supervisor dies: see `watch_parent`.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from engineio_core.service_manager import ServiceManager
from engineio_core.signals import FORCED_EXIT, STOP_SIGNALS

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger(__name__)

#: Seconds before a worker is started again; doubled for each start that lasts less than STEADY.
FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 5.0
STEADY: Final = 10.0
#: Seconds that a worker may take to report that it is ready, before a rolling restart continues.
READY_LIMIT: Final = 20.0
#: Seconds after the end of the supervisor in which a worker must have ended.
ORPHAN_SECONDS: Final = 10.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
#: Exit code of a worker whose configuration is invalid: it ends the supervisor, unless the worker
#: has been ready before.
CONFIGURATION: Final = 78  # EX_CONFIG of sysexits.h


@dataclass(slots=True)
class Worker:
    """One worker process, before and while it runs.

    `run(ready)` is called in the process, and returns its exit code; it calls `ready()` as soon as
    it serves clients. `stop_seconds` is the time between SIGTERM and SIGKILL.
    """

    name: str
    run: Callable[[Callable[[], None]], int]
    stop_seconds: float = 10.0
    pid: int = 0
    started_at: float = 0.0
    start_at: float = 0.0
    was_ready: bool = False
    _delay: float = FIRST_DELAY
    _ready: int = field(default=-1, repr=False)

    @property
    def is_running(self) -> bool:
        """Whether the process exists."""
        return self.pid != 0

    def start(self, parent_pipe: tuple[int, int]) -> None:
        """Fork the process; `parent_pipe` is the pipe whose end shows that the supervisor died."""
        reader, writer = os.pipe()
        self.started_at = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            os.close(parent_pipe[1])
            self._run_and_exit(writer)
        os.close(writer)
        self._close_ready()
        self._ready = reader
        logger.info("worker %s started as process %d", self.name, self.pid)

    def _run_and_exit(self, writer: int) -> NoReturn:
        code = 1
        try:
            os.setsid()  # Ctrl-C reaches the supervisor only, which stops the stages in order
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            code = self.run(lambda: _report_ready(writer))
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            logger.exception("worker %s failed", self.name)
        finally:
            logging.shutdown()
            os._exit(code)

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the process reports that it is ready, or has ended."""
        if self._ready >= 0 and select.select([self._ready], [], [], seconds)[0]:
            self.was_ready |= os.read(self._ready, 1) == b"1"

    def ended(self, code: int) -> bool:
        """Plan the next start of a process that has ended; return False if there is none.

        A process that was never ready and ends with `CONFIGURATION` does not start again.
        """
        now = time.monotonic()
        lasted = now - self.started_at
        self.wait_until_ready(0)
        self.pid = 0
        self._close_ready()
        if code == CONFIGURATION and not self.was_ready:
            logger.error("worker %s cannot start with these settings: the server ends", self.name)
            return False
        self._delay = FIRST_DELAY if lasted >= STEADY else min(LONGEST_DELAY, self._delay * 2)
        self.start_at = now + self._delay
        logger.warning(
            "worker %s ended with %s after %.1f s: it starts again in %.1f s",
            self.name, describe_exit(code), lasted, self._delay,
        )  # fmt: skip
        return True

    def has_stopped(self) -> bool:
        """Return whether the process has ended after a signal to stop."""
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = 0
            self._delay = FIRST_DELAY
            self._close_ready()
        return not self.pid

    def kill(self, number: int) -> None:
        """Send a signal, if the process exists."""
        if self.pid:
            os.kill(self.pid, number)

    def _close_ready(self) -> None:
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1


class Supervisor:
    """Runs workers in stages: a stage starts after and stops before the stages behind it.

    Workers of one stage stop at the same time. SIGHUP restarts those of the last stage. `manager`
    receives the states of the server; a worker reports the first one, and the watchdog.
    """

    def __init__(
        self, stages: Sequence[Sequence[Worker]], manager: ServiceManager | None = None
    ) -> None:
        self._stages = stages
        self._manager = manager or ServiceManager()
        self._pipe = os.pipe()
        global _parent_pipe  # noqa: PLW0603 - `watch_parent` runs in the forked process
        _parent_pipe = self._pipe[0]
        self._code = 0
        self._is_stopping = False

    @property
    def workers(self) -> Iterator[Worker]:
        """The workers of all stages."""
        for stage in self._stages:
            yield from stage

    def run(self) -> int:
        """Run until a signal stops the workers; return the exit code."""
        with _blocked_signals():
            for worker in self.workers:
                worker.start(self._pipe)
            try:
                while not (self._is_stopping or self._code):
                    number = self._wait()
                    if number == signal.SIGHUP:
                        self._manager.during(self._restart_one_by_one)()
                    elif number in STOP_SIGNALS:
                        break
                self._stop()
            except BaseException:
                self._kill_all()
                raise
        return self._code

    def _wait(self) -> int | None:
        """Wait for a signal, or until a worker is due; start workers that are due."""
        # One SIGCHLD may stand for several workers, and `_end` may have received it.
        self._reap()
        now = time.monotonic()
        waiting = [worker for worker in self.workers if not worker.is_running]
        for worker in waiting:
            if worker.start_at <= now:
                worker.start(self._pipe)
        due = [worker.start_at - now for worker in waiting if not worker.is_running]
        found = signal.sigtimedwait(_SIGNALS, max(0.0, min(due, default=60.0)))
        return None if found is None else found.si_signo

    def _reap(self) -> None:
        """Note each worker that has ended."""
        for worker in self.workers:
            if not worker.is_running:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                if not worker.ended(code):
                    self._code = code

    def _restart_one_by_one(self) -> None:
        for worker in self._stages[-1]:
            if worker.is_running and not self._end([worker]):
                return
            if self._is_stopping:
                return
            worker.start(self._pipe)
            worker.wait_until_ready(READY_LIMIT)

    def _stop(self) -> None:
        self._is_stopping = True
        self._manager.stopping()
        for stage in self._stages:
            if not self._end(stage):
                return

    def _end(self, workers: Sequence[Worker]) -> bool:
        """Stop workers; kill those that do not stop in time.

        SIGTERM or SIGINT ends a rolling restart. The second of them kills all workers: the result
        is False.
        """
        for worker in workers:
            worker.kill(signal.SIGTERM)
        limit = time.monotonic() + max((worker.stop_seconds for worker in workers), default=0.0)
        while running := [worker for worker in workers if not worker.has_stopped()]:
            left = limit - time.monotonic()
            if left <= 0:
                for worker in running:
                    logger.warning("worker %s did not stop in time: it is killed", worker.name)
                    worker.kill(signal.SIGKILL)
                limit = time.monotonic() + 60.0
                continue
            found = signal.sigtimedwait(_SIGNALS, left)
            if found is not None and found.si_signo in STOP_SIGNALS:
                if self._is_stopping:
                    self._code = FORCED_EXIT + found.si_signo
                    self._kill_all()
                    return False
                self._is_stopping = True
        return True

    def _kill_all(self) -> None:
        for worker in self.workers:
            worker.kill(signal.SIGKILL)
        for worker in self.workers:
            if worker.is_running:
                os.waitpid(worker.pid, 0)
                worker.pid = 0


_parent_pipe = -1


def watch_parent(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Call `stop` in a worker when its supervisor has died; in another process, do nothing.

    The worker then has `ORPHAN_SECONDS` to end, also if it drains already.
    """
    if _parent_pipe >= 0:

        def ended() -> None:
            loop.remove_reader(_parent_pipe)
            logger.warning("the supervisor has died: this worker stops")
            loop.call_later(ORPHAN_SECONDS, os._exit, 1)
            stop()

        loop.add_reader(_parent_pipe, ended)


def describe_exit(code: int) -> str:
    """Return the words for an exit code: `code 1`, `SIGKILL`."""
    return f"code {code}" if code >= 0 else signal.Signals(-code).name


def _report_ready(writer: int) -> None:
    os.write(writer, b"1")


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Block the signals that the supervisor waits for."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
