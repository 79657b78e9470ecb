"""Clocks and timers of the services, which tests replace by a clock that stands still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Cancel the call; a call that has run is not affected."""


class Clock(Protocol):
    """Source of time and timers; used on the thread of the event loop only."""

    def monotonic(self) -> float:
        """Return seconds that never decrease, for durations."""

    def epoch_ms(self) -> int:
        """Return milliseconds since 1970, for timestamps that clients read."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once, after the given number of seconds."""


class LoopClock:
    """Clock of the running event loop."""

    def monotonic(self) -> float:
        """Return the time of the system's monotonic clock."""
        return time.monotonic()

    def epoch_ms(self) -> int:
        """Return the time of the wall clock."""
        return epoch_ms()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Start a timer of the running loop."""
        return asyncio.get_running_loop().call_later(seconds, callback)


def epoch_ms() -> int:
    """Return milliseconds since 1970, for threads that have no Clock."""
    return time.time_ns() // 1_000_000
