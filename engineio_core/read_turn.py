"""The turn of one connection: bounds its share of one iteration of the event loop.

Without a bound, a connection with enough data would delay all others: an event loop reads up to
8 MB from one socket before it turns to the next one. Work that is not usual (a chunk above
`TURN_BYTES`, a frame or a request outside the fast paths) checks the turn; the rest waits for the
next iteration. Messages that arrive together check the time as well, because the handler of one may
take a millisecond, for example to broadcast it to many clients.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Final, final

from engineio_core.clock import Clock

#: Seconds of work in one turn, measured from the first check.
TURN_SECONDS: Final = 0.003
#: Bytes of usual work between two checks, about a millisecond.
TURN_BYTES: Final = 8 * 1024
#: Bytes of messages that arrive together between two checks of the time: a few short messages.
TIME_BYTES: Final = 128


@final
class ReadTurn:
    """The turns of one connection, which begin with the first check in an iteration.

    The time is that of the processor's counter: the time of an event loop stands still during a
    callback. `proceed` continues the work of an interrupted turn.
    """

    __slots__ = ("_clock", "_until", "is_interrupted", "proceed")

    def __init__(self, clock: Clock, proceed: Callable[[], object]) -> None:
        self._clock = clock
        self.proceed = proceed
        self._until: float | None = None
        self.is_interrupted = False
        """Whether work waits for `proceed`."""

    def is_over(self) -> bool:
        """Return whether the connection must wait; `proceed` is then called in the next turn."""
        if self._until is None:
            self._until = perf_counter() + TURN_SECONDS
            self._clock.call_soon(self._end)
            return False
        self.is_interrupted = self.is_interrupted or perf_counter() >= self._until
        return self.is_interrupted

    def end(self) -> None:
        """Let the connection wait until `proceed` is called in the next turn."""
        if self._until is None:
            self._until = 0.0
            self._clock.call_soon(self._end)
        self.is_interrupted = True

    def _end(self) -> None:
        if self.is_interrupted:
            # One iteration later: this one reads the other connections, which would otherwise wait
            # for two turns if the event loop reads this connection first.
            self._clock.call_soon(self._resume)
        else:
            self._until = None

    def _resume(self) -> None:
        self._until = None
        self.is_interrupted = False
        self.proceed()
