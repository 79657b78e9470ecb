"""Delays between the attempts to reconnect: exponential, with a random part."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """The delays of one client, in seconds.

    The delay doubles with each attempt up to `longest`. Each delay is longer or shorter by a
    random part of at most `randomization` times the delay, so that the clients of a server that
    restarts do not return at the same moment (socket.io-client 4.8, reconnectionDelay).
    """

    __slots__ = ("_delay", "_longest", "_random", "_randomization", "attempts")

    def __init__(
        self,
        delay: float,
        longest: float,
        randomization: float,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._delay = delay
        self._longest = longest
        self._randomization = randomization
        self._random = rng
        self.attempts = 0

    def next_delay(self) -> float:
        """Count an attempt and return the delay before it."""
        # Beyond 2 ** 40, the longest delay applies in any case.
        delay = self._delay * 2.0 ** min(self.attempts, 40)
        self.attempts += 1
        deviation = (2 * self._random() - 1) * self._randomization * delay
        return float(min(delay + deviation, self._longest))

    def reset(self) -> None:
        """Start again with the first delay."""
        self.attempts = 0
