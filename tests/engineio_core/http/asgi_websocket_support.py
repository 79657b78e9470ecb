"""Applications and clients for the tests of mounted WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.helpers.client import Connection, Server, WebSocketClient
from tests.helpers.wire import (
    WEBSOCKET_HEADERS,
    http_request,
)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
ACCEPT = {"type": "websocket.accept"}


async def settle(server: Server) -> None:
    """Run tasks and the fake clock until no work is left."""
    for _ in range(30):
        await asyncio.sleep(0)
        server.clock.run()


def serve(app: Any, **options: Any) -> Server:
    server = Server(**options)
    server.engine.mount(app)
    return server


async def request(
    server: Server, headers: dict[str, str] | None = None, tail: bytes = b"", target: str = "/ws"
) -> Connection:
    """Send a handshake for the application."""
    connection = server.connect()
    wire = http_request("GET", target, {**WEBSOCKET_HEADERS, **(headers or {})})
    connection.feed(wire + tail)
    await settle(server)
    return connection


async def connect(server: Server, headers: dict[str, str] | None = None) -> WebSocketClient:
    connection = await request(server, headers)
    assert connection.response().status == 101
    return WebSocketClient(server, connection)


def text(value: str) -> dict[str, Any]:
    return {"type": "websocket.send", "text": value}


class Recorder:
    """An application that accepts and records all messages, including the disconnect."""

    def __init__(self, *, echo: bool = False) -> None:
        self.messages: list[dict[str, Any]] = []
        self.scopes: list[dict[str, Any]] = []
        self.may_receive = asyncio.Event()
        self.may_receive.set()
        self._echo = echo

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        assert await receive() == {"type": "websocket.connect"}
        await send(ACCEPT)
        while True:
            await self.may_receive.wait()
            message = await receive()
            self.messages.append(message)
            if message["type"] == "websocket.disconnect":
                return
            if self._echo:
                await send({**message, "type": "websocket.send"})

    @property
    def disconnect(self) -> tuple[int, str]:
        """Code and reason of the disconnect, which must have arrived."""
        assert self.messages, "no message has arrived"
        last = self.messages[-1]
        assert last["type"] == "websocket.disconnect", last
        return last["code"], last["reason"]
