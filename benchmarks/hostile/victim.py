"""The client that measures: one acked event after another, over a WebSocket of its own."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Final

from benchmarks.wire import CONNECT, PONG, frame, websocket_handshake

#: Seconds between an answer and the next event.
PAUSE: Final = 0.005
#: Seconds after which an answer counts as lost.
PATIENCE: Final = 30.0
_READ: Final = 1 << 16


async def open_websocket(
    port: int, *, deflate: bool = False
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a WebSocket; the handshake of Engine.IO is left in the stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(websocket_handshake(deflate=deflate))
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


class Victim:
    """A client whose round trips are measured until `stop`."""

    def __init__(
        self, port: int, event: str = "echo", token: str = "", pause: float = PAUSE
    ) -> None:
        """Create a client that sends `event`, in the hub with a token of a user."""
        self._port = port
        self._event = event.encode()
        self._connect = frame(b"40" + json.dumps({"token": token}).encode()) if token else CONNECT
        self._pause = pause
        self._is_ended = False
        self._task: asyncio.Task[None] | None = None
        self.waits: list[float] = []
        """The duration of each round trip in milliseconds."""
        self.lost = 0
        """The number of events without an answer."""

    async def start(self) -> None:
        """Connect, and begin to send events."""
        self._reader, self._writer = await open_websocket(self._port)
        self._writer.write(self._connect)
        await self._receive(b"40")
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End after the answer to the current event."""
        self._is_ended = True
        if self._task is not None:
            await self._task
        self._writer.close()

    async def _run(self) -> None:
        number = 0
        while not self._is_ended:
            number += 1
            began = time.perf_counter()
            self._writer.write(frame(b'42%d["%b",1]' % (number, self._event)))
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._receive(b"43%d[" % number)
            except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
                self.lost += 1
                return
            self.waits.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(self._pause)

    async def _receive(self, packet: bytes) -> None:
        """Read until a packet arrives; answer pings."""
        data = b""
        while packet not in data:
            more = await self._reader.read(_READ)
            if not more:
                raise ConnectionResetError("the server closed the connection")
            if more.endswith(b"\x012"):
                self._writer.write(PONG)
            data = data[-64:] + more
