"""Clients that a server must end in time: silent ones, and those that send too much."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
import socketio

from socketio_core import Socket, SocketServer

from .support import LoopThread, leftover_tasks_ended, serving

pytestmark = pytest.mark.interop

TRIES = 50
PING_TIMEOUT = 0.2
TICK = 0.005


async def _get(port: int, query: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /socket.io/?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


class Delays:
    """The delays of the event loop of a server.

    A loop that is held up for half a ping timeout extends the deadlines of its sessions, which a
    busy machine may cause.
    """

    def __init__(self, thread: LoopThread) -> None:
        self._thread = thread
        self._found: list[tuple[float, float]] = []

    async def _watch(self) -> None:
        while True:
            planned = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            if (late := time.monotonic() - planned) > PING_TIMEOUT / 4:
                self._found.append((planned, late))

    async def _start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def _stop(self) -> None:
        self._task.cancel()

    def __enter__(self) -> Delays:
        self._thread.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.run(self._stop())

    async def since(self, time: float) -> bool:
        """Return whether the loop was held up since a time of the monotonic clock."""
        await asyncio.sleep(2 * TICK)  # until the delay is over
        return any(planned + late > time for planned, late in self._found)


async def _poll_after_silence(port: int) -> int:
    _, body = await _get(port, "EIO=4&transport=polling")
    sid = json.loads(body[1:])["sid"]
    await asyncio.sleep(0.504)
    status, _ = await _get(port, f"EIO=4&transport=polling&sid={sid}")
    return status


async def test_poll_of_a_silent_client_is_refused_in_each_try() -> None:
    io = SocketServer(ping_interval=0.3, ping_timeout=PING_TIMEOUT)
    with serving(io) as (url, thread), Delays(thread) as delays:
        port = int(url.rpartition(":")[2])
        # One after another in five rows: together they would delay each other.
        rows = [_row(port, TRIES // 5, delays) for _ in range(5)]
        statuses = [status for row in await asyncio.gather(*rows) for status in row]
    assert statuses == [400] * TRIES


async def _row(port: int, tries: int, delays: Delays) -> list[int]:
    """Return the statuses of tries during which the loop of the server was not held up."""
    statuses: list[int] = []
    while len(statuses) < tries:
        began = time.monotonic()
        status = await _poll_after_silence(port)
        if not await delays.since(began):
            statuses.append(status)
    return statuses


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_python_client_notices_that_its_message_is_too_large(transport: str) -> None:
    reasons: list[str] = []
    io = SocketServer(max_http_buffer_size=10_000)

    @io.on("disconnect")
    def left(socket: Socket, reason: str) -> None:
        reasons.append(reason)

    client = socketio.AsyncClient(reconnection=False)
    disconnected = asyncio.Event()
    client.on("disconnect", lambda *_: disconnected.set())
    with serving(io) as (url, _):
        await client.connect(url, transports=[transport], wait_timeout=300)
        await client.emit("large", "x" * 20_000)
        async with asyncio.timeout(300):
            await disconnected.wait()
        await client.disconnect()
        await leftover_tasks_ended()
    assert reasons == ["transport error"]
