"""Misuse is rejected where it happens, with a text that names the remedy."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import threading
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

import msgspec
import pytest

from socketio_core import (
    AckError,
    ConnectError,
    JsonParser,
    MsgpackParser,
    Namespace,
    Recovery,
    Socket,
    SocketServer,
    event,
)
from socketio_core.testing import TestClient, TestServer, settle

Register = Callable[[SocketServer, Any], Any]


class Order(msgspec.Struct):
    item: str


class OrderDict(TypedDict):
    """A payload as a dictionary."""

    item: str


async def connect_with(io: SocketServer) -> tuple[TestServer, TestClient, Socket]:
    """Return a server with one client and the socket of the client."""
    server = TestServer(io)
    client = await server.connect()
    return server, client, io.sockets[client.id]


# -- functions that would never run


async def async_callback(*args: Any) -> None:
    pass


def generator(*args: Any) -> Any:
    yield args


async def async_generator(*args: Any) -> Any:
    yield args


class AsyncCallable:
    """An object whose call returns a coroutine."""

    async def __call__(self, *args: Any) -> None:
        pass


class GeneratorCallable:
    """An object whose call returns a generator."""

    def __call__(self, *args: Any) -> Any:
        yield args

    def method(self, *args: Any) -> Any:
        yield args


GENERATORS = [
    generator, async_generator, functools.partial(generator, 1), GeneratorCallable(),
    GeneratorCallable().method, functools.partial(GeneratorCallable(), 1),
]  # fmt: skip
ASYNC_FUNCTIONS = [async_callback, functools.partial(async_callback), AsyncCallable(),
                   functools.partial(AsyncCallable()), AsyncCallable().__call__]  # fmt: skip
REGISTRATIONS: dict[str, Register] = {
    "on": lambda io, function: io.on("x", function),
    "on as decorator": lambda io, function: io.on("x")(function),
    "once": lambda io, function: io.once("x", function),
    "prepend": lambda io, function: io.prepend("x", function),
    "on connection": lambda io, function: io.on("connection", function),
    "on_any": lambda io, function: io.on_any(function),
    "on_unhandled": lambda io, function: io.on_unhandled(function),
    "on_server_event": lambda io, function: io.on_server_event("x", function),
    "use": lambda io, function: io.use(function),
    "use_event": lambda io, function: io.use_event(function),
    "on_error": lambda io, function: io.on_error(function),
    "on_room_event": lambda io, function: io.on_room_event(function),
    "on_new_namespace": lambda io, function: io.on_new_namespace(function),
    "of": lambda io, function: io.of(function),
    "namespace": lambda io, function: io.of("/a").on("x", function),
    "parent": lambda io, function: io.of(lambda name, auth: True).on("x", function),
}


@pytest.mark.parametrize("function", GENERATORS, ids=range(len(GENERATORS)))
@pytest.mark.parametrize("register", REGISTRATIONS.values(), ids=REGISTRATIONS)
def test_registration_refuses_a_generator(register: Register, function: Any) -> None:
    with pytest.raises(TypeError, match=r"must not be a generator, .* replace 'yield' by 'return'"):
        register(SocketServer(), function)


@pytest.mark.parametrize("register", REGISTRATIONS.values(), ids=REGISTRATIONS)
@pytest.mark.parametrize("value", [None, 5, "name"])
def test_registration_refuses_a_value_that_is_not_callable(register: Register, value: Any) -> None:
    if register is REGISTRATIONS["of"] and isinstance(value, str):
        return  # the name of a namespace
    with pytest.raises(TypeError, match=f"must be a function, got {value!r}"):
        register(SocketServer(), value)


@pytest.mark.parametrize("function", ASYNC_FUNCTIONS, ids=range(len(ASYNC_FUNCTIONS)))
@pytest.mark.parametrize(("register", "remedy"), [
    (REGISTRATIONS["on_room_event"], "asyncio.create_task"),
    (REGISTRATIONS["on_new_namespace"], "asyncio.create_task"),
    (lambda io, function: Recovery(still_valid=function), "decide in a middleware"),
    (lambda io, function: SocketServer(error_ack=function), "compute it without await"),
])  # fmt: skip
def test_synchronous_callback_refuses_an_async_function(
    register: Register, remedy: str, function: Any
) -> None:
    with pytest.raises(TypeError, match=f"must be a plain function, .*{remedy}"):
        register(SocketServer(), function)


@pytest.mark.parametrize(("register", "function", "call"), [
    (REGISTRATIONS["use"], lambda socket, proceed: None, r"f\(socket\)"),
    (REGISTRATIONS["use_event"], lambda event: None, r"f\(socket, event\)"),
    (REGISTRATIONS["on_error"], lambda error: None, r"f\(error, socket, event\)"),
    (REGISTRATIONS["on_room_event"], lambda room: None, r"f\(event, room, socket_id\)"),
    (REGISTRATIONS["on_new_namespace"], lambda: None, r"f\(namespace\)"),
    (REGISTRATIONS["of"], lambda name: True, r"f\(name, auth\)"),
    (lambda io, function: Recovery(still_valid=function), lambda: True, r"f\(data\)"),
    (lambda io, function: SocketServer(error_ack=function), lambda: True, r"f\(error\)"),
])  # fmt: skip
def test_registration_refuses_a_function_with_other_parameters(
    register: Register, function: Any, call: str
) -> None:
    with pytest.raises(TypeError, match=f"is called as {call}, .* declare"):
        register(SocketServer(), function)


class AsyncParser(JsonParser):
    """A parser that cannot be called without await."""

    async def encode_ack(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        """Encode an ack too late."""


@pytest.mark.parametrize(("parser", "text"), [
    (AsyncParser(), r"parser.encode_ack\(\) must be a plain function"),
    ("json", r"parser must be a parser such as MsgpackParser\(\)"),
    (MsgpackParser, r"parser must be a parser such as MsgpackParser\(\)"),
])  # fmt: skip
def test_server_refuses_a_parser_that_cannot_work(parser: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        SocketServer(parser=parser)


@pytest.mark.parametrize("function", ASYNC_FUNCTIONS, ids=range(len(ASYNC_FUNCTIONS)))
async def test_async_ack_callback_runs(function: Any) -> None:
    ran: list[Any] = []

    async def callback(*args: Any) -> None:
        await asyncio.sleep(0)
        await function(*args)
        ran.append(args)

    server, client, socket = await connect_with(SocketServer())
    async with server:
        client.auto_ack = lambda name, args: "answer"
        socket.emit("x", ack=callback)
        socket.emit("x", ack=function)
        await settle()
    assert ran == [("answer",)]


async def test_async_ack_callback_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def callback(*args: Any) -> None:
        raise RuntimeError("broken callback")

    server, client, socket = await connect_with(SocketServer())
    async with server:
        client.auto_ack = lambda name, args: None
        socket.emit("x", ack=callback)
        await settle()
    assert "broken callback" in caplog.text


@pytest.mark.parametrize("ack", [generator, async_generator, GeneratorCallable(), 5])
async def test_emit_refuses_an_ack_callback_that_never_runs(ack: Any) -> None:
    server, _, socket = await connect_with(SocketServer())
    async with server:
        with pytest.raises(TypeError, match="ack must"):
            socket.emit("x", ack=ack)


async def test_async_error_listener_runs() -> None:
    io = SocketServer()
    seen: list[str] = []

    @io.on_error
    async def note(error: BaseException, socket: Any, event: str) -> None:
        await asyncio.sleep(0)
        seen.append(str(error))

    @io.on("x")
    def fail(socket: Socket) -> None:
        raise RuntimeError("broken handler")

    server, client, _ = await connect_with(io)
    async with server:
        client.emit("x")
        await settle()
    assert seen == ["broken handler"]


async def test_async_error_listener_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    io = SocketServer()

    @io.on_error
    async def note(error: BaseException, socket: Any, event: str) -> None:
        raise RuntimeError("broken listener")

    io.on("x", lambda socket: 1 / 0)
    server, client, _ = await connect_with(io)
    async with server:
        client.emit("x")
        await settle()
    assert "broken listener" in caplog.text


@pytest.mark.parametrize("function", ASYNC_FUNCTIONS, ids=range(len(ASYNC_FUNCTIONS)))
async def test_async_outgoing_listener_runs(function: Any) -> None:
    ran: list[Any] = []

    async def listener(*args: Any) -> None:
        await function(*args)
        ran.append(args)

    server, _, socket = await connect_with(SocketServer())
    async with server:
        socket.on_any_outgoing(listener)
        socket.emit("x", 1)
        await settle()
    assert ran == [("x", 1)]


@pytest.mark.parametrize("function", GENERATORS, ids=range(len(GENERATORS)))
async def test_socket_refuses_a_generator(function: Any) -> None:
    server, _, socket = await connect_with(SocketServer())
    async with server:
        for register in (
            socket.on_any_outgoing, socket.on_any, socket.use, socket.use_event,
            lambda function: socket.on("x", function),
        ):  # fmt: skip
            with pytest.raises(TypeError, match="must not be a generator"):
                register(function)


# -- checks deny unless they can decide


@pytest.mark.parametrize("still_valid", [
    lambda data: asyncio.sleep(0, True), lambda data: async_callback(), lambda data: None,
    lambda data: 1 / 0, lambda data: 1, lambda data: "yes", lambda data: (True,),
])  # fmt: skip
async def test_recovery_is_denied_when_still_valid_cannot_decide(still_valid: Any) -> None:
    server, client, socket = await connect_with(
        SocketServer(recovery=Recovery(still_valid=still_valid))
    )
    async with server:
        socket.emit("x")
        client.connection.cut()
        again = await server.connect(recovering=client)
        assert again.id != client.id


async def test_awaitable_from_still_valid_is_logged_and_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    coroutine = async_callback()
    recovery = Recovery(still_valid=lambda data: coroutine)  # type: ignore[arg-type,return-value]
    server, client, socket = await connect_with(SocketServer(recovery=recovery))
    async with server:
        socket.emit("x")
        client.connection.cut()
        await server.connect(recovering=client)
    assert "still_valid must not return an awaitable" in caplog.text
    with pytest.raises(RuntimeError, match="cannot reuse"):
        await coroutine


@pytest.mark.parametrize("outcome", [False, asyncio.sleep])
async def test_middleware_that_returns_false_refuses(outcome: Any) -> None:
    io = SocketServer()
    io.use((lambda socket: outcome(0, False)) if callable(outcome) else lambda socket: outcome)
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="connection refused"):
            await server.connect()
        assert not io.sockets


@pytest.mark.parametrize("outcome", [None, True])
async def test_middleware_that_returns_none_or_true_accepts(outcome: Any) -> None:
    io = SocketServer()
    io.use(lambda socket: outcome)
    io.use(lambda socket: asyncio.sleep(0, outcome))
    io.use(lambda socket: socket.emit("hello"))
    io.use(lambda socket: socket.join("room"))
    async with TestServer(io) as server:
        client = await server.connect()
        assert [name for name, _ in client.received] == ["hello"]


@pytest.mark.parametrize("outcome", [0, "", "no", [], {}, object(), (False,)])
async def test_middleware_that_returns_another_value_refuses(
    outcome: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for middleware in (lambda socket: outcome, lambda socket: asyncio.sleep(0, outcome)):
        io = SocketServer()
        io.use(middleware)
        async with TestServer(io) as server:
            with pytest.raises(ConnectError, match="internal error"):
                await server.connect()
            assert not io.sockets
    assert "must return None or True to accept and False to refuse" in caplog.text


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("outcome", "code"), [(False, "REFUSED"), (0, "HANDLER_ERROR")])
async def test_event_middleware_that_does_not_accept_stops_the_event(
    is_async: bool, own: bool, outcome: Any, code: str
) -> None:
    io = SocketServer()
    seen: list[str] = []
    io.on("x", lambda socket: seen.append("x"))

    def middleware(*args: Any) -> Any:
        return asyncio.sleep(0, outcome) if is_async else outcome

    server, client, socket = await connect_with(io)
    async with server:
        if own:
            socket.use(middleware)
        else:
            io.use_event(middleware)
        assert (await client.emit_with_ack("x"))["code"] == code
        client.emit("x")
        await settle()
        assert seen == []
        assert client.connected


async def test_second_async_event_middleware_stops_the_event() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.on("x", lambda socket: seen.append("x"))
    io.use_event(lambda socket, event: asyncio.sleep(0))
    io.use_event(lambda socket, event: asyncio.sleep(0, False))
    server, client, _ = await connect_with(io)
    async with server:
        assert (await client.emit_with_ack("x"))["code"] == "REFUSED"
    assert seen == []


@pytest.mark.parametrize("name", ["connect", "connection"])
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("raises", [False, True])
async def test_connection_handler_that_refuses_disconnects_the_socket(
    name: str, is_async: bool, raises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    io = SocketServer()

    def refuse(socket: Socket) -> Any:
        if raises:
            raise ConnectError("Unauthorized")
        return False

    async def refuse_later(socket: Socket) -> Any:
        await asyncio.sleep(0)
        return refuse(socket)

    io.on(name, refuse_later if is_async else refuse)
    async with TestServer(io) as server:
        client = await server.connect()
        await settle()
        assert not client.connected
        assert not io.sockets
        io.emit("secret")
        assert client.received == []
    assert "refuse clients in a middleware, @io.use" in caplog.text


async def test_connection_handler_that_fails_leaves_the_client_connected() -> None:
    io = SocketServer()
    errors: list[BaseException] = []
    io.on_error(lambda error, socket, event: errors.append(error))
    io.on("connection", lambda socket: 1 / 0)
    server, client, _ = await connect_with(io)
    async with server:
        assert client.connected
    assert [type(error) for error in errors] == [ZeroDivisionError]


async def test_namespace_function_that_cannot_decide_denies() -> None:
    for match in (lambda name, auth: None, lambda name, auth: asyncio.sleep(0)):
        io = SocketServer()
        io.of(match)
        async with TestServer(io) as server:
            with pytest.raises(ConnectError, match="Invalid namespace"):
                await server.connect("/a")


async def test_awaitable_from_a_synchronous_listener_is_closed_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()
    io.on_room_event(lambda *args: async_callback())  # type: ignore[arg-type,return-value]
    io.on_new_namespace(lambda namespace: async_callback())
    async with TestServer(io) as server:
        await server.connect()
        io.of("/a")
    assert "a listener of on_room_event must not return an awaitable" in caplog.text
    assert "a listener of on_new_namespace must not return an awaitable" in caplog.text


# -- handlers without the socket


def first_sid(sid: str, environ: dict[str, Any], auth: Any) -> None:
    """Have the signature of python-socketio's connect handler."""


def first_dict(data: dict[str, Any]) -> None:
    pass


def first_struct(order: Order) -> None:
    pass


def first_typed_dict(order: OrderDict) -> None:
    pass


def first_union(order: str | None) -> None:
    pass


def first_list(orders: list[int]) -> None:
    pass


def first_bare(data) -> None:  # type: ignore[no-untyped-def]
    pass


@pytest.mark.parametrize("function", [
    first_sid, first_dict, first_struct, first_typed_dict, first_union, first_list, first_bare,
    lambda environ: None, lambda payload, other=1: None, lambda message: None,
    functools.partial(first_dict), lambda: None, lambda **options: None,
])  # fmt: skip
def test_handler_without_the_socket_is_refused(function: Any) -> None:
    for register in ("on", "on connection", "on_any", "on_unhandled"):
        with pytest.raises(TypeError, match="must take the socket as its first parameter"):
            REGISTRATIONS[register](SocketServer(), function)


def test_refusal_of_a_handler_without_the_socket_names_the_signature() -> None:
    with pytest.raises(TypeError, match=r"write def first_sid\(socket: Socket, .*socket.handshake"):
        SocketServer().on("connect", first_sid)


AnySocket = TypeVar("AnySocket", bound=Socket)
Unbound = TypeVar("Unbound")


class Data(msgspec.Struct):
    """The data of a socket."""

    user: str = ""


def takes_socket(socket: Socket) -> None:
    pass


def takes_generic(socket: Socket[Data]) -> None:
    """Accept a socket with typed data."""


def takes_any(data: Any) -> None:
    pass


def takes_object(data: object) -> None:
    pass


def takes_union(socket: Socket | Namespace) -> None:
    pass


def takes_variable(socket: AnySocket) -> AnySocket:
    return socket


def takes_unbound(socket: Unbound) -> Unbound:
    return socket


def takes_unknown(socket: NotDefinedAtRunTime) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Accept a type that only the type checker sees."""


@pytest.mark.parametrize("function", [
    takes_socket, takes_generic, takes_any, takes_object, takes_union, takes_variable,
    takes_unbound, takes_unknown, lambda s: None, lambda *args: None, lambda client: None, print,
])  # fmt: skip
def test_handler_with_the_socket_is_accepted(function: Any) -> None:
    SocketServer().on("x", function)


@pytest.mark.parametrize("function", [takes_socket, takes_generic, lambda socket: None])
async def test_handler_of_a_socket_must_not_take_the_socket(function: Any) -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        for register in (
            lambda function: socket.on("x", function), socket.on_any, socket.on_any_outgoing,
            lambda function: io.on_server_event("x", function),
        ):  # fmt: skip
            with pytest.raises(TypeError, match=r"must not take the socket: .* remove the param"):
                register(function)


@pytest.mark.parametrize(("name", "function"), [
    ("connect", lambda socket, environ: None),
    ("connection", lambda socket, auth, more: None),
    ("disconnect", lambda socket, reason, description, more: None),
    ("disconnecting", lambda socket, reason, description, more: None),
])  # fmt: skip
def test_lifecycle_handler_with_more_parameters_is_refused(name: str, function: Any) -> None:
    with pytest.raises(
        TypeError, match=r"called with the socket.* requires more .*socket\.handshake"
    ):
        SocketServer().on(name, function)


@pytest.mark.parametrize("name", ["disconnect", "disconnecting"])
async def test_lifecycle_handler_of_a_socket_with_more_parameters_is_refused(name: str) -> None:
    server, _, socket = await connect_with(SocketServer())
    async with server:
        with pytest.raises(TypeError, match="called with the reason and the description, but"):
            socket.on(name, lambda reason, description, more: None)


# -- names of events


@pytest.mark.parametrize(("register", "error", "text"), [
    (lambda io: io.on(takes_socket), TypeError, r"write @on\('takes_socket'\) above"),
    (lambda io: io.once(takes_socket), TypeError, r"write @once\('takes_socket'\)"),
    (lambda io: io.on("x", None), TypeError, "a handler must be a function, got None"),
    (lambda io: io.on(""), ValueError, "needs the name of an event"),
    (lambda io: io.on("*", takes_socket), ValueError, "use on_any"),
    (lambda io: io.on(5), TypeError, "needs the name of the event as a string"),
    (lambda io: io.on("connect_error"), ValueError, "use another name"),
    (lambda io: io.on_server_event(takes_socket), TypeError, "needs the name of the event"),
    (lambda io: event(takes_socket), TypeError, r"write @event\('takes_socket'\)"),
    (lambda io: io.register(AsyncCallable), TypeError, r"write register\(AsyncCallable\(\)\)"),
    (lambda io: io.register(AsyncCallable()), TypeError, "mark its methods with @event"),
    (lambda io: io.emit(5), TypeError, "must be a string, got 5"),
    (lambda io: io.emit(None), TypeError, "must be a string, got None"),
    (lambda io: io.emit(b"x"), TypeError, "must be a string"),
    (lambda io: io.emit("disconnect"), ValueError, "reserved event name: use another name"),
    (lambda io: io.to("a").emit(5), TypeError, "must be a string, got 5"),
    (lambda io: io.server_side_emit(5), TypeError, "must be a string, got 5"),
    (lambda io: io.server_side_emit("connection"), ValueError, "use another name"),
    (lambda io: io.of(lambda name, auth: True).emit(5), TypeError, "must be a string, got 5"),
])  # fmt: skip
def test_wrong_event_name_is_refused(register: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        register(SocketServer())


@pytest.mark.parametrize(("name", "error"), [
    (5, TypeError), (1.5, TypeError), (None, ValueError), ("connect", ValueError),
])  # fmt: skip
async def test_socket_refuses_a_wrong_event_name(name: Any, error: Any) -> None:
    server, _, socket = await connect_with(SocketServer())
    async with server:
        with pytest.raises(error, match="event name"):
            socket.emit(name)
        with pytest.raises((TypeError, ValueError), match="event name"):
            socket.volatile.emit(name)
        with pytest.raises((TypeError, ValueError), match="event name"):
            socket.emit(name, ack=async_callback)
        with pytest.raises((TypeError, ValueError), match="event name"):
            await socket.emit_with_ack(name)


# -- rooms, durations, keywords


@pytest.mark.parametrize("room", [5, None, 1.5, b"room", {"room": 1}, [5], ("a", None)])
async def test_room_that_is_not_a_string_is_refused(room: Any) -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        for method in (
            io.to, io.in_, io.except_, io.sockets_join, io.sockets_leave, io.to("a").to,
            socket.to, socket.in_, socket.except_, socket.join, socket.leave,
            io.of(lambda name, auth: True).to, io.of(lambda name, auth: True).except_,
        ):  # fmt: skip
            with pytest.raises(TypeError, match=r"a room name must be a string, got .* write"):
                method(room)


async def test_several_rooms_may_be_passed_by_position_or_as_a_list() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b, c = [await server.connect() for _ in range(3)]
        io.sockets[a.id].join("a", "both")
        io.sockets[b.id].join(["b"], "both")
        io.to("a", "b").emit("1")
        io.in_(["a", "b"]).emit("2")
        io.except_("a", "b").emit("3")
        io.sockets[c.id].to("a", ["b"]).emit("4")
        assert [name for name, _ in a.received] == ["1", "2", "4"]
        assert [name for name, _ in b.received] == ["1", "2", "4"]
        assert [name for name, _ in c.received] == ["3"]
        io.sockets_join("x", "y")
        assert io.main.rooms["x"] == io.main.rooms["y"] == {a.id, b.id, c.id}
        io.sockets_leave("x", "y")
        io.sockets[a.id].leave("a", "both")
        assert set(io.main.rooms) == {"b", "both", a.id, b.id, c.id}


@pytest.mark.parametrize("rooms", [(), ([],), (set(),), ((), [])])
async def test_to_without_a_room_does_not_reach_all_sockets(rooms: Any) -> None:
    io = SocketServer()
    server, client, socket = await connect_with(io)
    async with server:
        for target in (io, io.main, socket, io.of(lambda name, auth: True), io.to("a")):
            with pytest.raises(ValueError, match="to reach all sockets, leave to"):
                target.to(*rooms)
        assert client.received == []


@pytest.mark.parametrize("seconds", [5000, 10_000, -1, float("nan"), "5", None, True])
async def test_timeout_in_milliseconds_is_refused(seconds: Any) -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    text = "did you mean 5|did you mean 10|must be a number of seconds"
    async with server:
        for target in (io, io.to("a"), socket, socket.volatile):
            with pytest.raises(ValueError, match=text):
                target.timeout(seconds)


@pytest.mark.parametrize(("options", "text"), [
    ({"connect_timeout": 45_000}, "connect_timeout must be at most 3600 .* did you mean 45?"),
    ({"refused_timeout": 10_000}, "did you mean 10?"),
    ({"handler_timeout": 5_000_000}, "did you mean 5000?"),
    ({"serialize_handlers": "yes"}, "serialize_handlers must be True or False"),
])  # fmt: skip
def test_option_with_a_wrong_value_is_refused(options: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        SocketServer(**options)


def test_recovery_duration_in_milliseconds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at most 86400 seconds, got 120000: did you mean 120\?"):
        Recovery(max_disconnection_duration=2 * 60 * 1000)


@pytest.mark.parametrize(("keyword", "remedy"), [
    ("to", r"\.to\(room\)\.emit"), ("room", r"\.to\(room\)\.emit"), ("skip_sid", "except_"),
    ("namespace", r"io\.of\(namespace\)\.emit"), ("callback", "emit_with_ack"),
    ("include_self", "broadcast"), ("ignore_queue", "local"), ("volatile", r"\.volatile\.emit"),
    ("data", "by position"),
])  # fmt: skip
async def test_emit_refuses_keywords_of_other_libraries(keyword: str, remedy: str) -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        for target in (io, io.main, io.to("a"), socket, socket.volatile, socket.broadcast,
                       io.of(lambda name, auth: True)):  # fmt: skip
            with pytest.raises(TypeError, match=f"emit.. has no keyword '{keyword}': .*{remedy}"):
                target.emit("x", **{keyword: "value"})  # type: ignore[attr-defined]


async def test_broadcast_refuses_an_ack_callback() -> None:
    with pytest.raises(TypeError, match=r"answers = await .emit_with_ack"):
        SocketServer().emit("x", ack=print)  # type: ignore[arg-type]


async def test_awaiting_emit_names_the_remedy() -> None:
    io = SocketServer()
    server, _, socket = await connect_with(io)
    async with server:
        calls: list[Callable[[], Any]] = [
            lambda: io.emit("x"), lambda: io.send("x"), lambda: io.to("a").emit("x"),
            lambda: socket.emit("x"), lambda: socket.send("x"), lambda: socket.volatile.emit("x"),
            lambda: io.of(lambda name, auth: True).emit("x"), lambda: socket.emit("x", ack=print),
            socket.disconnect,
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(TypeError, match=r"must not be awaited: remove 'await', or use"):
                await call()


@pytest.mark.parametrize("handlers", [1, 2])
async def test_handler_that_returns_the_result_of_emit_acks_without_arguments(
    handlers: int,
) -> None:
    io = SocketServer()
    for _ in range(handlers):
        io.on("x", lambda socket: socket.emit("y"))
    server, client, _ = await connect_with(io)
    async with server:
        assert await client.emit_with_ack("x") is None


# -- names of other libraries


@pytest.mark.parametrize(("name", "equivalent"), [
    ("enter_room", r"socket\.join\(room\)"), ("save_session", r"socket\.data"),
    ("get_session", r"socket\.data"), ("start_background_task", r"asyncio\.create_task"),
    ("attach", r"io\.mount\(app\)"), ("emitWithAck", r"emit_with_ack"), ("event", r"@io\.on"),
    ("fetchSockets", r"fetch_sockets"), ("register_namespace", r"register\(object\)"),
])  # fmt: skip
def test_server_names_the_equivalent_of_a_foreign_name(name: str, equivalent: str) -> None:
    io = SocketServer()
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'.*{equivalent}"):
        getattr(io, name)
    assert not hasattr(io, name)


def test_server_without_an_equivalent_raises_a_plain_error() -> None:
    with pytest.raises(AttributeError, match=r"SocketServer has no attribute 'nonsense'$"):
        SocketServer().nonsense  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("use", [
    lambda socket: socket.enter_room("a"), lambda socket: socket.namespace.enter_room("a"),
    lambda socket: socket.to("a").enter_room("a"),
])  # fmt: skip
async def test_error_of_a_handler_names_the_equivalent_of_a_foreign_name(
    use: Any, caplog: pytest.LogCaptureFixture
) -> None:
    io = SocketServer()
    io.on("x", use)
    server, client, _ = await connect_with(io)
    async with server:
        client.emit("x")
        await settle()
    assert "the equivalent of 'enter_room' here is socket.join(room)" in caplog.text


# -- values that cannot be sent


@pytest.mark.parametrize("parser", [JsonParser(), MsgpackParser()], ids=["json", "msgpack"])
@pytest.mark.parametrize("value", [object(), print, 2**64, {("a",): 1}, async_generator()])
async def test_value_that_cannot_be_sent_raises_with_and_without_clients(
    parser: Any, value: Any
) -> None:
    io = SocketServer(parser=parser)
    raised: list[str] = []
    calls: list[Callable[[], Any]] = [
        lambda: io.emit("x", value), lambda: io.to("a").emit("x", value),
        lambda: io.volatile.emit("x", value), lambda: io.of("/a").emit("x", value),
        lambda: io.server_side_emit("x", value),
    ]  # fmt: skip

    def attempt() -> None:
        for call in calls:
            with pytest.raises((TypeError, ValueError)) as error:
                call()
            raised.append(str(error.value))

    attempt()
    server, _, socket = await connect_with(io)
    async with server:
        attempt()
        calls = [lambda: socket.emit("x", value), lambda: socket.volatile.emit("x", value)]
        attempt()
        with pytest.raises((TypeError, ValueError)):
            await io.to("a").emit_with_ack("x", value)
    assert len(set(raised)) == 1


@pytest.mark.parametrize("is_async", [False, True])
async def test_result_that_cannot_be_sent_is_logged_in_one_line(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    io = SocketServer()

    async def later(socket: Socket) -> Any:
        await asyncio.sleep(0)
        return object()

    io.on("x", later if is_async else lambda socket: object())
    server, client, _ = await connect_with(io)
    async with server:
        assert (await client.emit_with_ack("x"))["code"] == "HANDLER_ERROR"
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info is None
    assert "\n" not in record.getMessage()
    assert "the handler returned a value that cannot be sent: a value of type" in caplog.text


async def test_result_that_is_an_awaitable_names_the_remedy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()
    io.on("x", lambda socket: asyncio.ensure_future(asyncio.sleep(0)))
    server, client, _ = await connect_with(io)
    async with server:
        await client.emit_with_ack("x")
    assert "await it first" in caplog.text


# -- threads


async def run_in_thread(call: Callable[[], Any]) -> BaseException | None:
    """Return the exception of a call in another thread."""
    caught: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return caught[0] if caught else None


async def test_emit_from_another_thread_is_refused() -> None:
    io = SocketServer()
    server, client, socket = await connect_with(io)
    async with server:
        calls: list[Callable[[], Any]] = [
            lambda: io.emit("x"), lambda: io.to("a").emit("x"), lambda: socket.emit("x"),
            lambda: socket.broadcast.emit("x"), lambda: socket.emit("x", ack=print),
            lambda: socket.volatile.emit("x"), socket.disconnect, io.disconnect_sockets,
        ]  # fmt: skip
        for call in calls:
            error = await run_in_thread(call)
            assert isinstance(error, RuntimeError)
            assert "loop.call_soon_threadsafe(io.emit, event, *args)" in str(error)
        assert client.received == []
        assert client.connected


async def test_emit_from_another_thread_works_with_call_soon_threadsafe() -> None:
    io = SocketServer()
    server, client, _ = await connect_with(io)
    loop = asyncio.get_running_loop()
    async with server:
        await run_in_thread(lambda: loop.call_soon_threadsafe(io.emit, "x", 1))
        assert await client.receive_event("x") == [1]


# -- log entries


async def test_first_event_without_a_handler_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server, client, _ = await connect_with(SocketServer())
    async with server:
        for _ in range(3):
            client.emit("unknown")
        for number in range(200):
            client.emit(f"unknown {number}")
        await settle()
    lines = [each for each in caplog.messages if "has no handler" in each]
    assert lines[0] == "event 'unknown' of namespace / has no handler"
    assert len(lines) == 100


async def test_event_with_a_catch_all_listener_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    io = SocketServer()
    io.on_any(lambda *args: None)
    io.of("/a").on_unhandled(lambda *args: None)
    async with TestServer(io) as server:
        for namespace in ("/", "/a"):
            client = await server.connect(namespace)
            client.emit("unknown")
        await settle()
    assert "has no handler" not in caplog.text


async def test_refused_client_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    io = SocketServer()

    @io.use
    def refuse(socket: Socket) -> None:
        raise ConnectError("Unauthorized")

    async with TestServer(io) as server:
        with pytest.raises(ConnectError):
            await server.connect()
        with pytest.raises(ConnectError):
            await server.connect("/nothing")
    assert "was refused by namespace '/': Unauthorized" in caplog.text
    assert "was refused by namespace '/nothing': Invalid namespace" in caplog.text


async def test_missing_arguments_are_named_to_the_client() -> None:
    io = SocketServer()
    io.on("x", lambda socket, room, text: None)
    server, client, _ = await connect_with(io)
    async with server:
        assert (await client.emit_with_ack("x", 1))["error"] == "missing argument: 'text'"
        assert (await client.emit_with_ack("x"))["error"] == "missing arguments: 'room', 'text'"


async def test_error_ack_that_returns_an_awaitable_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer(error_ack=lambda error: async_callback())

    @io.on("x")
    def fail(socket: Socket) -> None:
        raise AckError("NO", "no")

    server, client, _ = await connect_with(io)
    async with server:
        client.connection.send_text('20["x"]')
        await settle()
    assert "error_ack must not return an awaitable" in caplog.text


@pytest.mark.parametrize("decision", [0, "", 1, "no", (False,), {"allow": False}])
@pytest.mark.parametrize("is_async", [False, True])
async def test_namespace_function_that_returns_no_bool_denies(
    decision: Any, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def decide(name: str, auth: dict[str, Any]) -> Any:
        return decision

    io = SocketServer()
    io.of(decide if is_async else lambda name, auth: decision)
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="internal error"):
            await server.connect("/orders")
        assert "/orders" not in io.namespaces
    assert "the function of of() must return True or False" in caplog.text


async def test_namespace_function_that_returns_an_unawaited_check_denies() -> None:
    async def check() -> bool:
        return False

    async def forget_to_await(name: str, auth: dict[str, Any]) -> Any:
        return check()

    io = SocketServer()
    io.of(forget_to_await)
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="internal error"):
            await server.connect("/orders")
        assert "/orders" not in io.namespaces


@pytest.mark.parametrize("of_socket", [False, True])
@pytest.mark.parametrize("is_first", [False, True])
async def test_event_middleware_that_returns_an_unawaited_check_refuses(
    of_socket: bool, is_first: bool
) -> None:
    checks: list[Any] = []

    async def forget_to_await(*args: Any) -> Any:
        checks.append(async_callback())
        return checks[-1]

    io = SocketServer()
    io.on("x", lambda socket: "reached")
    server, client, socket = await connect_with(io)
    async with server:
        if not is_first:
            io.use_event(async_callback)
        if of_socket:
            socket.use(forget_to_await)
        else:
            io.use_event(forget_to_await)
        assert (await client.emit_with_ack("x"))["success"] is False
    for check in checks:
        check.close()


@pytest.mark.parametrize("is_late", [False, True])
async def test_connection_handler_that_raises_the_builtin_refusal_disconnects_the_socket(
    is_late: bool,
) -> None:
    io = SocketServer()

    @io.on("connect")
    async def refuse(socket: Socket) -> None:
        if is_late:
            await asyncio.sleep(0)
        raise ConnectionRefusedError("no")

    async with TestServer(io) as server:
        client = await server.connect()
        await settle()
        assert not client.connected
        assert not io.sockets


@pytest.mark.parametrize("is_late", [False, True])
async def test_connection_handler_that_returns_an_unawaited_check_disconnects_the_socket(
    is_late: bool,
) -> None:
    io = SocketServer()

    async def check() -> bool:
        return False

    @io.on("connect")
    async def forget_to_await(socket: Socket) -> Any:
        if is_late:
            await asyncio.sleep(0)
        return check()

    async with TestServer(io) as server:
        client = await server.connect()
        await settle()
        assert not client.connected


def test_unbound_method_is_refused_as_a_handler() -> None:
    class Orders:
        def place(self, socket: Socket) -> None:
            pass

    with pytest.raises(TypeError, match=r"first parameter is .self.: mark the method with @event"):
        SocketServer().on("place", Orders.place)


@pytest.mark.parametrize(("name", "remedy"), [
    ("*", "re.compile"), ("/*", "re.compile"), (r"^/org-\d+$", "re.compile"),
    ("/chat?token=1", "socket.handshake.query"),
])  # fmt: skip
def test_namespace_name_that_is_a_pattern_or_has_a_query_is_refused(name: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"must not contain .*{remedy}"):
        SocketServer().of(name)


def test_namespace_pattern_of_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must be text, got .*: remove the b"):
        SocketServer().of(re.compile(b"/x"))  # type: ignore[call-overload]


@pytest.mark.parametrize("value", ["bye", 1, 0, None])
async def test_flag_that_is_not_a_bool_is_refused(value: Any) -> None:
    io = SocketServer()
    server, client, socket = await connect_with(io)
    async with server:
        calls: list[Callable[[Any], Any]] = [
            socket.disconnect, socket.compress, socket.volatile.compress, io.compress,
            io.to("a").compress, io.disconnect_sockets, io.to("a").disconnect_sockets,
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(TypeError, match=f"must be True or False, got {value!r}"):
                call(value)
        assert client.connected


@pytest.mark.parametrize(("options", "text"), [
    ({"disconnect": "bye"}, "disconnect must be True or False"),
    ({"drain": 5000}, "drain must be at most 3600 seconds, got 5000: did you mean 5?"),
    ({"drain": -1}, "drain must be a number of seconds"), ({"grace": "2"}, "grace must be"),
])  # fmt: skip
async def test_shutdown_refuses_a_wrong_value_and_keeps_serving(options: Any, text: str) -> None:
    io = SocketServer()
    server, client, _ = await connect_with(io)
    async with server:
        with pytest.raises((TypeError, ValueError), match=text):
            await io.shutdown(**options)
        io.emit("still there")
        assert await client.receive_event("still there") == []


async def test_operator_of_one_socket_refuses_an_ack_callback_with_its_own_remedy() -> None:
    server, _, socket = await connect_with(SocketServer())
    async with server:
        for keyword in ("ack", "callback"):
            with pytest.raises(TypeError, match=r"use 'answer = await \.\.\.\.emit_with_ack"):
                socket.timeout(5).emit("x", **{keyword: print})  # type: ignore[arg-type]


def test_off_refuses_a_value_that_is_not_a_function() -> None:
    with pytest.raises(TypeError, match="must receive the registered function, got 5"):
        SocketServer().off("x", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("clock", [None, 5, asyncio])
def test_clock_without_timers_is_refused(clock: Any) -> None:
    with pytest.raises(TypeError, match="clock must be an object with the methods"):
        SocketServer().use_clock(clock)


@pytest.mark.parametrize("io", [None, 5, SocketServer])
def test_test_server_refuses_another_object(io: Any) -> None:
    with pytest.raises(TypeError, match="TestServer must receive a SocketServer, got"):
        TestServer(io)


@pytest.mark.parametrize(("arguments", "text"), [
    ({"namespace": "board"}, 'must start with "/", got .board.'),
    ({"auth": "token"}, "auth must be a dict, got .token."),
    ({"query": {"a": "b"}}, "query must be a string, got .*urlencode"),
])  # fmt: skip
async def test_test_client_refuses_wrong_arguments(arguments: Any, text: str) -> None:
    async with TestServer(SocketServer()) as server:
        with pytest.raises((TypeError, ValueError), match=text):
            await server.connect(**arguments)
