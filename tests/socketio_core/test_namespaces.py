"""Namespaces: names, members and isolation."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import ConnectError, Namespace, Socket, SocketServer
from socketio_core.testing import TestServer
from tests.socketio_core.support import TcpServer, join


@pytest.mark.parametrize(("spelling", "name"), [("chat", "/chat"), ("/chat", "/chat"), ("", "/")])
def test_of_returns_the_same_namespace_with_and_without_the_slash(spelling: str, name: str) -> None:
    io = SocketServer()
    assert io.of(spelling) is io.of(name)
    assert io.of(name).name == name


def test_server_is_the_root_namespace() -> None:
    io = SocketServer()
    assert io.of("/") is io.main
    assert io.sockets is io.of("/").sockets


async def test_server_methods_apply_to_the_root_namespace() -> None:
    io = SocketServer()
    seen: list[str] = []

    @io.once("x")
    def once(socket: Socket) -> None:
        seen.append("once")

    @io.on_any
    def record_event(socket: Socket, event: str, *args: Any) -> None:
        seen.append(event)

    @io.use_event
    def record_middleware(socket: Socket, event: list[Any]) -> None:
        seen.append("middleware")

    @io.on_unhandled
    def record_unhandled(socket: Socket, event: str, *args: Any) -> None:
        seen.append(f"unhandled {event}")

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        client.emit("x")
        io.off("x")
    assert seen == ["x", "middleware", "once", "x", "middleware", "unhandled x"]


async def test_client_joins_only_the_requested_namespace() -> None:
    io = SocketServer()
    io.of("/chat")
    async with TestServer(io) as server:
        await server.connect("/chat")
        assert len(io.of("/chat").sockets) == 1
        assert len(io.sockets) == 0


async def test_namespaces_of_one_connection_are_isolated() -> None:
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


async def test_event_reaches_only_the_handlers_of_its_namespace() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.on("x", lambda socket: seen.append("/"))
    io.of("/a").on("x", lambda socket: seen.append("/a"))
    async with TestServer(io) as server:
        client = await server.connect("/a")
        client.emit("x")
    assert seen == ["/a"]


async def test_unknown_namespace_is_refused_and_the_connection_stays_open(transport: str) -> None:
    client = TcpServer(SocketServer()).open(transport)
    client.send("0/random")
    assert client.messages() == ['4/random,{"message":"Invalid namespace"}']
    assert join(client)["sid"]


async def test_query_is_part_of_the_name() -> None:
    io = SocketServer()
    io.of("/admin")
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await server.connect("/admin?x=1")


async def test_leaving_one_namespace_keeps_the_others(transport: str) -> None:
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


async def test_packets_for_a_left_namespace_are_ignored(transport: str) -> None:
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


async def test_packet_is_ignored_when_the_server_has_disconnected_the_socket() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        other = await server.connect("/")
        io.of("/a")
        client = await server.connect("/a", on_connection=other.connection)
        io.of("/a").sockets[client.id].disconnect()
        other.connection.send_text('2/a,["late"]')
        assert other.connected


def test_new_namespace_listener_runs_once_per_namespace_except_the_root() -> None:
    io = SocketServer()
    created: list[str] = []

    @io.on_new_namespace
    def record(namespace: Namespace) -> None:
        created.append(namespace.name)

    io.of("/")
    io.of("/a")
    io.of("/a")
    assert created == ["/a"]


def test_error_in_a_new_namespace_listener_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()

    @io.on_new_namespace
    def fail(namespace: Namespace) -> None:
        raise ValueError("listener error")

    assert io.of("/a") is io.of("/a")
    assert "a listener of new namespaces failed" in caplog.text


@pytest.mark.parametrize("name", ["connect_error", "newListener", "removeListener"])
def test_reserved_event_name_is_rejected(name: str) -> None:
    io = SocketServer()
    with pytest.raises(ValueError, match="reserved"):
        io.on(name, print)
    with pytest.raises(ValueError, match="reserved"):
        io.emit(name)


async def test_each_connection_has_its_own_socket() -> None:
    io = SocketServer()
    io.of("/a")
    async with TestServer(io) as server:
        first = await server.connect("/a")
        second = await server.connect("/a")
        assert set(io.of("/a").sockets) == {first.id, second.id}


async def test_socket_refers_to_its_namespace() -> None:
    io = SocketServer()
    io.of("/a")
    async with TestServer(io) as server:
        client = await server.connect("/a")
        socket = io.of("/a").sockets[client.id]
        assert socket.namespace is io.of("/a")
        assert repr(socket) == f"<Socket {client.id} of /a>"
        assert repr(io.of("/a")) == "<Namespace /a: 1 sockets>"


async def test_static_namespace_stays_when_it_is_empty() -> None:
    io = SocketServer(cleanup_empty_child_namespaces=True)
    io.of("/a")
    async with TestServer(io) as server:
        client = await server.connect("/a")
        client.disconnect()
        assert "/a" in io.namespaces
