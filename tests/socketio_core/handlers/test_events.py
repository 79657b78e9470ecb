"""Events: values, names, and the registration and removal of handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from socketio_core import MsgpackParser, Namespace, Socket, SocketServer, event
from socketio_core.testing import TestServer, settle
from tests.socketio_core.support import TcpServer

VALUES: list[Any] = [
    None, True, False, 0, -1, 2**53, 1.5, "", "text", "日本語 € \U0001f600", "\u2028\x1e\x00",
    [], {}, [1, [2, {"a": None}]], {"constructor": {"__proto__": 1}},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_value_arrives_unchanged_in_both_directions(value: Any) -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("x", lambda socket, each: seen.append(each))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x", value)
        assert seen == [value]
        io.emit("y", value)
        assert client.received == [("y", [value])]


async def test_event_has_any_number_of_arguments() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("x", lambda socket, *args: seen.append(args))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        client.emit("x", *range(100))
    assert seen == [(), tuple(range(100))]


async def test_large_event_is_received() -> None:
    io = SocketServer(max_http_buffer_size=10_000_000)
    seen: list[int] = []
    io.on("x", lambda socket, text: seen.append(len(text)))
    client = TcpServer(io).join("websocket")
    client.send('2["x","' + "a" * 3_000_000 + '"]')
    assert seen == [3_000_000]


async def test_extra_arguments_are_dropped() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("x", lambda socket, first: seen.append(first))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x", 1, 2, 3)
    assert seen == [1]


@pytest.mark.parametrize("wire", ["1", "1.0"])
async def test_numeric_event_name_is_converted_to_text_as_in_javascript(wire: str) -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("1", lambda socket, value: seen.append(value))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.send_text(f'2[{wire},"a"]')
    assert seen == ["a"]


@pytest.mark.parametrize(
    "name", ["connection", "error", "__proto__", "constructor", "toString", "message", "", "on"]
)
async def test_event_name_is_accepted_when_it_is_not_reserved(name: str) -> None:
    io = SocketServer()
    lifecycle: list[Any] = []
    unhandled: list[str] = []
    io.on("connection", lifecycle.append)
    io.on_unhandled(lambda socket, event: unhandled.append(event))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit(name)
        assert client.connected
        assert len(lifecycle) == 1, "an event of the client must not run the handler of the server"
    assert unhandled == [name]


async def test_event_named_error_reaches_its_handler() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.on("error", lambda socket, text: seen.append(text))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("error", "failed")
    assert seen == ["failed"]


@pytest.mark.parametrize(
    "name",
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"],
)
@pytest.mark.parametrize("parser", [None, MsgpackParser()], ids=["json", "msgpack"])
async def test_emit_rejects_a_reserved_event_name(name: str, parser: Any) -> None:
    io = SocketServer(**({"parser": parser} if parser else {}))
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        for emit in (
            socket.emit, socket.volatile.emit, io.emit, io.to("x").emit, socket.broadcast.emit,
        ):  # fmt: skip
            with pytest.raises(ValueError, match="reserved"):
                emit(name)
        with pytest.raises(ValueError, match="reserved"):
            await socket.emit_with_ack(name)
        assert client.received == []


async def test_send_emits_the_event_message() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        io.send(1)
        io.sockets[client.id].send(2)
        io.to(client.id).send(3)
        assert client.received == [("message", [1]), ("message", [2]), ("message", [3])]


async def test_emit_raises_when_the_value_cannot_be_sent() -> None:
    io = SocketServer()
    circular: list[Any] = []
    circular.append(circular)
    async with TestServer(io) as server:
        client = await server.connect()
        for value in (object(), circular, 2**70):
            with pytest.raises((TypeError, ValueError)):
                io.sockets[client.id].emit("x", value)
            with pytest.raises((TypeError, ValueError)):
                io.emit("x", value)
        assert client.received == []


async def test_emit_is_dropped_when_the_socket_has_left() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        client.disconnect()
        socket.emit("x")
        socket.volatile.emit("x")
        assert client.received == []


async def test_handlers_of_one_event_run_in_the_order_of_registration() -> None:
    io = SocketServer()
    seen: list[str] = []

    @io.on("x")
    def second(socket: Socket) -> None:
        seen.append("second")

    @io.prepend("x")
    def first(socket: Socket) -> None:
        seen.append("first")

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on("x", lambda: seen.append("own"))
        socket.prepend("x", lambda: seen.append("own first"))

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
    assert seen == ["first", "second", "own first", "own"]


async def test_handler_registered_once_runs_once() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.once("x", lambda socket: seen.append("once"))
    io.on("x", lambda socket: seen.append("on"))

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.once("x", lambda: seen.append("own once"))

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        client.emit("x")
    assert seen == ["once", "on", "own once", "on"]


async def test_off_removes_a_function_an_event_or_all_handlers() -> None:
    io = SocketServer()
    seen: list[str] = []

    def one(socket: Socket) -> None:
        seen.append("one")

    def two(socket: Socket) -> None:
        seen.append("two")

    for name in ("x", "y"):
        io.on(name, one)
        io.on(name, two)
    async with TestServer(io) as server:
        client = await server.connect()
        io.off("x", one)
        client.emit("x")
        io.off("x")
        client.emit("x")
        client.emit("y")
        io.off()
        client.emit("y")
    assert seen == ["two", "one", "two"]


async def test_off_removes_a_bound_method() -> None:
    class Board:
        def __init__(self) -> None:
            self.seen = 0

        def moved(self, *args: Any) -> None:
            self.seen += 1

    board = Board()
    io = SocketServer()
    io.on("x", board.moved)
    io.on_any(board.moved)

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on("x", board.moved)
        socket.off("x", board.moved)
        socket.on_any_outgoing(board.moved)
        socket.off_any_outgoing(board.moved)
        socket.emit("y")

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        assert board.seen == 2
        io.off("x", board.moved)
        io.off_any(board.moved)
        client.emit("x")
        assert board.seen == 2


async def test_handler_removes_itself_while_it_runs() -> None:
    io = SocketServer()
    seen: list[int] = []

    @io.on("x")
    def handler(socket: Socket) -> None:
        seen.append(1)
        io.off("x", handler)

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        client.emit("x")
    assert seen == [1]


async def test_register_adds_the_marked_methods_of_an_object() -> None:
    class Board:
        def __init__(self) -> None:
            self.joined: list[str] = []

        @event("connection")
        def connected(self, socket: Socket) -> None:
            self.joined.append(socket.id)

        @event("move")
        @event("shift")
        async def move(self, socket: Socket, to: int) -> int:
            return to + 1

    io = SocketServer()
    board = Board()
    io.of("/board").register(board)
    async with TestServer(io) as server:
        client = await server.connect("/board")
        assert board.joined == [client.id]
        assert await client.emit_with_ack("move", 1) == 2
        assert await client.emit_with_ack("shift", 2) == 3
        response = await client.emit_with_ack("move", "far")
        assert response["code"] == "VALIDATION_ERROR"


def test_register_refuses_an_object_without_marked_methods() -> None:
    with pytest.raises(TypeError, match="found no handler in object: mark its methods"):
        SocketServer().register(object())


class Marked:
    """A class with a marked method, and methods whose names have no meaning here."""

    on_call = print

    @event("say")
    def say(self, socket: Socket) -> None:
        pass

    def on_message(self, client: object) -> None:
        pass


class WithConnect(Marked):
    def on_connect(self, socket: Socket) -> None:
        pass


class WithSid(Marked):
    async def on_hi(self, sid: str, data: object) -> None:
        pass


class WithTrigger(Marked):
    async def trigger_event(self, event: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(("handlers", "name"), [
    (WithConnect, "on_connect"), (WithSid, "on_hi"), (WithTrigger, "trigger_event"),
])  # fmt: skip
def test_register_refuses_unmarked_methods_of_python_socketio(
    handlers: Callable[[], object], name: str
) -> None:
    io = SocketServer()
    with pytest.raises(TypeError, match=rf"{name} has no mark, .* a middleware, use\(f\)"):
        io.register(handlers())
    assert io.main.event_names() == []
    io.register(Marked())
    assert io.main.event_names() == ["say"]


def test_register_does_not_read_the_properties_of_an_object() -> None:
    class Board:
        @property
        def fragile(self) -> int:
            raise RuntimeError("the property was read")

        @event("x")
        def x(self, socket: Socket) -> None:
            pass

    SocketServer().register(Board())


async def test_event_without_a_handler_is_dropped_or_reaches_on_unhandled() -> None:
    io = SocketServer()
    namespace: Namespace = io.of("/")
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        assert client.connected
        namespace.on_unhandled(lambda socket, name, *args: {"unknown": name})
        assert await client.emit_with_ack("x", 1) == {"unknown": "x"}


async def test_events_before_and_after_an_upgrade_reach_the_same_socket() -> None:
    io = SocketServer()
    seen: list[int] = []
    io.on("x", lambda socket, value: seen.append(value))
    tcp = TcpServer(io)
    polling = tcp.open_polling()
    polling.send("0")
    polling.send('2["x",1]')
    websocket = polling.upgrade()
    websocket.send_packet("2probe")
    websocket.send_packet("5")
    websocket.send('2["x",2]')
    assert seen == [1, 2]
    io.emit("y")
    await settle()
    assert '2["y"]' in websocket.messages()


@pytest.mark.parametrize("register", [
    lambda io: io.on(5, print), lambda io: io.once(None, print), lambda io: io.off(b"x"),
    lambda io: io.use(3), lambda io: io.main.use_event("x"),
])  # fmt: skip
def test_registration_refuses_values_that_are_not_callable(register: Any) -> None:
    with pytest.raises(TypeError, match=r"as a string, got|must be a function, got"):
        register(SocketServer())
