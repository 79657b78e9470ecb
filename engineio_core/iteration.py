"""Numbers the iterations of the event loop in which packets are sent."""

from __future__ import annotations

from typing import final

from engineio_core.clock import Clock


@final
class Iteration:
    """The number of the current iteration of the event loop; `note` lets the next one differ."""

    __slots__ = ("_clock", "is_noted", "number")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.number = 0
        self.is_noted = False

    def note(self) -> None:
        """Change the number after this iteration; call it at most once before `is_noted` ends."""
        self.is_noted = True
        self._clock.call_soon(self._end)

    def _end(self) -> None:
        self.number += 1
        self.is_noted = False
