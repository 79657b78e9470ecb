"""The fast load generator's HTTP side: long-polling on two connections, and the upgrade.

Knows: responses, the steps of the official client.  Does not know: what is measured.
"""

from __future__ import annotations

import asyncio
import json
from typing import cast

from . import wire
from .websocket_client import ServerFailed, WebSocketClient


class HttpConnection(asyncio.Protocol):
    """One keep-alive connection: a request at a time."""

    __slots__ = ("_answer", "_buffer", "tcp")

    tcp: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.tcp = cast("asyncio.Transport", transport)

    def request(self, data: bytes) -> asyncio.Future[bytes]:
        """Send a request; the future is the body of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self.tcp.write(data)
        return self._answer

    def connection_lost(self, exc: Exception | None) -> None:
        """End; an answer that is awaited will not come."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ServerFailed("the server closed instead of answering"))

    def data_received(self, data: bytes) -> None:
        """Take some of an answer."""
        data = self._buffer = self._buffer + data
        head, separator, rest = data.partition(b"\r\n\r\n")
        if not separator:
            return
        lowered = head.lower()
        where = lowered.find(b"content-length:")
        if where >= 0:
            length = int(lowered[where + 15 :].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            body = rest
        elif rest.endswith(b"0\r\n\r\n"):
            body = _join_chunks(rest)
        else:
            return
        self._buffer = b""
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        if b" 200 " in head[:16]:
            answer.set_result(body)
        else:
            answer.set_exception(ServerFailed(f"{head[:40]!r} {body[:80]!r}"))


def _join_chunks(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body += data[:length]
        data = data[length + 2 :]
    return body


async def open_http(port: int) -> HttpConnection:
    """Return a connection to the server."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", port)
    return connection


class PollingClient:
    """A client on two connections: one holds a poll at all times, one posts."""

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
        answer = self.polls.request(self._poll_request)
        await self.post(b"40")
        if not (await answer).startswith(b"40"):
            raise ServerFailed(f"no CONNECT: {answer.result()[:80]!r}")

    def poll(self) -> asyncio.Future[bytes]:
        """Ask for what waits."""
        return self.polls.request(self._poll_request)

    def make_post(self, body: bytes) -> bytes:
        """Return a request that can be posted again and again."""
        return wire.polling_post(self.sid, body, self._headers)

    async def post(self, body: bytes) -> None:
        """Bring packets."""
        await self.posts.request(self.make_post(body))

    async def upgrade(self) -> WebSocketClient:
        """Go over to WebSocket, as the official client does: the poll ends before the upgrade."""
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
        """Cut both connections."""
        self.polls.tcp.abort()
        self.posts.tcp.abort()
