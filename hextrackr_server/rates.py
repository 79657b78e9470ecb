"""The arithmetic of rate limits, without a clock of their own."""

from __future__ import annotations

from array import array
from typing import Final

#: Parts of a minute that are counted separately; one more covers the part that has begun.
_SECONDS: Final = 60
_PARTS: Final = _SECONDS + 1
_NONE: Final = array("I", [0] * _PARTS)


class SlidingMinute:
    """Limit of `per_minute` uses in any 60 seconds, wherever these begin.

    Uses are counted per second. Each use counts until the second in which it was made is completely
    over for a minute: a client waits up to one second longer than with exact times.
    """

    __slots__ = ("_counts", "_limit", "_second", "_total")

    def __init__(self, per_minute: float) -> None:
        # At least one use per minute, also for a share of a small limit.
        self._limit = max(1, int(per_minute))
        self._counts: array[int] | None = None
        self._second = 0
        self._total = 0

    def take(self, now: float) -> float:
        """Count a use and return 0.0, or return the seconds until the next use is possible."""
        # hot path
        second = int(now)
        counts = self._counts
        if counts is None:  # most limits of a connection are never used
            counts = self._counts = _NONE[:]
            self._second = second
        elif second != self._second:
            self._pass(counts, second)
        if self._total < self._limit:
            counts[second % _PARTS] += 1
            self._total += 1
            return 0.0
        oldest = next(
            each for each in range(second - _SECONDS, second + 1) if counts[each % _PARTS]
        )
        return oldest + _PARTS - now

    def _pass(self, counts: array[int], second: int) -> None:
        """Drop the counts of seconds that are no longer part of the minute."""
        passed = second - self._second
        if passed >= _PARTS:
            counts[:] = _NONE
            self._total = 0
        else:
            for each in range(self._second + 1, second + 1):
                self._total -= counts[each % _PARTS]
                counts[each % _PARTS] = 0
        self._second = second


class Bucket:
    """Token bucket of `burst` tokens, refilled at `per_minute`.

    It smooths a rate. A sliding minute may contain `burst` uses in addition to `per_minute`.
    """

    __slots__ = ("_burst", "_rate", "_stamp", "_tokens")

    def __init__(self, per_minute: float, now: float, burst: float) -> None:
        self._burst = burst
        self._rate = per_minute / 60
        self._tokens = burst
        self._stamp = now

    def take(self, now: float) -> float:
        """Take a token and return 0.0, or return the seconds until the next token."""
        tokens = self._tokens + (now - self._stamp) * self._rate
        self._stamp = now
        tokens = min(tokens, self._burst)
        if tokens >= 1:
            self._tokens = tokens - 1
            return 0.0
        self._tokens = tokens
        return (1 - tokens) / self._rate
