"""TCP proxy that cuts connections: now, after a number of bytes, or before a text.

The proxy forwards bytes without parsing them. It runs on one event loop.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final

#: With this option, close() sends RST instead of FIN and discards unsent bytes.
_ZERO_LINGER: Final = struct.pack("ii", 1, 0)
_STALE_SECONDS: Final = 0.5


class Ending(StrEnum):
    """How a connection ends."""

    FIN = "fin"
    """Both sides receive a FIN."""
    RST = "rst"
    """Both sides receive a RST."""
    STALE = "stale"
    """The client receives a RST; the server keeps its connection for another half second."""


class Direction(StrEnum):
    """The direction of forwarded bytes."""

    UP = "to the server"
    DOWN = "to the client"


class CuttingProxy:
    """A proxy for a port on the loopback interface that can cut all its connections."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.links: set[_Link] = set()
        self.transports: set[asyncio.Transport] = set()
        self.connecting: set[asyncio.Task[None]] = set()
        self.is_empty = asyncio.Event()
        self.cuts = 0
        #: Received pieces with this text are forwarded completely or not at all.
        self.whole: bytes | None = None
        self._server: asyncio.Server
        self._find: Callable[[Direction, bytes], int] | None = None
        self._refuses_session = False
        self._ending = Ending.RST
        self._was_cut = asyncio.Event()

    async def listen(self) -> int:
        """Accept connections and return the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Close all connections, including stale ones, and wait until they are closed."""
        self._server.close()
        await asyncio.gather(*self.connecting, return_exceptions=True)
        for transport in list(self.transports):
            transport.abort()
        async with asyncio.timeout(300):
            while self.transports:
                self.is_empty.clear()
                await self.is_empty.wait()
            await self._server.wait_closed()

    # -- cutting connections

    def cut(self, ending: Ending) -> None:
        """Cut all connections now."""
        self._find = None
        self.cuts += 1
        for link in list(self.links):
            link.end(ending)
        self._was_cut.set()

    def cut_session(self, ending: Ending) -> None:
        """Cut all connections, and each later request of a session until the next handshake.

        A polling client has no connection between two requests, so that `cut` may miss it.
        """
        self._refuses_session = True
        self.cut(ending)
        self._ending = ending

    def refusal(self, data: bytes) -> Ending | None:
        """Return how to end a connection on which a client sends these bytes, if at all."""
        if not self._refuses_session:
            return None
        line = data.partition(b"\r\n")[0]
        if b"sid=" in line:
            return self._ending
        if line.startswith(b"GET /"):
            self._refuses_session = False
        return None

    async def cut_after(self, count: int, direction: Direction, ending: Ending) -> None:
        """Cut after `count` more bytes in a direction, at the latest after 0.1 seconds."""
        remaining = count

        def find(current: Direction, data: bytes) -> int:
            nonlocal remaining
            if current is not direction:
                return -1
            remaining -= len(data)
            return len(data) + remaining if remaining < 0 else -1

        self._prepare(find, ending)
        try:
            async with asyncio.timeout(0.1):
                await self._was_cut.wait()
        except TimeoutError:
            self.cut(ending)

    async def cut_often(
        self,
        rng: random.Random,
        endings: Sequence[Ending],
        count: int,
        is_enough: Callable[[], bool],
    ) -> None:
        """Cut at random times and bytes, at least `count` times, until a condition holds.

        On a busy machine, many cuts meet one attempt to connect: the further ones leave more time.
        """
        pause = 1.0
        while self.cuts < count or not is_enough():
            if self.cuts >= count:
                pause *= 1.2
            await asyncio.sleep(pause * rng.uniform(0.005, 0.16))
            ending = rng.choice(endings)
            if rng.random() < 0.4:
                self.cut(ending)
            else:
                direction = rng.choice(list(Direction))
                await self.cut_after(rng.randrange(1, 1500), direction, ending)

    async def cut_before(self, text: bytes, ending: Ending) -> None:
        """Cut before a text on its way to the client; the client receives the bytes before it."""
        self._prepare(
            lambda current, data: data.find(text) if current is Direction.DOWN else -1, ending
        )
        async with asyncio.timeout(300):
            await self._was_cut.wait()

    def _prepare(self, find: Callable[[Direction, bytes], int], ending: Ending) -> None:
        self._was_cut.clear()
        self._find = find
        self._ending = ending

    def forward(self, direction: Direction, data: bytes, transport: asyncio.Transport) -> None:
        """Forward bytes of a link, or forward a part of them and cut."""
        position = self._find(direction, data) if self._find is not None else -1
        if position < 0:
            transport.write(data)
            return
        if self.whole is not None and self.whole in data:
            position = 0
        transport.write(data[:position])
        self.cut(self._ending)


class _Link:
    """A connection of a client and its connection to the server."""

    def __init__(self, proxy: CuttingProxy, client: asyncio.Transport) -> None:
        self.proxy = proxy
        self.client = client
        self.server: asyncio.Transport | None = None
        self._pending: list[bytes] = []
        self._is_closed = False
        proxy.links.add(self)
        task = asyncio.get_running_loop().create_task(self._connect())
        proxy.connecting.add(task)
        task.add_done_callback(proxy.connecting.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        server, _ = await loop.create_connection(
            lambda: _Server(self.proxy, self), "127.0.0.1", self.proxy.target_port
        )
        if self._is_closed:
            server.abort()
            return
        self.server = server
        for data in self._pending:
            self.proxy.forward(Direction.UP, data, server)

    def from_client(self, data: bytes) -> None:
        if (ending := self.proxy.refusal(data)) is not None:
            self.end(ending)
        elif self.server is None:
            self._pending.append(data)
        else:
            self.proxy.forward(Direction.UP, data, self.server)

    def from_server(self, data: bytes) -> None:
        if not self._is_closed:
            self.proxy.forward(Direction.DOWN, data, self.client)

    def end(self, ending: Ending) -> None:
        if self._is_closed:
            return
        self._is_closed = True
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
    """One end of a link; the proxy lists its transport until the connection is lost."""

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
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ZERO_LINGER)
    transport.abort()
