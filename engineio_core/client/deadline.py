"""Deadlines of awaits by a clock that may differ from that of the event loop."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from engineio_core.clock import Clock


class Deadline:
    """Context manager that raises TimeoutError if its block does not end in time.

    `asyncio.timeout` reads the clock of the event loop, which tests cannot advance.
    """

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        self._clock = clock
        self._seconds = seconds
        self._timer: Any = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._has_expired = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        assert self._task is not None, "a deadline needs a task"
        self._cancelling = self._task.cancelling()
        if self._seconds is not None:
            self._timer = self._clock.call_later(self._seconds, self._expire)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._has_expired:
            assert self._task is not None
            pending = self._task.uncancel()
            # Without another cancellation, the error is the expired time.
            if pending <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError(f"no answer within {self._seconds:g} seconds") from error

    def _expire(self) -> None:
        assert self._task is not None
        self._has_expired = True
        self._task.cancel()
