"""Broadcasts: recipients, acks, and one encoding per broadcast."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import JsonParser, Socket, SocketServer
from socketio_core.testing import TestClient, TestServer, settle
from tests.socketio_core.support import TcpServer


async def connect_in(server: TestServer, *rooms: str) -> TestClient:
    client = await server.connect()
    await server.io.sockets[client.id].join(rooms)
    return client


def names(*clients: TestClient) -> list[list[str]]:
    return [[name for name, _ in client.received] for client in clients]


async def test_emit_reaches_all_clients() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b = await server.connect(), await server.connect()
        io.emit("x")
        assert names(a, b) == [["x"], ["x"]]


async def test_socket_broadcast_reaches_all_other_clients() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b, c = [await server.connect() for _ in range(3)]
        io.sockets[a.id].broadcast.emit("x")
        assert names(a, b, c) == [[], ["x"], ["x"]]


async def test_emit_to_a_room_reaches_only_its_members() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b = await connect_in(server, "room"), await connect_in(server)
        io.to("room").emit("x")
        io.in_("room").emit("y")
        assert names(a, b) == [["x", "y"], []]


async def test_socket_in_several_rooms_receives_an_event_once() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b, c = (
            await connect_in(server, "one", "two"), await connect_in(server, "two"),
            await connect_in(server),
        )  # fmt: skip
        io.to("one").to("two").emit("x")
        io.to(["one", "two"]).emit("y")
        assert names(a, b, c) == [["x", "y"], ["x", "y"], []]


async def test_socket_emit_to_a_room_excludes_the_socket() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b, c = (
            await connect_in(server, "r"), await connect_in(server, "r"), await connect_in(server),
        )  # fmt: skip
        io.sockets[a.id].to("r").emit("x")
        io.sockets[a.id].in_(["r", "other"]).emit("y")
        assert names(a, b, c) == [[], ["x", "y"], []]


async def test_except_excludes_rooms_and_sockets() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b, c = (
            await connect_in(server, "r"), await connect_in(server, "r", "not"),
            await connect_in(server),
        )  # fmt: skip
        io.except_("not").emit("all but not")
        io.to("r").except_(["not"]).emit("r but not")
        io.except_(c.id).emit("all but c")
        io.sockets[a.id].except_("not").emit("a's, but not")
        assert names(a, b, c) == [
            ["all but not", "r but not", "all but c"],
            ["all but c"],
            ["all but not", "a's, but not"],
        ]


async def test_socket_id_is_a_room() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b = await server.connect(), await server.connect()
        io.to(b.id).emit("x")
        assert names(a, b) == [[], ["x"]]


async def test_operator_is_immutable() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b = await connect_in(server, "one"), await connect_in(server, "two")
        operator = io.to("one")
        assert operator.to("two") is not operator
        operator.except_("one").volatile.compress(False).timeout(1)  # returns new operators
        operator.emit("x")
        socket_operator = io.sockets[a.id].to("two")
        socket_operator.to("three")
        socket_operator.emit("y")
        assert names(a, b) == [["x"], ["y"]]


async def test_event_for_an_empty_room_is_encoded_to_check_its_values() -> None:
    class CountingParser(JsonParser):
        encoded = 0

        def encode_event(self, *args: Any, **options: Any) -> Any:
            self.encoded += 1
            return super().encode_event(*args, **options)

    parser = CountingParser()
    io = SocketServer(parser=parser)
    async with TestServer(io) as server:
        await server.connect()
        io.to("empty").emit("x")
        assert parser.encoded == 1
        with pytest.raises(TypeError, match="a value of type object cannot be sent"):
            io.to("empty").emit("x", object())


async def test_broadcast_is_encoded_once_into_one_frame() -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    clients = [tcp.join("websocket") for _ in range(100)]
    for client in clients:
        client.connection.tcp.writes.clear()  # type: ignore[union-attr]
    packets: list[Any] = []
    adapter: Any = io.main.adapter
    encode = adapter._encode

    def record(data: list[Any], compress: bool) -> Any:
        packets.append(encode(data, compress))
        return packets[-1]

    adapter._encode = record
    io.emit("x", {"a": 1})
    assert len(packets) == 1
    frame = packets[0][0].frame
    assert all(client.connection.tcp.writes == [frame] for client in clients)  # type: ignore[union-attr]


async def test_broadcast_with_ack_collects_the_responses() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        for number in range(3):
            client = await server.connect()
            client.auto_ack = lambda name, args, number=number: number
        result = await io.timeout(5).emit_with_ack("x")
        assert sorted(result.responses) == [0, 1, 2]
        assert result.missing == []


async def test_broadcast_with_ack_supports_binary_data() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        client.auto_ack = lambda name, args: args[0]
        assert (await io.emit_with_ack("x", b"\x01")).responses == [b"\x01"]


async def test_broadcast_with_ack_to_an_empty_room_returns_immediately() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        await server.connect()
        assert await io.to("empty").timeout(5).emit_with_ack("x") == ([], [])


async def test_broadcast_with_ack_lists_clients_without_an_ack_as_missing() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        fast, slow = await server.connect(), await server.connect()
        fast.auto_ack = lambda name, args: "fast"
        pending = asyncio.ensure_future(io.timeout(3).emit_with_ack("x"))
        await server.advance(2)
        assert not pending.done()
        await server.advance(2)
        assert await pending == (["fast"], [slow.id])
        assert len(io.sockets[slow.id]._pending_acks) == 0, "no ack is pending"


async def test_broadcast_with_ack_lists_a_client_as_missing_when_it_leaves() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        fast, leaving = await server.connect(), await server.connect()
        fast.auto_ack = lambda name, args: "fast"
        pending = asyncio.ensure_future(io.emit_with_ack("x"))
        await settle()
        leaving.connection.cut()
        assert await pending == (["fast"], [leaving.id])


async def test_broadcast_with_ack_omits_a_socket_before_its_connect() -> None:
    io = SocketServer()
    gate = asyncio.Event()

    @io.use
    async def join_and_wait(socket: Socket) -> None:
        await socket.join("room")
        await gate.wait()

    async with TestServer(io) as server:
        connecting = asyncio.ensure_future(server.connect())
        await settle()
        assert len(io.main.rooms["room"]) == 1
        pending = asyncio.ensure_future(io.to("room").emit_with_ack("x"))
        await settle()
        assert pending.done()
        assert pending.result() == ([], [])
        gate.set()
        assert (await connecting).unanswered == []


async def test_broadcast_with_ack_sends_the_same_packet_to_all_clients(transport: str) -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    clients = [tcp.join(transport) for _ in range(3)]
    pending = asyncio.ensure_future(io.emit_with_ack("x"))
    await settle()
    assert [client.messages() for client in clients] == [['20["x"]']] * 3
    for client in clients:
        client.send("30[1]")
    assert (await pending).responses == [1, 1, 1]


async def test_broadcast_is_sent_in_the_order_of_the_connects() -> None:
    io = SocketServer()
    order: list[str] = []

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on_any_outgoing(lambda event: order.append(socket.id))

    async with TestServer(io) as server:
        clients = [await server.connect() for _ in range(5)]
        io.emit("x")
        assert order == [client.id for client in clients]


async def test_local_emit_reaches_the_clients_of_this_server() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        io.local.emit("x")
        io.of("/").local.to(client.id).emit("y")
        assert names(client) == [["x", "y"]]
        assert [each.id for each in await io.local.fetch_sockets()] == [client.id]


@pytest.mark.parametrize("compress", [True, False])
async def test_compress_sets_the_compression_of_the_packet(compress: bool) -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        flags: list[bool] = []
        send = client.connection._transport.send

        def record(packet: Any) -> None:
            flags.append(packet.compress)
            send(packet)

        client.connection._transport.send = record  # type: ignore[method-assign]
        io.compress(compress).emit("x")
        io.of("/").compress(compress).to(client.id).emit("x")
        socket.compress(compress).emit("x")
        socket.emit("default")
        assert flags == [compress, compress, compress, True]


async def test_listener_disconnects_all_sockets_during_a_broadcast() -> None:
    io = SocketServer()

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on_any_outgoing(lambda event: io.disconnect_sockets())

    async with TestServer(io) as server:
        a, b = await server.connect(), await server.connect()
        io.emit("x")
        assert names(a, b) == [["x"], ["x"]]
        assert not io.sockets


def test_room_is_rejected_when_it_is_not_a_string() -> None:
    io = SocketServer()
    with pytest.raises(TypeError, match="a room name must be a string"):
        io.to([1])  # type: ignore[list-item]
