"""One TCP connection of a client that does not follow the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator

from benchmarks.wire import frame, polling_get, polling_post, websocket_handshake

READ = 1 << 16


class Raw:
    """A connection that sends any bytes and reads packets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def packet(self, *packets: bytes) -> None:
        """Send packets as WebSocket frames."""
        self.send(b"".join(map(frame, packets)))

    async def until(self, text: bytes) -> bytes:
        """Read until a text has arrived; return all bytes up to then. Raises ConnectionError."""
        data = b""
        while text not in data:
            more = await self.reader.read(READ)
            if not more:
                raise ConnectionResetError("the server closed the connection")
            data += more
        return data

    def abort(self) -> None:
        """End the connection without a close frame; unread bytes cause a TCP reset."""
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def connect(port: int) -> AsyncIterator[Raw]:
    """Open a connection, and abort it at the end."""
    raw = Raw(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield raw
    finally:
        raw.abort()


@contextlib.asynccontextmanager
async def websocket(port: int, sid: str = "", connect_packet: bytes = b"40") -> AsyncIterator[Raw]:
    """Open a WebSocket; without a sid, join a namespace with the packet."""
    async with connect(port) as raw:
        raw.send(websocket_handshake(sid))
        await raw.reader.readuntil(b"\r\n\r\n")
        if not sid and connect_packet:
            raw.packet(connect_packet)
            await raw.until(b"40")
        yield raw


async def open_polling(raw: Raw) -> str:
    """Open a session over polling and join "/"; return the sid."""
    raw.send(polling_get())
    opened = (await raw.until(b"}")).partition(b"\r\n\r\n")[2]
    sid: str = json.loads(opened[1:])["sid"]
    raw.send(polling_post(sid, b"40"))
    await raw.until(b"ok")
    return sid


def random_text(size: int) -> bytes:
    return os.urandom(size // 2).hex().encode()
