"""Functions that would never run are rejected at registration, and async callbacks are awaited."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import JsonParser, MsgpackParser, Recovery, Socket, SocketServer
from socketio_core.testing import settle
from tests.socketio_core.misuse.support import (
    ASYNC_FUNCTIONS,
    GENERATORS,
    REGISTRATIONS,
    GeneratorCallable,
    Register,
    async_generator,
    connect_with,
    generator,
)


@pytest.mark.parametrize("function", GENERATORS, ids=range(len(GENERATORS)))
@pytest.mark.parametrize("register", REGISTRATIONS.values(), ids=REGISTRATIONS)
def test_registration_refuses_a_generator(register: Register, function: Any) -> None:
    with pytest.raises(TypeError, match=r"must not be a generator, .* replace 'yield' by 'return'"):
        register(SocketServer(), function)


@pytest.mark.parametrize("register", REGISTRATIONS.values(), ids=REGISTRATIONS)
@pytest.mark.parametrize("value", [None, 5, "name"])
def test_registration_refuses_a_value_that_is_not_callable(register: Register, value: Any) -> None:
    if register is REGISTRATIONS["of"] and isinstance(value, str):
        assert register(SocketServer(), value), "the name of a namespace is valid"
        return
    with pytest.raises(TypeError, match=f"must be a function, got {value!r}"):
        register(SocketServer(), value)


@pytest.mark.parametrize("function", ASYNC_FUNCTIONS, ids=range(len(ASYNC_FUNCTIONS)))
@pytest.mark.parametrize(("register", "remedy"), [
    (REGISTRATIONS["on_room_event"], "asyncio.create_task"),
    (REGISTRATIONS["on_new_namespace"], "asyncio.create_task"),
    (lambda io, function: Recovery(still_valid=function), "decide in a middleware"),
    (lambda io, function: Recovery(offered_to=function), "the handshake"),
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
    (lambda io, function: Recovery(offered_to=function), lambda: True, r"f\(handshake\)"),
    (lambda io, function: SocketServer(error_ack=function), lambda: True, r"f\(error\)"),
])  # fmt: skip
def test_registration_refuses_a_function_with_other_parameters(
    register: Register, function: Any, call: str
) -> None:
    with pytest.raises(TypeError, match=f"is called as {call}, .* declare"):
        register(SocketServer(), function)


class AsyncParser(JsonParser):
    """Parser that cannot be called without await."""

    async def encode_ack(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        """Return a coroutine instead of the encoded ack."""


@pytest.mark.parametrize(("parser", "text"), [
    (AsyncParser(), r"parser.encode_ack\(\) must be a plain function"),
    ("json", r"parser must be a parser such as MsgpackParser\(\)"),
    (MsgpackParser, r"parser must be a parser such as MsgpackParser\(\)"),
])  # fmt: skip
def test_server_refuses_a_parser_that_cannot_work(parser: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        SocketServer(parser=parser)


@pytest.mark.parametrize("function", ASYNC_FUNCTIONS, ids=range(len(ASYNC_FUNCTIONS)))
async def test_async_ack_callback_is_awaited(function: Any) -> None:
    ran: list[Any] = []

    async def callback(*args: Any) -> None:
        await asyncio.sleep(0)
        await function(*args)
        ran.append(args)

    server, client, socket = await connect_with(SocketServer())
    async with server:
        client.auto_ack = lambda name, args: "ack"
        socket.emit("x", ack=callback)
        socket.emit("x", ack=function)
        await settle()
    assert ran == [("ack",)]


async def test_error_in_an_async_ack_callback_is_logged(caplog: pytest.LogCaptureFixture) -> None:
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


async def test_async_error_listener_is_awaited() -> None:
    io = SocketServer()
    seen: list[str] = []

    @io.on_error
    async def record(error: BaseException, socket: Any, event: str) -> None:
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


async def test_error_in_an_async_error_listener_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    io = SocketServer()

    @io.on_error
    async def record(error: BaseException, socket: Any, event: str) -> None:
        raise RuntimeError("broken listener")

    io.on("x", lambda socket: 1 / 0)
    server, client, _ = await connect_with(io)
    async with server:
        client.emit("x")
        await settle()
    assert "broken listener" in caplog.text


@pytest.mark.parametrize("function", ASYNC_FUNCTIONS, ids=range(len(ASYNC_FUNCTIONS)))
async def test_async_outgoing_listener_is_awaited(function: Any) -> None:
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
