"""Target with python-socketio and python-engineio: the profiles of `spec-vectors/README.md`.

    benchmarks/.venv/peers/bin/python tests/targets/python_socketio_target.py

The program prints its name and the ports as one line of JSON and ends when its standard input ends.
It omits the features that the packages lack: middleware, volatile events, recovery, and acks of a
broadcast.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from importlib.metadata import version
from typing import Any

import engineio
import socketio
import uvicorn

LONG = {"ping_interval": 25, "ping_timeout": 20}
SHORT = {"ping_interval": 0.3, "ping_timeout": 0.2}
COMMON = {"async_mode": "asgi", "cors_allowed_origins": "*", "max_http_buffer_size": 1_000_000}


def make_engine_echo(**options: Any) -> Any:
    engine = engineio.AsyncServer(**COMMON, **options)

    @engine.on("message")
    async def message(sid: str, data: Any) -> None:
        await engine.send(sid, data)

    return engineio.ASGIApp(engine, engineio_path="engine.io")


def make_socket_echo(**options: Any) -> Any:
    io = socketio.AsyncServer(**COMMON, **options, namespaces=["/", "/custom"])
    for namespace in ("/", "/custom"):
        add_echo_handlers(io, namespace)
    return socketio.ASGIApp(io, socketio_path="socket.io")


def add_echo_handlers(io: Any, namespace: str) -> None:
    @io.on("connect", namespace=namespace)
    async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        # An event that this handler emits directly would arrive before the CONNECT packet.
        io.start_background_task(io.emit, "auth", auth or {}, to=sid, namespace=namespace)

    @io.on("message", namespace=namespace)
    async def message(sid: str, *args: Any) -> None:
        await io.emit("message-back", args, to=sid, namespace=namespace)

    @io.on("message-with-ack", namespace=namespace)
    async def message_with_ack(sid: str, *args: Any) -> tuple[Any, ...]:
        return args

    @io.on("emit-with-ack", namespace=namespace)
    async def emit_with_ack(sid: str, *args: Any) -> None:
        async def on_ack(*reply: Any) -> None:
            await io.emit("emit-with-ack", reply, to=sid, namespace=namespace)

        await io.emit("emit-with-ack", args, to=sid, namespace=namespace, callback=on_ack)


async def main() -> None:
    apps = {
        "engineio": make_engine_echo(**LONG),
        "engineio-short": make_engine_echo(**SHORT),
        "socketio": make_socket_echo(**LONG),
        "socketio-short": make_socket_echo(**SHORT),
        "socketio-many-pings": make_socket_echo(ping_interval=0.3, ping_timeout=60),
    }
    ports, servers = {}, []
    for name, app in apps.items():
        listener = socket.create_server(("127.0.0.1", 0))
        ports[name] = listener.getsockname()[1]
        config = uvicorn.Config(
            app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        servers.append((server, asyncio.create_task(server.serve(sockets=[listener]))))
    while not all(server.started for server, _ in servers):  # noqa: ASYNC110 - uvicorn has no start event
        await asyncio.sleep(0.01)
    names = [f"{name} {version(name)}" for name in ("python-socketio", "python-engineio")]
    sys.stdout.write(json.dumps({"server": ", ".join(names), "ports": ports}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for server, _ in servers:
        server.should_exit = True
    await asyncio.gather(*(task for _, task in servers))


if __name__ == "__main__":
    asyncio.run(main())
