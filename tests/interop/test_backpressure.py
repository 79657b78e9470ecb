"""The official client and handlers that emit many events at once."""

from __future__ import annotations

import asyncio

import pytest
import socketio

from socketio_core import Socket, SocketServer

from .support import leftover_tasks_ended, run_node, serving

pytestmark = pytest.mark.interop

ROWS = 20_000
ROW = "x" * 1000


def make_server() -> SocketServer:
    io = SocketServer()

    @io.on("burst")
    def burst(socket: Socket) -> None:
        for number in range(ROWS):
            socket.emit("row", number, ROW)
        socket.emit("end")

    @io.on("drained")
    async def drained(socket: Socket) -> None:
        for number in range(ROWS):
            socket.emit("row", number, ROW)
            if number % 500 == 0:
                await socket.drain()
                assert socket.session.outbox == ()
        socket.emit("end")

    return io


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("event", ["burst", "drained"])
def test_burst_of_twenty_megabytes_reaches_the_official_client(transport: str, event: str) -> None:
    with serving(make_server()) as (url, _):
        (report,) = run_node("backpressure.js", url, transport, event)
    assert report == {"rows": ROWS, "in_order": True, "disconnects": []}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_burst_reaches_the_python_client(transport: str) -> None:
    io = SocketServer()

    @io.on("burst")
    def burst(socket: Socket) -> None:
        for number in range(2_000):
            socket.emit("row", (number, ROW))
        socket.emit("end")

    client = socketio.AsyncClient(reconnection=False)
    rows: list[int] = []
    disconnects: list[object] = []
    ended = asyncio.Event()
    client.on("row", lambda row: rows.append(row[0]))
    client.on("end", ended.set)
    client.on("disconnect", lambda *_: disconnects.append(_))
    with serving(io) as (url, _):
        await client.connect(url, transports=[transport], wait_timeout=300)
        await client.emit("burst")
        async with asyncio.timeout(300):
            await ended.wait()
        assert (rows, disconnects) == (list(range(2_000)), [])
        await client.disconnect()
        await leftover_tasks_ended()
