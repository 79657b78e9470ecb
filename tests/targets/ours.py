"""Target with this project's servers: one port for each profile of `spec-vectors/README.md`.

    python tests/targets/ours.py

The program prints its name and the ports as one line of JSON and ends when its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from typing import Any

from engineio_core import Engine, Session
from socketio_core import (
    AckTimeoutError,
    ConnectError,
    Cookie,
    Cors,
    Namespace,
    Recovery,
    Socket,
    SocketServer,
)

LONG = {"ping_interval": 25.0, "ping_timeout": 20.0}
SHORT = {"ping_interval": 0.3, "ping_timeout": 0.2}
#: Seconds; a dialogue waits for the end of one second, other tests set a long time.
CONNECT_TIMEOUT = float(os.environ.get("CONNECT_TIMEOUT", "1"))
Reasons = dict[str, str]


def make_engine_echo(**options: Any) -> Engine:
    engine = Engine(path="/engine.io", cors=Cors(origins="*"), cookie=Cookie(), **options)
    reasons: Reasons = {}

    @engine.on("initial_headers")
    def add_profile(headers: dict[str, str], request: Any) -> None:
        headers["x-echo-profile"] = "extended"

    @engine.on("connection")
    def connected(session: Session) -> None:
        session.on_binary = session.send_binary
        session.on_text = lambda text: receive(session, text, reasons)
        session.on_close = lambda reason, _: remember(reasons, session.sid, str(reason))

    return engine


def receive(session: Session, text: str, reasons: Reasons) -> None:
    command, _, argument = text.partition(" ")
    if command == "!close":
        session.send_text("bye")
        session.close()
    elif command == "!burst":
        for number in range(int(argument)):
            session.send_text(str(number))
    elif command == "!large":
        session.send_text("x" * int(argument))
    elif command == "!reason":
        session.send_text(reasons.get(argument, "none"))
    else:
        session.send_text(text)


def remember(reasons: Reasons, key: str, reason: str) -> None:
    reasons[key] = reason
    if len(reasons) > 1000:
        del reasons[next(iter(reasons))]


def add_echo_handlers(namespace: Any, reasons: Reasons) -> None:
    @namespace.on("connection")
    def connected(socket: Socket) -> None:
        socket.emit("auth", socket.handshake.auth)

    @namespace.on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        remember(reasons, socket.id, reason)

    @namespace.on("message")
    def message(socket: Socket, *args: Any) -> None:
        socket.emit("message-back", *args)

    @namespace.on("message-with-ack")
    def message_with_ack(socket: Socket, *args: Any) -> tuple[Any, ...]:
        return args

    @namespace.on("emit-with-ack")
    def emit_with_ack(socket: Socket, *args: Any) -> None:
        def on_ack(*reply: Any) -> None:
            socket.emit("emit-with-ack", *reply)

        socket.emit("emit-with-ack", *args, ack=on_ack)

    add_room_handlers(namespace)
    add_socket_handlers(namespace, reasons)


def add_room_handlers(namespace: Any) -> None:
    @namespace.on("join")
    async def join(socket: Socket, room: str) -> tuple[()]:
        await socket.join(room)
        return ()

    @namespace.on("leave")
    async def leave(socket: Socket, room: str) -> tuple[()]:
        await socket.leave(room)
        return ()

    @namespace.on("to-room")
    def to_room(socket: Socket, room: str, *args: Any) -> None:
        socket.namespace.to(room).emit("room", *args)

    @namespace.on("to-others")
    def to_others(socket: Socket, room: str, *args: Any) -> None:
        socket.to(room).emit("others", *args)

    @namespace.on("except-room")
    def except_room(socket: Socket, room: str, hidden: str, *args: Any) -> None:
        socket.namespace.to(room).except_(hidden).emit("room", *args)

    @namespace.on("to-rooms")
    def to_rooms(socket: Socket, rooms: list[str], *args: Any) -> None:
        socket.namespace.to(rooms).emit("room", *args)

    @namespace.on("except-rooms")
    def except_rooms(socket: Socket, room: str, hidden: list[str], *args: Any) -> None:
        socket.namespace.to(room).except_(hidden).emit("room", *args)

    @namespace.on("to-all")
    def to_all(socket: Socket, *args: Any) -> None:
        socket.namespace.emit("all", *args)

    @namespace.on("to-all-others")
    def to_all_others(socket: Socket, *args: Any) -> None:
        socket.broadcast.emit("all", *args)

    @namespace.on("volatile-room")
    async def volatile_room(socket: Socket, room: str, *args: Any) -> None:
        await asyncio.sleep(0)
        socket.namespace.to(room).volatile.emit("room", *args)

    @namespace.on("ask-room")
    async def emit_to_room_with_ack(socket: Socket, room: str, *args: Any) -> None:
        replies = await socket.namespace.to(room).timeout(0.5).emit_with_ack("question", *args)
        socket.emit("answers", "timeout" if replies.missing else "complete", replies.responses)


def add_socket_handlers(namespace: Any, reasons: Reasons) -> None:
    @namespace.on("ask-slowly")
    async def emit_with_ack_timeout(socket: Socket, *args: Any) -> None:
        try:
            reply = await socket.timeout(0.1).emit_with_ack("question", *args)
        except AckTimeoutError:
            socket.emit("answer", "timeout")
        else:
            socket.emit("answer", "complete", reply)

    @namespace.on("volatile-after")
    def volatile_after(socket: Socket) -> None:
        socket.emit("regular")
        socket.volatile.emit("volatile")

    @namespace.on("volatile-alone")
    async def volatile_alone(socket: Socket) -> None:
        await asyncio.sleep(0)
        socket.volatile.emit("volatile", 1)

    @namespace.on("regular-then-volatile")
    async def regular_then_volatile(socket: Socket) -> None:
        await asyncio.sleep(0)
        socket.emit("regular")
        socket.volatile.emit("volatile")

    @namespace.on("volatile-then-regular")
    async def volatile_then_regular(socket: Socket) -> None:
        await asyncio.sleep(0)
        socket.volatile.emit("volatile")
        socket.emit("regular")

    @namespace.on("ack-later")
    async def ack_later(socket: Socket, milliseconds: int, *args: Any) -> tuple[Any, ...]:
        await asyncio.sleep(milliseconds / 1000)
        return args

    @namespace.on("volatile-twice")
    async def volatile_twice(socket: Socket) -> None:
        await asyncio.sleep(0)
        socket.volatile.emit("volatile", 1)
        socket.volatile.emit("volatile", 2)

    @namespace.on("disconnect-me")
    def disconnect_me(socket: Socket, close: bool) -> None:
        socket.disconnect(close)

    @namespace.on("reason-of")
    def reason_of(socket: Socket, socket_id: str) -> str:
        return reasons.get(socket_id, "none")

    @namespace.on("set-data")
    def set_data(socket: Socket, value: Any) -> tuple[()]:
        socket.data["value"] = value
        return ()

    @namespace.on("get-data")
    def get_data(socket: Socket) -> tuple[Any, bool]:
        return socket.data.get("value"), socket.recovered

    @namespace.on("handshake")
    def handshake(socket: Socket) -> dict[str, Any]:
        details = socket.handshake
        return {
            "auth": details.auth,
            "probe": details.query.get("probe"),
            "header": details.headers.get("x-probe"),
            "xdomain": details.xdomain,
        }


def make_socket_echo(profile: str = "extended", **options: Any) -> SocketServer:
    io = SocketServer(cors=Cors(origins="*"), connect_timeout=CONNECT_TIMEOUT, **options)
    reasons: Reasons = {}

    @io.engine.on("initial_headers")
    def add_profile(headers: dict[str, str], request: Any) -> None:
        headers["x-echo-profile"] = profile

    refusing, slow = io.of("/refusing"), io.of("/slow")

    @refusing.use
    def refuse(socket: Socket) -> None:
        auth = socket.handshake.auth
        if auth.get("token") != "secret":
            data = {"code": "E1", "retry": False} if auth.get("verbose") else None
            raise ConnectError("not authorized", data)

    @slow.use
    async def wait(socket: Socket) -> None:
        await asyncio.sleep(0.2)

    namespaces: list[Namespace] = [io.of("/"), io.of("/custom"), refusing, slow]
    for each in (*namespaces, io.of(re.compile(r"/dynamic-\d+"))):
        add_echo_handlers(each, reasons)
    return io


async def main() -> None:
    servers: dict[str, Engine | SocketServer] = {
        "engineio": make_engine_echo(**LONG),
        "engineio-short": make_engine_echo(**SHORT, upgrade_timeout=0.5),
        "socketio": make_socket_echo(**LONG),
        "socketio-short": make_socket_echo(**SHORT),
        # Many pings; a client on a busy machine has a minute for its pong.
        "socketio-many-pings": make_socket_echo(ping_interval=0.3, ping_timeout=60.0),
        "recovery": make_socket_echo(**LONG, recovery=Recovery()),
        "checked-recovery": make_socket_echo(
            "extended, checked-recovery", **LONG, recovery=Recovery(skip_middlewares=False)
        ),
        "engineio-eio3": make_engine_echo(**LONG, allow_eio3=True),
        "engineio-eio3-short": make_engine_echo(**SHORT, upgrade_timeout=0.5, allow_eio3=True),
        "socketio-eio3": make_socket_echo(**LONG, allow_eio3=True),
    }
    ports = {}
    for name, server in servers.items():
        listener = await server.listen("127.0.0.1", 0)
        ports[name] = listener.port
    sys.stdout.write(json.dumps({"server": "this project", "ports": ports}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for server in servers.values():
        await server.shutdown()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
