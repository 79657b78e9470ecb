"""Measures how late the timers of an event loop run: the lag of a gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from engineio_core.clock import Clock

#: Seconds between two measurements.
LAG_INTERVAL: Final = 0.5


@final
class LoopLag:
    """A timer that reports its own delay in seconds, until `stop`."""

    def __init__(self, clock: Clock, report: Callable[[float], None]) -> None:
        self._clock = clock
        self._report = report
        self._timer: Any = None
        self._start()

    def stop(self) -> None:
        """Cancel the timer, after which nothing is reported."""
        self._timer.cancel()

    def _start(self) -> None:
        due = self._clock.time() + LAG_INTERVAL
        self._timer = self._clock.call_later(LAG_INTERVAL, self._measure, due)

    def _measure(self, due: float) -> None:
        self._start()
        self._report(max(0.0, self._clock.time() - due))
