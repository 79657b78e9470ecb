"""A TCP proxy whose connections break: both ends at once, or silently at first."""

from __future__ import annotations

import asyncio
import random
from itertools import cycle
from typing import Any, cast

#: Seconds until a connection breaks.
LIFE = (0.3, 1.5)
#: Seconds in which a silent connection loses all bytes before the client notices, and until the
#: server does.
SILENCE = 0.3
LATE = 1.0


class BreakingProxy:
    """The proxy; it breaks connections while `is_breaking` is set.

    With several ports, connections go to them in turns, so that clients return to another server.
    """

    def __init__(self, *ports: int, is_silent: bool) -> None:
        self._targets = cycle(ports)
        self._is_silent = is_silent
        self._random = random.Random(1)
        self._server: asyncio.Server
        self.is_breaking = False
        self.broken = 0
        self.port = 0

    async def __aenter__(self) -> BreakingProxy:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self), "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def accepted(self, client: _End) -> None:
        """Open the other connection, and decide about the end of both."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._open(client))
        client.task = task
        loop.call_later(self._random.uniform(*LIFE), self._break, client)

    async def _open(self, client: _End) -> None:
        loop = asyncio.get_running_loop()
        port = next(self._targets)
        try:
            _, server = await loop.create_connection(lambda: _End(None), "127.0.0.1", port)
        except OSError:
            client.tcp.abort()
            return
        client.peer, server.peer = server, client
        server.write(client.take())
        if client.tcp.is_closing():
            server.tcp.close()

    def _break(self, client: _End) -> None:
        if client.tcp.is_closing():
            return
        loop = asyncio.get_running_loop()
        if not self.is_breaking:
            loop.call_later(self._random.uniform(*LIFE), self._break, client)
            return
        self.broken += 1
        server = client.peer
        client.peer = None
        if server is not None:
            server.peer = None
        client.is_silent = True
        if not self._is_silent:
            client.tcp.abort()
            if server is not None:
                server.tcp.abort()
            return
        loop.call_later(SILENCE, client.tcp.abort)
        if server is not None:
            loop.call_later(LATE, server.tcp.abort)


class _End(asyncio.Protocol):
    """One connection of the proxy."""

    def __init__(self, proxy: BreakingProxy | None) -> None:
        self._proxy = proxy
        self._early: list[bytes] = []
        self.peer: _End | None = None
        self.task: Any = None
        self.is_silent = False
        self.tcp: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Inform the proxy of a connection of a client."""
        self.tcp = cast("asyncio.Transport", transport)
        if self._proxy is not None:
            self._proxy.accepted(self)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, or lose them."""
        if self.peer is not None:
            self.peer.write(data)
        elif self._proxy is not None and not self.is_silent:
            self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other connection."""
        if self.peer is not None:
            self.peer.tcp.close()

    def take(self) -> bytes:
        """Return the bytes that arrived before the other connection."""
        early, self._early = self._early, []
        return b"".join(early)

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection has ended."""
        if data and not self.tcp.is_closing():
            self.tcp.write(data)
