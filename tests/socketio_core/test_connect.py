"""How a client joins, and what the server knows of it then."""

from __future__ import annotations

import asyncio

import pytest

from socketio_core import ConnectError, DisconnectedError, Socket, SocketServer
from socketio_core.testing import TestServer, settle
from tests.socketio_core.support import TcpServer, join


async def test_the_answer_to_a_connect_holds_the_socket_id_and_nothing_else(
    transport: str,
) -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    client = tcp.open(transport)
    answer = join(client)
    assert list(answer) == ["sid"]
    assert answer["sid"] in io.sockets
    assert answer["sid"] != client.sid, "the session's id is a secret"


async def test_a_connect_may_carry_what_the_client_says_of_itself() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect(auth={"token": "t"})
        assert io.sockets[client.id].handshake.auth == {"token": "t"}


async def test_a_handshake_without_auth_has_an_empty_one() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        assert io.sockets[client.id].handshake.auth == {}


async def test_a_handshake_tells_how_the_client_came() -> None:
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


async def test_the_query_is_that_of_the_first_request_in_every_namespace() -> None:
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
async def test_the_connection_event_has_an_old_and_a_new_name(name: str) -> None:
    io = SocketServer()
    met: list[Socket] = []
    io.on(name, met.append)
    async with TestServer(io) as server:
        client = await server.connect()
        assert [socket.id for socket in met] == [client.id]


async def test_a_socket_is_connected_only_when_its_client_has_been_told() -> None:
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


async def test_what_is_emitted_in_a_middleware_waits_for_the_connect(transport: str) -> None:
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


async def test_many_clients_have_ids_of_their_own() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        clients = [await server.connect() for _ in range(50)]
        ids = {client.id for client in clients}
        assert len(ids) == 50
        assert set(io.sockets) == ids
        assert all(len(each) == 20 for each in ids)


async def test_a_client_that_left_may_join_again_over_the_same_connection() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        first = await server.connect()
        first.disconnect()
        again = await server.connect(on_connection=first.connection)
        assert again.id != first.id
        assert list(io.sockets) == [again.id]


async def test_events_reach_a_client_that_joined_again_once() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        first = await server.connect()
        first.disconnect()
        again = await server.connect(on_connection=first.connection)
        io.emit("hello")
        assert again.received == [("hello", [])]


async def test_a_client_whose_connection_ends_while_it_waits_is_never_let_in() -> None:
    io = SocketServer()
    gate = asyncio.Event()
    met: list[Socket] = []
    io.on("connection", met.append)

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
        assert met == []
        assert io.main.rooms == {}


async def test_a_client_in_too_many_namespaces_is_refused_the_next() -> None:
    io = SocketServer(max_namespaces=2)
    for name in ("/a", "/b", "/c"):
        io.of(name)
    async with TestServer(io) as server:
        client = await server.connect("/a")
        await server.connect("/b", on_connection=client.connection)
        with pytest.raises(ConnectError, match="too many namespaces"):
            await server.connect("/c", on_connection=client.connection)
        assert client.connected


async def test_a_flood_of_connects_leaves_nothing_behind() -> None:
    io = SocketServer(max_namespaces=8)
    async with TestServer(io) as server:
        connection = server.open_connection()
        for number in range(5000):
            connection.send_text(f"0/n{number},")
        await settle()
        (session,) = io._connections
        assert not session._connecting
        assert list(io.namespaces) == ["/"]


async def test_a_client_that_is_cut_by_what_it_is_sent_first_is_never_connected() -> None:
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
