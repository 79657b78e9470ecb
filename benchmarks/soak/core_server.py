"""The observed Socket.IO server: recovery, rooms, dynamic namespaces, old clients, admin, metrics.

python -m benchmarks.soak.core_server RECOVERY_SECONDS [REDIS_URL]
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry, make_asgi_app

from benchmarks.soak.observation import serve_observed
from engineio_core.logs.background import BackgroundHandler
from socketio_core import Recovery, RedisStreams, SocketServer
from socketio_core.admin.instrument import instrument
from socketio_core.prometheus import instrument_prometheus


def make_server(recovery: float, redis: str | None) -> SocketServer:
    """Return a server whose deadlines are short, so that many of them end during a test."""
    io = SocketServer(
        recovery=Recovery(max_disconnection_duration=recovery), allow_eio3=True,
        cleanup_empty_child_namespaces=True, connect_timeout=3, ping_interval=4, ping_timeout=4,
        upgrade_timeout=3, body_timeout=5, header_timeout=5,
        adapter=RedisStreams(redis) if redis else None,
    )  # fmt: skip
    registry = CollectorRegistry()
    instrument_prometheus(io, registry)
    instrument(io, auth=False, mode="development")
    io.mount(make_asgi_app(registry))

    async def wait(socket: Any) -> None:
        await asyncio.sleep(recovery)

    def ask(socket: Any, number: int) -> None:
        for _ in range(min(number, 100)):
            socket.emit("question", "x" * 100, ack=lambda *args: None)
        asyncio.ensure_future(_collect(io, socket))  # noqa: RUF006 - it ends with its timeout

    for namespace in (io, io.of(re.compile(r"/dynamic-\d+"))):
        namespace.on("echo", lambda socket, value: value)
        namespace.on("join", lambda socket, room: socket.join(room))
        namespace.on("leave", lambda socket, room: socket.leave(room))
        namespace.on("ask", ask)
        namespace.on("wait", wait)

        @namespace.on("say")
        def say(socket: Any, room: str, text: str) -> None:
            socket.namespace.to(room).emit("said", text)

    return io


async def _collect(io: SocketServer, socket: Any) -> None:
    """Request acks from rooms; many of their members never send them."""
    await io.to(*list(socket.rooms)[:4]).timeout(2).emit_with_ack("question", "y")


async def main() -> None:
    """Serve until the standard input ends."""
    io = make_server(float(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)

    async def start() -> int:
        return (await io.listen()).port

    async with io:
        await serve_observed(start)


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.WARNING, handlers=[BackgroundHandler()])
    uvloop.run(main())
