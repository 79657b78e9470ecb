"""Engine and client for tests on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from pathlib import Path
from typing import Any

from engineio_core import Engine, EngineOptions, Session
from tests.helpers.wire import (
    BINARY,
    WEBSOCKET_HEADERS,
    Frame,
    Response,
    client_frame,
    http_request,
    parse_frames,
    parse_responses,
    text_frame,
)

TLS_FILES = Path(__file__).parents[2] / "helpers" / "tls"
POLLING = "/engine.io/?EIO=4&transport=polling"
WEBSOCKET = "/engine.io/?EIO=4&transport=websocket"


class Client:
    """HTTP and WebSocket client on one TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._rest = b""

    async def response(self) -> Response:
        async with asyncio.timeout(300):
            while True:
                responses, rest = parse_responses(self._rest)
                if responses:
                    self._rest = rest
                    return responses[0]
                data = await self.reader.read(65536)
                assert data, "the server closed the connection before it responded"
                self._rest += data

    async def get(self, target: str, **headers: str) -> Response:
        self.writer.write(http_request("GET", target, headers))
        return await self.response()

    async def upgrade(self, target: str = WEBSOCKET, tail: bytes = b"") -> Response:
        self.writer.write(http_request("GET", target, WEBSOCKET_HEADERS) + tail)
        return await self.response()

    async def frame(self) -> Frame:
        async with asyncio.timeout(300):
            while True:
                frames, rest = parse_frames(self._rest)
                if frames:
                    self._rest = self._rest[-len(rest) :] if rest else b""
                    for later in reversed(frames[1:]):
                        head = bytes((0x80 | later.opcode,))
                        length = len(later.payload)
                        size = (
                            bytes((length,))
                            if length < 126
                            else b"\x7e" + length.to_bytes(2, "big")
                            if length < 65536
                            else b"\x7f" + length.to_bytes(8, "big")
                        )
                        self._rest = head + size + later.payload + self._rest
                    return frames[0]
                data = await self.reader.read(65536)
                assert data, "the server closed the connection"
                self._rest += data

    async def end(self) -> bytes:
        """Read until the server ends the connection; return the data."""
        async with asyncio.timeout(300):
            data, self._rest = self._rest + await self.reader.read(), b""
            return data

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


async def connect(port: int, host: str = "127.0.0.1", **options: Any) -> Client:
    return Client(*await asyncio.open_connection(host, port, **options))


def echo_engine(**options: Any) -> Engine:
    engine = Engine(EngineOptions(**options))

    @engine.on("connection")
    def connected(session: Session) -> None:
        session.on_text = session.send_text
        session.on_binary = session.send_binary

    return engine


async def check_echo(client: Client) -> None:
    assert (await client.upgrade(tail=text_frame("4early"))).status == 101
    assert (await client.frame()).payload.startswith(b"0{")
    assert (await client.frame()).payload == b"4early"
    data = os.urandom(200_000)
    client.writer.write(client_frame(BINARY, data))
    assert (await client.frame()).payload == data
    await client.close()
