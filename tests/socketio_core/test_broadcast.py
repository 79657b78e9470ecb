"""Broadcasts: who is meant, once each, encoded once."""

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


async def test_everybody_gets_what_is_sent_to_all() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b = await server.connect(), await server.connect()
        io.emit("x")
        assert names(a, b) == [["x"], ["x"]]


async def test_a_socket_broadcasts_to_all_but_itself() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b, c = [await server.connect() for _ in range(3)]
        io.sockets[a.id].broadcast.emit("x")
        assert names(a, b, c) == [[], ["x"], ["x"]]


async def test_a_room_gets_what_is_sent_to_it() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b = await connect_in(server, "woot"), await connect_in(server)
        io.to("woot").emit("x")
        io.in_("woot").emit("y")
        assert names(a, b) == [["x", "y"], []]


async def test_a_socket_in_several_of_the_rooms_gets_an_event_once() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b, c = (
            await connect_in(server, "one", "two"), await connect_in(server, "two"),
            await connect_in(server),
        )  # fmt: skip
        io.to("one").to("two").emit("x")
        io.to(["one", "two"]).emit("y")
        assert names(a, b, c) == [["x", "y"], ["x", "y"], []]


async def test_a_socket_sends_to_rooms_without_itself() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b, c = (
            await connect_in(server, "r"), await connect_in(server, "r"), await connect_in(server),
        )  # fmt: skip
        io.sockets[a.id].to("r").emit("x")
        io.sockets[a.id].in_(["r", "other"]).emit("y")
        assert names(a, b, c) == [[], ["x", "y"], []]


async def test_rooms_and_sockets_can_be_left_out() -> None:
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


async def test_a_socket_id_is_a_room() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b = await server.connect(), await server.connect()
        io.to(b.id).emit("x")
        assert names(a, b) == [[], ["x"]]


async def test_an_operator_never_changes() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        a, b = await connect_in(server, "one"), await connect_in(server, "two")
        operator = io.to("one")
        assert operator.to("two") is not operator
        operator.except_("one").volatile.compress(False).timeout(1)  # leaves it as it is
        operator.emit("x")
        socket_operator = io.sockets[a.id].to("two")
        socket_operator.to("three")
        socket_operator.emit("y")
        assert names(a, b) == [["x"], ["y"]]


async def test_event_for_an_empty_room_is_encoded_to_check_its_values() -> None:
    class CountingParser(JsonParser):
        encoded = 0

        def encode_event(self, *args: Any, **given: Any) -> Any:
            self.encoded += 1
            return super().encode_event(*args, **given)

    parser = CountingParser()
    io = SocketServer(parser=parser)
    async with TestServer(io) as server:
        await server.connect()
        io.to("empty").emit("x")
        assert parser.encoded == 1
        with pytest.raises(TypeError, match="a value of type object cannot be sent"):
            io.to("empty").emit("x", object())


async def test_an_event_for_many_is_encoded_once_into_one_frame() -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    clients = [tcp.join("websocket") for _ in range(100)]
    for client in clients:
        client.connection.tcp.writes.clear()  # type: ignore[union-attr]
    packets: list[Any] = []
    adapter: Any = io.main.adapter
    encode = adapter._encode

    def recorded(data: list[Any], compress: bool) -> Any:
        packets.append(encode(data, compress))
        return packets[-1]

    adapter._encode = recorded
    io.emit("x", {"a": 1})
    assert len(packets) == 1
    frame = packets[0][0].frame
    assert all(client.connection.tcp.writes == [frame] for client in clients)  # type: ignore[union-attr]


async def test_everybody_is_asked_and_the_answers_are_collected() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        for number in range(3):
            client = await server.connect()
            client.auto_ack = lambda name, args, number=number: number
        answers = await io.timeout(5).emit_with_ack("x")
        assert sorted(answers.responses) == [0, 1, 2]
        assert answers.missing == []


async def test_binary_may_be_asked_and_answered() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        client.auto_ack = lambda name, args: args[0]
        assert (await io.emit_with_ack("x", b"\x01")).responses == [b"\x01"]


async def test_nobody_to_ask_gives_no_answers_at_once() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        await server.connect()
        assert await io.to("empty").timeout(5).emit_with_ack("x") == ([], [])


async def test_who_does_not_answer_in_time_is_missing() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        quick, slow = await server.connect(), await server.connect()
        quick.auto_ack = lambda name, args: "quick"
        asking = asyncio.ensure_future(io.timeout(3).emit_with_ack("x"))
        await server.advance(2)
        assert not asking.done()
        await server.advance(2)
        assert await asking == (["quick"], [slow.id])
        assert len(io.sockets[slow.id]._pending_acks) == 0, "nothing is waited for any more"


async def test_who_leaves_before_it_answers_is_missing_at_once() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        quick, leaves = await server.connect(), await server.connect()
        quick.auto_ack = lambda name, args: "quick"
        asking = asyncio.ensure_future(io.emit_with_ack("x"))
        await settle()
        leaves.connection.cut()
        assert await asking == (["quick"], [leaves.id])


async def test_everybody_is_asked_with_the_same_packet(transport: str) -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    clients = [tcp.join(transport) for _ in range(3)]
    asking = asyncio.ensure_future(io.emit_with_ack("x"))
    await settle()
    assert [client.messages() for client in clients] == [['20["x"]']] * 3
    for client in clients:
        client.send("30[1]")
    assert (await asking).responses == [1, 1, 1]


async def test_sockets_get_broadcasts_in_the_order_in_which_they_joined() -> None:
    io = SocketServer()
    order: list[str] = []

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on_any_outgoing(lambda event: order.append(socket.id))

    async with TestServer(io) as server:
        clients = [await server.connect() for _ in range(5)]
        io.emit("x")
        assert order == [client.id for client in clients]


async def test_this_server_alone_can_be_meant() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        io.local.emit("x")
        io.of("/").local.to(client.id).emit("y")
        assert names(client) == [["x", "y"]]
        assert [each.id for each in await io.local.fetch_sockets()] == [client.id]


@pytest.mark.parametrize("compress", [True, False])
async def test_whether_an_event_is_compressed_can_be_said(compress: bool) -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        flags: list[bool] = []
        send = client.connection.send

        def recorded(packet: Any) -> None:
            flags.append(packet.compress)
            send(packet)

        client.connection.send = recorded  # type: ignore[method-assign]
        io.compress(compress).emit("x")
        io.of("/").compress(compress).to(client.id).emit("x")
        socket.compress(compress).emit("x")
        socket.emit("default")
        assert flags == [compress, compress, compress, True]


async def test_a_handler_may_disconnect_others_in_the_middle_of_a_broadcast() -> None:
    io = SocketServer()

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on_any_outgoing(lambda event: io.disconnect_sockets())

    async with TestServer(io) as server:
        a, b = await server.connect(), await server.connect()
        io.emit("x")
        assert names(a, b) == [["x"], ["x"]]
        assert not io.sockets


def test_a_room_is_a_string() -> None:
    io = SocketServer()
    with pytest.raises(TypeError, match="a room name must be a string"):
        io.to([1])  # type: ignore[list-item]
