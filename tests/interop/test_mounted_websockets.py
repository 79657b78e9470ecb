"""WebSockets of a mounted application with real clients, next to Socket.IO on the same port."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import websockets
from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect

from engineio_core import PerMessageDeflate
from socketio_core import Socket, SocketServer
from tests.helpers.waiting import PATIENT

from .support import run_node, serving

pytestmark = pytest.mark.interop


def make_server(**options: Any) -> SocketServer:
    io = SocketServer(**options)
    app = FastAPI()
    io.mount(app)

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        offered = websocket.scope["subprotocols"]
        await websocket.accept(offered[-1] if offered else None)
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message["code"], message.get("reason"))
                if message.get("text") == "close":
                    await websocket.close(4000, "as requested")
                    return
                await websocket.send({**message, "type": "websocket.send"})
        except WebSocketDisconnect as left:
            io.emit("left", [left.code, left.reason])

    @app.websocket("/denied")
    async def deny(websocket: WebSocket) -> None:
        raise HTTPException(429, "slow down", {"Retry-After": "7"})

    @io.on("double")
    def double(socket: Socket, number: int) -> int:
        return 2 * number

    return io


@pytest.mark.parametrize("is_compressed", [False, True])
def test_node_client_uses_the_routes_of_a_mounted_application(is_compressed: bool) -> None:
    options = {"per_message_deflate": PerMessageDeflate()} if is_compressed else {}
    with serving(make_server(**options)) as (url, _):
        (found,) = run_node("mounted_websockets.js", url)
    assert found["plain"] == {
        "protocol": "v2",
        "extensions": "permessage-deflate" if is_compressed else "",
        "received": ["h\u00e9llo", 100_000, "fragment end"],
        "pong": "here",
        "code": 4000,
        "reason": "as requested",
    }
    assert found["denied"] == {"status": 429, "retry": "7", "body": '{"detail":"slow down"}'}
    assert found["missing"]["status"] == 403, "Starlette closes before the acceptance"
    assert found["left"] == [4001, "bye"]
    assert found["ack"] == 42


def test_slow_client_of_a_mounted_application_receives_every_message() -> None:
    count, size = 200, 100_000

    async def use(url: str) -> None:
        address = url.replace("http", "ws") + "/echo"
        async with websockets.connect(address, max_queue=1, **PATIENT) as client:

            async def send() -> None:
                for number in range(count):
                    await client.send(number.to_bytes(2, "big") + bytes(size))

            sending = asyncio.create_task(send())
            for number in range(count):
                message = await client.recv()
                assert message == number.to_bytes(2, "big") + bytes(size)
            await sending

    with serving(make_server()) as (url, _):
        asyncio.run(asyncio.wait_for(use(url), 300))


def test_shutdown_ends_websockets_of_a_mounted_application_with_1012() -> None:
    io = make_server()

    async def use(url: str) -> int | None:
        async with websockets.connect(url.replace("http", "ws") + "/echo", **PATIENT) as client:
            await client.send("open")
            assert await client.recv() == "open"
            ending = asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(io.shutdown(), thread._loop)
            )
            await client.wait_closed()
            await ending
            return client.close_code

    with serving(io) as (url, thread):
        assert asyncio.run(asyncio.wait_for(use(url), 300)) == 1012
