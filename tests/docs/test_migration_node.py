"""Each row of the table "API" for users of Node works as described."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable
from typing import Any

import pytest

from engineio_core import Engine, Listener
from socketio_core import (
    NO_ACK,
    Ack,
    AckTimeoutError,
    ConnectError,
    ConnectionRefusal,
    Cookie,
    Cors,
    Emitter,
    HttpRequest,
    HttpResponse,
    InProcessCluster,
    MsgpackParser,
    Recovery,
    RedisClassic,
    RedisSharded,
    Socket,
    SocketServer,
    instrument,
    server_event,
)
from socketio_core.adapters.interface import DONE
from socketio_core.testing import TestServer, settle
from tests.docs.migration_rows import Check, Pair, Rows, pair

row = Rows("migration-node.md")


class RecordingRedis:
    """A client of Redis that records the channels of messages."""

    def __init__(self) -> None:
        self.channels: list[bytes] = []

    def execute_command(self, command: bytes, channel: bytes, payload: bytes) -> Awaitable[None]:
        self.channels.append(channel)
        return DONE


@row("`new Server(3000)`")
async def node_listen() -> None:
    io = SocketServer()
    listener = await io.listen(port=0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await io.shutdown()


@row("`pingInterval: 25000`")
async def node_ping_interval() -> None:
    assert SocketServer(ping_interval=25).engine.options.ping_interval == 25
    with pytest.raises(ValueError, match="did you mean 25"):
        SocketServer(ping_interval=25000)
    with pytest.raises(TypeError, match="ping_interval"):
        SocketServer(pingInterval=25)  # type: ignore[call-arg]


@row("`allowEIO3: true`")
async def node_allow_eio3() -> None:
    async with TestServer(SocketServer(allow_eio3=True)) as server:
        assert (await server.connect(eio3=True)).connected


@row("`socket.conn.protocol`")
async def node_protocol() -> None:
    io = SocketServer(allow_eio3=True)
    async with TestServer(io) as server:
        clients = [await server.connect(eio3=True), await server.connect()]
        assert [io.sockets[each.id].session.protocol for each in clients] == [3, 4]


@row('`cors: { origin: "https://a.example" }`')
async def node_cors() -> None:
    options = SocketServer(cors=Cors(origins="https://a.example")).engine.options
    assert options.cors is not None
    assert options.cors.origins == "https://a.example"


@row("`connectionStateRecovery: { maxDisconnectionDuration: 120000 }`")
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


@row('`io.use((socket, next) => next(new Error("no")))`')
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


@row('`io.on("connection", (socket) => ...)`')
async def node_connection() -> None:
    io = SocketServer()
    ids: list[str] = []

    @io.on("connection")
    def connected(socket: Socket) -> None:
        ids.append(socket.id)

    async with Pair(io) as test:
        assert ids == [test.a.id, test.b.id]


@row('`socket.on("x", (data, callback) => callback(data))`')
async def node_handler() -> None:
    io = SocketServer()

    @io.on("x")
    def x(socket: Socket, data: Any) -> Any:
        return data

    async with Pair(io) as test:
        assert await test.a.emit_with_ack("x", 1) == 1
        assert await test.b.emit_with_ack("x", 2) == 2


@row('`socket.on("x", (data) => ...)` for one socket')
async def node_socket_handler() -> None:
    async with pair() as test:
        test.socket.on("x", lambda data: data)
        assert await test.a.emit_with_ack("x", 1) == 1


@row("`callback(a, b)`")
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


@row("`socket.use(([event, ...args], next) => next())`")
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


@row('`socket.emit("x", data, (answer) => ...)`')
async def node_ack_callback() -> None:
    async with pair() as test:
        answers: list[Any] = []
        test.a.auto_ack = lambda name, args: args[0] + 1
        test.socket.emit("x", 1, ack=answers.append)
        await settle()
        assert answers == [2]


@row('`await socket.timeout(5000).emitWithAck("x")`')
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


@row('`await io.timeout(5000).emitWithAck("x")`')
async def node_broadcast_with_ack() -> None:
    async with pair() as test:
        test.a.auto_ack = lambda name, args: "answer"
        waiting = asyncio.ensure_future(test.io.timeout(5).emit_with_ack("x"))
        await test.server.advance(5)
        answers = await waiting
        assert answers.responses == ["answer"]
        assert answers.missing == [test.b.id]


@row('`io.to("a").to("b").emit("x")`')
async def node_to() -> None:
    async with pair() as test:
        test.io.sockets[test.a.id].join("a")
        test.io.sockets[test.b.id].join("b")
        test.io.to("a", "b").emit("x")
        test.io.to("a").to("b").emit("y")
        test.io.to(["a"]).emit("z")
        assert test.names() == (["x", "y", "z"], ["x", "y"])


@row("`io.to([])`")
async def node_to_nothing() -> None:
    with pytest.raises(ValueError, match="to reach all sockets, leave to"):
        SocketServer().to([])


@row('`io.in("a").except("b")`')
async def node_except() -> None:
    async with pair() as test:
        test.io.sockets_join("a")
        test.io.sockets[test.b.id].join("b")
        test.io.in_("a").except_("b").emit("x")
        assert test.names() == (["x"], [])


@row('`socket.broadcast.emit("x")`')
async def node_broadcast() -> None:
    async with pair() as test:
        test.socket.broadcast.emit("x")
        assert test.names() == ([], ["x"])


@row('`socket.volatile.emit("x")`')
async def node_volatile() -> None:
    async with pair() as test:
        test.socket.volatile.emit("x")
        test.a.connection.pause()
        test.socket.volatile.emit("dropped")
        test.a.connection.resume()
        assert test.names() == (["x"], [])


@row('`socket.join("a")`')
async def node_join() -> None:
    async with pair() as test:
        test.socket.join("a")
        test.io.to("a").emit("x")
        await test.socket.join("b")
        assert test.names() == (["x"], [])


@row('`socket.rooms.has("a")`')
async def node_rooms() -> None:
    async with pair() as test:
        test.socket.join("a")
        assert "a" in test.socket.rooms
        assert test.a.id in test.socket.rooms


@row("`socket.data.user = user`")
async def node_data() -> None:
    async with pair() as test:
        test.socket.data["user"] = "alice"
        (found, _) = await test.io.fetch_sockets()
        assert found.data == {"user": "alice"}


@row("`socket.handshake.auth.token`")
async def node_auth() -> None:
    async with pair() as test:
        assert test.socket.handshake.auth["token"] == "t"


@row("`socket.disconnect(true)`")
async def node_disconnect() -> None:
    async with pair() as test:
        test.socket.disconnect(close=True)
        assert test.a.connection.is_closed
        assert test.b.connected


@row("`socket.onAny((event, ...args) => ...)`")
async def node_on_any() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on_any(lambda socket, event, *args: seen.append((socket.id, event, args)))
    async with Pair(io) as test:
        test.socket.on_any(lambda event, *args: seen.append((event, args)))
        test.a.emit("x", 1)
        assert seen == [("x", (1,)), (test.a.id, "x", (1,))]


@row('`io.of("/admin")`')
async def node_namespace() -> None:
    async with pair() as test:
        test.io.of("/admin").on("x", lambda socket: socket.namespace.name)
        client = await test.server.connect("/admin")
        assert await client.emit_with_ack("x") == "/admin"


@row(r"`io.of(/^\/org-\d+$/)`")
async def node_dynamic_namespace() -> None:
    async with pair() as test:
        test.io.of(re.compile(r"/org-\d+"))
        assert (await test.server.connect("/org-7")).connected
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await test.server.connect("/org-7-more")


@row("`await io.fetchSockets()`")
async def node_fetch_sockets() -> None:
    async with pair() as test:
        assert [each.id for each in await test.io.fetch_sockets()] == [test.a.id, test.b.id]
        with pytest.raises(AttributeError, match=r"await io\.fetch_sockets"):
            test.io.fetchSockets()  # type: ignore[attr-defined]


@row('`io.socketsJoin("a")`')
async def node_sockets_join() -> None:
    async with pair() as test:
        test.io.sockets_join("a")
        assert test.io.main.rooms["a"] == {test.a.id, test.b.id}


@row("`new Server({ adapter: createShardedAdapter(pub, sub) })`")
async def sharded_adapter() -> None:
    io = SocketServer(adapter=RedisSharded("redis://localhost:6379"))
    status = io.adapter_status()
    assert status is not None
    assert status.kind == "redis-sharded"


@row("`new Server({ adapter: createAdapter(pub, sub) })`")
async def classic_adapter() -> None:
    io = SocketServer(adapter=RedisClassic("redis://localhost:6379"))
    status = io.adapter_status()
    assert status is not None
    assert status.kind == "redis-classic"


@row('`await io.serverSideEmitWithAck("x")`')
async def server_side_emit_with_ack() -> None:
    cluster = InProcessCluster()
    io, other = (SocketServer(adapter=cluster.join()) for _ in range(2))
    other.on_server_event("x", lambda: "answer")
    async with TestServer(io), TestServer(other):
        await settle()
        answers = await io.server_side_emit_with_ack("x")
        assert (answers, answers.missing_servers) == (["answer"], 0)


@row('`new Emitter(redisClient).to("a").emit("x")`')
async def emitter() -> None:
    client = RecordingRedis()
    await Emitter(client).to("a").emit("x")
    assert client.channels == [b"socket.io#/#a#"]


@row("`io.engine.clientsCount`")
async def node_clients_count() -> None:
    async with pair() as test:
        assert len(test.io.engine.sessions) == 2


@row("`await io.close()`")
async def node_close() -> None:
    async with pair() as test:
        await test.io.shutdown(grace=0)
        assert test.a.connection.is_closed
    with pytest.raises(AttributeError, match=r"await io\.shutdown"):
        SocketServer().close()  # type: ignore[attr-defined]


@row("an exception in a handler ends the process")
async def node_exception() -> None:
    io = SocketServer()
    errors: list[BaseException] = []
    io.on_error(lambda error, socket, event: errors.append(error))
    io.on("x", lambda socket: 1 / 0)
    async with Pair(io) as test:
        assert (await test.a.emit_with_ack("x"))["code"] == "HANDLER_ERROR"
        assert test.a.connected
    assert len(errors) == 1


@row("`socket.leaveAll()`")
async def node_leave_all() -> None:
    async with pair() as each:
        each.socket.join("a")
        each.socket.leave_all()
        assert each.socket.rooms == set()
        each.io.emit("x")
        assert each.names() == (["x"], ["x"])


@row('`socket.local.emit("x")`')
async def node_local() -> None:
    async with pair() as each:
        each.socket.local.emit("x")
        assert each.names() == ([], ["x"])


@row('`socket.volatile.broadcast.emit("x")`')
async def node_volatile_broadcast() -> None:
    async with pair() as each:
        each.socket.volatile.broadcast.emit("x")
        assert each.names() == ([], ["x"])


@row('`socket.compress(false).to("a").emit("x")`')
async def node_compress_to() -> None:
    async with pair() as each:
        each.io.sockets_join("a")
        each.socket.compress(False).to("a").emit("x")
        assert each.names() == ([], ["x"])


@row('`socket.timeout(5000).emit("x", (err, answer) => ...)`')
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


@row('`io.timeout(5000).emit("x", (err, answers) => ...)`')
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


@row("`new Server<ClientToServerEvents, ServerToClientEvents>()`")
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


@row('`callback("accepted"); await work()`')
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


@row("a handler that does not call its callback")
async def node_no_ack() -> None:
    async with pair() as each:
        each.io.on("x", lambda socket: NO_ACK)
        waiting = asyncio.ensure_future(each.a.emit_with_ack("x"))
        await settle()
        assert not waiting.done()
        waiting.cancel()


@row('`io.of("/admin", (socket) => ...)`')
async def node_of_with_listener() -> None:
    connected: list[str] = []
    async with pair() as each:
        each.io.of("/admin", lambda socket: connected.append(socket.namespace.name))
        await each.server.connect("/admin")
    assert connected == ["/admin"]


@row("`io.listen(3000)`, `io.attach(httpServer)`, `io.attachApp(app)`")
async def node_attach() -> None:
    async with SocketServer() as io:
        assert (await io.listen("127.0.0.1", 0)).port
    assert not hasattr(io, "attach")


@row("`io.bind(engine)`")
async def node_bind() -> None:
    assert not hasattr(SocketServer(), "bind")
    assert isinstance(SocketServer().engine, Engine)


@row("`io.httpServer`")
async def node_http_server() -> None:
    async with SocketServer() as io:
        assert isinstance(await io.listen("127.0.0.1", 0), Listener)


@row("`io.path()`")
async def node_path() -> None:
    assert SocketServer(path="/live").engine.options.path == "/live"


@row("`serveClient: false`")
async def node_serve_client() -> None:
    SocketServer(serve_client=False)
    with pytest.raises(TypeError, match="serve_client"):
        SocketServer(serveClient=False)  # type: ignore[call-arg]


@row("`connectTimeout: 45000`")
async def node_connect_timeout() -> None:
    SocketServer(connect_timeout=45)
    with pytest.raises(TypeError, match="connect_timeout"):
        SocketServer(connectTimeout=45)  # type: ignore[call-arg]


@row('`parser: require("socket.io-msgpack-parser")`, `io.encoder`')
async def node_parser() -> None:
    async with Pair(SocketServer(parser=MsgpackParser())) as test:
        test.io.emit("x", b"1")
        assert await test.a.receive_event("x") == [b"1"]


@row('`io.send("hi")`, `socket.write("hi")`')
async def node_send() -> None:
    async with pair() as test:
        test.io.send("hi")
        test.socket.send("ho")
        assert [await test.a.receive_event("message") for _ in range(2)] == [["hi"], ["ho"]]


@row('`io.serverSideEmit("x")`')
async def node_server_side_emit() -> None:
    cluster = InProcessCluster()
    first, second = SocketServer(adapter=cluster.join()), SocketServer(adapter=cluster.join())
    seen: list[int] = []
    second.on_server_event("x")(seen.append)
    async with TestServer(first), TestServer(second):
        await first.server_side_emit("x", 1)
        await settle()
    assert seen == [1]


@row('`io.on("x", (data, callback) => callback(1))` for events of `serverSideEmit`')
async def server_events() -> None:
    cluster = InProcessCluster()
    io, other = (SocketServer(adapter=cluster.join()) for _ in range(2))

    @other.on_server_event("x")
    def f(data: int) -> int:
        return data + 1

    async with TestServer(io), TestServer(other) as server:
        await settle()
        assert await io.server_side_emit_with_ack("x", 1) == [2]
        assert other.main.event_names() == []
        assert (await server.connect()).connected


@row('`io.on("new_namespace", f)`')
async def node_new_namespace() -> None:
    io, names = SocketServer(), []
    io.on_new_namespace(lambda namespace: names.append(namespace.name))
    io.of("/a")
    assert names == ["/a"]


async def handshake(io: SocketServer) -> str:
    """Return the response to a handshake."""
    listener = await io.listen()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        path = b"/socket.io/?EIO=4&transport=polling"
        writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
        return (await reader.read()).decode()
    finally:
        writer.close()
        await io.shutdown(grace=0)


@row("`allowRequest: (request, callback) => callback(null, true)`")
async def node_allow_request() -> None:
    for decision, expected in ((None, "200"), (True, "200"), (False, "403"), ("no", "403")):

        def f(request: HttpRequest, decision: bool | str | None = decision) -> bool | str | None:
            return decision

        assert (await handshake(SocketServer(allow_request=f))).split()[1] == expected


@row("`io.engine.use((request, response, next) => next())`")
async def node_engine_use() -> None:
    io = SocketServer()
    answers: list[HttpResponse | None] = [None, HttpResponse(418)]
    io.engine.use(lambda request: answers.pop(0))
    assert (await handshake(io)).split()[1] == "200"
    assert (await handshake(io)).split()[1] == "418"


@row('`io.engine.on("connection_error", (error) => ...)`')
async def node_connection_error() -> None:
    io = SocketServer(allow_request=lambda request: "no")
    errors: list[ConnectionRefusal] = []
    io.engine.on("connection_error", errors.append)
    await handshake(io)
    (error,) = errors
    assert (error.code, error.message, error.context) == (4, "Forbidden", {"message": "no"})
    assert error.request.headers["host"] == "a"


@row('`io.engine.on("headers", (headers, request) => ...)`')
async def node_headers() -> None:
    io = SocketServer()

    def f(headers: dict[str, str], request: HttpRequest) -> None:
        headers["x-host"] = request.headers["host"]

    io.engine.on("headers", f)
    assert "x-host: a\r\n" in (await handshake(io)).lower()


@row('`cookie: { name: "io", sameSite: "strict" }`')
async def node_cookie() -> None:
    io = SocketServer(cookie=Cookie(name="io", same_site="strict"))
    cookie = re.search(r"set-cookie: (.*)\r\n", await handshake(io), re.IGNORECASE)
    assert cookie is not None
    assert re.fullmatch(r"io=\S+; Path=/; HttpOnly; SameSite=Strict", cookie[1])


@row("`socket.conn.transport.name`")
async def node_transport() -> None:
    async with pair() as test:
        assert test.socket.session.transport.name == "websocket"


@row("`await io.allSockets()`")
async def node_all_sockets() -> None:
    async with pair() as test:
        ids = {socket.id for socket in await test.io.fetch_sockets()}
        assert ids == {test.a.id, test.b.id}


@row('`io.in("a").socketsLeave("b")`')
async def node_sockets_leave() -> None:
    async with pair() as test:
        await test.socket.join(["a", "b"])
        test.io.in_("a").sockets_leave("b")
        assert test.socket.rooms == {test.socket.id, "a"}


@row("`io.disconnectSockets(true)`")
async def node_disconnect_sockets() -> None:
    async with pair() as test:
        test.io.disconnect_sockets(close=True)
        assert not test.a.connected
        assert test.a.connection.is_closed


@row('`socket.leave("a")`')
async def node_leave() -> None:
    async with pair() as test:
        await test.socket.join("a")
        await test.socket.leave("a")
        assert "a" not in test.socket.rooms


@row("`socket.nsp.name`")
async def node_namespace_name() -> None:
    async with pair() as test:
        assert test.socket.namespace.name == "/"


@row("`socket.recovered`")
async def node_recovered() -> None:
    async with pair() as test:
        assert not test.socket.recovered


@row("`socket.disconnected`")
async def node_disconnected() -> None:
    async with pair() as test:
        socket = test.socket
        assert socket.connected
        socket.disconnect()
        assert not socket.connected


@row("`socket.request.headers.cookie`")
async def node_request() -> None:
    async with TestServer(SocketServer()) as server:
        client = await server.connect(headers={"cookie": "a=1"})
        assert server.io.sockets[client.id].handshake.headers["cookie"] == "a=1"


@row("`socket.prependAny(f)`, `socket.offAny(f)`")
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


@row("`socket.onAnyOutgoing(f)`, `socket.offAnyOutgoing(f)`")
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


@row("`socket.prependAnyOutgoing(f)`")
async def node_prepend_any_outgoing() -> None:
    seen: list[int] = []
    async with pair() as test:
        for number in (1, 2):
            listen = functools.partial(lambda number, event: seen.append(number), number)
            test.socket.on_any_outgoing(listen, first=number == 2)
        test.socket.emit("x")
    assert seen == [2, 1]


@row("`socket.listenersAny()`, `socket.listenersAnyOutgoing()`")
async def node_listeners_any() -> None:
    async with pair() as test:
        assert not hasattr(test.socket, "listeners_any")


@row("`instrument(io, { auth })` of `@socket.io/admin-ui`")
async def instrumented() -> None:
    io = SocketServer()
    instrument(io, auth=False)
    async with TestServer(io) as server:
        assert (await server.connect("/admin")).connected


def test_each_row_has_a_check_and_each_check_a_row() -> None:
    row.compare()


@pytest.mark.parametrize("check", row.parameters())
async def test_row_works_as_described(check: Check) -> None:
    await check()
