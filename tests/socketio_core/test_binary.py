"""Binary data in events and acks: placeholders in the text, followed by attachments."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import JsonParser, MsgpackParser, Socket, SocketServer
from socketio_core.testing import TestServer
from tests.socketio_core.support import Journal, TcpServer

MIXED: list[Any] = [
    b"\x00\xff", b"", {"a": b"1", "b": [b"2", {"c": b"3"}], "n": None}, [b"x", 1, "t"],
]  # fmt: skip


@pytest.mark.parametrize("value", MIXED, ids=repr)
@pytest.mark.parametrize("parser", [JsonParser(), MsgpackParser()], ids=["json", "msgpack"])
async def test_nested_binary_data_is_sent_in_both_directions(parser: Any, value: Any) -> None:
    io = SocketServer(parser=parser)
    io.on("echo", lambda socket, each: each)
    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("echo", value) == value
        io.emit("x", value, 1)
        io.sockets[client.id].emit("x", value, 1)
        assert client.received == [("x", [value, 1])] * 2


async def test_attachments_follow_the_text_in_the_order_of_their_numbers(
    transport: str,
) -> None:
    io = SocketServer()
    client = TcpServer(io).join(transport)
    io.emit("x", b"first", {"deep": [b"second"]})
    assert client.messages() == [
        '52-["x",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}]',
        b"first",
        b"second",
    ]


async def test_attachments_replace_their_placeholders(transport: str) -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("message", lambda socket, *args: seen.append(args))
    client = TcpServer(io).join(transport)
    client.send('52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    client.send(b"\x01\x02\x03")
    assert seen == []
    client.send(b"\x04\x05\x06")
    assert seen == [(b"\x01\x02\x03", b"\x04\x05\x06")]


async def test_ack_with_binary_is_a_binary_ack(transport: str) -> None:
    io = SocketServer()
    io.on("x", lambda socket, *args: args)
    client = TcpServer(io).join(transport)
    client.send('51-789["x",{"_placeholder":true,"num":0}]')
    client.send(b"\x01")
    assert client.messages() == ['61-789[{"_placeholder":true,"num":0}]', b"\x01"]


async def test_binary_ack_of_the_client_is_returned() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        client.auto_ack = lambda name, args: {"reply": b"\x07"}
        assert await io.sockets[client.id].emit_with_ack("x", b"\x01") == {"reply": b"\x07"}


async def test_bytes_like_values_are_sent_as_bytes() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("x", bytearray(b"ab"), memoryview(b"cd"))
        assert client.received == [("x", [b"ab", b"cd"])]


async def test_emit_does_not_change_its_arguments() -> None:
    io = SocketServer()
    value = {"a": b"1", "l": [b"2"]}
    async with TestServer(io) as server:
        await server.connect()
        io.emit("x", value)
        assert value == {"a": b"1", "l": [b"2"]}


async def test_emit_raises_when_there_are_more_attachments_than_clients_accept() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        with pytest.raises(ValueError, match="must not carry more than 10 attachments"):
            io.sockets[client.id].emit("x", [b"x"] * 11)
        io.sockets[client.id].emit("x", [b"x"] * 10)
        assert len(client.received) == 1


async def test_client_that_announces_too_many_attachments_is_closed(transport: str) -> None:
    io = SocketServer(parser=JsonParser(max_attachments=2))
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.send('53-["x"]')
    assert client.is_over
    assert journal.reasons == ["forced close"]
    assert journal.descriptions == ["too many attachments"]


async def test_client_is_closed_when_its_attachments_exceed_the_limit_together() -> None:
    io = SocketServer(parser=JsonParser(max_attachment_bytes=10))
    journal = Journal(io)
    client = TcpServer(io).join("websocket")
    client.send('52-["x",{"_placeholder":true,"num":0}]')
    client.send(b"123456")
    client.send(b"123456")
    assert client.is_over
    assert journal.descriptions == ["too many bytes in attachments"]


async def test_incomplete_binary_packet_is_dropped_when_the_client_leaves() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("x", lambda socket, *args: seen.append(args))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.send_text('51-["x",{"_placeholder":true,"num":0}]')
        client.connection.cut()
        client.connection.session._receive_binary(b"late")
    assert seen == []


async def test_placeholder_in_a_packet_without_binary_is_an_object() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on("x", lambda socket, value: seen.append(value))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.send_text('2["x",{"_placeholder":true,"num":0}]')
    assert seen == [{"_placeholder": True, "num": 0}]


async def test_volatile_event_with_attachments_is_sent_or_dropped_as_a_whole() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket: Socket = io.sockets[client.id]
        client.connection.pause()
        socket.volatile.emit("x", b"1", b"2")
        client.connection.resume()
        socket.volatile.emit("y", b"1", b"2")
        assert client.received == [("y", [b"1", b"2"])]
