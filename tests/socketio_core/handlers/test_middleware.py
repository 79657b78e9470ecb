"""Middleware functions that accept or refuse clients and events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import AckError, ConnectError, Socket, SocketServer
from socketio_core.testing import TestServer, settle


async def test_middleware_functions_run_in_order_before_the_connection_handler() -> None:
    io = SocketServer()
    seen: list[str] = []

    @io.use
    async def first(socket: Socket) -> None:
        await asyncio.sleep(0)
        seen.append("first")

    @io.use
    def second(socket: Socket) -> None:
        seen.append("second")

    @io.on("connection")
    def connected(socket: Socket) -> None:
        seen.append("connection")

    async with TestServer(io) as server:
        await server.connect()
    assert seen == ["first", "second", "connection"]


async def test_connect_error_reaches_the_client_with_its_data_and_ends_the_chain() -> None:
    io = SocketServer()
    seen: list[str] = []

    @io.use
    def refuse(socket: Socket) -> None:
        raise ConnectError("Unauthorized", data={"code": 42})

    io.use(lambda socket: seen.append("never"))
    io.on("connection", lambda socket: seen.append("never"))
    async with TestServer(io) as server:
        with pytest.raises(ConnectError) as refusal:
            await server.connect()
        assert refusal.value.message == "Unauthorized"
        assert refusal.value.data == {"code": 42}
        assert not io.sockets
    assert seen == []


async def test_connect_error_without_data_arrives_without_data() -> None:
    io = SocketServer()

    @io.use
    def refuse(socket: Socket) -> None:
        raise ConnectError("no")

    async with TestServer(io) as server:
        with pytest.raises(ConnectError) as refusal:
            await server.connect()
        assert refusal.value.data is None


async def test_connect_error_is_sent_without_its_data_when_the_data_cannot_be_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()

    @io.use
    def refuse(socket: Socket) -> None:
        raise ConnectError("no", data=object())

    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="no"):
            await server.connect()
    assert "the data of a ConnectError cannot be sent" in caplog.text


async def test_client_is_refused_without_the_error_text_when_a_middleware_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()

    @io.use
    async def fail(socket: Socket) -> None:
        raise KeyError("a secret")

    async with TestServer(io) as server:
        with pytest.raises(ConnectError) as refusal:
            await server.connect()
        assert refusal.value.message == "internal error"
    assert "a secret" in caplog.text


async def test_refused_client_leaves_its_rooms() -> None:
    io = SocketServer()

    @io.use
    async def refuse(socket: Socket) -> None:
        await socket.join("room")
        raise ConnectError("no")

    async with TestServer(io) as server:
        with pytest.raises(ConnectError):
            await server.connect()
        assert io.main.rooms == {}


async def test_each_namespace_has_its_own_middleware() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.use(lambda socket: seen.append("/"))
    io.of("/a").use(lambda socket: seen.append("/a"))
    async with TestServer(io) as server:
        await server.connect("/a")
        assert seen == ["/a"]
        await server.connect("/")
        assert seen == ["/a", "/"]


async def test_middleware_is_cancelled_after_the_connect_timeout() -> None:
    io = SocketServer(connect_timeout=3, ping_interval=1000)
    endings: list[str] = []

    @io.use
    async def endless(socket: Socket) -> None:
        await socket.join("room")
        try:
            await asyncio.Event().wait()
        finally:
            endings.append("cancelled")

    async with TestServer(io) as server:
        io.of("/other")
        other = await server.connect("/other")  # keeps the connection open
        joining = asyncio.ensure_future(server.connect("/", on_connection=other.connection))
        await server.advance(2.9)
        assert not joining.done()
        await server.advance(0.2)
        with pytest.raises(ConnectError, match="timeout"):
            await joining
        assert endings == ["cancelled"]
        assert "room" not in io.main.rooms


async def test_event_middleware_changes_the_event() -> None:
    io = SocketServer()
    seen: list[Any] = []

    @io.use_event
    def change(socket: Socket, event: list[Any]) -> None:
        event.insert(1, "inserted")
        event[0] = "renamed"

    io.on("renamed", lambda socket, *args: seen.append(args))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("original", 1)
    assert seen == [("inserted", 1)]


async def test_socket_has_its_own_middleware() -> None:
    io = SocketServer()
    seen: list[Any] = []

    @io.on("connection")
    def connected(socket: Socket) -> None:
        @socket.use
        def first(event: list[Any]) -> None:
            event.append("first")

        @socket.use
        async def second(event: list[Any]) -> None:
            await asyncio.sleep(0)
            event.append("second")

    io.on("x", lambda socket, *args: seen.append(args))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        await settle()
    assert seen == [("first", "second")]


@pytest.mark.parametrize("waits", [False, True])
async def test_event_middleware_error_stops_the_event_and_is_acked(
    waits: bool,
) -> None:
    io = SocketServer()
    seen: list[str] = []

    @io.use_event
    async def limit(socket: Socket, event: list[Any]) -> None:
        if waits:
            await asyncio.sleep(0)
        raise AckError("RATE_LIMITED", "slow down")

    io.on("x", lambda socket: seen.append("never"))
    async with TestServer(io) as server:
        client = await server.connect()
        response = await client.emit_with_ack("x")
        assert response == {"success": False, "error": "slow down", "code": "RATE_LIMITED"}
    assert seen == []


async def test_event_middleware_error_is_reported_when_no_ack_is_requested() -> None:
    io = SocketServer()
    errors: list[tuple[str, str]] = []

    @io.on_error
    def record(error: BaseException, socket: Any, event: str) -> None:
        errors.append((str(error), event))

    @io.use_event
    def stop(socket: Socket, event: list[Any]) -> None:
        raise ValueError("stopped")

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        assert client.connected
    assert errors == [("stopped", "x")]


async def test_later_events_of_a_socket_are_queued_while_a_middleware_runs() -> None:
    io = SocketServer()
    seen: list[int] = []
    gate = asyncio.Event()

    @io.use_event
    async def slow_first(socket: Socket, event: list[Any]) -> None:
        if event[1] == 1:
            await gate.wait()

    io.on("x", lambda socket, number: seen.append(number))
    async with TestServer(io) as server:
        client, other = await server.connect(), await server.connect()
        for number in (1, 2, 3):
            client.emit("x", number)
        other.emit("x", 100)
        await settle()
        assert seen == [100]
        gate.set()
        await settle()
    assert seen == [100, 1, 2, 3]


@pytest.mark.parametrize("caller", ["a middleware", "a listener"])
@pytest.mark.parametrize("addition", ["a handler", "a middleware"])
async def test_handler_added_during_an_event_receives_the_event(caller: str, addition: str) -> None:
    io = SocketServer()
    seen: list[Any] = []

    def add(socket: Socket) -> None:
        if addition == "a handler":
            socket.on("x", lambda number: seen.append(("own", number)))
        else:
            socket.use(lambda event: seen.append(("own", event[1])))

    if caller == "a middleware":
        io.use_event(lambda socket, event: add(socket) if event[1] == 1 else None)
    else:
        io.on_any(lambda socket, event, number: add(socket) if number == 1 else None)
    io.on("x", lambda socket, number: seen.append(number))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x", 1)
        client.emit("x", 2)
    assert sorted(map(str, seen)) == ["('own', 1)", "('own', 2)", "1", "2"]


@pytest.mark.parametrize("handlers", [1, 2])
@pytest.mark.parametrize("caller", ["a middleware", "a listener"])
async def test_event_is_dropped_when_the_socket_leaves_in_a_middleware(
    caller: str, handlers: int
) -> None:
    io = SocketServer()
    seen: list[str] = []
    if caller == "a middleware":
        io.use_event(lambda socket, event: socket.disconnect())
    else:
        io.on_any(lambda socket, event: socket.disconnect())
    for _ in range(handlers):
        io.on("x", lambda socket: seen.append("never"))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        assert not client.connected
    assert seen == []


async def test_cancelled_middleware_stops_the_event() -> None:
    io = SocketServer()

    @io.use_event
    def cancelled(socket: Socket, event: list[Any]) -> None:
        raise asyncio.CancelledError

    async with TestServer(io) as server:
        client = await server.connect()
        assert (await client.emit_with_ack("x"))["code"] == "HANDLER_ERROR"
        assert client.connected


@pytest.mark.parametrize("kind", ["plain", "async", "socket"])
async def test_middleware_that_empties_an_event_is_reported(kind: str) -> None:
    io = SocketServer()
    errors: list[BaseException] = []
    io.on_error(lambda error, socket, event: errors.append(error))
    io.on("x", lambda socket: None)

    async def empty_later(socket: Socket, event: list[Any]) -> None:
        await asyncio.sleep(0)
        event.clear()

    if kind == "socket":
        io.on("connection", lambda socket: socket.use_event(lambda event: event.clear()))
    else:
        io.use_event(empty_later if kind == "async" else lambda socket, event: event.clear())
    async with TestServer(io) as server:
        client = await server.connect()
        assert (await client.emit_with_ack("x"))["code"] == "HANDLER_ERROR"
        assert client.connected
    assert ["must keep the name" in str(error) for error in errors] == [True]
