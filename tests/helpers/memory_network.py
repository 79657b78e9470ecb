"""A network in memory between a client and a server, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from engineio_core.client.proxy import HttpProxy
from engineio_core.clock import Clock


class MemoryTransport(asyncio.Transport):
    """One end of a TCP connection in memory; bytes arrive in a later iteration of the loop."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(extra={"peername": ("192.0.2.7", 50000)})
        self._clock = clock
        self._protocol: Any = None
        self._unread: deque[bytes] = deque()
        self._is_paused = False
        self._is_lost = False
        self._is_closing = False
        self.peer: MemoryTransport
        self.is_silent = False
        """Whether written bytes are lost, as with a broken route."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def write(self, data: Any) -> None:
        if not (self._is_closing or self.is_silent):
            self._clock.call_soon(self.peer._receive, bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(ConnectionResetError("reset by the peer"))

    def _end(self, error: Exception | None) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._clock.call_soon(self._lose, None)
        if not self.is_silent:
            self._clock.call_soon(self.peer._peer_ended, error)

    def is_reading(self) -> bool:
        return not self._is_paused

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._clock.call_soon(self._read)

    def _receive(self, data: bytes) -> None:
        self._unread.append(data)
        self._read()

    def _read(self) -> None:
        while self._unread and not (self._is_paused or self._is_closing):
            self._protocol.data_received(self._unread.popleft())

    def _peer_ended(self, error: Exception | None) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._protocol.connection_lost(error)


class MemoryNetwork:
    """Connects the protocols of a client to the protocols of a server."""

    def __init__(self, accept: Callable[[], asyncio.BaseProtocol], clock: Clock) -> None:
        self._accept = accept
        self._clock = clock
        self.forward_proxy: HttpProxy | None = None
        self.ends: list[MemoryTransport] = []
        """The client ends of all connections."""
        self.is_refusing = False
        self.refuses_tunnels = False
        self.is_hanging = False
        self._is_silent = False

    async def connect(self, factory: Callable[[], Any], *, is_tunnel: bool) -> Any:
        if self.is_hanging:
            await asyncio.get_running_loop().create_future()
        if self.is_refusing or (is_tunnel and self.refuses_tunnels):
            raise ConnectionRefusedError("connection refused")
        protocol = factory()
        client, server = MemoryTransport(self._clock), MemoryTransport(self._clock)
        client.peer, server.peer = server, client
        client.is_silent = server.is_silent = self._is_silent
        client.set_protocol(protocol)
        accepted: Any = self._accept()
        server.set_protocol(accepted)
        accepted.connection_made(server)
        protocol.connection_made(client)
        self.ends.append(client)
        return protocol

    def cut(self) -> None:
        """Reset all connections, in both directions."""
        for end in self.ends:
            end.abort()
            if not end.peer._is_closing:
                end.peer.abort()
        self.ends.clear()

    def silence(self) -> None:
        """Lose all bytes from now on, in both directions."""
        self._is_silent = True
        for end in self.ends:
            end.is_silent = end.peer.is_silent = True
