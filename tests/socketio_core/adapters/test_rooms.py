"""Rooms: membership and room events."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import Socket, SocketServer
from socketio_core.testing import TestServer


async def test_socket_is_in_the_room_of_its_own_id() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        assert io.sockets[client.id].rooms == {client.id}


async def test_join_and_leave_take_effect_immediately() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        socket.join("a")
        assert socket.rooms == {client.id, "a"}
        await socket.join(["b", "c"])
        assert socket.rooms == {client.id, "a", "b", "c"}
        await socket.leave("b")
        socket.leave("b")
        socket.leave("never joined")
        assert socket.rooms == {client.id, "a", "c"}


@pytest.mark.parametrize("count", [1, 6, 7, 8, 9, 100])
async def test_socket_joins_and_leaves_any_number_of_rooms(count: int) -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        names = [f"room {number}" for number in range(count)]
        for name in names:
            await socket.join(name)
            assert name in socket.rooms
            await socket.join([name, name])
        assert socket.rooms == {client.id, *names}
        while names:
            await socket.leave(names.pop())
            assert socket.rooms == {client.id, *names}
        await socket.join(["a", "b", "a"])
        assert socket.rooms == {client.id, "a", "b"}
        client.disconnect()
        assert io.main.rooms == {}


async def test_socket_rooms_returns_a_copy() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        io.sockets[client.id].rooms.clear()
        assert io.sockets[client.id].rooms == {client.id}


async def test_empty_room_is_deleted() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        await socket.join("a")
        assert io.main.rooms == {client.id: {client.id}, "a": {client.id}}
        await socket.leave("a")
        assert io.main.rooms == {client.id: {client.id}}
        client.disconnect()
        assert io.main.rooms == {}


async def test_join_has_no_effect_when_the_socket_has_left() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        client.disconnect()
        await socket.join("a")
        assert socket.rooms == set()
        assert io.main.rooms == {}


async def test_socket_keeps_its_rooms_in_the_disconnecting_handler() -> None:
    io = SocketServer()
    seen: list[Any] = []

    @io.on("connection")
    async def connected(socket: Socket) -> None:
        await socket.join("a")

    @io.on("disconnecting")
    def disconnecting(socket: Socket, reason: str) -> None:
        seen.append((socket.connected, "a" in socket.rooms))
        socket.to("a").emit("left")

    @io.on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        seen.append((socket.connected, socket.rooms))

    async with TestServer(io) as server:
        leaving, staying = await server.connect(), await server.connect()
        leaving.disconnect()
        assert staying.received == [("left", [])]
        assert seen == [(True, True), (False, set())]


async def test_room_joined_in_a_middleware_is_kept() -> None:
    io = SocketServer()

    @io.use
    async def middleware(socket: Socket) -> None:
        await socket.join("room")

    async with TestServer(io) as server:
        client = await server.connect()
        assert io.sockets[client.id].rooms == {"room", client.id}


async def test_room_events_are_reported_once_and_in_order() -> None:
    io = SocketServer()
    reported: list[tuple[str, str]] = []
    async with TestServer(io) as server:
        a, b = await server.connect(), await server.connect()
        io.on_room_event(lambda event, room, socket_id: reported.append((event, room)))
        first, second = io.sockets[a.id], io.sockets[b.id]
        await first.join("r")
        await first.join("r")
        await second.join("r")
        await first.leave("r")
        await first.leave("r")
        b.disconnect()
        assert reported[:4] == [("create", "r"), ("join", "r"), ("join", "r"), ("leave", "r")]
        assert sorted(reported[4:]) == sorted([
            ("leave", "r"), ("delete", "r"), ("leave", b.id), ("delete", b.id),
        ])  # fmt: skip
        assert reported.index(("leave", b.id)) < reported.index(("delete", b.id))


async def test_error_in_a_room_listener_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()

    def fail(event: str, room: str, socket_id: str | None) -> None:
        raise ValueError("listener error")

    io.on_room_event(fail)
    async with TestServer(io) as server:
        assert (await server.connect()).connected
    assert "a listener of room events failed" in caplog.text


@pytest.mark.parametrize("rooms", [7, [7], None])
async def test_room_is_rejected_when_it_is_not_a_string(rooms: Any) -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        with pytest.raises(TypeError):
            io.sockets[client.id].join(rooms)


async def test_room_listener_disconnects_other_sockets() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        for _ in range(3):
            await server.connect()
        owner, *_ = io.sockets.values()
        io.in_([*io.sockets]).sockets_join("room")
        reported: list[str] = []

        @io.on_room_event
        def room_changed(event: str, room: str, socket_id: str | None) -> None:
            if room == "room":
                reported.append(event)
                if event == "leave":
                    io.in_("room").disconnect_sockets()

        owner.disconnect()
        assert (io.sockets, io.main.rooms) == ({}, {})
        assert (reported.count("leave"), reported.count("delete")) == (3, 1)


async def test_socket_disconnected_by_a_room_listener_is_in_no_room() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        await server.connect()
        (socket,) = io.sockets.values()

        @io.on_room_event
        def room_changed(event: str, room: str, socket_id: str | None) -> None:
            if (event, room) == ("join", "full"):
                socket.disconnect()

        socket.join(["full", "b", "c"])
        assert (io.sockets, io.main.rooms) == ({}, {})
