"""Private rooms: no other socket can join the room of a socket ID."""

from __future__ import annotations

import pytest

from socketio_core import Recovery, SocketServer
from socketio_core.testing import TestServer

MESSAGE = "must not be named after another socket"


async def test_room_named_after_another_socket_cannot_be_joined() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        intruder, owner = await server.connect(), await server.connect()
        with pytest.raises(ValueError, match=MESSAGE):
            io.sockets[intruder.id].join("lobby", owner.id)
        assert io.sockets[intruder.id].rooms == {intruder.id}, "the socket joins none of the rooms"
        io.to(owner.id).emit("secret")
        assert intruder.received == []
        assert owner.received == [("secret", [])]


async def test_socket_joins_and_leaves_the_room_of_its_own_id() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        socket.join(client.id)
        socket.leave(client.id)
        assert socket.rooms == set()
        socket.join(client.id)
        io.to(client.id).emit("hello")
        assert client.received == [("hello", [])]


async def test_sockets_join_changes_no_room_when_a_room_is_named_after_a_socket() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        clients = [await server.connect() for _ in range(3)]
        with pytest.raises(ValueError, match=MESSAGE):
            io.sockets_join("lobby", clients[1].id)
        assert "lobby" not in io.main.rooms
        io.in_(clients[1].id).sockets_join("lobby", clients[1].id)
        assert io.main.rooms["lobby"] == {clients[1].id}


async def test_room_named_after_a_socket_in_another_namespace_can_be_joined() -> None:
    io = SocketServer()
    io.of("/other")
    async with TestServer(io) as server:
        client, other = await server.connect(), await server.connect("/other")
        io.sockets[client.id].join(other.id)
        assert other.id in io.sockets[client.id].rooms


async def test_room_of_an_absent_socket_is_kept_until_its_session_has_ended() -> None:
    io = SocketServer(recovery=Recovery(max_disconnection_duration=60))
    async with TestServer(io) as server:
        intruder, owner = await server.connect(), await server.connect()
        owner.connection.cut()
        with pytest.raises(ValueError, match=MESSAGE):
            io.sockets[intruder.id].join(owner.id)
        returned = await server.connect(recovering=owner)
        assert returned.id == owner.id
        with pytest.raises(ValueError, match=MESSAGE):
            io.sockets[intruder.id].join(owner.id)
        returned.connection.cut()
        await server.advance(61)
        await server.connect()
        absent = await server.connect()
        absent.connection.cut()
        io.sockets[intruder.id].join(owner.id)
        assert owner.id in io.sockets[intruder.id].rooms


async def test_room_of_a_restored_socket_can_be_joined_after_its_disconnect() -> None:
    io = SocketServer(recovery=Recovery(max_disconnection_duration=60))
    async with TestServer(io) as server:
        intruder, owner = await server.connect(), await server.connect()
        owner.connection.cut()
        returned = await server.connect(recovering=owner)
        assert returned.id == owner.id
        returned.disconnect()
        io.sockets[intruder.id].join(owner.id)
        assert owner.id in io.sockets[intruder.id].rooms
