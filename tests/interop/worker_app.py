"""The application of the tests with several workers."""

from __future__ import annotations

import os

from socketio_core import Recovery, Socket, SocketServer, instrument

io = SocketServer(
    recovery=Recovery() if "RECOVERY" in os.environ else None,
    ping_interval=5,
    ping_timeout=300,
    upgrade_timeout=300,
)

if "ADMIN_PASSWORD" in os.environ:
    instrument(
        io,
        auth=lambda username, password: password == os.environ["ADMIN_PASSWORD"],
        mode="development",
    )


@io.on("connection")
async def connected(socket: Socket) -> None:
    if not socket.recovered:
        socket.data["joined"] = os.getpid()
        await socket.join("all")


@io.on("echo")
def echo(socket: Socket, value: str) -> str:
    return value


@io.on("process")
def process(socket: Socket) -> int:
    return os.getpid()


@io.on("broadcast")
def broadcast(socket: Socket, value: int) -> bool:
    io.to("all").emit("news", value)
    return True


@io.on("count")
async def count(socket: Socket) -> int:
    return len(await io.fetch_sockets())


@io.on("state")
def state(socket: Socket) -> list[object]:
    return [sorted(socket.rooms - {socket.id}), socket.data["joined"]]
