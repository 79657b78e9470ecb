"""Time that stands still until a test moves it: what an event loop gives, without the loop."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any


class FakeHandle:
    """A planned call; it is what asyncio calls a handle."""

    def __init__(self, when: float, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when

    def run(self) -> None:
        if not self._cancelled:
            self._callback(*self._args)


class FakeClock:
    """Seconds that pass by `advance`; calls come in the order in which they are due.

    `run` makes the calls of `call_soon`, and those that they plan in their turn. An exception in
    a call reaches the test.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        self._order = count()
        self._timers: list[tuple[float, int, FakeHandle]] = []
        self._soon: deque[FakeHandle] = deque()

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any, **_: Any) -> FakeHandle:
        handle = FakeHandle(self._now, callback, args)
        self._soon.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, **_: Any
    ) -> FakeHandle:
        handle = FakeHandle(when, callback, args)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, **_: Any
    ) -> FakeHandle:
        return self.call_at(self._now + delay, callback, *args)

    def run(self) -> None:
        """Make all calls that are due now."""
        while self._soon or (self._timers and self._timers[0][0] <= self._now):
            while self._soon:
                self._soon.popleft().run()
            if self._timers and self._timers[0][0] <= self._now:
                heapq.heappop(self._timers)[2].run()

    def advance(self, seconds: float) -> None:
        """Let time pass; every call is made at its own moment."""
        end = self._now + seconds
        self.run()
        while self._timers and self._timers[0][0] <= end:
            self._now = max(self._now, self._timers[0][0])
            self.run()
        self._now = end

    @property
    def pending(self) -> int:
        """How many calls are planned and not cancelled."""
        timers = sum(not handle.cancelled() for _, _, handle in self._timers)
        return timers + sum(not handle.cancelled() for handle in self._soon)
