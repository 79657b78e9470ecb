"""A manual clock with the timer interface of an event loop."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any


class FakeHandle:
    """A scheduled call, like asyncio.Handle and asyncio.TimerHandle."""

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
    """A clock in seconds that only `advance` moves; calls run in the order of their times.

    `run` makes all calls that are due, including those that they schedule. An exception in a call
    reaches the test.
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
        """Run all calls that are due now."""
        while self._soon or (self._timers and self._timers[0][0] <= self._now):
            while self._soon:
                self._soon.popleft().run()
            if self._timers and self._timers[0][0] <= self._now:
                heapq.heappop(self._timers)[2].run()

    def run_once(self) -> None:
        """Run the calls of one iteration of the event loop."""
        for _ in range(len(self._soon)):
            self._soon.popleft().run()

    def advance(self, seconds: float) -> None:
        """Advance the clock; each call runs at its scheduled time."""
        end = self._now + seconds
        self.run()
        while self._timers and self._timers[0][0] <= end:
            self._now = max(self._now, self._timers[0][0])
            self.run()
        self._now = end

    @property
    def pending(self) -> int:
        """The number of scheduled calls that are not cancelled."""
        timers = sum(not handle.cancelled() for _, _, handle in self._timers)
        return timers + sum(not handle.cancelled() for handle in self._soon)
