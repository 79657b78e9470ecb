"""Each line with a comment is a mistake that a type checker must find."""

from __future__ import annotations

from socketio_core import Socket, SocketServer

io = SocketServer()


@io.on("x")
async def handler(socket: Socket, number: int) -> str:
    return str(number)


@io.use
def takes_nothing() -> None:  # error
    pass


async def wrong(socket: Socket) -> None:
    number: int = await handler(socket, 1)  # error
    await handler(socket, "1")  # error
    io.on(7)  # error
    socket.join(7)  # error
    socket.emit_to_everybody("x")  # error
    print(number)


SocketServer(pingInterval=25)  # error
SocketServer(ping_interval="25")  # error
