"""A TCP proxy that cuts connections: at a moment, after so many bytes, or before a text.

Knows: bytes in both directions, the ways in which TCP ends.  Does not know: HTTP, packets.
All of it runs on one event loop.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

#: close() then sends RST instead of FIN, and throws away what was not sent.
_LINGER_NOT: Final = struct.pack("ii", 1, 0)
_STALE_SECONDS: Final = 0.5


class Ending(StrEnum):
    """How a connection ends."""

    FIN = "fin"
    """Both sides see its orderly end."""
    RST = "rst"
    """Both sides see an error."""
    STALE = "stale"
    """The client sees an error; the server sees nothing yet, and sends into the void."""


class Direction(StrEnum):
    """Where bytes go."""

    UP = "to the server"
    DOWN = "to the client"


class CuttingProxy:
    """Forwards every connection to a port of this machine, until it is told to cut them all."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.links: set[_Link] = set()
        self.transports: set[asyncio.Transport] = set()
        self.connecting: set[asyncio.Task[None]] = set()
        self.is_empty = asyncio.Event()
        self.cuts = 0
        self._server: asyncio.Server
        self._find: Callable[[Direction, bytes], int] | None = None
        self._ending = Ending.RST
        self._was_cut = asyncio.Event()

    async def listen(self) -> int:
        """Take connections; the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """End everything, stale connections too, and wait until it has ended."""
        self._server.close()
        await asyncio.gather(*self.connecting, return_exceptions=True)
        for transport in list(self.transports):
            transport.abort()
        async with asyncio.timeout(60):
            while self.transports:
                self.is_empty.clear()
                await self.is_empty.wait()
            await self._server.wait_closed()

    # -- how to cut

    def cut(self, ending: Ending) -> None:
        """Cut all connections now."""
        self._find = None
        self.cuts += 1
        for link in list(self.links):
            link.end(ending)
        self._was_cut.set()

    async def cut_after(self, count: int, direction: Direction, ending: Ending) -> None:
        """Cut once so many more bytes have passed; or soon, if they do not come."""
        left = count

        def find(where: Direction, data: bytes) -> int:
            nonlocal left
            if where is not direction:
                return -1
            left -= len(data)
            return len(data) + left if left < 0 else -1

        self._prepare(find, ending)
        try:
            async with asyncio.timeout(0.1):
                await self._was_cut.wait()
        except TimeoutError:
            self.cut(ending)

    async def cut_before(self, text: bytes, ending: Ending) -> None:
        """Cut when this is about to go to the client, which gets what is before it."""
        self._prepare(
            lambda where, data: data.find(text) if where is Direction.DOWN else -1, ending
        )
        async with asyncio.timeout(60):
            await self._was_cut.wait()

    def _prepare(self, find: Callable[[Direction, bytes], int], ending: Ending) -> None:
        self._was_cut.clear()
        self._find = find
        self._ending = ending

    def forward(self, where: Direction, data: bytes, transport: asyncio.Transport) -> None:
        """Pass bytes on, or cut in the middle of them. Called by the links."""
        position = self._find(where, data) if self._find is not None else -1
        if position < 0:
            transport.write(data)
        else:
            transport.write(data[:position])
            self.cut(self._ending)


class _Link:
    """A connection of a client, and the one to the server that belongs to it."""

    def __init__(self, proxy: CuttingProxy, client: asyncio.Transport) -> None:
        self.proxy = proxy
        self.client = client
        self.server: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._is_over = False
        proxy.links.add(self)
        task = asyncio.get_running_loop().create_task(self._connect())
        proxy.connecting.add(task)
        task.add_done_callback(proxy.connecting.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        server, _ = await loop.create_connection(
            lambda: _Server(self.proxy, self), "127.0.0.1", self.proxy.target_port
        )
        if self._is_over:
            server.abort()
            return
        self.server = server
        for data in self._early:
            self.proxy.forward(Direction.UP, data, server)

    def from_client(self, data: bytes) -> None:
        if self.server is None:
            self._early.append(data)
        else:
            self.proxy.forward(Direction.UP, data, self.server)

    def from_server(self, data: bytes) -> None:
        if not self._is_over:
            self.proxy.forward(Direction.DOWN, data, self.client)

    def end(self, ending: Ending) -> None:
        if self._is_over:
            return
        self._is_over = True
        self.proxy.links.discard(self)
        if ending is Ending.FIN:
            self.client.close()
        else:
            _reset(self.client)
        if self.server is None:
            return
        if ending is Ending.FIN:
            self.server.close()
        elif ending is Ending.RST:
            _reset(self.server)
        else:
            asyncio.get_running_loop().call_later(_STALE_SECONDS, self.server.abort)


class _Side(asyncio.Protocol):
    """One end of a link; the proxy counts it until it is closed."""

    def __init__(self, proxy: CuttingProxy) -> None:
        self._proxy = proxy
        self._transport: asyncio.Transport
        self.link: _Link

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._proxy.transports.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._proxy.transports.discard(self._transport)
        self._proxy.is_empty.set()
        self.link.end(Ending.RST if error is not None else Ending.FIN)


class _Client(_Side):
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.link = _Link(self._proxy, transport)

    def data_received(self, data: bytes) -> None:
        self.link.from_client(data)


class _Server(_Side):
    def __init__(self, proxy: CuttingProxy, link: _Link) -> None:
        super().__init__(proxy)
        self.link = link

    def data_received(self, data: bytes) -> None:
        self.link.from_server(data)


def _reset(transport: asyncio.Transport) -> None:
    raw = transport.get_extra_info("socket")
    if raw is not None and not transport.is_closing():
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
