"""States of a socket inside handlers, the transition table, and the session of a socket."""

from __future__ import annotations

import asyncio

import pytest

from socketio_core import ConnectError, Socket, SocketServer
from socketio_core.socket_state import SOCKET_TRANSITIONS, SocketEvent, SocketState
from socketio_core.testing import TestServer, settle


async def test_socket_passes_through_all_states() -> None:
    io = SocketServer()
    seen: list[tuple[SocketState, bool]] = []

    def record(socket: Socket) -> None:
        seen.append((socket._state, socket.connected))

    io.use(record)
    for event in ("connection", "x", "disconnecting", "disconnect"):
        io.on(event, lambda socket, *args: record(socket))
    async with TestServer(io) as server:
        client = await server.connect()
        await client.emit_with_ack("x")
        client.disconnect()
    assert seen == [
        (SocketState.CONNECTING, False),
        (SocketState.CONNECTED, True),
        (SocketState.CONNECTED, True),
        (SocketState.LEAVING, True),
        (SocketState.LEFT, False),
    ]


async def test_refused_socket_leaves_without_handlers() -> None:
    io = SocketServer()
    sockets: list[Socket] = []
    events: list[str] = []

    @io.use
    def refuse(socket: Socket) -> None:
        sockets.append(socket)
        raise ConnectError("no")

    io.on("disconnecting", lambda socket, *args: events.append("disconnecting"))
    io.on("disconnect", lambda socket, *args: events.append("disconnect"))
    async with TestServer(io) as server:
        with pytest.raises(ConnectError):
            await server.connect()
    assert [socket._state for socket in sockets] == [SocketState.LEFT]
    assert events == []


async def test_disconnect_handlers_run_once_when_the_socket_leaves_twice() -> None:
    io = SocketServer()
    events: list[str] = []

    @io.on("disconnecting")
    def leave_again(socket: Socket, reason: str) -> None:
        events.append(reason)
        socket.disconnect()
        socket.disconnect(close=True)

    io.on("disconnect", lambda socket, reason: events.append(reason))
    async with TestServer(io) as server:
        client = await server.connect()
        io.sockets[client.id].disconnect()
    assert events == ["server namespace disconnect", "server namespace disconnect"]


async def test_left_socket_sends_nothing_and_joins_no_room() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        client.disconnect()
        socket.emit("late")
        await socket.join("room")
        assert socket._state is SocketState.LEFT
        assert client.received == []
        assert io.main.rooms == {}


def test_every_state_reaches_left() -> None:
    assert set(SOCKET_TRANSITIONS) == set(SocketState)
    assert SOCKET_TRANSITIONS[SocketState.LEFT] == {}
    for state in SocketState:
        steps = 0
        while state is not SocketState.LEFT:
            row = SOCKET_TRANSITIONS[state]
            state = row.get(SocketEvent.LEAVE) or row[SocketEvent.ENDED]
            steps += 1
        assert steps <= 2


async def test_socket_session_provides_transport_and_buffered_amount() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        session = io.sockets[client.id].session
        assert session.transport.name == "websocket"
        client.connection.pause()
        io.emit("x", "a" * 100)
        assert session.buffered_amount > 100
        draining = asyncio.ensure_future(session.drain())
        await settle()
        assert not draining.done()
        client.connection.resume()
        await draining
