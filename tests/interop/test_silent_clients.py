"""Clients that a server must end in time: silent ones, and those that send too much."""

from __future__ import annotations

import asyncio
import json

import pytest
import socketio

from socketio_core import Socket, SocketServer

from .support import serving

pytestmark = pytest.mark.interop

TRIES = 50


async def _get(port: int, query: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /socket.io/?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def _poll_after_silence(port: int) -> int:
    _, body = await _get(port, "EIO=4&transport=polling")
    sid = json.loads(body[1:])["sid"]
    await asyncio.sleep(0.504)
    status, _ = await _get(port, f"EIO=4&transport=polling&sid={sid}")
    return status


async def test_poll_of_a_silent_client_is_refused_in_each_try() -> None:
    io = SocketServer(ping_interval=0.3, ping_timeout=0.2)
    with serving(io) as (url, _):
        port = int(url.rpartition(":")[2])
        # One after another in five rows: together they would delay each other.
        rows = [_row(port, TRIES // 5) for _ in range(5)]
        statuses = [status for row in await asyncio.gather(*rows) for status in row]
    assert statuses == [400] * TRIES


async def _row(port: int, tries: int) -> list[int]:
    return [await _poll_after_silence(port) for _ in range(tries)]


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
        await client.connect(url, transports=[transport])
        await client.emit("large", "x" * 20_000)
        async with asyncio.timeout(300):
            await disconnected.wait()
        await client.disconnect()
    assert reasons == ["transport error"]
