"""CONNECT packets: the response, the handshake data, and refused or abandoned connects."""

from __future__ import annotations

import asyncio

import pytest

from socketio_core import ConnectError, DisconnectedError, Socket, SocketServer
from socketio_core.testing import TestServer, settle
from tests.socketio_core.support import TcpServer, join


async def test_connect_response_contains_only_the_socket_id(
    transport: str,
) -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    client = tcp.open(transport)
    response = join(client)
    assert list(response) == ["sid"]
    assert response["sid"] in io.sockets
    assert response["sid"] != client.sid, "the ID of the session is secret"


async def test_handshake_contains_the_auth_of_the_client() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect(auth={"token": "t"})
        assert io.sockets[client.id].handshake.auth == {"token": "t"}


async def test_handshake_auth_is_empty_by_default() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        assert io.sockets[client.id].handshake.auth == {}


async def test_handshake_describes_the_request() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect(
            headers={"Origin": "https://app.example", "X-Trace": "7"}, query="a=1&b=2"
        )
        handshake = io.sockets[client.id].handshake
        assert handshake.headers["x-trace"] == "7"
        assert handshake.query["a"] == "1"
        assert handshake.query["EIO"] == "4"
        assert handshake.query["transport"] == "websocket"
        assert handshake.address == "127.0.0.1"
        assert handshake.xdomain
        assert not handshake.secure
        assert handshake.url.startswith("/socket.io/?EIO=4")
        assert str(handshake.issued).isdecimal()
        assert handshake.time.count(":") == 2


async def test_handshake_query_is_the_same_in_every_namespace() -> None:
    io = SocketServer()
    io.of("/second")
    async with TestServer(io) as server:
        first = await server.connect(query="foo=bar")
        second = await server.connect(
            "/second", auth={"key": "value"}, on_connection=first.connection
        )
        handshake = io.of("/second").sockets[second.id].handshake
        assert handshake.query["foo"] == "bar"
        assert handshake.auth == {"key": "value"}


@pytest.mark.parametrize("name", ["connection", "connect"])
async def test_connection_handler_runs_under_both_event_names(name: str) -> None:
    io = SocketServer()
    connected_sockets: list[Socket] = []
    io.on(name, connected_sockets.append)
    async with TestServer(io) as server:
        client = await server.connect()
        assert [socket.id for socket in connected_sockets] == [client.id]


async def test_socket_is_connected_after_the_middleware() -> None:
    io = SocketServer()
    states: list[bool] = []

    @io.use
    def middleware(socket: Socket) -> None:
        states.append(socket.connected)

    @io.on("connection")
    def connected(socket: Socket) -> None:
        states.append(socket.connected)

    async with TestServer(io) as server:
        await server.connect()
    assert states == [False, True]


async def test_event_emitted_in_a_middleware_is_sent_after_the_connect_packet(
    transport: str,
) -> None:
    io = SocketServer()

    @io.use
    def middleware(socket: Socket) -> None:
        socket.emit("early", 1)

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.emit("late", 2)

    client = TcpServer(io).open(transport)
    client.send("0")
    kinds = [str(message)[:8] for message in client.messages()]
    assert kinds == ['0{"sid":', '2["early', '2["late"']


async def test_socket_ids_are_unique() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        clients = [await server.connect() for _ in range(50)]
        ids = {client.id for client in clients}
        assert len(ids) == 50
        assert set(io.sockets) == ids
        assert all(len(each) == 20 for each in ids)


async def test_client_rejoins_over_the_same_connection() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        first = await server.connect()
        first.disconnect()
        again = await server.connect(on_connection=first.connection)
        assert again.id != first.id
        assert list(io.sockets) == [again.id]


async def test_rejoined_client_receives_each_event_once() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        first = await server.connect()
        first.disconnect()
        again = await server.connect(on_connection=first.connection)
        io.emit("hello")
        assert again.received == [("hello", [])]


async def test_connect_is_abandoned_when_the_connection_ends_during_the_middleware() -> None:
    io = SocketServer()
    gate = asyncio.Event()
    connected_sockets: list[Socket] = []
    io.on("connection", connected_sockets.append)

    @io.use
    async def slow(socket: Socket) -> None:
        await socket.join("waiting")
        await gate.wait()

    async with TestServer(io) as server:
        connection = server.open_connection()
        connecting = asyncio.ensure_future(server.connect(on_connection=connection))
        await settle()
        connection.cut()
        gate.set()
        with pytest.raises(DisconnectedError):
            await connecting
        await settle()
        assert connected_sockets == []
        assert io.main.rooms == {}


async def test_connect_is_refused_when_the_client_is_in_too_many_namespaces() -> None:
    io = SocketServer(max_namespaces=2)
    for name in ("/a", "/b", "/c"):
        io.of(name)
    async with TestServer(io) as server:
        client = await server.connect("/a")
        await server.connect("/b", on_connection=client.connection)
        with pytest.raises(ConnectError, match="too many namespaces"):
            await server.connect("/c", on_connection=client.connection)
        assert client.connected


async def test_flood_of_connects_leaves_no_state() -> None:
    io = SocketServer(max_namespaces=8)
    async with TestServer(io) as server:
        connection = server.open_connection()
        for number in range(5000):
            connection.send_text(f"0/n{number},")
        await settle()
        (session,) = io._connections
        assert not session._connecting
        assert list(io.namespaces) == ["/"]


async def test_socket_is_not_connected_when_its_first_packets_exceed_the_outbox() -> None:
    io = SocketServer(max_outbox_size=1000)
    connected: list[Socket] = []
    io.on("connection", connected.append)

    @io.use
    def greet(socket: Socket) -> None:
        for _ in range(5):
            socket.emit("news", "x" * 400)

    client = TcpServer(io).open("polling")
    client.send("0")
    assert client.is_over
    assert connected == []
    assert (io.sockets, io.main.rooms, io.main._attempts) == ({}, {}, 0)
