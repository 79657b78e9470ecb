"""The clock of all timers and deadlines: an asyncio event loop, or a fake clock in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

_METHODS: Final = ("time", "call_soon", "call_at", "call_later")


class Clock(Protocol):
    """The timer methods of `asyncio.AbstractEventLoop`."""

    def time(self) -> float:
        """Return the monotonic time in seconds."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Any:
        """Call `callback` after the current callback has finished."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Any:
        """Call `callback` at `when`, in seconds of `time()`; return a handle with `cancel()`."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Any:
        """Call `callback` after `delay` seconds; return a handle with `cancel()`."""


async def sleep(clock: Clock, seconds: float) -> None:
    """Sleep by a clock that may differ from that of the event loop."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_later(seconds, _wake, waiter)
    try:
        await waiter
    finally:
        timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def check_clock(clock: Any) -> None:
    """Raise TypeError for an object without the methods of a clock."""
    if isinstance(clock, type) or not all(
        callable(getattr(clock, name, None)) for name in _METHODS
    ):
        raise TypeError(
            f"clock must be an object with the methods {', '.join(_METHODS)}, got {clock!r}: "
            "pass an event loop, or leave it out"
        )
