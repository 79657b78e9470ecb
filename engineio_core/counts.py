"""Counters of an engine's rare events, which metrics read: handshakes, ends and upgrades.

The engine always keeps these counters, because none of the events happens per message. Those of
messages (`traffic`) exist only on request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, final

from engineio_core.traffic import Traffic

ACCEPTED: Final = "accepted"
FULL: Final = "full"
FULL_ADDRESS: Final = "full_address"
CLOSING: Final = "closing"
INVALID_WEBSOCKET: Final = "invalid_websocket"
MIDDLEWARE: Final = "middleware"
OTHER: Final = "other"
#: The outcomes of refused requests, by the code that the client receives (`errors`).
REFUSALS: Final = (
    "unknown_transport",
    "unknown_sid",
    "bad_handshake_method",
    "bad_request",
    "forbidden",
    "unsupported_protocol_version",
)
OUTCOMES: Final = (
    ACCEPTED, *REFUSALS, FULL, FULL_ADDRESS, CLOSING, INVALID_WEBSOCKET, MIDDLEWARE, OTHER,
)  # fmt: skip
TRANSPORTS: Final = ("polling", "websocket", "webtransport")
UNKNOWN: Final = "unknown"


@final
class EngineCounts:
    """Counters of one engine since its creation; all keys are of bounded sets."""

    __slots__ = (
        "closed", "handshakes", "traffic", "upgrades", "upgrades_failed", "volatile_dropped",
    )  # fmt: skip

    def __init__(self) -> None:
        self.handshakes: defaultdict[tuple[str, str], int] = defaultdict(int)
        """Requests that opened a session or were refused, by transport and outcome."""
        self.closed: defaultdict[str, int] = defaultdict(int)
        """Sessions that have ended, by `CloseReason`."""
        self.upgrades = 0
        """Sessions that have changed from polling to another transport."""
        self.upgrades_failed = 0
        """Upgrades whose new connection was closed before it replaced polling."""
        self.volatile_dropped = 0
        """Volatile groups of packets that the client could not receive immediately."""
        self.traffic: Traffic | None = None
        """The messages of the sessions that opened since the count of messages began."""

    def refused(self, transport: str, outcome: str | int) -> None:
        """Count a refused request; `outcome` is one of OUTCOMES, or the code of a `Refusal`.

        `transport` is what the client sent.
        """
        if isinstance(outcome, int):  # a middleware may refuse with a code of its own
            outcome = REFUSALS[outcome] if 0 <= outcome < len(REFUSALS) else OTHER
        self.handshakes[transport if transport in TRANSPORTS else UNKNOWN, outcome] += 1


@final
class Histogram:
    """Numbers of values by upper bound, and their sum; a value equal to a bound belongs to it."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)  # the last one: above all bounds
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Add a value to its bucket and to the sum."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
