"""HTTP connections that move between processes: bytes and sockets without their event loop.

`connection` detaches a connection before it routes a request. The receiving process continues with
the same bytes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import NamedTuple, final

from engineio_core.http.connection import HttpConnection
from engineio_core.http.exchange import Exchange, Origin


class Detached(NamedTuple):
    """A connection without a protocol: its transport, the unanswered bytes and its client."""

    tcp: asyncio.Transport
    data: bytes
    """The request that must be answered next, and the bytes behind it."""
    origin: Origin


def detach(exchange: Exchange, done: Callable[[Detached], None]) -> None:
    """Detach the connection of a request that has no response yet, and call `done`.

    `done` is called when all earlier responses are sent: immediately, unless the client pipelines
    requests. It is not called if the client leaves before.
    """
    head = encode_head(exchange)

    def detached(tcp: asyncio.Transport, rest: bytes, origin: Origin) -> None:
        done(Detached(tcp, head + rest, origin))

    exchange.detach(detached)


def encode_head(exchange: Exchange) -> bytes:
    """Return the head of the request, as valid as the received one and not longer."""
    request = exchange.request
    version = b"1.0" if exchange.is_http10 else b"1.1"
    first = b"%b %b HTTP/%b\r\n" % (
        request.method.encode("ascii"), request.target.encode("latin-1"), version,
    )  # fmt: skip
    lines = exchange.raw_headers or [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()
    ]
    # Without a blank behind the colon: a head at the limit of its size must not become longer.
    return first + b"".join(b"%b:%b\r\n" % line for line in lines) + b"\r\n"


def take_socket(tcp: asyncio.Transport) -> socket.socket:
    """Return a duplicate of the socket, and release the transport; the connection stays open.

    The write buffer must be empty. Closing one of two descriptors of a connection sends nothing to
    the client: neither asyncio nor uvloop calls shutdown(2) in `abort`.
    """
    former = tcp.get_extra_info("socket")
    duplicate = os.dup(former.fileno())
    tcp.abort()
    # With the family, so that the constructor need not read it from the kernel.
    return socket.socket(former.family, socket.SOCK_STREAM, 0, duplicate)


@final
class Arrival(asyncio.Protocol):
    """The protocol of a received connection until its first bytes are delivered.

    A transport may read new bytes as soon as `connection_made` has returned; they must follow the
    bytes that the other process has read. `origin` is None for a connection without any bytes.
    """

    def __init__(
        self, make_connection: Callable[[], HttpConnection], data: bytes, origin: Origin
    ) -> None:
        self._make_connection = make_connection
        self._data = data
        self._origin = origin
        self._tcp: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start HTTP in the next iteration, when the transport is complete."""
        self._tcp = transport  # type: ignore[assignment]  # asyncio passes a Transport
        asyncio.get_running_loop().call_soon(self._begin)

    def data_received(self, data: bytes) -> None:
        """Append new bytes to the received ones."""
        self._data += data

    def _begin(self) -> None:
        if self._tcp.is_closing():
            return
        connection = self._make_connection()
        self._tcp.set_protocol(connection)
        connection.connection_made(self._tcp)
        connection.peer, connection.peer_port, connection.secure = self._origin
        connection.data_received(self._data)
