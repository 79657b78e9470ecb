"""What can be done to many sockets at once, and what servers say to each other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import MsgpackParser, Socket, SocketServer
from socketio_core.testing import TestServer, settle


async def make(server: TestServer) -> tuple[list[Socket], list[Any]]:
    """Connect three clients: the first in room1 and room2, the second in room1."""
    clients = [await server.connect() for _ in range(3)]
    sockets = [server.io.sockets[client.id] for client in clients]
    await sockets[0].join(["room1", "room2"])
    await sockets[1].join("room1")
    return sockets, clients


async def test_sockets_can_be_fetched() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        (a, b, c), _ = await make(server)
        assert await io.fetch_sockets() == [a, b, c]
        assert await io.in_("room1").fetch_sockets() == [a, b]
        assert await io.in_("room1").except_("room2").fetch_sockets() == [b]
        assert await io.of("/").to("room2").fetch_sockets() == [a]
        assert await a.broadcast.fetch_sockets() == [b, c]
        assert await io.to("nobody").fetch_sockets() == []


async def test_sockets_can_be_put_in_rooms() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        (a, b, c), _ = await make(server)
        await io.sockets_join("all")
        io.in_("room1").sockets_join(["x", "y"])
        assert all("all" in socket.rooms for socket in (a, b, c))
        assert {"x", "y"} <= a.rooms
        assert "x" not in c.rooms


async def test_sockets_can_be_taken_out_of_rooms() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        (a, b, _), _ = await make(server)
        await io.in_("room2").sockets_leave("room1")
        assert (a.rooms, b.rooms) == ({a.id, "room2"}, {b.id, "room1"})
        await io.sockets_leave(["room1", "room2"])
        assert (a.rooms, b.rooms) == ({a.id}, {b.id})


async def test_sockets_can_be_disconnected() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        (_, _, c), clients = await make(server)
        await io.in_("room1").disconnect_sockets()
        assert [client.connected for client in clients] == [False, False, True]
        assert not clients[0].connection.is_closed
        io.disconnect_sockets(close=True)
        assert clients[2].connection.is_closed
        assert not c.connected


async def test_what_is_sent_before_all_are_disconnected_arrives() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("bye")
        await io.disconnect_sockets()
        assert client.received == [("bye", [])]


async def test_a_single_server_reaches_no_other() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on_server_event("x", seen.append)
    async with TestServer(io):
        await io.server_side_emit("x", 1)
        await io.of("/a").server_side_emit("x", 1)
        assert await io.server_side_emit_with_ack("x", 1) == []
        assert await io.of("/a").timeout(1).server_side_emit_with_ack("x", 1) == []
    assert seen == []


@pytest.mark.parametrize("name", ["connect", "connection", "new_namespace"])
async def test_servers_can_not_send_each_other_their_own_events(name: str) -> None:
    io = SocketServer()
    with pytest.raises(ValueError, match="reserved"):
        io.server_side_emit(name)
    with pytest.raises(ValueError, match="reserved"):
        await io.server_side_emit_with_ack(name)


async def test_an_event_of_another_server_reaches_who_listens_for_it() -> None:
    io = SocketServer()
    seen: list[Any] = []
    answers: list[Any] = []

    @io.of("/a").on_server_event("sum")
    async def add(first: int, second: int) -> int:
        await asyncio.sleep(0)
        return first + second

    io.of("/a").on_server_event("sum", lambda *args: seen.append(args))
    async with TestServer(io):
        io.of("/a")._receive_server_event(["sum", 1, 2], answers.append)
        io.of("/a")._receive_server_event(["sum", 3, 4])
        io.of("/a")._receive_server_event(["unknown"], answers.append)
        await settle()
    assert seen == [(1, 2), (3, 4)]
    assert answers == [None, 3]


async def test_an_error_in_a_server_event_is_reported_and_answered() -> None:
    io = SocketServer()
    errors: list[str] = []
    answers: list[Any] = []
    io.on_error(lambda error, socket, event: errors.append(event))
    io.on_server_event("x", lambda: 1 / 0)
    async with TestServer(io):
        io.main._receive_server_event(["x"], answers.append)
    assert errors == ["x"]
    assert answers[0]["code"] == "HANDLER_ERROR"


async def test_the_session_of_a_socket_tells_of_its_transport_and_buffers() -> None:
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


@pytest.mark.parametrize(("name", "meant"), [
    ("pingInterval", "ping_interval"), ("maxHttpBufferSize", "max_http_buffer_size"),
    ("connectTimeout", "connect_timeout"), ("perMessageDeflate", "per_message_deflate"),
])  # fmt: skip
def test_an_option_as_node_spells_it_is_refused_with_how_it_is_spelled_here(
    name: str, meant: str
) -> None:
    with pytest.raises(TypeError, match=f"unknown option {name}: did you mean {meant}?"):
        SocketServer(**{name: 25})  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [
    {"connect_timeout": 0}, {"refused_timeout": 0}, {"handler_timeout": 0},
    {"max_pending_handlers": 0}, {"max_namespaces": 0}, {"max_child_namespaces": 0},
    {"max_namespaces": "5"}, {"connect_timeout": "45"}, {"handler_timeout": True},
])  # fmt: skip
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SocketServer(**options)


@pytest.mark.parametrize(("options", "text"), [
    ({"recovery": True}, "recovery must be a Recovery instance or None, got True"),
    ({"parser": "msgpack"}, r"parser must be a parser such as MsgpackParser\(\), got 'msgpack'"),
    ({"parser": MsgpackParser}, "parser must be a parser such as"),
    ({"cors": "*"}, "cors must be a Cors instance"),
])  # fmt: skip
def test_what_is_no_such_object_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        SocketServer(**options)
