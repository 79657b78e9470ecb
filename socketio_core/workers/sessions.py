"""The connection of a worker to the session table of its supervisor, for one server process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final, final

from socketio_core.workers.control import (
    Claim,
    Claimed,
    Drop,
    Find,
    Found,
    Hold,
    Left,
    SessionMessage,
    Yield,
    Yielded,
)

TIMEOUT: Final = 3.0
"""Seconds that a returning client waits for the supervisor and its former worker."""
HELD_ATTEMPTS: Final = 10
"""The number of requests for a session that another worker is about to save."""
HELD_INTERVAL: Final = 0.05
"""The seconds between these requests."""


@final
class Sessions:
    """The messages of this worker about its sessions, and the answers of the supervisor.

    `send` is set when the supervisor is connected. `close_former(key)` of a namespace closes the
    connection of a client that returns to another worker.
    """

    def __init__(self) -> None:
        self.send: Callable[[SessionMessage], None] = _not_connected
        self._close_former: dict[str, Callable[[str], object]] = {}
        self._requests = count()
        self._waiting: dict[int, asyncio.Future[Found | Claimed]] = {}

    def register(self, prefix: str, close_former: Callable[[str], object]) -> None:
        """Set the function that closes former connections of a namespace, by recovery id."""
        self._close_former[prefix] = close_former

    def hold(self, key: str, state: bytes, lifetime: float) -> None:
        """Send the state of a connected client."""
        self.send(Hold(key, state, lifetime))

    def left(self, key: str, state: bytes, lifetime: float) -> None:
        """Send the last state of a client that may return."""
        self.send(Left(key, state, lifetime))

    def drop(self, key: str) -> None:
        """Forget a client that does not return."""
        self.send(Drop(key))

    async def find(self, key: str) -> bytes | None:
        """Return the state of a session that no worker uses; None if it is unknown."""
        for _ in range(HELD_ATTEMPTS):
            request = next(self._requests)
            answer = await self._ask(request, Find(request, key))
            if not isinstance(answer, Found) or not answer.is_held:
                return answer.state if isinstance(answer, Found) else None
            # The client has returned to two workers at the same time: the attempt that has claimed
            # the session ends soon, because the other worker withdraws it.
            await asyncio.sleep(HELD_INTERVAL)
        return None

    async def claim(self, key: str) -> bool:
        """Make a session belong to this worker; return False if another worker was faster."""
        request = next(self._requests)
        answer = await self._ask(request, Claim(request, key))
        return isinstance(answer, Claimed) and answer.success

    async def _ask(self, request: int, message: Find | Claim) -> Found | Claimed | None:
        future: asyncio.Future[Found | Claimed] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        try:
            self.send(message)
            async with asyncio.timeout(TIMEOUT):
                return await future
        except TimeoutError:
            return None
        finally:
            del self._waiting[request]

    def receive(self, message: Yield | Found | Claimed) -> None:
        """Handle a message of the supervisor."""
        if isinstance(message, Yield):
            prefix, _, pid = message.key.rpartition(" ")
            close_former = self._close_former.get(prefix)
            if close_former is not None:
                close_former(pid)
            self.send(Yielded(message.request))
            return
        future = self._waiting.get(message.request)
        if future is not None and not future.done():
            future.set_result(message)


def _not_connected(message: SessionMessage) -> None:
    """Drop a message: no supervisor is connected."""
