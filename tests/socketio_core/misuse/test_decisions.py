"""Checks deny when they cannot decide: recovery, middleware, connection handlers and namespaces."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import ConnectError, Recovery, Socket, SocketServer
from socketio_core.testing import TestServer, settle
from tests.socketio_core.misuse.support import async_callback, connect_with


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


@pytest.mark.parametrize("decision", [0, "", 1, "no", (False,), {"allow": False}])
@pytest.mark.parametrize("is_async", [False, True])
async def test_namespace_function_that_returns_another_type_denies(
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
