"""Clients of Socket.IO 1 and 2 (`allow_eio3`): connects, refusals, rooms, recovery, clusters."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from engineio_core.codec.payload_v3 import decode_text_payload
from socketio_core import ConnectError, JsonParser, MsgpackParser, Recovery, Socket, SocketServer
from socketio_core.testing import TestServer, settle
from tests.helpers.client import WebSocketClient
from tests.socketio_core.adapters.cluster_support import Cluster
from tests.socketio_core.support import TcpServer


def make_server(**options: Any) -> SocketServer:
    io = SocketServer(allow_eio3=True, **options)
    io.of("/chat")

    @io.on("echo")
    def echo(socket: Socket, *args: Any) -> tuple[Any, ...]:
        return args

    return io


def open_websocket(tcp: TcpServer) -> WebSocketClient:
    """Open a session of revision 3; its first packets are consumed."""
    connection = tcp.upgrade(EIO="3")
    assert connection.response().status == 101
    client = WebSocketClient(tcp, connection)
    frame = connection.frames()[0]
    client.sid = json.loads(frame.payload[1:])["sid"]
    return client


# -- connecting


async def test_server_connects_a_client_to_the_main_namespace() -> None:
    io = make_server()
    connected: list[Socket] = []
    io.on("connection", connected.append)
    tcp = TcpServer(io)
    connection = tcp.upgrade(EIO="3")
    connection.response()
    opened, connect = [frame.payload.decode() for frame in connection.frames()]
    sid = json.loads(opened[1:])["sid"]
    assert connect == "40"
    (socket,) = connected
    assert socket.id == sid
    assert socket.session.protocol == 3
    assert socket.handshake.auth == {}
    assert socket.handshake.query["EIO"] == "3"
    assert socket.rooms == {sid}
    assert socket.pid is None


async def test_polling_client_receives_the_connect_with_its_first_poll() -> None:
    tcp = TcpServer(make_server())
    (opened,) = decode_text_payload(tcp.get(EIO="3", transport="polling").response().body)
    assert isinstance(opened, str)
    sid = json.loads(opened[1:])["sid"]
    poll = tcp.get(EIO="3", transport="polling", sid=sid)
    assert poll.response().text == "2:40"
    body = b'15:427["echo","x"]'
    posted = tcp.post(body, EIO="3", transport="polling", sid=sid).response()
    assert posted.text == "ok"
    poll = tcp.get(EIO="3", transport="polling", sid=sid)
    assert poll.response().text == '8:437["x"]'


async def test_query_of_a_namespace_is_its_auth_data() -> None:
    io = make_server()
    tcp = TcpServer(io)
    client = open_websocket(tcp)
    client.send("0/chat?token=abc&x=a%20b,")
    assert client.packets() == ["40/chat,"]
    (socket,) = io.of("/chat").sockets.values()
    assert socket.handshake.auth == {"token": "abc", "x": "a b"}
    assert socket.id == f"/chat#{client.sid}"
    assert "token" not in socket.handshake.query
    client.send("1/chat")
    assert socket.connected is False
    assert io.sockets != {}


async def test_pattern_and_function_of_a_namespace_receive_the_query() -> None:
    io = make_server()
    io.of(re.compile(r"/room-\d+"))
    io.of(lambda name, auth: auth.get("key") == "k")
    async with TestServer(io) as server:
        main = await server.connect(eio3=True)
        same = main.connection
        room = await server.connect("/room-7", on_connection=same, auth={"a": "1"})
        assert io.of("/room-7").sockets[room.id].handshake.auth == {"a": "1"}
        await server.connect("/secret", on_connection=same, auth={"key": "k"})
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await server.connect("/other", on_connection=same)


async def test_unknown_namespace_is_refused_with_an_object() -> None:
    tcp = TcpServer(make_server())
    client = open_websocket(tcp)
    client.send("0/nope?x=1,")
    await settle()
    assert client.packets() == ['44/nope,{"message":"Invalid namespace"}']
    client.send('21["echo",1]')
    assert client.packets() == ["431[1]"]


@pytest.mark.parametrize(
    ("error", "packet"),
    [
        (ConnectError("no"), '44/chat,"no"'),
        (ConnectError("no", {"code": 7}), '44/chat,{"code":7}'),
        (ConnectError("no", "text"), '44/chat,"text"'),
        (ConnectError("no", [1]), '44/chat,"no"'),
        (ConnectError("no", {"x": object()}), '44/chat,"no"'),
        (ValueError("secret"), '44/chat,"internal error"'),
    ],
)
async def test_refusal_of_a_middleware_is_its_data_or_its_message(
    error: Exception, packet: str
) -> None:
    io = make_server()

    @io.of("/chat").use
    def refuse(socket: Socket) -> None:
        raise error

    tcp = TcpServer(io)
    client = open_websocket(tcp)
    client.send("0/chat")
    await settle()
    assert client.packets() == [packet]


async def test_client_without_a_namespace_is_closed() -> None:
    io = make_server(refused_timeout=10)

    @io.use
    def refuse(socket: Socket) -> None:
        raise ConnectError("not authorized")

    tcp = TcpServer(io)
    client = open_websocket(tcp)
    await settle()
    assert client.is_over is False
    tcp.clock.advance(10.1)
    assert client.is_over


async def test_second_connect_to_a_namespace_closes_the_connection() -> None:
    io = make_server()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    client = open_websocket(TcpServer(io))
    client.send("0")
    assert client.is_over
    assert reasons == ["forced server close"]


async def test_client_returns_to_the_main_namespace_with_the_same_id() -> None:
    io = make_server()
    client = open_websocket(TcpServer(io))
    client.send("1")
    assert io.sockets == {}
    client.send("0")
    assert client.packets() == ["40"]
    assert list(io.sockets) == [client.sid]


@pytest.mark.parametrize("message", ["2[broken", "9", "0/a,b", '2["connect"]', "5x-[]"])
async def test_invalid_packet_closes_the_connection(message: str) -> None:
    io = make_server()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    client = open_websocket(TcpServer(io))
    client.send(message)
    assert client.is_over
    assert reasons in (["forced close"], ["forced server close"])


async def test_connection_handler_may_close_the_session_at_once() -> None:
    io = make_server()
    io.on("connection", lambda socket: socket.disconnect(True))
    connection = TcpServer(io).upgrade(EIO="3")
    connection.response()
    _, *others = connection.frames()
    assert [frame.payload for frame in others] == [b"40", b"41", b""]
    assert not io._connections


async def test_revision_3_is_refused_by_default() -> None:
    tcp = TcpServer(SocketServer())
    response = tcp.get(EIO="3", transport="polling").response()
    assert response.json == {"code": 5, "message": "Unsupported protocol version"}


# -- events


async def test_binary_events_and_acks_pass_in_both_directions() -> None:
    io = make_server()
    client = open_websocket(TcpServer(io))
    (socket,) = io.sockets.values()
    answers: list[Any] = []
    socket.emit("question", b"\x01", ack=lambda *args: answers.extend(args))
    assert client.packets() == [
        '451-0["question",{"_placeholder":true,"num":0}]', b"\x04\x01",
    ]  # fmt: skip
    client.send_packet('461-0[{"_placeholder":true,"num":0}]')
    client.frame(2, b"\x04\x02")
    assert answers == [b"\x02"]
    client.send_packet('451-7["echo",{"_placeholder":true,"num":0}]')
    client.frame(2, b"\x04\x03")
    assert client.packets() == ['461-7[{"_placeholder":true,"num":0}]', b"\x04\x03"]


async def test_disconnect_by_the_server_keeps_the_session() -> None:
    io = make_server()
    async with TestServer(io) as server:
        old = await server.connect(eio3=True)
        io.sockets[old.id].disconnect()
        assert not old.connected
        assert not old.connection.is_closed


async def test_event_of_a_room_is_encoded_once_for_both_revisions() -> None:
    encoded: list[list[Any]] = []

    class CountingParser(JsonParser):
        def encode_event(self, namespace: str, data: Any, ack_id: int | None = None) -> Any:
            encoded.append(list(data))
            return super().encode_event(namespace, data, ack_id)

    io = make_server(parser=CountingParser())
    tcp = TcpServer(io)
    old = [open_websocket(tcp) for _ in range(3)]
    new = [tcp.join("websocket") for _ in range(2)]
    for socket in io.sockets.values():
        await socket.join("both")
    io.to("both").emit("news", b"\x01")
    assert encoded == [["news", b"\x01"]]
    text = '451-["news",{"_placeholder":true,"num":0}]'
    assert [client.packets() for client in old] == [[text, b"\x04\x01"]] * 3
    assert [client.packets() for client in new] == [[text, b"\x01"]] * 2
    frames = {
        bytes(write) for client in old for write in client.tcp.writes if write.endswith(b"\x04\x01")
    }
    assert len(frames) == 1


async def test_broadcast_collects_acks_of_both_revisions() -> None:
    io = make_server()
    async with TestServer(io) as server:
        old = await server.connect(eio3=True)
        new = await server.connect()
        old.auto_ack = lambda name, args: "old"
        new.auto_ack = lambda name, args: "new"
        answers = await io.timeout(5).emit_with_ack("question")
        assert sorted(answers.responses) == ["new", "old"]
        assert await io.sockets[old.id].emit_with_ack("question") == "old"
        assert await old.emit_with_ack("echo", 1, b"\x01") == 1


async def test_volatile_event_reaches_a_client_of_revision_3() -> None:
    io = make_server()
    async with TestServer(io) as server:
        old = await server.connect(eio3=True)
        await settle()
        io.volatile.emit("news", b"\x01")
        assert old.received == [("news", [b"\x01"])]


# -- recovery


async def test_recovery_is_not_offered_to_revision_3() -> None:
    io = make_server(recovery=Recovery())
    async with TestServer(io) as server:
        old = await server.connect(eio3=True)
        new = await server.connect()
        assert (old.pid, new.pid is not None) == (None, True)
        io.emit("news", 1)
        await settle()
        io.volatile.emit("volatile", 2)
        io.sockets[old.id].emit("direct", 3)
        assert old.received == [("news", [1]), ("volatile", [2]), ("direct", [3])]
        assert [(name, len(args)) for name, args in new.received] == [("news", 2), ("volatile", 2)]
        new.connection.cut()
        io.emit("missed", 4)
        again = await server.connect(recovering=new)
        assert (again.id, [name for name, _ in again.received]) == (new.id, ["missed"])


async def test_query_of_revision_3_does_not_restore_a_session() -> None:
    io = make_server(recovery=Recovery())
    async with TestServer(io) as server:
        new = await server.connect("/chat")
        io.of("/chat").sockets[new.id].data["secret"] = 1
        pid = new.pid
        new.connection.cut()
        main = await server.connect(eio3=True)
        auth = {"pid": pid}
        old = await server.connect("/chat", on_connection=main.connection, auth=auth)
        socket = io.of("/chat").sockets[old.id]
        assert (socket.recovered, socket.data) == (False, {})
        assert (await server.connect("/chat", recovering=new)).id == new.id


# -- other servers and parsers


async def test_events_of_other_servers_reach_clients_of_revision_3() -> None:
    async with Cluster(allow_eio3=True) as cluster:
        first, second = cluster.ios
        old = await cluster.servers[0].connect(eio3=True)
        new = await cluster.servers[1].connect()
        second.emit("news", b"\x01")
        await settle()
        assert old.received == [("news", [b"\x01"])]
        assert new.received == [("news", [b"\x01"])]
        found = {socket.id: socket for socket in await second.fetch_sockets()}
        assert set(found) == {old.id, new.id}
        assert found[old.id].handshake.query["EIO"] == "3"
        second.in_(old.id).disconnect_sockets()
        await settle()
        assert not old.connected
        assert first.sockets == {}


async def test_old_messagepack_parser_connects_with_json_text() -> None:
    io = make_server(parser=MsgpackParser())
    async with TestServer(io) as server:
        main = await server.connect(eio3=True)
        chat = await server.connect("/chat", on_connection=main.connection, auth={"token": "t"})
        assert io.of("/chat").sockets[chat.id].handshake.auth == {"token": "t"}
        assert await main.emit_with_ack("echo", b"\x01") == b"\x01"
        main.connection.send_text('{"type":1,"nsp":"/chat"}')
        assert io.of("/chat").sockets == {}
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await server.connect("/nope", on_connection=main.connection)


# -- the test client


async def test_old_test_client_checks_its_arguments() -> None:
    async with TestServer(SocketServer()) as server:
        with pytest.raises(ValueError, match="allow_eio3=True"):
            await server.connect(eio3=True)
    io = make_server()
    async with TestServer(io) as server:
        with pytest.raises(ValueError, match="sends no auth"):
            await server.connect(eio3=True, auth={"a": "1"})
        client = await server.connect(eio3=True, query="token=t")
        assert client.id == client.connection.session.sid
        assert io.sockets[client.id].handshake.query["token"] == "t"
        await server.advance(200)  # the test client answers pings in both revisions
        assert client.connected


async def test_refused_old_test_client_raises_the_refusal() -> None:
    io = make_server()

    @io.use
    async def refuse(socket: Socket) -> None:
        await asyncio.sleep(0)
        raise ConnectError("no", {"code": 7})

    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="refused") as caught:
            await server.connect(eio3=True)
        assert caught.value.data == {"code": 7}
