"""Mistakes that a type checker must report, each on a line that ends with `# error`."""

from __future__ import annotations

from dataclasses import dataclass

from socketio_core import BlockingEmitter, RemoteSocket, Socket, SocketServer, server_event

io = SocketServer()


@dataclass
class Player:
    score: int = 0


@io.on("x")
async def handler(socket: Socket, number: int) -> str:
    return str(number)


@io.use
def without_parameters() -> None:  # error
    pass


@server_event("moved")
def moved(task: int) -> None: ...


@server_event("confirm")
def confirm(question: str) -> bool:
    raise NotImplementedError


async def wrong_events(socket: Socket, remote: RemoteSocket, emitter: BlockingEmitter) -> None:
    socket.emit(moved, 1)
    socket.emit(moved, "1")  # error
    io.emit(moved)  # error
    io.to("room").emit(moved, 1, 2)  # error
    socket.timeout(5).emit(moved, None)  # error
    await socket.emit_with_ack(confirm, 7)  # error
    answer: str = await socket.emit_with_ack(confirm, "sure?")  # error
    await io.timeout(5).emit_with_ack(confirm, 7)  # error
    io.declare("moved")  # error
    remote.emit(moved, "1")  # error
    emitter.to("room").emit(moved, 1)
    emitter.to("room").emit(moved)  # error
    print(answer)


async def wrong(socket: Socket) -> None:
    number: int = await handler(socket, 1)  # error
    await handler(socket, "1")  # error
    io.on(7)  # error
    socket.join(7)  # error
    socket.emit_to_all("x")  # error
    print(number)


@io.on("score")
def score(socket: Socket[Player], points: int) -> int:
    socket.data["score"] = points  # error
    socket.data.points += points  # error
    return socket.data.score + points


def untyped(socket: Socket) -> str:
    socket.data.score = 1  # error
    name: str = socket.data["name"]
    return name


SocketServer(pingInterval=25)  # error
SocketServer(ping_interval="25")  # error
