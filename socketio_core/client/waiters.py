"""Calls that wait: `connect` for the result of a connection, `drain` for the end of a queue."""

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


@final
class DrainWaiters:
    """The waiting calls of `drain`."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Wait until `succeed` is called. Raises the error of `fail`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def succeed(self) -> None:
        """Complete the calls: the queue is empty."""
        for waiter in self._take():
            waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """Let the calls raise an error."""
        for waiter in self._take():
            waiter.set_exception(error)

    def _take(self) -> list[asyncio.Future[None]]:
        waiters, self._waiters = self._waiters, []
        return [waiter for waiter in waiters if not waiter.done()]
