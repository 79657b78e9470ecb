"""Time, as the services see it.

Knows: a monotonic clock, the wall clock, timers of an event loop.
Does not know: what is timed.  Services take a Clock, so that tests move time by hand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Forget the call; harmless when it has already run."""


class Clock(Protocol):
    """Two ways to read the time, one way to wait; used on the loop's thread only."""

    def monotonic(self) -> float:
        """Seconds that never go backwards: for durations."""

    def epoch_ms(self) -> int:
        """Milliseconds since 1970: for timestamps that clients read."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after so many seconds."""


class LoopClock:
    """The Clock of whichever event loop is running."""

    def monotonic(self) -> float:
        """The system's monotonic clock."""
        return time.monotonic()

    def epoch_ms(self) -> int:
        """The wall clock."""
        return epoch_ms()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """A timer of the running loop."""
        return asyncio.get_running_loop().call_later(seconds, callback)


def epoch_ms() -> int:
    """Milliseconds since 1970, for threads that have no Clock."""
    return time.time_ns() // 1_000_000
