"""Each row of the table "API" for users of python-socketio works as described."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest
import websockets

from socketio_core import (
    BlockingEmitter,
    Cors,
    Socket,
    SocketServer,
    event,
)
from socketio_core.handlers.signature import NOT_A_SOCKET
from socketio_core.testing import TestServer, settle
from tests.docs.migration_rows import Check, Pair, Rows, pair
from tests.docs.tables import ROOT
from tests.docs.test_migration_node import (
    RecordingRedis,
    check_refusals,
    classic_adapter,
    instrumented,
    node_cors,
    node_data,
    node_emit_with_ack,
    node_join,
    node_rooms,
)
from tests.helpers.waiting import PATIENT

row = Rows("migration-python-socketio.md")


@row('`sio = socketio.AsyncServer(cors_allowed_origins="https://a.example")`')
async def python_server() -> None:
    await node_cors()
    with pytest.raises(TypeError, match="cors"):
        SocketServer(cors_allowed_origins="https://a.example")  # type: ignore[call-arg]


@row("`app = socketio.ASGIApp(sio, other)`")
async def python_mount() -> None:
    io = SocketServer()

    async def other(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    io.mount(other)
    listener = await io.listen(port=0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 204")
    writer.close()
    await io.shutdown()

    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)

    app = SocketServer().asgi_app(other)
    await app({"type": "http", "path": "/other", "headers": []}, receive, send)
    assert messages[0]["status"] == 204


@row("`@sio.event`")
async def python_event() -> None:
    io = SocketServer()
    io.on("name of the event", lambda socket: "handled")
    async with Pair(io) as test:
        assert await test.a.emit_with_ack("name of the event") == "handled"
    with pytest.raises(AttributeError, match=r"@io\.on"):
        io.event  # type: ignore[attr-defined]  # noqa: B018


@row("`async def connect(sid, environ, auth)`")
async def python_connect() -> None:
    with pytest.raises(TypeError, match=r"connect\(socket: Socket, .*socket\.handshake"):

        @SocketServer().on("connect")
        async def connect(sid, environ, auth):  # type: ignore[no-untyped-def]
            pass

    io = SocketServer()
    seen: list[Any] = []

    @io.on("connection")
    def connected(socket: Socket) -> None:
        seen.append((socket.handshake.auth, socket.handshake.headers))

    async with Pair(io):
        assert seen[0] == ({"token": "t"}, {})


@row('`raise ConnectionRefusedError("no")` in `connect`')
async def python_refuse() -> None:
    await check_refusals("no")


@row("`return False` in `connect` without a middleware")
async def python_refuse_late() -> None:
    io = SocketServer()
    io.on("connect", lambda socket: False)
    async with TestServer(io) as server:
        client = await server.connect()
        assert not client.connected
        assert not io.sockets


@row("`async def disconnect(sid, reason)`")
async def python_disconnect_handler() -> None:
    io = SocketServer()
    reasons: list[str] = []

    @io.on("disconnect")
    def left(socket: Socket, reason: str) -> None:
        reasons.append(reason)

    async with Pair(io) as test:
        test.socket.disconnect()
        assert reasons == ["server namespace disconnect"]


@row("`async def x(sid, data)`")
async def python_handler() -> None:
    io = SocketServer()

    @io.on("x")
    async def x(socket: Socket, data: Any) -> Any:
        return [socket.id, data]

    async with Pair(io) as test:
        assert await test.a.emit_with_ack("x", 1) == [test.a.id, 1]


@row('`@sio.on("*")`')
async def python_catch_all() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.on("known", lambda socket: None)
    io.on_any(lambda socket, event, *args: seen.append(f"any {event}"))
    io.on_unhandled(lambda socket, event, *args: seen.append(f"unhandled {event}"))
    async with Pair(io) as test:
        test.a.emit("known")
        test.a.emit("unknown")
        await settle()
    assert seen == ["any known", "any unknown", "unhandled unknown"]
    with pytest.raises(ValueError, match="on_unhandled"):
        io.on("*", lambda socket: None)


@row('`await sio.emit("x", data)`')
async def python_emit() -> None:
    async with pair() as test:
        test.io.emit("x", 1)
        assert test.names() == (["x"], ["x"])
        with pytest.raises(TypeError, match="remove 'await'"):
            await test.io.emit("x", 1)  # type: ignore[func-returns-value]


@row('`await sio.emit("x", data, to=sid)`')
async def python_emit_to() -> None:
    async with pair() as test:
        test.socket.emit("x", 1)
        test.io.to(test.socket.id).emit("y", 1)
        assert test.names() == (["x", "y"], [])
        with pytest.raises(TypeError, match=r"\.to\(room\)\.emit"):
            test.io.emit("x", 1, to=test.a.id)  # type: ignore[arg-type]


@row('`await sio.emit("x", data, room="a", skip_sid=sid)`')
async def python_emit_skip() -> None:
    async with pair() as test:
        test.io.sockets_join("a")
        test.socket.to("a").emit("x", 1)
        assert test.names() == ([], ["x"])
        for keyword in ("room", "skip_sid"):
            with pytest.raises(TypeError, match="emit"):
                test.io.emit("x", **{keyword: "a"})  # type: ignore[arg-type]


@row('`await sio.emit("x", data, namespace="/a")`')
async def python_emit_namespace() -> None:
    async with pair() as test:
        test.io.of("/a")
        client = await test.server.connect("/a")
        test.io.of("/a").emit("x", 1)
        assert client.received == [("x", [1])]
        assert test.names() == ([], [])
        with pytest.raises(TypeError, match=r"io\.of\(namespace\)\.emit"):
            test.io.emit("x", namespace="/a")  # type: ignore[arg-type]


@row('`await sio.emit("x", data, to=sid, callback=f)`')
async def python_callback() -> None:
    async with pair() as test:
        answers: list[Any] = []

        async def note(answer: Any) -> None:
            await asyncio.sleep(0)
            answers.append(answer)

        test.a.auto_ack = lambda name, args: args[0]
        test.socket.emit("x", 1, ack=note)
        await settle()
        assert answers == [1]
        with pytest.raises(TypeError, match="ack=f"):
            test.socket.emit("x", callback=note)  # type: ignore[call-arg]


@row('`await sio.emit("x", ("a", "b"))`')
async def python_tuple() -> None:
    async with pair() as test:
        test.io.emit("x", "a", "b")
        test.io.emit("x", ("a", "b"))
        assert test.a.received == [("x", ["a", "b"]), ("x", [["a", "b"]])]


@row('`await sio.call("x", data, to=sid, timeout=5)`')
async def python_call() -> None:
    await node_emit_with_ack()


@row('`await sio.enter_room(sid, "a")`')
async def python_enter_room() -> None:
    await node_join()
    with pytest.raises(AttributeError, match=r"socket\.join\(room\)"):
        SocketServer().enter_room("sid", "a")  # type: ignore[attr-defined]


@row('`await sio.leave_room(sid, "a")`')
async def python_leave_room() -> None:
    async with pair() as test:
        test.socket.join("a")
        test.socket.leave("a")
        assert test.socket.rooms == {test.a.id}


@row('`await sio.close_room("a")`')
async def python_close_room() -> None:
    async with pair() as test:
        test.io.sockets_join("a")
        test.io.in_("a").sockets_leave("a")
        assert "a" not in test.io.main.rooms


@row("`sio.rooms(sid)`")
async def python_rooms() -> None:
    await node_rooms()


@row('`sio.manager.get_participants("/", "a")`')
async def python_participants() -> None:
    async with pair() as test:
        test.socket.join("a")
        assert await test.io.in_("a").fetch_sockets() == [test.socket]


@row('`await sio.save_session(sid, {"user": user})`')
async def python_save_session() -> None:
    await node_data()


@row("`await sio.get_session(sid)`")
async def python_get_session() -> None:
    async with pair() as test:
        assert test.socket.data == {}
    with pytest.raises(AttributeError, match=r"socket\.data"):
        SocketServer().get_session("sid")  # type: ignore[attr-defined]


@row("`sio.get_environ(sid)`")
async def python_environ() -> None:
    async with pair() as test:
        assert test.socket.handshake.address == "127.0.0.1"
        assert test.socket.handshake.query["EIO"] == "4"


@row("`sio.transport(sid)`")
async def python_transport() -> None:
    async with pair() as test:
        assert test.socket.session.transport.name == "websocket"


@row("`await sio.disconnect(sid)`")
async def python_disconnect() -> None:
    async with pair() as test:
        test.socket.disconnect()
        assert not test.a.connected
        assert test.b.connected


@row("`AsyncServer(client_manager=AsyncRedisManager(url))`")
async def client_manager() -> None:
    await classic_adapter()


@row('`RedisManager(url, write_only=True).emit("x")`')
async def write_only_manager() -> None:
    client = RecordingRedis()
    BlockingEmitter(client).emit("x")
    assert client.channels == [b"socket.io#/#"]


@row("`sio.start_background_task(f)`")
async def python_background_task() -> None:
    io = SocketServer()

    @io.on("x")
    def x(socket: Socket) -> None:
        async def later() -> None:
            await asyncio.sleep(0)
            socket.emit("later")

        socket.data["task"] = asyncio.create_task(later())

    async with Pair(io) as test:
        test.a.emit("x")
        assert await test.a.receive_event("later") == []


@row("`class Chat(socketio.AsyncNamespace)`")
async def python_class() -> None:
    class Chat:
        @event("x")
        async def on_x(self, socket: Socket, data: Any) -> Any:
            return data

    async with pair() as test:
        test.io.of("/chat").register(Chat())
        client = await test.server.connect("/chat")
        assert await client.emit_with_ack("x", 1) == 1


@row("`async_handlers=False`")
async def python_serialize() -> None:
    io = SocketServer(serialize_handlers=True)
    seen: list[str] = []

    @io.on("x")
    async def x(socket: Socket, number: int) -> None:
        seen.append(f"start {number}")
        await asyncio.sleep(0)
        seen.append(f"end {number}")

    async with Pair(io) as test:
        test.a.emit("x", 1)
        test.a.emit("x", 2)
        await settle()
    assert seen == ["start 1", "end 1", "start 2", "end 2"]
    with pytest.raises(TypeError, match=r"async_handlers: .* use serialize_handlers=True"):
        SocketServer(async_handlers=False)  # type: ignore[call-arg]


@row("`logger=True`")
async def python_logger() -> None:
    with pytest.raises(TypeError, match=r'logging\.getLogger\("socketio_core"\)'):
        SocketServer(logger=True)  # type: ignore[call-arg]
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("socketio_core")
    logger.addHandler(handler)
    try:
        io = SocketServer()
        io.on("x", lambda socket: 1 / 0)
        async with Pair(io) as test:
            test.a.emit("x")
    finally:
        logger.removeHandler(handler)
    assert len(records) == 1


@row("`sio.attach(app)`, `await sio.handle_request(request)`")
async def python_attach() -> None:
    io = SocketServer()
    assert not hasattr(io, "attach")
    assert callable(io.asgi_app())


@row('`sio.register_namespace(Chat("/chat"))`')
async def python_register_namespace() -> None:
    class Chat:
        @event("x")
        def answer(self, socket: Socket) -> str:
            return socket.namespace.name

    io = SocketServer()
    io.of("/chat").register(Chat())
    async with TestServer(io) as server:
        assert await (await server.connect("/chat")).emit_with_ack("x") == "/chat"


@row("`trigger_event(self, event, *args)` of a namespace class")
async def python_trigger_event() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.on_any(lambda socket, event, *args: seen.append(event))
    async with Pair(io) as test:
        test.a.emit("x")
        await settle()
    assert seen == ["x"]


@row("`await sio.sleep(1)`")
async def python_sleep() -> None:
    assert not hasattr(SocketServer(), "sleep")


@row("`await sio.shutdown()`")
async def python_shutdown() -> None:
    io = SocketServer()
    listener = await io.listen("127.0.0.1", 0)
    await io.shutdown()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", listener.port)


@row("`sio.is_asyncio_based()`")
async def python_is_asyncio_based() -> None:
    assert not hasattr(SocketServer(), "is_asyncio_based")


row("`sio.instrument(auth=...)`")(instrumented)


@row("`always_connect=True`")
async def python_always_connect() -> None:
    io = SocketServer()

    @io.on("connection")
    def connected(socket: Socket) -> bool:
        return False

    async with TestServer(io) as server:
        assert (await server.connect()).id


@row("`cors_allowed_origins=None`")
async def python_default_origins() -> None:
    headers = {"origin": "https://other.example"}
    for cors, is_accepted in ((None, True), (Cors(origins=[]), False)):
        async with SocketServer(cors=cors) as io:
            listener = await io.listen("127.0.0.1", 0)
            url = f"ws://127.0.0.1:{listener.port}/socket.io/?EIO=4&transport=websocket"
            if is_accepted:
                async with websockets.connect(url, additional_headers=headers, **PATIENT):
                    pass
            else:
                with pytest.raises(websockets.InvalidStatus):
                    await websockets.connect(url, additional_headers=headers, **PATIENT)


def test_each_row_has_a_check_and_each_check_a_row() -> None:
    row.compare()


@pytest.mark.parametrize("check", row.parameters())
async def test_row_works_as_described(check: Check) -> None:
    await check()


def test_rules_list_the_refused_names_of_the_first_parameter() -> None:
    rules = (ROOT / "docs" / "handler-rules.md").read_text("utf-8")
    sentence = rules.split("with the name ", 1)[1].split(". ", 1)[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == NOT_A_SOCKET
