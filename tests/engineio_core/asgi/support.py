"""A host of ASGI applications for the tests of this folder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

LIMIT = 300.0
DENIAL = {"websocket.http.response": {}}


class Host:
    """One scope of a host: what it delivers to the application, and what it gets."""

    def __init__(self, app: Any, kind: str, path: str, query: str = "", **scope: Any) -> None:
        headers = scope.pop("headers", {})
        self.scope: dict[str, Any] = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "path": path,
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.7", 50000),
            "scheme": "http",
            "extensions": {},
            **scope,
        }
        self.sent: list[dict[str, Any]] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.failure: Exception | None = None
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self.task = asyncio.ensure_future(app(self.scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        return await self._received.get()

    async def _send(self, message: dict[str, Any]) -> None:
        await self.may_send.wait()
        if self.failure is not None:
            raise self.failure
        self.sent.append(message)
        self._arrived.set()

    @property
    def undelivered(self) -> int:
        """The number of messages that the application has not received."""
        return self._received.qsize()

    def deliver(self, kind: str, **content: Any) -> None:
        """Deliver a message to the application."""
        self._received.put_nowait({"type": kind, **content})

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Return the messages of the application as soon as there are `count`."""
        async with asyncio.timeout(LIMIT):
            while len(self.sent) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.sent

    async def ended(self) -> list[dict[str, Any]]:
        """Return all messages after the application has ended."""
        async with asyncio.timeout(LIMIT):
            await self.task
        return self.sent

    async def response(self) -> tuple[int, str, dict[bytes, bytes]]:
        """Return status, body and headers of the response."""
        start, body = await self.ended()
        return start["status"], body["body"].decode(), dict(start["headers"])


def http(app: Any, query: str, method: str = "GET", **scope: Any) -> Host:
    """Begin an HTTP request of the engine."""
    path = scope.pop("path", "/socket.io/")
    return Host(app, "http", path, f"EIO=4&transport=polling{query}", method=method, **scope)


async def open_polling(app: Any) -> str:
    """Open a session and return its sid."""
    status, body, _ = await http(app, "").response()
    assert status == 200
    return str(json.loads(body[1:])["sid"])


@asynccontextmanager
async def websocket(app: Any, query: str = "", **scope: Any) -> AsyncIterator[Host]:
    """Open a WebSocket of the engine."""
    host = Host(app, "websocket", "/socket.io/", f"EIO=4&transport=websocket{query}", **scope)
    host.deliver("websocket.connect")
    yield host
    host.deliver("websocket.disconnect", code=1001)
    if not host.task.cancelled():
        await host.ended()
