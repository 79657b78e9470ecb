"""HTTP client of the load generator: long-polling on two connections, and the upgrade.

The client takes the same steps as the official client. `workloads` contains the loops.
"""

from __future__ import annotations

import asyncio
import json
from typing import cast

from . import wire
from .websocket_client import ServerFailedError, WebSocketClient


class HttpConnection(asyncio.Protocol):
    """Keep-alive connection with at most one request in flight."""

    __slots__ = ("_buffer", "_reply", "tcp")

    tcp: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = b""
        self._reply: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the TCP connection."""
        self.tcp = cast("asyncio.Transport", transport)

    def request(self, data: bytes) -> asyncio.Future[bytes]:
        """Send a request and return a future of the response body."""
        self._reply = asyncio.get_running_loop().create_future()
        self.tcp.write(data)
        return self._reply

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request in flight."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ServerFailedError("the server closed without a response"))

    def data_received(self, data: bytes) -> None:
        """Buffer a part of a response, and complete the future when the response is whole."""
        data = self._buffer = self._buffer + data
        head, separator, rest = data.partition(b"\r\n\r\n")
        if not separator:
            return
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        if at >= 0:
            length = int(lowered[at + 15 :].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            body = rest
        elif rest.endswith(b"0\r\n\r\n"):
            body = _join_chunks(rest)
        else:
            return
        self._buffer = b""
        reply, self._reply = self._reply, None
        if reply is None or reply.done():
            return
        if head[9:10] == b"2":
            reply.set_result(body)
        else:
            received = f"{head[:40]!r} {body[:80]!r}"
            reply.set_exception(ServerFailedError(f"expected a status of 2xx, got {received}"))


def _join_chunks(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body += data[:length]
        data = data[length + 2 :]
    return body


async def open_http(port: int) -> HttpConnection:
    """Open a connection to the server."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", port)
    return connection


class PollingClient:
    """Client with two connections: one for the pending poll, another for POST requests."""

    def __init__(self, port: int, headers: bytes = wire.PLAIN_HEADERS) -> None:
        self._port = port
        self._headers = headers
        self.sid = ""
        self._poll_request = b""

    async def open(self) -> None:
        """Open a session and connect to the namespace `/`."""
        self.polls = await open_http(self._port)
        self.posts = await open_http(self._port)
        opened = await self.polls.request(wire.polling_get(headers=self._headers))
        self.sid = json.loads(opened[1:].partition(b"\x1e")[0])["sid"]
        self._poll_request = wire.polling_get(self.sid, self._headers)
        reply = self.polls.request(self._poll_request)
        await self.post(b"40")
        packets = (await reply).split(b"\x1e")
        if packets[0] == b"2":  # socketioxide sends its first ping immediately
            packets += (await self.polls.request(self._poll_request)).split(b"\x1e")
            await self.post(b"3")
        if not any(packet.startswith(b"40") for packet in packets):
            raise ServerFailedError(f"expected a CONNECT packet, got {reply.result()[:80]!r}")

    def poll(self) -> asyncio.Future[bytes]:
        """Start a poll and return a future of its packets."""
        return self.polls.request(self._poll_request)

    def make_post(self, body: bytes) -> bytes:
        """Return the bytes of a POST request, which can be sent several times."""
        return wire.polling_post(self.sid, body, self._headers)

    async def post(self, body: bytes) -> None:
        """Send packets and wait for the response."""
        await self.posts.request(self.make_post(body))

    async def upgrade(self) -> WebSocketClient:
        """Upgrade to WebSocket in the order of the official client: the poll ends before it."""
        poll = self.poll()
        loop = asyncio.get_running_loop()
        handshake = wire.websocket_handshake(self.sid)
        _, socket = await loop.create_connection(
            lambda: WebSocketClient(handshake, (b"3probe",)), "127.0.0.1", self._port
        )
        await socket.opened
        await poll
        socket.tcp.write(wire.UPGRADE)
        return socket

    def close(self) -> None:
        """Abort both TCP connections."""
        self.polls.tcp.abort()
        self.posts.tcp.abort()
