"""Namespaces: names, members, what is theirs alone."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import ConnectError, Namespace, Socket, SocketServer
from socketio_core.testing import TestServer
from tests.socketio_core.support import TcpServer, join


@pytest.mark.parametrize(("given", "name"), [("chat", "/chat"), ("/chat", "/chat"), ("", "/")])
def test_a_namespace_has_one_object_whether_or_not_the_slash_is_written(
    given: str, name: str
) -> None:
    io = SocketServer()
    assert io.of(given) is io.of(name)
    assert io.of(name).name == name


def test_the_server_is_the_namespace_at_the_root() -> None:
    io = SocketServer()
    assert io.of("/") is io.main
    assert io.sockets is io.of("/").sockets


async def test_what_the_server_offers_is_that_of_the_root() -> None:
    io = SocketServer()
    seen: list[str] = []

    @io.once("x")
    def once(socket: Socket) -> None:
        seen.append("once")

    @io.on_any
    def every(socket: Socket, event: str, *args: Any) -> None:
        seen.append(event)

    @io.use_event
    def pass_on(socket: Socket, event: list[Any]) -> None:
        seen.append("middleware")

    @io.on_unhandled
    def nobody(socket: Socket, event: str, *args: Any) -> None:
        seen.append(f"unhandled {event}")

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        client.emit("x")
        io.off("x")
    assert seen == ["x", "middleware", "once", "x", "middleware", "unhandled x"]


async def test_a_client_joins_only_the_namespace_it_asks_for() -> None:
    io = SocketServer()
    io.of("/chat")
    async with TestServer(io) as server:
        await server.connect("/chat")
        assert len(io.of("/chat").sockets) == 1
        assert len(io.sockets) == 0


async def test_namespaces_of_one_connection_do_not_hear_each_other() -> None:
    io = SocketServer()
    io.of("/chat")
    async with TestServer(io) as server:
        root = await server.connect()
        chat = await server.connect("/chat", on_connection=root.connection)
        io.of("/chat").emit("x", 1)
        assert root.received == []
        assert chat.received == [("x", [1])]
        io.emit("y")
        assert root.received == [("y", [])]


async def test_an_event_reaches_the_handlers_of_its_namespace_alone() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.on("x", lambda socket: seen.append("/"))
    io.of("/a").on("x", lambda socket: seen.append("/a"))
    async with TestServer(io) as server:
        client = await server.connect("/a")
        client.emit("x")
    assert seen == ["/a"]


async def test_an_unknown_namespace_is_refused_and_the_connection_stays(transport: str) -> None:
    client = TcpServer(SocketServer()).open(transport)
    client.send("0/random")
    assert client.messages() == ['4/random,{"message":"Invalid namespace"}']
    assert join(client)["sid"]


async def test_a_query_is_part_of_the_name() -> None:
    io = SocketServer()
    io.of("/admin")
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await server.connect("/admin?x=1")


async def test_leaving_one_namespace_leaves_the_others_alone(transport: str) -> None:
    io = SocketServer()
    seen: list[int] = []
    io.on("x", lambda socket, value: seen.append(value))
    io.of("/custom")
    client = TcpServer(io).join(transport)
    join(client, "/custom")
    client.send("1/custom,")
    client.send('2["x",1]')
    assert seen == [1]
    assert not io.of("/custom").sockets
    assert not client.is_over


async def test_what_was_under_way_to_a_namespace_just_left_is_ignored(transport: str) -> None:
    io = SocketServer()
    seen: list[int] = []
    io.of("/a").on("x", lambda socket, value: seen.append(value))
    client = TcpServer(io).join(transport, "/a")
    join(client)
    client.send("1/a,")
    client.send('2/a,["x",1]')
    client.send("3/a,7[]")
    client.send("1/a,")
    assert seen == []
    assert not client.is_over


async def test_what_was_under_way_when_the_server_disconnected_is_ignored() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        other = await server.connect("/")
        io.of("/a")
        client = await server.connect("/a", on_connection=other.connection)
        io.of("/a").sockets[client.id].disconnect()
        other.connection.send_text('2/a,["late"]')
        assert other.connected


def test_a_new_namespace_is_told_of_once_and_the_root_never() -> None:
    io = SocketServer()
    made: list[str] = []

    @io.on_new_namespace
    def noticed(namespace: Namespace) -> None:
        made.append(namespace.name)

    io.of("/")
    io.of("/a")
    io.of("/a")
    assert made == ["/a"]


def test_a_listener_of_new_namespaces_that_fails_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()

    @io.on_new_namespace
    def fails(namespace: Namespace) -> None:
        raise ValueError("no")

    assert io.of("/a") is io.of("/a")
    assert "a listener of new namespaces failed" in caplog.text


@pytest.mark.parametrize("name", ["connect_error", "newListener", "removeListener"])
def test_a_name_that_nobody_may_send_can_not_be_listened_to(name: str) -> None:
    io = SocketServer()
    with pytest.raises(ValueError, match="reserved"):
        io.on(name, print)
    with pytest.raises(ValueError, match="reserved"):
        io.emit(name)


async def test_each_connection_gets_sockets_of_its_own() -> None:
    io = SocketServer()
    io.of("/a")
    async with TestServer(io) as server:
        first = await server.connect("/a")
        second = await server.connect("/a")
        assert set(io.of("/a").sockets) == {first.id, second.id}


async def test_a_socket_knows_its_namespace() -> None:
    io = SocketServer()
    io.of("/a")
    async with TestServer(io) as server:
        client = await server.connect("/a")
        socket = io.of("/a").sockets[client.id]
        assert socket.namespace is io.of("/a")
        assert repr(socket) == f"<Socket {client.id} of /a>"
        assert repr(io.of("/a")) == "<Namespace /a: 1 sockets>"


async def test_a_static_namespace_stays_when_it_is_empty() -> None:
    io = SocketServer(cleanup_empty_child_namespaces=True)
    io.of("/a")
    async with TestServer(io) as server:
        client = await server.connect("/a")
        client.disconnect()
        assert "/a" in io.namespaces
