"""Bridges a TLS connection to another process over a socket pair: TLS state cannot move.

`detached` moves connections without TLS as file descriptors, without a bridge.
"""

from __future__ import annotations

import asyncio
import socket
from typing import final

from engineio_core.transports.interface import Abortable


async def open_bridge(tcp: asyncio.Transport, open_connections: set[Abortable]) -> socket.socket:
    """Connect a TLS transport to a socket pair, and return the other end of the pair.

    `open_connections` contains the TLS transport until it ends, so that a shutdown aborts it.
    Raises OSError if the process has too many open files.
    """
    near, far = socket.socketpair()
    try:
        near.setblocking(False)
        outer, inner = _End(), _End()
        outer.other, inner.other = inner, outer
        outer.open_connections = open_connections
        await asyncio.get_running_loop().connect_accepted_socket(lambda: inner, near)
        open_connections.add(tcp)
        tcp.set_protocol(outer)
        outer.connection_made(tcp)
        if tcp.is_closing():  # the client left in the meantime; nothing reports it a second time
            outer.connection_lost(None)
        else:
            tcp.resume_reading()
    except BaseException:
        near.close()
        far.close()
        raise
    return far


@final
class _End(asyncio.Protocol):
    """One side of a bridge; it passes bytes, back-pressure and the end to the other side."""

    other: _End

    def __init__(self) -> None:
        self.open_connections: set[Abortable] = set()
        self._tcp: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = transport  # type: ignore[assignment]  # asyncio passes a Transport

    def data_received(self, data: bytes) -> None:
        self.other._tcp.write(data)

    def pause_writing(self) -> None:
        if not self.other._tcp.is_closing():  # uvloop raises for a closing transport
            self.other._tcp.pause_reading()

    def resume_writing(self) -> None:
        if not self.other._tcp.is_closing():
            self.other._tcp.resume_reading()

    def eof_received(self) -> bool:
        """End both sides: TLS has no half-open connections."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.open_connections.discard(self._tcp)
        self.other._tcp.close()
