"""A server whose event `work` is written to the file DRAIN_LOG when its handler has ended."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from socketio_core import Socket, SocketServer

# A connection that the server leaves open ends with a ping timeout, later than on a busy machine.
io = SocketServer(max_sessions=5000, ping_timeout=300)
_log = os.open(os.environ["DRAIN_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


@io.on("work")
async def work(socket: Socket, event: str) -> str:
    """Handle an event; every second one takes a moment."""
    if hash(event) % 2:
        await asyncio.sleep(0.05)
    os.write(_log, f"{event}\n".encode())
    return event


async def ready(scope: Any, receive: Any, send: Any) -> None:
    """Answer all other paths with 200, or with 503 while the server drains."""
    if scope["type"] == "http":
        status = 503 if io.is_draining else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


io.mount(ready)
