"""Catch-all listeners for incoming and outgoing events."""

from __future__ import annotations

import asyncio
from typing import Any

from socketio_core import Socket, SocketServer
from socketio_core.testing import TestServer, settle


async def test_catch_all_listener_runs_before_the_handlers_of_each_event() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("x", lambda socket, *args: seen.append("handler"))

    @io.on_any
    def record_event(socket: Socket, event: str, *args: Any) -> None:
        seen.append((event, args))

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x", 1)
        client.emit("without a handler")
    assert seen == [("x", (1,)), "handler", ("without a handler", ())]


async def test_socket_has_its_own_catch_all_listeners() -> None:
    io = SocketServer()
    seen: list[Any] = []

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on_any(lambda event, *args: seen.append(("second", event, args)))
        socket.on_any(lambda event, *args: seen.append(("first", event)), first=True)

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x", 1)
    assert seen == [("first", "x"), ("second", "x", (1,))]


async def test_error_in_an_async_catch_all_listener_is_reported() -> None:
    io = SocketServer()
    seen: list[str] = []
    errors: list[str] = []
    io.on_error(lambda error, socket, event: errors.append(str(error)))

    @io.on_any
    async def record_event(socket: Socket, event: str) -> None:
        await asyncio.sleep(0)
        seen.append(event)
        raise ValueError("listener error")

    io.on("x", lambda socket: "ack")
    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x") == "ack"
        await settle()
    assert seen == ["x"]
    assert errors == ["listener error"]


async def test_off_any_removes_one_or_all_listeners() -> None:
    io = SocketServer()
    seen: list[str] = []

    def one(event: str) -> None:
        seen.append("one")

    def two(event: str) -> None:
        seen.append("two")

    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        socket.off_any()
        socket.on_any(one)
        socket.on_any(two)
        client.emit("x")
        socket.off_any(one)
        client.emit("x")
        socket.off_any()
        client.emit("x")
    assert seen == ["one", "two", "two"]


async def test_outgoing_listener_receives_emitted_and_broadcast_events() -> None:
    io = SocketServer()
    seen: list[Any] = []
    async with TestServer(io) as server:
        client, other = await server.connect(), await server.connect()
        socket = io.sockets[client.id]
        socket.on_any_outgoing(lambda *args: seen.append(args))
        socket.emit("emit", 1)
        socket.volatile.emit("volatile")
        io.emit("broadcast", b"binary")
        io.to(other.id).emit("to another client")
        socket.emit("with ack", ack=print)
        pending = asyncio.ensure_future(io.timeout(1).emit_with_ack("broadcast with ack"))
        await server.advance(2)
        await pending
    assert seen == [
        ("emit", 1), ("volatile",), ("broadcast", b"binary"), ("with ack",),
        ("broadcast with ack",),
    ]  # fmt: skip


async def test_outgoing_listener_receives_no_acks() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("x", lambda socket: 1)
    async with TestServer(io) as server:
        client = await server.connect()
        io.sockets[client.id].on_any_outgoing(lambda *args: seen.append(args))
        await client.emit_with_ack("x")
    assert seen == []


async def test_outgoing_listener_is_added_first_and_removed() -> None:
    io = SocketServer()
    seen: list[str] = []

    def one(event: str) -> None:
        seen.append("one")

    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        socket.on_any_outgoing(lambda event: seen.append("two"))
        socket.on_any_outgoing(one, first=True)
        socket.emit("x")
        socket.off_any_outgoing(one)
        socket.emit("x")
        socket.off_any_outgoing()
        socket.emit("x")
    assert seen == ["one", "two", "two"]
