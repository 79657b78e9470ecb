"""Operations on many sockets: fetch, join, leave and disconnect."""

from __future__ import annotations

from typing import Any

from socketio_core import Socket, SocketServer
from socketio_core.testing import TestServer


async def connect_three(server: TestServer) -> tuple[list[Socket], list[Any]]:
    """Connect three clients: the first in room1 and room2, the second in room1."""
    clients = [await server.connect() for _ in range(3)]
    sockets = [server.io.sockets[client.id] for client in clients]
    await sockets[0].join(["room1", "room2"])
    await sockets[1].join("room1")
    return sockets, clients


async def test_fetch_sockets_returns_the_selected_sockets() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        (a, b, c), _ = await connect_three(server)
        assert await io.fetch_sockets() == [a, b, c]
        assert await io.in_("room1").fetch_sockets() == [a, b]
        assert await io.in_("room1").except_("room2").fetch_sockets() == [b]
        assert await io.of("/").to("room2").fetch_sockets() == [a]
        assert await a.broadcast.fetch_sockets() == [b, c]
        assert await io.to("empty").fetch_sockets() == []


async def test_sockets_join_adds_the_selected_sockets_to_rooms() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        (a, b, c), _ = await connect_three(server)
        await io.sockets_join("all")
        io.in_("room1").sockets_join(["x", "y"])
        assert all("all" in socket.rooms for socket in (a, b, c))
        assert {"x", "y"} <= a.rooms
        assert "x" not in c.rooms


async def test_sockets_leave_removes_the_selected_sockets_from_rooms() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        (a, b, _), _ = await connect_three(server)
        await io.in_("room2").sockets_leave("room1")
        assert (a.rooms, b.rooms) == ({a.id, "room2"}, {b.id, "room1"})
        await io.sockets_leave(["room1", "room2"])
        assert (a.rooms, b.rooms) == ({a.id}, {b.id})


async def test_disconnect_sockets_disconnects_the_selected_sockets() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        (_, _, c), clients = await connect_three(server)
        await io.in_("room1").disconnect_sockets()
        assert [client.connected for client in clients] == [False, False, True]
        assert not clients[0].connection.is_closed
        io.disconnect_sockets(close=True)
        assert clients[2].connection.is_closed
        assert not c.connected


async def test_event_before_disconnect_sockets_arrives() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("last")
        await io.disconnect_sockets()
        assert client.received == [("last", [])]
