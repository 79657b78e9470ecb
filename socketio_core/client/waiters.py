"""The calls of `connect` that wait for the result of a connection."""

from __future__ import annotations

import asyncio
from typing import final


@final
class ConnectWaiters:
    """The waiting calls of one socket, and whether each waits for another attempt."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: dict[asyncio.Future[None], bool] = {}

    def add(self, retry: bool) -> asyncio.Future[None]:
        """Return a future for the result; with `retry`, a failed attempt is not a result."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = retry
        return waiter

    def discard(self, waiter: asyncio.Future[None]) -> None:
        """Remove a call that does not wait any more."""
        self._waiters.pop(waiter, None)

    def settle(self, error: Exception | None, *, will_retry: bool = False) -> None:
        """Complete the calls; with `will_retry`, those that wait for another attempt continue."""
        for waiter, retry in list(self._waiters.items()):
            if waiter.done() or (retry and will_retry):
                continue
            del self._waiters[waiter]
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
