"""The fast load generator's WebSocket client: writes frames made beforehand, counts what returns.

Knows: the opening handshake, server frames, pings.  Does not know: what is measured.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

from . import wire

MESSAGE = ord("4")
PING = ord("2")
OPEN_SECONDS = 30.0
CLOSE, PING_FRAME, PONG_FRAME = 0x88, 0x89, 0x8A
SHORTEST_ANSWER = 12  # bytes of a compressed one


class ServerFailed(RuntimeError):
    """The server did not do what all servers here do."""


class WebSocketClient(asyncio.Protocol):
    """One connection. `on_answers(count, now)` is called with the messages that a chunk held."""

    __slots__ = (
        "_buffer", "_closing", "_handshake", "_inflater", "_is_upgraded", "_wanted", "lost",
        "on_answers", "opened", "tcp",
    )  # fmt: skip

    tcp: asyncio.Transport

    def __init__(self, handshake: bytes, first_packets: tuple[bytes, ...] = (b"0", b"40")) -> None:
        loop = asyncio.get_running_loop()
        self._handshake = handshake
        # What the server says until the socket is connected, in order.
        self._wanted = list(first_packets)
        self._buffer = b""
        self._is_upgraded = False
        self._inflater: Any = None
        self._closing = False
        self.opened: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.on_answers: Callable[[int, float], Any] = _nobody

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.tcp = cast("asyncio.Transport", transport)
        self.tcp.write(self._handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; before the time it is an error."""
        if not self.opened.done():
            self.opened.set_exception(ServerFailed("the server closed during the handshake"))
        if not self.lost.done():
            if self._closing:
                self.lost.set_result(None)
            else:
                self.lost.set_exception(ServerFailed(f"the server closed a connection: {exc}"))
                self.lost.exception()  # looked at by `check`, or by nobody

    def data_received(self, data: bytes) -> None:
        """Count the messages in a chunk."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        if not self._is_upgraded:
            head, separator, data = data.partition(b"\r\n\r\n")
            if not separator:
                self._buffer = head
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self._fail(f"no upgrade: {head[:80]!r}")
                return
            self._is_upgraded = True
            if self._wanted[0] == b"3probe":
                self.tcp.write(wire.PROBE)
        answers = self._count(data)
        if answers:
            self.on_answers(answers, perf_counter())

    def _count(self, data: bytes) -> int:
        position, end, answers = 0, len(data), 0
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
            if self._wanted:
                self._open(self._inflate(first, data[start:stop]))
            elif first == wire.DEFLATED_TEXT and length < SHORTEST_ANSWER:
                self.tcp.write(wire.PONG)  # a ping, too short for anything else
            elif (first == wire.TEXT and data[start] == MESSAGE) or first == wire.DEFLATED_TEXT:
                answers += 1
            elif first != wire.BINARY:
                self._receive_rare(first, data[start:stop])
            position = stop
        self._buffer = data[position:]
        return answers

    def _inflate(self, first: int, payload: bytes) -> bytes:
        """Return the text of a frame; Node compresses the first one whatever its threshold is."""
        if first != wire.DEFLATED_TEXT:
            return payload
        if self._inflater is None:
            self._inflater = zlib.decompressobj(wbits=-15)
        text: bytes = self._inflater.decompress(payload + b"\0\0\xff\xff")
        return text

    def _open(self, text: bytes) -> None:
        """Take what the server says before the socket is connected."""
        wanted = self._wanted.pop(0)
        if not text.startswith(wanted):
            self._fail(f"{wanted!r} was to come, not {text[:80]!r}")
        elif wanted == b"0":
            self.tcp.write(wire.CONNECT)
        elif wanted == b"3probe":
            # The rest is up to whoever upgrades.
            self.opened.set_result(None)
        elif not self._wanted and not self.opened.done():
            self.opened.set_result(None)

    def _receive_rare(self, first: int, payload: bytes) -> None:
        if first == wire.TEXT and payload[0] == PING:
            self.tcp.write(wire.PONG)
        elif first == PING_FRAME:  # uvicorn's, each 20 seconds
            self.tcp.write(wire.frame(payload, PONG_FRAME))
        elif first == CLOSE:
            if not self._closing:
                self._fail(f"the server closed: {payload!r}")
            self.tcp.close()

    def _fail(self, what: str) -> None:
        error = ServerFailed(what)
        for future in (self.opened, self.lost):
            if not future.done():
                future.set_exception(error)
                future.exception()
        self.tcp.abort()

    def check(self) -> None:
        """Raise ServerFailed if the connection has ended."""
        if self.lost.done():
            self.lost.result()

    def close(self) -> None:
        """Leave in good order: the close handshake."""
        if not self._closing:
            self._closing = True
            self.tcp.write(wire.CLOSE_FRAME)


async def open_client(port: int, *, deflate: bool = False) -> WebSocketClient:
    """Return a client that is connected to the namespace `/`."""
    loop = asyncio.get_running_loop()
    handshake = wire.websocket_handshake(deflate=deflate)
    _, client = await loop.create_connection(lambda: WebSocketClient(handshake), "127.0.0.1", port)
    async with asyncio.timeout(OPEN_SECONDS):
        await client.opened
    return client


async def open_clients(port: int, count: int, *, deflate: bool = False) -> list[WebSocketClient]:
    """Return many clients, opened some at a time."""
    clients: list[WebSocketClient] = []
    at_once = 64
    for start in range(0, count, at_once):
        group = [open_client(port, deflate=deflate) for _ in range(min(at_once, count - start))]
        clients += await asyncio.gather(*group)
    return clients


async def close_clients(clients: list[WebSocketClient]) -> None:
    """Let all of them leave, and see their connections end."""
    for client in clients:
        client.close()
    async with asyncio.timeout(OPEN_SECONDS):
        await asyncio.gather(*(client.lost for client in clients), return_exceptions=True)


def _nobody(count: int, now: float) -> None:
    """Nothing is measured now."""
