"""Every row of the tables of the migration pages works as described."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets

from engineio_core import Engine, Listener
from socketio_core import (
    NO_ACK,
    Ack,
    AckTimeoutError,
    BlockingEmitter,
    ConnectError,
    Cors,
    Emitter,
    InProcessCluster,
    MsgpackParser,
    Recovery,
    RedisClassic,
    RedisSharded,
    Socket,
    SocketServer,
    event,
    instrument,
    server_event,
)
from socketio_core.adapters.interface import DONE
from socketio_core.handlers.signature import NOT_A_SOCKET
from socketio_core.testing import TestClient, TestServer, settle
from tests.docs.tables import ROOT, read_rows

Check = Callable[[], Awaitable[None]]
NODE: dict[str, Check] = {}
PYTHON: dict[str, Check] = {}
DOCUMENTS = (("migration-node.md", NODE), ("migration-python-socketio.md", PYTHON))


def row(table: dict[str, Check], text: str) -> Callable[[Check], Check]:
    """Register the check of the table row with this text in its first cell."""

    def register(check: Check) -> Check:
        assert text not in table, text
        table[text] = check
        return check

    return register


@pytest.mark.parametrize(("document", "checks"), DOCUMENTS, ids=["node", "python-socketio"])
def test_each_row_has_a_check_and_each_check_a_row(document: str, checks: dict[str, Check]) -> None:
    cells = [cells[0] for cells in read_rows(document, "API")]
    assert len(set(cells)) == len(cells)
    assert set(cells) == set(checks)


def checks() -> list[Any]:
    """Return the checks of all rows as parameters."""
    return [
        pytest.param(check, id=f"{document.removesuffix('.md')}: {text}")
        for document, table in DOCUMENTS
        for text, check in table.items()
    ]


class RecordingRedis:
    """A client of Redis that records the channels of messages."""

    def __init__(self) -> None:
        self.channels: list[bytes] = []

    def execute_command(self, command: bytes, channel: bytes, payload: bytes) -> Awaitable[None]:
        self.channels.append(channel)
        return DONE


class Pair:
    """A server and two clients with their sockets."""

    def __init__(self, io: SocketServer) -> None:
        self.io = io
        self.server = TestServer(io)

    async def __aenter__(self) -> Pair:
        self.a: TestClient = await self.server.connect(auth={"token": "t"})
        self.b: TestClient = await self.server.connect()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.server.__aexit__(None, None, None)

    @property
    def socket(self) -> Socket:
        """The socket of the first client."""
        return self.io.sockets[self.a.id]

    def names(self) -> tuple[list[str], list[str]]:
        """Return the names of the events that the clients received since the last call."""
        names = [name for name, _ in self.a.received], [name for name, _ in self.b.received]
        self.a.received.clear()
        self.b.received.clear()
        return names


def pair() -> Pair:
    """Return a new server for two clients."""
    return Pair(SocketServer())


# -- Node


@row(NODE, "`new Server(3000)`")
async def node_listen() -> None:
    io = SocketServer()
    listener = await io.listen(port=0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await io.shutdown()


@row(NODE, "`pingInterval: 25000`")
async def node_ping_interval() -> None:
    assert SocketServer(ping_interval=25).engine.options.ping_interval == 25
    with pytest.raises(ValueError, match="did you mean 25"):
        SocketServer(ping_interval=25000)
    with pytest.raises(TypeError, match="ping_interval"):
        SocketServer(pingInterval=25)  # type: ignore[call-arg]


@row(NODE, "`allowEIO3: true`")
async def node_allow_eio3() -> None:
    async with TestServer(SocketServer(allow_eio3=True)) as server:
        assert (await server.connect(eio3=True)).connected


@row(NODE, "`socket.conn.protocol`")
async def node_protocol() -> None:
    io = SocketServer(allow_eio3=True)
    async with TestServer(io) as server:
        clients = [await server.connect(eio3=True), await server.connect()]
        assert [io.sockets[each.id].session.protocol for each in clients] == [3, 4]


@row(NODE, '`cors: { origin: "https://a.example" }`')
async def node_cors() -> None:
    options = SocketServer(cors=Cors(origins="https://a.example")).engine.options
    assert options.cors is not None
    assert options.cors.origins == "https://a.example"


@row(NODE, "`connectionStateRecovery: { maxDisconnectionDuration: 120000 }`")
async def node_recovery() -> None:
    recovery = Recovery(max_disconnection_duration=120)
    async with Pair(SocketServer(recovery=recovery)) as test:
        test.socket.emit("x")
        test.a.connection.cut()
        again = await test.server.connect(recovering=test.a)
        assert again.id == test.a.id
    with pytest.raises(ValueError, match="did you mean 120"):
        Recovery(max_disconnection_duration=120_000)
    with pytest.raises(TypeError, match=r"recovery=Recovery\("):
        SocketServer(connectionStateRecovery={})  # type: ignore[call-arg]


@row(NODE, '`io.use((socket, next) => next(new Error("no")))`')
async def node_use() -> None:
    with pytest.raises(TypeError, match=r"is called as f\(socket\)"):
        SocketServer().use(lambda socket, proceed: None)  # type: ignore[misc,arg-type]
    await check_refusals("no")


async def check_refusals(message: str) -> None:
    """Check that a middleware refuses by an exception and by False, and accepts by None."""
    io = SocketServer()
    io.use(lambda socket: None)

    @io.use
    def refuse(socket: Socket) -> None:
        raise ConnectError(message)

    io.of("/false").use(lambda socket: False)
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match=message):
            await server.connect()
        with pytest.raises(ConnectError, match="connection refused"):
            await server.connect("/false")


@row(NODE, '`io.on("connection", (socket) => ...)`')
async def node_connection() -> None:
    io = SocketServer()
    ids: list[str] = []

    @io.on("connection")
    def connected(socket: Socket) -> None:
        ids.append(socket.id)

    async with Pair(io) as test:
        assert ids == [test.a.id, test.b.id]


@row(NODE, '`socket.on("x", (data, callback) => callback(data))`')
async def node_handler() -> None:
    io = SocketServer()

    @io.on("x")
    def x(socket: Socket, data: Any) -> Any:
        return data

    async with Pair(io) as test:
        assert await test.a.emit_with_ack("x", 1) == 1
        assert await test.b.emit_with_ack("x", 2) == 2


@row(NODE, '`socket.on("x", (data) => ...)` for one socket')
async def node_socket_handler() -> None:
    async with pair() as test:
        test.socket.on("x", lambda data: data)
        assert await test.a.emit_with_ack("x", 1) == 1


@row(NODE, "`callback(a, b)`")
async def node_several_results() -> None:
    io = SocketServer()
    io.on("x", lambda socket: ("a", "b"))
    async with Pair(io) as test:
        texts: list[str] = []
        test.a.connection.clients["/"]._receive = (  # type: ignore[method-assign]
            lambda packet: texts.append(packet.data)
        )
        test.a.connection.send_text('20["x"]')
        assert texts == [["a", "b"]]


@row(NODE, "`socket.use(([event, ...args], next) => next())`")
async def node_socket_use() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("x", lambda socket, data: None)
    io.use_event(lambda socket, event: seen.append(("all", event)))
    async with Pair(io) as test:
        test.socket.use(lambda event: seen.append(("one", event)))
        test.a.emit("x", 1)
        test.b.emit("x", 2)
        await settle()
    assert seen == [("all", ["x", 1]), ("one", ["x", 1]), ("all", ["x", 2])]


@row(NODE, '`socket.emit("x", data, (answer) => ...)`')
async def node_ack_callback() -> None:
    async with pair() as test:
        answers: list[Any] = []
        test.a.auto_ack = lambda name, args: args[0] + 1
        test.socket.emit("x", 1, ack=answers.append)
        await settle()
        assert answers == [2]


@row(NODE, '`await socket.timeout(5000).emitWithAck("x")`')
async def node_emit_with_ack() -> None:
    async with pair() as test:
        test.a.auto_ack = lambda name, args: "answer"
        assert await test.socket.timeout(5).emit_with_ack("x") == "answer"
        test.a.auto_ack = None
        waiting = asyncio.ensure_future(test.socket.timeout(5).emit_with_ack("x"))
        await test.server.advance(5)
        with pytest.raises(AckTimeoutError):
            await waiting
        with pytest.raises(ValueError, match="did you mean 5"):
            test.socket.timeout(5000)


@row(NODE, '`await io.timeout(5000).emitWithAck("x")`')
async def node_broadcast_with_ack() -> None:
    async with pair() as test:
        test.a.auto_ack = lambda name, args: "answer"
        waiting = asyncio.ensure_future(test.io.timeout(5).emit_with_ack("x"))
        await test.server.advance(5)
        answers = await waiting
        assert answers.responses == ["answer"]
        assert answers.missing == [test.b.id]


@row(NODE, '`io.to("a").to("b").emit("x")`')
async def node_to() -> None:
    async with pair() as test:
        test.io.sockets[test.a.id].join("a")
        test.io.sockets[test.b.id].join("b")
        test.io.to("a", "b").emit("x")
        test.io.to("a").to("b").emit("y")
        test.io.to(["a"]).emit("z")
        assert test.names() == (["x", "y", "z"], ["x", "y"])


@row(NODE, "`io.to([])`")
async def node_to_nothing() -> None:
    with pytest.raises(ValueError, match="to reach all sockets, leave to"):
        SocketServer().to([])


@row(NODE, '`io.in("a").except("b")`')
async def node_except() -> None:
    async with pair() as test:
        test.io.sockets_join("a")
        test.io.sockets[test.b.id].join("b")
        test.io.in_("a").except_("b").emit("x")
        assert test.names() == (["x"], [])


@row(NODE, '`socket.broadcast.emit("x")`')
async def node_broadcast() -> None:
    async with pair() as test:
        test.socket.broadcast.emit("x")
        assert test.names() == ([], ["x"])


@row(NODE, '`socket.volatile.emit("x")`')
async def node_volatile() -> None:
    async with pair() as test:
        test.socket.volatile.emit("x")
        test.a.connection.pause()
        test.socket.volatile.emit("dropped")
        test.a.connection.resume()
        assert test.names() == (["x"], [])


@row(NODE, '`socket.join("a")`')
async def node_join() -> None:
    async with pair() as test:
        test.socket.join("a")
        test.io.to("a").emit("x")
        await test.socket.join("b")
        assert test.names() == (["x"], [])


@row(NODE, '`socket.rooms.has("a")`')
async def node_rooms() -> None:
    async with pair() as test:
        test.socket.join("a")
        assert "a" in test.socket.rooms
        assert test.a.id in test.socket.rooms


@row(NODE, "`socket.data.user = user`")
async def node_data() -> None:
    async with pair() as test:
        test.socket.data["user"] = "alice"
        (found, _) = await test.io.fetch_sockets()
        assert found.data == {"user": "alice"}


@row(NODE, "`socket.handshake.auth.token`")
async def node_auth() -> None:
    async with pair() as test:
        assert test.socket.handshake.auth["token"] == "t"


@row(NODE, "`socket.disconnect(true)`")
async def node_disconnect() -> None:
    async with pair() as test:
        test.socket.disconnect(close=True)
        assert test.a.connection.is_closed
        assert test.b.connected


@row(NODE, "`socket.onAny((event, ...args) => ...)`")
async def node_on_any() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on_any(lambda socket, event, *args: seen.append((socket.id, event, args)))
    async with Pair(io) as test:
        test.socket.on_any(lambda event, *args: seen.append((event, args)))
        test.a.emit("x", 1)
        assert seen == [("x", (1,)), (test.a.id, "x", (1,))]


@row(NODE, '`io.of("/admin")`')
async def node_namespace() -> None:
    async with pair() as test:
        test.io.of("/admin").on("x", lambda socket: socket.namespace.name)
        client = await test.server.connect("/admin")
        assert await client.emit_with_ack("x") == "/admin"


@row(NODE, r"`io.of(/^\/org-\d+$/)`")
async def node_dynamic_namespace() -> None:
    async with pair() as test:
        test.io.of(re.compile(r"/org-\d+"))
        assert (await test.server.connect("/org-7")).connected
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await test.server.connect("/org-7-more")


@row(NODE, "`await io.fetchSockets()`")
async def node_fetch_sockets() -> None:
    async with pair() as test:
        assert [each.id for each in await test.io.fetch_sockets()] == [test.a.id, test.b.id]
        with pytest.raises(AttributeError, match=r"await io\.fetch_sockets"):
            test.io.fetchSockets()  # type: ignore[attr-defined]


@row(NODE, '`io.socketsJoin("a")`')
async def node_sockets_join() -> None:
    async with pair() as test:
        test.io.sockets_join("a")
        assert test.io.main.rooms["a"] == {test.a.id, test.b.id}


@row(NODE, "`new Server({ adapter: createShardedAdapter(pub, sub) })`")
async def sharded_adapter() -> None:
    io = SocketServer(adapter=RedisSharded("redis://localhost:6379"))
    status = io.adapter_status()
    assert status is not None
    assert status.kind == "redis-sharded"


@row(NODE, "`new Server({ adapter: createAdapter(pub, sub) })`")
async def classic_adapter() -> None:
    io = SocketServer(adapter=RedisClassic("redis://localhost:6379"))
    status = io.adapter_status()
    assert status is not None
    assert status.kind == "redis-classic"


@row(NODE, '`await io.serverSideEmitWithAck("x")`')
async def server_side_emit_with_ack() -> None:
    cluster = InProcessCluster()
    io, other = (SocketServer(adapter=cluster.join()) for _ in range(2))
    other.on_server_event("x", lambda: "answer")
    async with TestServer(io), TestServer(other):
        await settle()
        answers = await io.server_side_emit_with_ack("x")
        assert (answers, answers.missing_servers) == (["answer"], 0)


@row(NODE, '`new Emitter(redisClient).to("a").emit("x")`')
async def emitter() -> None:
    client = RecordingRedis()
    await Emitter(client).to("a").emit("x")
    assert client.channels == [b"socket.io#/#a#"]


@row(NODE, "`io.engine.clientsCount`")
async def node_clients_count() -> None:
    async with pair() as test:
        assert len(test.io.engine.sessions) == 2


@row(NODE, "`await io.close()`")
async def node_close() -> None:
    async with pair() as test:
        await test.io.shutdown(grace=0)
        assert test.a.connection.is_closed
    with pytest.raises(AttributeError, match=r"await io\.shutdown"):
        SocketServer().close()  # type: ignore[attr-defined]


@row(NODE, "an exception in a handler ends the process")
async def node_exception() -> None:
    io = SocketServer()
    errors: list[BaseException] = []
    io.on_error(lambda error, socket, event: errors.append(error))
    io.on("x", lambda socket: 1 / 0)
    async with Pair(io) as test:
        assert (await test.a.emit_with_ack("x"))["code"] == "HANDLER_ERROR"
        assert test.a.connected
    assert len(errors) == 1


@row(NODE, "`socket.leaveAll()`")
async def node_leave_all() -> None:
    async with pair() as each:
        each.socket.join("a")
        each.socket.leave_all()
        assert each.socket.rooms == set()
        each.io.emit("x")
        assert each.names() == (["x"], ["x"])


@row(NODE, '`socket.local.emit("x")`')
async def node_local() -> None:
    async with pair() as each:
        each.socket.local.emit("x")
        assert each.names() == ([], ["x"])


@row(NODE, '`socket.volatile.broadcast.emit("x")`')
async def node_volatile_broadcast() -> None:
    async with pair() as each:
        each.socket.volatile.broadcast.emit("x")
        assert each.names() == ([], ["x"])


@row(NODE, '`socket.compress(false).to("a").emit("x")`')
async def node_compress_to() -> None:
    async with pair() as each:
        each.io.sockets_join("a")
        each.socket.compress(False).to("a").emit("x")
        assert each.names() == ([], ["x"])


@row(NODE, '`socket.timeout(5000).emit("x", (err, answer) => ...)`')
async def node_timeout_callback() -> None:
    calls: list[Any] = []

    def f(error: Any, answer: Any = None) -> None:
        calls.append((error, answer))

    async with pair() as each:
        each.a.auto_ack = lambda name, args: "yes"
        each.socket.timeout(5).emit("x", ack=f)
        await settle()
        assert calls == [(None, "yes")]
        each.a.auto_ack = None
        each.socket.timeout(5).emit("x", ack=f)
        await each.server.advance(6)
        assert isinstance(calls[1][0], AckTimeoutError)


@row(NODE, '`io.timeout(5000).emit("x", (err, answers) => ...)`')
async def node_broadcast_callback() -> None:
    calls: list[Any] = []

    def f(error: Any, answers: Any) -> None:
        calls.append((error, answers))

    async with pair() as each:
        each.a.auto_ack = lambda name, args: "yes"
        each.io.timeout(5).emit("x", ack=f)
        await each.server.advance(6)
        ((error, answers),) = calls
        assert isinstance(error, AckTimeoutError)
        assert answers.responses == ["yes"]
        assert answers.missing == [each.b.id]


@row(NODE, "`new Server<ClientToServerEvents, ServerToClientEvents>()`")
async def node_typed_events() -> None:
    io = SocketServer()

    @io.on("x")
    def handler(socket: Socket, number: int) -> str:
        return str(number)

    @server_event("y")
    def sent(text: str) -> None: ...

    io.declare(sent)
    text = io.typescript()
    assert "x: (number: number, ack: (answer: string | Refusal) => void) => void;" in text
    assert "y: (text: string) => void;" in text


@row(NODE, '`callback("accepted"); await work()`')
async def node_early_ack() -> None:
    done: list[str] = []
    go_on = asyncio.Event()

    async def handler(socket: Socket, data: str, ack: Ack) -> None:
        ack("accepted")
        await go_on.wait()
        done.append(data)

    async with pair() as each:
        each.io.on("x", handler)
        assert await each.a.emit_with_ack("x", "work") == "accepted"
        assert done == []
        go_on.set()
        await settle()
        assert done == ["work"]


@row(NODE, "a handler that does not call its callback")
async def node_no_ack() -> None:
    async with pair() as each:
        each.io.on("x", lambda socket: NO_ACK)
        waiting = asyncio.ensure_future(each.a.emit_with_ack("x"))
        await settle()
        assert not waiting.done()
        waiting.cancel()


@row(NODE, '`io.of("/admin", (socket) => ...)`')
async def node_of_with_listener() -> None:
    connected: list[str] = []
    async with pair() as each:
        each.io.of("/admin", lambda socket: connected.append(socket.namespace.name))
        await each.server.connect("/admin")
    assert connected == ["/admin"]


# -- python-socketio


@row(PYTHON, '`sio = socketio.AsyncServer(cors_allowed_origins="https://a.example")`')
async def python_server() -> None:
    await node_cors()
    with pytest.raises(TypeError, match="cors"):
        SocketServer(cors_allowed_origins="https://a.example")  # type: ignore[call-arg]


@row(PYTHON, "`app = socketio.ASGIApp(sio, other)`")
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


@row(PYTHON, "`@sio.event`")
async def python_event() -> None:
    io = SocketServer()
    io.on("name of the event", lambda socket: "handled")
    async with Pair(io) as test:
        assert await test.a.emit_with_ack("name of the event") == "handled"
    with pytest.raises(AttributeError, match=r"@io\.on"):
        io.event  # type: ignore[attr-defined]  # noqa: B018


@row(PYTHON, "`async def connect(sid, environ, auth)`")
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


@row(PYTHON, '`raise ConnectionRefusedError("no")` in `connect`')
async def python_refuse() -> None:
    await check_refusals("no")


@row(PYTHON, "`return False` in `connect` without a middleware")
async def python_refuse_late() -> None:
    io = SocketServer()
    io.on("connect", lambda socket: False)
    async with TestServer(io) as server:
        client = await server.connect()
        assert not client.connected
        assert not io.sockets


@row(PYTHON, "`async def disconnect(sid, reason)`")
async def python_disconnect_handler() -> None:
    io = SocketServer()
    reasons: list[str] = []

    @io.on("disconnect")
    def left(socket: Socket, reason: str) -> None:
        reasons.append(reason)

    async with Pair(io) as test:
        test.socket.disconnect()
        assert reasons == ["server namespace disconnect"]


@row(PYTHON, "`async def x(sid, data)`")
async def python_handler() -> None:
    io = SocketServer()

    @io.on("x")
    async def x(socket: Socket, data: Any) -> Any:
        return [socket.id, data]

    async with Pair(io) as test:
        assert await test.a.emit_with_ack("x", 1) == [test.a.id, 1]


@row(PYTHON, '`@sio.on("*")`')
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


@row(PYTHON, '`await sio.emit("x", data)`')
async def python_emit() -> None:
    async with pair() as test:
        test.io.emit("x", 1)
        assert test.names() == (["x"], ["x"])
        with pytest.raises(TypeError, match="remove 'await'"):
            await test.io.emit("x", 1)  # type: ignore[func-returns-value]


@row(PYTHON, '`await sio.emit("x", data, to=sid)`')
async def python_emit_to() -> None:
    async with pair() as test:
        test.socket.emit("x", 1)
        test.io.to(test.socket.id).emit("y", 1)
        assert test.names() == (["x", "y"], [])
        with pytest.raises(TypeError, match=r"\.to\(room\)\.emit"):
            test.io.emit("x", 1, to=test.a.id)  # type: ignore[arg-type]


@row(PYTHON, '`await sio.emit("x", data, room="a", skip_sid=sid)`')
async def python_emit_skip() -> None:
    async with pair() as test:
        test.io.sockets_join("a")
        test.socket.to("a").emit("x", 1)
        assert test.names() == ([], ["x"])
        for keyword in ("room", "skip_sid"):
            with pytest.raises(TypeError, match="emit"):
                test.io.emit("x", **{keyword: "a"})  # type: ignore[arg-type]


@row(PYTHON, '`await sio.emit("x", data, namespace="/a")`')
async def python_emit_namespace() -> None:
    async with pair() as test:
        test.io.of("/a")
        client = await test.server.connect("/a")
        test.io.of("/a").emit("x", 1)
        assert client.received == [("x", [1])]
        assert test.names() == ([], [])
        with pytest.raises(TypeError, match=r"io\.of\(namespace\)\.emit"):
            test.io.emit("x", namespace="/a")  # type: ignore[arg-type]


@row(PYTHON, '`await sio.emit("x", data, to=sid, callback=f)`')
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


@row(PYTHON, '`await sio.emit("x", ("a", "b"))`')
async def python_tuple() -> None:
    async with pair() as test:
        test.io.emit("x", "a", "b")
        test.io.emit("x", ("a", "b"))
        assert test.a.received == [("x", ["a", "b"]), ("x", [["a", "b"]])]


@row(PYTHON, '`await sio.call("x", data, to=sid, timeout=5)`')
async def python_call() -> None:
    await node_emit_with_ack()


@row(PYTHON, '`await sio.enter_room(sid, "a")`')
async def python_enter_room() -> None:
    await node_join()
    with pytest.raises(AttributeError, match=r"socket\.join\(room\)"):
        SocketServer().enter_room("sid", "a")  # type: ignore[attr-defined]


@row(PYTHON, '`await sio.leave_room(sid, "a")`')
async def python_leave_room() -> None:
    async with pair() as test:
        test.socket.join("a")
        test.socket.leave("a")
        assert test.socket.rooms == {test.a.id}


@row(PYTHON, '`await sio.close_room("a")`')
async def python_close_room() -> None:
    async with pair() as test:
        test.io.sockets_join("a")
        test.io.in_("a").sockets_leave("a")
        assert "a" not in test.io.main.rooms


@row(PYTHON, "`sio.rooms(sid)`")
async def python_rooms() -> None:
    await node_rooms()


@row(PYTHON, '`sio.manager.get_participants("/", "a")`')
async def python_participants() -> None:
    async with pair() as test:
        test.socket.join("a")
        assert await test.io.in_("a").fetch_sockets() == [test.socket]


@row(PYTHON, '`await sio.save_session(sid, {"user": user})`')
async def python_save_session() -> None:
    await node_data()


@row(PYTHON, "`await sio.get_session(sid)`")
async def python_get_session() -> None:
    async with pair() as test:
        assert test.socket.data == {}
    with pytest.raises(AttributeError, match=r"socket\.data"):
        SocketServer().get_session("sid")  # type: ignore[attr-defined]


@row(PYTHON, "`sio.get_environ(sid)`")
async def python_environ() -> None:
    async with pair() as test:
        assert test.socket.handshake.address == "127.0.0.1"
        assert test.socket.handshake.query["EIO"] == "4"


@row(PYTHON, "`sio.transport(sid)`")
async def python_transport() -> None:
    async with pair() as test:
        assert test.socket.session.transport.name == "websocket"


@row(PYTHON, "`await sio.disconnect(sid)`")
async def python_disconnect() -> None:
    async with pair() as test:
        test.socket.disconnect()
        assert not test.a.connected
        assert test.b.connected


@row(PYTHON, "`AsyncServer(client_manager=AsyncRedisManager(url))`")
async def client_manager() -> None:
    await classic_adapter()


@row(PYTHON, '`RedisManager(url, write_only=True).emit("x")`')
async def write_only_manager() -> None:
    client = RecordingRedis()
    BlockingEmitter(client).emit("x")
    assert client.channels == [b"socket.io#/#"]


@row(PYTHON, "`sio.start_background_task(f)`")
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


@row(PYTHON, "`class Chat(socketio.AsyncNamespace)`")
async def python_class() -> None:
    class Chat:
        @event("x")
        async def on_x(self, socket: Socket, data: Any) -> Any:
            return data

    async with pair() as test:
        test.io.of("/chat").register(Chat())
        client = await test.server.connect("/chat")
        assert await client.emit_with_ack("x", 1) == 1


@row(PYTHON, "`async_handlers=False`")
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
    with pytest.raises(TypeError, match="async_handlers"):
        SocketServer(async_handlers=False)  # type: ignore[call-arg]


@row(PYTHON, "`logger=True`")
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


@row(NODE, "`io.listen(3000)`, `io.attach(httpServer)`, `io.attachApp(app)`")
async def node_attach() -> None:
    async with SocketServer() as io:
        assert (await io.listen("127.0.0.1", 0)).port
    assert not hasattr(io, "attach")


@row(NODE, "`io.bind(engine)`")
async def node_bind() -> None:
    assert not hasattr(SocketServer(), "bind")
    assert isinstance(SocketServer().engine, Engine)


@row(NODE, "`io.httpServer`")
async def node_http_server() -> None:
    async with SocketServer() as io:
        assert isinstance(await io.listen("127.0.0.1", 0), Listener)


@row(NODE, "`io.path()`")
async def node_path() -> None:
    assert SocketServer(path="/live").engine.options.path == "/live"


@row(NODE, "`serveClient: false`")
async def node_serve_client() -> None:
    SocketServer(serve_client=False)
    with pytest.raises(TypeError, match="serve_client"):
        SocketServer(serveClient=False)  # type: ignore[call-arg]


@row(NODE, "`connectTimeout: 45000`")
async def node_connect_timeout() -> None:
    SocketServer(connect_timeout=45)
    with pytest.raises(TypeError, match="connect_timeout"):
        SocketServer(connectTimeout=45)  # type: ignore[call-arg]


@row(NODE, '`parser: require("socket.io-msgpack-parser")`, `io.encoder`')
async def node_parser() -> None:
    async with Pair(SocketServer(parser=MsgpackParser())) as test:
        test.io.emit("x", b"1")
        assert await test.a.receive_event("x") == [b"1"]


@row(NODE, '`io.send("hi")`, `socket.write("hi")`')
async def node_send() -> None:
    async with pair() as test:
        test.io.send("hi")
        test.socket.send("ho")
        assert [await test.a.receive_event("message") for _ in range(2)] == [["hi"], ["ho"]]


@row(NODE, '`io.serverSideEmit("x")`')
async def node_server_side_emit() -> None:
    cluster = InProcessCluster()
    first, second = SocketServer(adapter=cluster.join()), SocketServer(adapter=cluster.join())
    seen: list[int] = []
    second.on_server_event("x")(seen.append)
    async with TestServer(first), TestServer(second):
        await first.server_side_emit("x", 1)
        await settle()
    assert seen == [1]


@row(NODE, "`await io.allSockets()`")
async def node_all_sockets() -> None:
    async with pair() as test:
        ids = {socket.id for socket in await test.io.fetch_sockets()}
        assert ids == {test.a.id, test.b.id}


@row(NODE, '`io.in("a").socketsLeave("b")`')
async def node_sockets_leave() -> None:
    async with pair() as test:
        await test.socket.join(["a", "b"])
        test.io.in_("a").sockets_leave("b")
        assert test.socket.rooms == {test.socket.id, "a"}


@row(NODE, "`io.disconnectSockets(true)`")
async def node_disconnect_sockets() -> None:
    async with pair() as test:
        test.io.disconnect_sockets(close=True)
        assert not test.a.connected
        assert test.a.connection.is_closed


@row(NODE, '`socket.leave("a")`')
async def node_leave() -> None:
    async with pair() as test:
        await test.socket.join("a")
        await test.socket.leave("a")
        assert "a" not in test.socket.rooms


@row(NODE, "`socket.nsp.name`")
async def node_namespace_name() -> None:
    async with pair() as test:
        assert test.socket.namespace.name == "/"


@row(NODE, "`socket.recovered`")
async def node_recovered() -> None:
    async with pair() as test:
        assert not test.socket.recovered


@row(NODE, "`socket.disconnected`")
async def node_disconnected() -> None:
    async with pair() as test:
        socket = test.socket
        assert socket.connected
        socket.disconnect()
        assert not socket.connected


@row(NODE, "`socket.request.headers.cookie`")
async def node_request() -> None:
    async with TestServer(SocketServer()) as server:
        client = await server.connect(headers={"cookie": "a=1"})
        assert server.io.sockets[client.id].handshake.headers["cookie"] == "a=1"


@row(NODE, "`socket.prependAny(f)`, `socket.offAny(f)`")
async def node_prepend_any() -> None:
    seen: list[str] = []

    def second(event: str) -> None:
        seen.append("second")

    async with pair() as test:
        test.socket.on_any(second)
        test.socket.on_any(lambda event: seen.append("first"), first=True)
        test.a.emit("x")
        await settle()
        test.socket.off_any(second)
        test.a.emit("x")
        await settle()
    assert seen == ["first", "second", "first"]


@row(NODE, "`socket.onAnyOutgoing(f)`, `socket.offAnyOutgoing(f)`")
async def node_on_any_outgoing() -> None:
    seen: list[str] = []

    def listen(event: str) -> None:
        seen.append(event)

    async with pair() as test:
        test.socket.on_any_outgoing(listen)
        test.socket.emit("x")
        test.socket.off_any_outgoing(listen)
        test.socket.emit("y")
    assert seen == ["x"]


@row(NODE, "`socket.prependAnyOutgoing(f)`")
async def node_prepend_any_outgoing() -> None:
    seen: list[int] = []
    async with pair() as test:
        for number in (1, 2):
            listen = functools.partial(lambda number, event: seen.append(number), number)
            test.socket.on_any_outgoing(listen, first=number == 2)
        test.socket.emit("x")
    assert seen == [2, 1]


@row(NODE, "`socket.listenersAny()`, `socket.listenersAnyOutgoing()`")
async def node_listeners_any() -> None:
    async with pair() as test:
        assert not hasattr(test.socket, "listeners_any")


@row(PYTHON, "`sio.attach(app)`, `await sio.handle_request(request)`")
async def python_attach() -> None:
    io = SocketServer()
    assert not hasattr(io, "attach")
    assert callable(io.asgi_app())


@row(PYTHON, '`sio.register_namespace(Chat("/chat"))`')
async def python_register_namespace() -> None:
    class Chat:
        @event("x")
        def answer(self, socket: Socket) -> str:
            return socket.namespace.name

    io = SocketServer()
    io.of("/chat").register(Chat())
    async with TestServer(io) as server:
        assert await (await server.connect("/chat")).emit_with_ack("x") == "/chat"


@row(PYTHON, "`trigger_event(self, event, *args)` of a namespace class")
async def python_trigger_event() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.on_any(lambda socket, event, *args: seen.append(event))
    async with Pair(io) as test:
        test.a.emit("x")
        await settle()
    assert seen == ["x"]


@row(PYTHON, "`await sio.sleep(1)`")
async def python_sleep() -> None:
    assert not hasattr(SocketServer(), "sleep")


@row(PYTHON, "`await sio.shutdown()`")
async def python_shutdown() -> None:
    io = SocketServer()
    listener = await io.listen("127.0.0.1", 0)
    await io.shutdown()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", listener.port)


@row(PYTHON, "`sio.is_asyncio_based()`")
async def python_is_asyncio_based() -> None:
    assert not hasattr(SocketServer(), "is_asyncio_based")


@row(NODE, "`instrument(io, { auth })` of `@socket.io/admin-ui`")
@row(PYTHON, "`sio.instrument(auth=...)`")
async def instrumented() -> None:
    io = SocketServer()
    instrument(io, auth=False)
    async with TestServer(io) as server:
        assert (await server.connect("/admin")).connected


@row(PYTHON, "`always_connect=True`")
async def python_always_connect() -> None:
    io = SocketServer()

    @io.on("connection")
    def connected(socket: Socket) -> bool:
        return False

    async with TestServer(io) as server:
        assert (await server.connect()).id


@row(PYTHON, "`cors_allowed_origins=None`")
async def python_default_origins() -> None:
    headers = {"origin": "https://other.example"}
    for cors, is_accepted in ((None, True), (Cors(origins=[]), False)):
        async with SocketServer(cors=cors) as io:
            listener = await io.listen("127.0.0.1", 0)
            url = f"ws://127.0.0.1:{listener.port}/socket.io/?EIO=4&transport=websocket"
            if is_accepted:
                async with websockets.connect(url, additional_headers=headers):
                    pass
            else:
                with pytest.raises(websockets.InvalidStatus):
                    await websockets.connect(url, additional_headers=headers)


@pytest.mark.parametrize("check", checks())
async def test_row_works_as_described(check: Check) -> None:
    await check()


def test_rules_list_the_refused_names_of_the_first_parameter() -> None:
    rules = (ROOT / "docs" / "handler-rules.md").read_text("utf-8")
    sentence = rules.split("with the name ", 1)[1].split(". ", 1)[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == NOT_A_SOCKET
