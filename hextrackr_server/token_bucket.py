"""Token bucket: the arithmetic of a rate limit, without a clock of its own."""

from __future__ import annotations


class Bucket:
    """Token bucket of `burst` tokens (default: one minute's worth), refilled at `per_minute`."""

    __slots__ = ("_burst", "_rate", "_stamp", "_tokens")

    def __init__(self, per_minute: float, now: float, burst: float | None = None) -> None:
        self._burst = per_minute if burst is None else burst
        self._rate = per_minute / 60
        self._tokens = self._burst
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
