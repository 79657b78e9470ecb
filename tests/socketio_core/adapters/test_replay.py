"""Replay of missed events: which events a recovered client receives, and in which form."""

from __future__ import annotations

from typing import Any

from socketio_core import Socket
from socketio_core.testing import TestServer
from tests.socketio_core.adapters.support import events, make_server
from tests.socketio_core.support import TcpServer


async def test_missed_events_are_sent_before_the_connect_packet(transport: str) -> None:
    io = make_server()
    tcp = TcpServer(io)
    first = tcp.open(transport)
    first.send("0")
    (first_connect,) = first.messages()
    (socket,) = io.sockets.values()
    io.emit("seen")
    (seen,) = first.messages()
    offset = str(seen).split('"')[-2]
    first.send_packet("1")
    for number in (1, 2, 3):
        io.emit(f"hello{number}")
    second = tcp.open(transport)
    second.send(f'0{{"pid":"{socket.pid}","offset":"{offset}"}}')
    *missed, connect = [str(each) for each in second.messages()]
    assert [each[:10] for each in missed] == [f'2["hello{n}"' for n in (1, 2, 3)]
    assert connect == first_connect


async def test_events_before_the_connect_are_not_replayed() -> None:
    io = make_server()
    async with TestServer(io) as server:
        await server.connect()
        io.emit("before the connect")
        client = await server.connect()
        client.connection.cut()
        again = await server.connect(recovering=client)
        assert again.received == []


async def test_event_lost_during_the_disconnect_is_replayed() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("seen")
        client.connection.pause()
        io.emit("lost in transit")
        client.connection.cut()
        again = await server.connect(recovering=client)
        assert events(again) == [("lost in transit", [])]


async def test_volatile_events_do_not_change_the_offset() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        io.emit("one")
        socket.volatile.emit("volatile", "a string at the end")
        io.volatile.emit("volatile", "another")
        client.connection.cut()
        io.volatile.emit("volatile and missed", "dropped")
        io.emit("two")
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("two", [])]


async def test_events_with_acks_do_not_change_the_offset_and_are_not_replayed() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        io.emit("one")
        socket.emit("with ack", "a string at the end", ack=print)
        client.connection.cut()
        io.emit("two")
        again = await server.connect(recovering=client)
        assert events(again) == [("two", [])]


async def test_missed_events_respect_rooms_and_exceptions() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client, other = await server.connect(), await server.connect()
        await io.sockets[client.id].join(["a", "b"])
        client.connection.cut()
        io.to("a").emit("a")
        io.to(["b", "c"]).emit("b or c")
        io.to("c").emit("c")
        io.except_("a").emit("all but a")
        io.to("a").except_("b").emit("a but not b")
        io.except_("c").emit("all but c")
        io.sockets[other.id].broadcast.emit("from other")
        io.to("a").to("b").emit("once")
        again = await server.connect(recovering=client)
        names = [name for name, _ in again.received]
        assert names == ["a", "b or c", "all but c", "from other", "once"]


async def test_attachments_are_replayed_with_their_events() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        io.emit("file", {"data": b"\x01"}, b"\x02")
        again = await server.connect(recovering=client)
        assert events(again) == [("file", [{"data": b"\x01"}, b"\x02"])]


async def test_replayed_event_keeps_the_value_at_the_time_of_the_emit() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        value = {"state": "then"}
        io.emit("x", value)
        value["state"] = "now"
        again = await server.connect(recovering=client)
        assert events(again) == [("x", [{"state": "then"}])]


async def test_replayed_events_have_their_own_offsets() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        io.emit("one")
        io.emit("two")
        again = await server.connect(recovering=client)
        again.last_offset = again.received[0][1][-1]  # the client received only the first event
        again.connection.cut()
        third = await server.connect(recovering=again)
        assert events(third) == [("two", [])]


async def test_event_is_not_stored_when_no_session_can_recover_it() -> None:
    io = make_server()
    async with TestServer(io) as server:
        io.emit("without clients")
        client = await server.connect()
        io.to("empty").emit("x")
        io.emit("first")
        assert str(client.last_offset).endswith("-1")


async def test_each_namespace_recovers_independently() -> None:
    io = make_server()
    io.of("/a")
    async with TestServer(io) as server:
        root = await server.connect()
        a = await server.connect("/a", on_connection=root.connection)
        root.connection.cut()
        io.emit("root")
        io.of("/a").emit("a")
        again = await server.connect(recovering=root)
        a_again = await server.connect(recovering=a, on_connection=again.connection)
        assert (again.id, a_again.id) == (root.id, a.id)
        assert (events(again), events(a_again)) == ([("root", [])], [("a", [])])


async def test_outgoing_listeners_receive_no_offsets() -> None:
    io = make_server()
    seen: list[Any] = []

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on_any_outgoing(lambda *args: seen.append(args))

    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("x", 1)
        io.sockets[client.id].emit("y", 2)
    assert seen == [("x", 1), ("y", 2)]
