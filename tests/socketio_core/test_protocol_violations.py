"""Protocol violations: the server closes the connection of the offending client only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import JsonParser, MsgpackParser, Socket, SocketServer
from tests.helpers.wire import TEXT
from tests.socketio_core.support import Journal, TcpServer, join

INVALID = [
    "", "x", "7", "9", "999", "abc", "2", "2{}", "2[]", "2[true]", "2[null]", '2[{"toString":"a"}]',
    '2["connect"]', '2["disconnect","123"]', "2abc[]", '2["x"', "2[NaN]", '2["x",Infinity]',
    "0[]", '0"a"', "0null", "1{}", '1/a,{}', '3{"a":1}', '3"a"', "442", '442["some","data"',
    '0/admin,"invalid"', '2/admin,"invalid', "2/admin,{}",
    "5", "51", "5a-", "51.23-", "5woooot", "5-1-[]", "511-[]", "599999999999999999999-",
    '2' + "9" * 30 + '["x"]', "2" + "[" * 5000, "0/" + "a" * 5000, '2/a\x1eb,["x"]',
]  # fmt: skip


@pytest.mark.parametrize("packet", INVALID, ids=lambda packet: repr(packet)[:30])
async def test_invalid_packet_closes_only_its_own_client(transport: str, packet: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    tcp = TcpServer(io)
    offender, bystander = tcp.join(transport), tcp.join("websocket")
    offender.send(packet.replace("\x1e", "\u001e") if transport == "websocket" else packet)
    assert offender.is_over
    assert len(journal.reasons) == 1
    bystander.messages()
    assert not bystander.is_over
    assert len(io.sockets) == 1


async def test_invalid_packet_before_the_connect_closes_the_connection(transport: str) -> None:
    client = TcpServer(SocketServer()).open(transport)
    client.send("abc")
    assert client.is_over


async def test_polling_client_receives_a_close_packet_after_an_invalid_packet() -> None:
    io = SocketServer()
    client = TcpServer(io).join("polling")
    client.messages()
    client.send("2{}")
    assert [p for p in client.packets() if p in {"6", "1"}] in (["6", "1"], ["1"])


async def test_unexpected_binary_closes_the_client(transport: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.send(b"\x01")
    assert client.is_over
    assert journal.descriptions == ["got binary data when not reconstructing a packet"]


async def test_text_between_attachments_closes_the_client(transport: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.send('51-["x",{"_placeholder":true,"num":0}]')
    client.send('2["y"]')
    assert client.is_over
    assert journal.descriptions == ["got plaintext data when reconstructing a packet"]


@pytest.mark.parametrize("number", ["1", "-1", '"0"', "0.5", "true", '"splice"', "null"])
async def test_placeholder_with_an_invalid_number_closes_the_client(number: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join("websocket")
    client.send(f'51-["x",{{"_placeholder":true,"num":{number}}}]')
    client.send(b"\x01")
    assert client.is_over
    assert journal.descriptions == ["illegal attachments"]


async def test_second_connect_closes_the_client(transport: str) -> None:
    io = SocketServer()
    client = TcpServer(io).join(transport)
    client.send("0")
    assert client.is_over
    assert not io.sockets


@pytest.mark.parametrize("packet", ['2["x"]', "30[]", "1", '2/a,["x"]'])
async def test_packet_for_a_namespace_that_was_not_joined_closes_the_client(
    transport: str, packet: str
) -> None:
    io = SocketServer()
    journal = Journal(io, "/b")
    client = TcpServer(io).join(transport, "/b")
    client.send(packet)
    assert client.is_over
    assert journal.reasons == ["forced server close"]


async def test_event_before_the_connect_response_closes_the_client() -> None:
    io = SocketServer()
    never = asyncio.Event()

    @io.use
    async def slow(socket: Socket) -> None:
        await never.wait()

    client = TcpServer(io).open("websocket")
    client.send("0")
    client.send('2["x"]')
    assert client.is_over
    await io.shutdown(grace=0)


@pytest.mark.parametrize("packet", ['4{"message":"x"}', '4"x"'])
async def test_packet_of_a_server_type_closes_the_client(packet: str) -> None:
    io = SocketServer()
    client = TcpServer(io).join("websocket")
    client.send(packet)
    assert client.is_over


async def test_violation_disconnects_the_client_in_all_namespaces() -> None:
    io = SocketServer()
    journals = [Journal(io, name) for name in ("/", "/a", "/b")]
    client = TcpServer(io).join("websocket")
    join(client, "/a")
    join(client, "/b")
    client.send('2/c,["x"]')
    assert [journal.reasons for journal in journals] == [["forced server close"]] * 3


async def test_packets_after_an_invalid_packet_in_the_same_payload_are_dropped() -> None:
    io = SocketServer()
    seen: list[int] = []
    io.on("x", lambda socket, value: seen.append(value))
    client = TcpServer(io).join("polling")
    client.send_packet('42["x",1]\x1e42{}\x1e42["x",2]')
    assert seen == [1]


async def test_ack_id_with_too_many_digits_closes_the_client() -> None:
    io = SocketServer()
    client = TcpServer(io).join("websocket")
    client.send("2" + "1" * 16 + '["x"]')
    assert client.is_over


@pytest.mark.parametrize("message", [b"", b"\xc1", b"\x90", b"\x81\xa4type\x02", b"\xff" * 100])
async def test_invalid_messagepack_closes_the_client(message: bytes) -> None:
    io = SocketServer(parser=MsgpackParser())
    client = TcpServer(io).open("websocket")
    client.send(message)
    assert client.is_over


async def test_text_closes_a_messagepack_client() -> None:
    io = SocketServer(parser=MsgpackParser())
    client = TcpServer(io).open("websocket")
    client.send("0")
    assert client.is_over


@pytest.mark.parametrize("parser", [JsonParser(), MsgpackParser()], ids=lambda parser: parser.name)
async def test_text_that_is_not_utf_8_closes_with_1007_in_every_parser_state(parser: Any) -> None:
    tcp = TcpServer(SocketServer(parser=parser))
    client = tcp.open_websocket()
    if parser.name == "json":
        join(client)
        client.send('51-["x",{"_placeholder":true,"num":0}]')
    client.frame(TEXT, b"4\xff")
    assert client.close_code == 1007
