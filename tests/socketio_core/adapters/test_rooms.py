"""Rooms: who is in them, and what is told of their changes."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import Socket, SocketServer
from socketio_core.testing import TestServer


async def test_a_socket_is_in_the_room_of_its_own_id() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        assert io.sockets[client.id].rooms == {client.id}


async def test_rooms_are_joined_and_left_at_once() -> None:
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


async def test_the_rooms_of_a_socket_are_a_copy() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        io.sockets[client.id].rooms.clear()
        assert io.sockets[client.id].rooms == {client.id}


async def test_an_empty_room_is_gone() -> None:
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


async def test_a_socket_that_has_left_can_not_join() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        client.disconnect()
        await socket.join("a")
        assert socket.rooms == set()
        assert io.main.rooms == {}


async def test_the_rooms_are_still_there_while_a_socket_is_disconnecting() -> None:
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
        leaves, stays = await server.connect(), await server.connect()
        leaves.disconnect()
        assert stays.received == [("left", [])]
        assert seen == [(True, True), (False, set())]


async def test_a_room_joined_in_a_middleware_is_kept() -> None:
    io = SocketServer()

    @io.use
    async def middleware(socket: Socket) -> None:
        await socket.join("room")

    async with TestServer(io) as server:
        client = await server.connect()
        assert io.sockets[client.id].rooms == {"room", client.id}


async def test_changes_of_rooms_are_told_once_and_in_order() -> None:
    io = SocketServer()
    told: list[tuple[str, str]] = []
    async with TestServer(io) as server:
        a, b = await server.connect(), await server.connect()
        io.on_room_event(lambda event, room, socket_id: told.append((event, room)))
        first, second = io.sockets[a.id], io.sockets[b.id]
        await first.join("r")
        await first.join("r")
        await second.join("r")
        await first.leave("r")
        await first.leave("r")
        b.disconnect()
        assert told[:4] == [("create", "r"), ("join", "r"), ("join", "r"), ("leave", "r")]
        assert sorted(told[4:]) == sorted([
            ("leave", "r"), ("delete", "r"), ("leave", b.id), ("delete", b.id),
        ])  # fmt: skip
        assert told.index(("leave", b.id)) < told.index(("delete", b.id))


async def test_a_listener_of_rooms_that_fails_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()

    def fails(event: str, room: str, socket_id: str | None) -> None:
        raise ValueError("no")

    io.on_room_event(fails)
    async with TestServer(io) as server:
        assert (await server.connect()).connected
    assert "a listener of room events failed" in caplog.text


@pytest.mark.parametrize("rooms", [7, [7], None])
async def test_a_room_that_is_no_string_is_refused(rooms: Any) -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        with pytest.raises(TypeError):
            io.sockets[client.id].join(rooms)


async def test_a_listener_of_rooms_may_let_others_leave() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        for _ in range(3):
            await server.connect()
        owner, *_ = io.sockets.values()
        io.in_([*io.sockets]).sockets_join("room")
        told: list[str] = []

        @io.on_room_event
        def room_changed(event: str, room: str, socket_id: str | None) -> None:
            if room == "room":
                told.append(event)
                if event == "leave":
                    io.in_("room").disconnect_sockets()

        owner.disconnect()
        assert (io.sockets, io.main.rooms) == ({}, {})
        assert (told.count("leave"), told.count("delete")) == (3, 1)


async def test_a_socket_that_a_listener_of_rooms_throws_out_is_in_no_room() -> None:
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
