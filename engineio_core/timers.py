"""Timers of one event loop that share one of its own timers.

A timer of an event loop costs a few microseconds, and almost all timers of a server are canceled:
clients send their requests in time. `Clock` remains the interface of the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Final, final

from engineio_core.clock import Clock

#: Canceled timers that may stay in the queue, in addition to as many as there are active ones.
SPARE: Final = 64


@final
class Timer:
    """A callback that runs once, unless it is canceled."""

    __slots__ = ("_callback", "_queue")

    def __init__(self, queue: TimerQueue, callback: Callable[[], object]) -> None:
        self._queue = queue
        self._callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Do not run the callback; do nothing if it has run."""
        if self._callback is not None:
            self._callback = None
            self._queue._forget_one()


@final
class TimerQueue:
    """The timers of many objects, in order of their times."""

    __slots__ = ("_armed_for", "_heap", "_is_firing", "_number", "_timer", "active", "clock")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        # Time, serial number, timer: equal times keep their order.
        self._heap: list[tuple[float, int, Timer]] = []
        self._number = 0
        self.active = 0
        """The number of timers that are neither run nor canceled."""
        self._timer: Any = None  # of the event loop, for the first timer of the heap
        self._armed_for = 0.0
        self._is_firing = False

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` after `delay` seconds."""
        return self.call_at(self.clock.time() + delay, callback)

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` at `when`, in seconds of the clock."""
        timer = Timer(self, callback)
        self.active += 1
        self._number += 1
        heappush(self._heap, (when, self._number, timer))
        if not self._is_firing and (self._timer is None or when < self._armed_for):
            self._arm()
        return timer

    def _forget_one(self) -> None:
        """Count a canceled timer; remove canceled timers if they are the majority."""
        self.active -= 1
        if not self.active:
            self._heap.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif len(self._heap) > 2 * self.active + SPARE:
            self._heap = [entry for entry in self._heap if entry[2]._callback is not None]
            heapify(self._heap)

    def _arm(self) -> None:
        """Set the timer of the event loop to the first active timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        heap = self._heap
        while heap and heap[0][2]._callback is None:
            heappop(heap)
        if heap:
            self._armed_for = heap[0][0]
            self._timer = self.clock.call_at(self._armed_for, self._fire)

    def _fire(self) -> None:
        """Run the timers that are due. An exception of a callback does not lose the others."""
        self._timer = None
        self._is_firing = True
        now = self.clock.time()
        try:
            while self._heap and self._heap[0][0] <= now:
                timer = heappop(self._heap)[2]
                callback, timer._callback = timer._callback, None
                if callback is not None:
                    self.active -= 1
                    callback()
        finally:
            self._is_firing = False
            self._arm()
