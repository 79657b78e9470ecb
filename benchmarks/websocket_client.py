"""WebSocket client of the load generator: writes precomputed frames and counts the replies.

The client handles the opening handshake, server frames and pings. `workloads` contains the loops.
"""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

from . import wire

MESSAGE = ord("4")
PING = ord("2")
OPEN_SECONDS = 30.0
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; the module has the name from Python 3.12 on
CLOSE, PING_FRAME, PONG_FRAME = 0x88, 0x89, 0x8A
SHORTEST_REPLY = 12  # bytes of a compressed reply


class ServerFailedError(RuntimeError):
    """The server behaved differently from the other servers of the benchmark."""


class WebSocketClient(asyncio.Protocol):
    """WebSocket connection that calls `on_replies(count, now)` for each chunk with replies."""

    __slots__ = (
        "_buffer", "_closing", "_expected", "_handshake", "_inflater", "_is_upgraded", "_packet",
        "lost", "on_replies", "opened", "pings", "tcp",
    )  # fmt: skip

    tcp: asyncio.Transport

    def __init__(
        self,
        handshake: bytes,
        first_packets: tuple[bytes, ...] = (b"0", b"40"),
        *,
        msgpack: bool = False,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._handshake = handshake
        # The packets that the server sends before the socket is connected, in order.
        self._expected = [b"0", b""] if msgpack else list(first_packets)
        self._packet = wire.BINARY if msgpack else wire.TEXT  # the first byte of replies
        self.pings = 0  # packets of Engine.IO
        self._buffer = b""
        self._is_upgraded = False
        self._inflater: Any = None
        self._closing = False
        self.opened: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.on_replies: Callable[[int, float], Any] = _ignore_replies

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the WebSocket handshake."""
        self.tcp = cast("asyncio.Transport", transport)
        self.tcp.write(self._handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        """Complete the futures, with an error unless the client closed the connection."""
        if not self.opened.done():
            self.opened.set_exception(ServerFailedError("the server closed during the handshake"))
        if not self.lost.done():
            if self._closing:
                self.lost.set_result(None)
            else:
                self.lost.set_exception(ServerFailedError(f"the server closed a connection: {exc}"))
                self.lost.exception()  # marks it as retrieved: `check` may never run

    def data_received(self, data: bytes) -> None:
        """Count the replies in a chunk."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        if not self._is_upgraded:
            head, separator, data = data.partition(b"\r\n\r\n")
            if not separator:
                self._buffer = head
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self._fail(f"the server refused the upgrade: {head[:80]!r}")
                return
            self._is_upgraded = True
            if self._expected[0] == b"3probe":
                self.tcp.write(wire.PROBE)
        replies = self._count(data)
        if replies:
            self.on_replies(replies, perf_counter())

    def _count(self, data: bytes) -> int:
        position, end, replies = 0, len(data), 0
        while end - position >= 2:
            length = data[position + 1]
            start = position + 2
            if length > 125:
                start += 2 if length == 126 else 8
                if start > end:
                    break
                length = int.from_bytes(data[position + 2 : start], "big")
            stop = start + length
            if stop > end:
                break
            first = data[position]
            if self._expected:
                self._receive_first_packet(self._inflate(first, data[start:stop]))
            elif first == wire.DEFLATED_TEXT and length < SHORTEST_REPLY:
                self.tcp.write(wire.PONG)  # a frame this short contains a ping
            elif (
                (first == wire.TEXT and data[start] == MESSAGE)
                or first == wire.DEFLATED_TEXT
                or first == self._packet == wire.BINARY
            ):
                replies += 1
            elif first != wire.BINARY:
                self._receive_rare(first, data[start:stop])
            position = stop
        self._buffer = data[position:]
        return replies

    def _inflate(self, first: int, payload: bytes) -> bytes:
        """Return the text of a frame; Node compresses the first frame even below its threshold."""
        if first != wire.DEFLATED_TEXT:
            return payload
        if self._inflater is None:
            self._inflater = zlib.decompressobj(wbits=-15)
        text: bytes = self._inflater.decompress(payload + b"\0\0\xff\xff")
        return text

    def _receive_first_packet(self, text: bytes) -> None:
        """Process a packet that the server sends before the socket is connected."""
        if text == b"2":  # socketioxide sends its first ping immediately
            self.tcp.write(wire.PONG)
            return
        expected = self._expected.pop(0)
        if not text.startswith(expected):
            self._fail(f"expected {expected!r}, got {text[:80]!r}")
        elif expected == b"0":
            is_text = self._packet == wire.TEXT
            self.tcp.write(wire.CONNECT if is_text else wire.MSGPACK_CONNECT)
        elif expected == b"3probe":
            # PollingClient.upgrade completes the upgrade.
            self.opened.set_result(None)
        elif not self._expected and not self.opened.done():
            self.opened.set_result(None)

    def _receive_rare(self, first: int, payload: bytes) -> None:
        if first == wire.TEXT and payload[0] == PING:
            self.pings += 1
            self.tcp.write(wire.PONG)
        elif first == PING_FRAME:  # uvicorn sends a ping frame every 20 seconds
            self.tcp.write(wire.frame(payload, PONG_FRAME))
        elif first == CLOSE:
            if not self._closing:
                self._fail(f"the server closed: {payload!r}")
            self.tcp.close()

    def _fail(self, reason: str) -> None:
        error = ServerFailedError(reason)
        for future in (self.opened, self.lost):
            if not future.done():
                future.set_exception(error)
                future.exception()
        self.tcp.abort()

    def check(self) -> None:
        """Raise ServerFailedError if the connection has ended."""
        if self.lost.done():
            self.lost.result()

    def close(self) -> None:
        """Start the close handshake."""
        if not self._closing:
            self._closing = True
            self.tcp.write(wire.CLOSE_FRAME)


async def open_client(
    port: int,
    *,
    deflate: bool = False,
    headers: bytes = b"",
    msgpack: bool = False,
    source: str = "",
) -> WebSocketClient:
    """Open a client and wait until it is connected to the namespace `/`.

    `headers` are additional lines of the handshake; `source` is the address of the client.
    """
    loop = asyncio.get_running_loop()
    handshake = wire.websocket_handshake(deflate=deflate, headers=headers)
    client = WebSocketClient(handshake, msgpack=msgpack)
    if source:
        await loop.create_connection(lambda: client, sock=await _connect_from(source, port))
    else:
        await loop.create_connection(lambda: client, "127.0.0.1", port)
    async with asyncio.timeout(OPEN_SECONDS):
        await client.opened
    return client


async def _connect_from(source: str, port: int) -> socket.socket:
    """Return a connection from an address. The kernel chooses its port late (ip(7)).

    A port that is chosen by bind(2) must differ from all ports in use, and the search for it takes
    a millisecond.
    """
    connection = socket.socket()
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        connection.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    except OSError:
        connection.close()
        raise
    return connection


async def open_clients(
    port: int,
    count: int,
    *,
    deflate: bool = False,
    headers: bytes = b"",
    msgpack: bool = False,
    source: str = "",
) -> list[WebSocketClient]:
    """Open `count` clients, at most 64 at a time."""
    clients: list[WebSocketClient] = []
    group_size = 64
    for start in range(0, count, group_size):
        size = min(group_size, count - start)
        clients += await asyncio.gather(
            *(
                open_client(port, deflate=deflate, headers=headers, msgpack=msgpack, source=source)
                for _ in range(size)
            )
        )
    return clients


async def close_clients(clients: list[WebSocketClient]) -> None:
    """Close the clients and wait until all connections have ended."""
    for client in clients:
        client.close()
    async with asyncio.timeout(OPEN_SECONDS):
        await asyncio.gather(*(client.lost for client in clients), return_exceptions=True)


def _ignore_replies(count: int, now: float) -> None:
    """Ignore the replies of a client that is not being measured."""
