"""Closes the clients of a server in waves, so that they do not reconnect at the same time.

The owner of the clients closes one client, and decides which clients must wait.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from math import ceil
from typing import Final, Generic, TypeVar

from engineio_core.clock import Clock, sleep

#: The default window: seconds per client, and its longest duration in seconds.
SECONDS_PER_CLIENT: Final = 0.02
LONGEST_DEFAULT: Final = 5.0
#: Seconds between the earliest times of two waves; a wave contains one client or more.
WAVE_SECONDS: Final = 0.1

Client = TypeVar("Client")


def drain_window(seconds: float | None, clients: int) -> float:
    """Return the seconds over which a server closes its clients; None selects the default."""
    return min(LONGEST_DEFAULT, SECONDS_PER_CLIENT * clients) if seconds is None else seconds


def plan_waves(
    clients: int, seconds: float, jitter: Callable[[], float]
) -> list[tuple[float, int]]:
    """Return the time and the number of clients of each wave.

    Times are seconds after the start, in order, and at most `seconds`. The window is divided into
    equal parts, one for each wave, and `jitter()`, a number from 0 to 1, selects the time in it.
    """
    if not clients:
        return []
    waves = min(clients, max(1, ceil(seconds / WAVE_SECONDS)))
    part = seconds / waves
    sizes = [clients * (wave + 1) // waves - clients * wave // waves for wave in range(waves)]
    # Rounding may exceed the window.
    return [(min(seconds, (wave + jitter()) * part), size) for wave, size in enumerate(sizes)]


class Waves(Generic[Client]):
    """The clients of one server that drains.

    `close(client)` does nothing for a client that has left. A client for which `is_busy` is true
    waits for a later wave.
    """

    def __init__(
        self,
        clock: Clock,
        close: Callable[[Client], None],
        is_busy: Callable[[Client], bool] = lambda _: False,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock
        self._close = close
        self._is_busy = is_busy
        self._jitter = jitter or random.random

    async def run(self, clients: Iterable[Client], seconds: float) -> list[Client]:
        """Close the clients within `seconds`; return those that are busy until the end.

        With 0 seconds, close all clients immediately.
        """
        waiting = list(clients)
        if seconds <= 0:
            for client in waiting:
                self._close(client)
            return []
        # Clients that connected together leave at different times.
        waiting.sort(key=lambda _: self._jitter())
        queue = deque(waiting)
        busy: list[Client] = []
        began = self._clock.time()
        for time, size in plan_waves(len(waiting), seconds, self._jitter):
            await self._sleep_until(began + time)
            busy = self._close_idle(busy)
            busy += self._close_idle([queue.popleft() for _ in range(size)])
        while busy and (left := began + seconds - self._clock.time()) > 0:
            await sleep(self._clock, min(left, WAVE_SECONDS))
            busy = self._close_idle(busy)
        return busy

    def _close_idle(self, clients: list[Client]) -> list[Client]:
        """Close clients; return those that are busy."""
        busy: list[Client] = []
        for client in clients:
            if self._is_busy(client):
                busy.append(client)
            else:
                self._close(client)
        return busy

    async def _sleep_until(self, time: float) -> None:
        if (left := time - self._clock.time()) > 0:
            await sleep(self._clock, left)
