"""python-socketio and python-engineio with the profiles of `spec-vectors/README.md`.

    benchmarks/.venv/peers/bin/python tests/targets/python_socketio_target.py

Prints its name and the ports as one line of JSON; ends when its standard input does. What the
packages have no word for (refusals by a middleware of their own, volatile events, recovery, acks of
a broadcast) is not there.
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


def engine_echo(**options: Any) -> Any:
    engine = engineio.AsyncServer(**COMMON, **options)

    @engine.on("message")
    async def message(sid: str, data: Any) -> None:
        await engine.send(sid, data)

    return engineio.ASGIApp(engine, engineio_path="engine.io")


def socket_echo(**options: Any) -> Any:
    io = socketio.AsyncServer(**COMMON, **options, namespaces=["/", "/custom"])
    for namespace in ("/", "/custom"):
        echo(io, namespace)
    return socketio.ASGIApp(io, socketio_path="socket.io")


def echo(io: Any, namespace: str) -> None:
    @io.on("connect", namespace=namespace)
    async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        # An event that is sent from here would come before the CONNECT.
        io.start_background_task(io.emit, "auth", auth or {}, to=sid, namespace=namespace)

    @io.on("message", namespace=namespace)
    async def message(sid: str, *args: Any) -> None:
        await io.emit("message-back", args, to=sid, namespace=namespace)

    @io.on("message-with-ack", namespace=namespace)
    async def message_with_ack(sid: str, *args: Any) -> tuple[Any, ...]:
        return args

    @io.on("emit-with-ack", namespace=namespace)
    async def emit_with_ack(sid: str, *args: Any) -> None:
        async def answered(*answer: Any) -> None:
            await io.emit("emit-with-ack", answer, to=sid, namespace=namespace)

        await io.emit("emit-with-ack", args, to=sid, namespace=namespace, callback=answered)


async def main() -> None:
    apps = {
        "engineio": engine_echo(**LONG),
        "engineio-short": engine_echo(**SHORT),
        "socketio": socket_echo(**LONG),
        "socketio-short": socket_echo(**SHORT),
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
    while not all(server.started for server, _ in servers):  # noqa: ASYNC110 - it has no event
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
