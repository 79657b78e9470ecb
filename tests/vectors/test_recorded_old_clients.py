"""Bytes of clients of Socket.IO 1.7, 2.0 and 2.5 with Node: the codecs and the server agree."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet_v3 import binary_form
from engineio_core.codec.payload_v3 import decode_text_payload, encode_text_payload
from engineio_core.transports.interface import NullListener
from engineio_core.transports.revision_3 import RevisionThreeListener
from socketio_core import ConnectError, JsonParser, Namespace, Socket, SocketServer
from socketio_core.codec.json_codec import Packet, PacketType
from socketio_core.codec.packet import Decoder
from socketio_core.codec.revision_4 import old_decoder
from socketio_core.testing import settle
from tests.socketio_core.support import TcpServer

FOLDER = Path(__file__).parent / "recorded"
TEXT = "\u00e9\u20ac\U0001f600"


def load(name: str, key: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())[key]
    assert records
    return records


def to_bytes(data: Any) -> bytes:
    return base64.b64decode(data["$base64"]) if isinstance(data, dict) else data.encode()


def records_of(*kinds: str) -> list[Any]:
    found = [each for each in load("eio3-clients", "records") if each["kind"] in kinds]
    return [
        pytest.param(each, id=f"{each['client']} {'-'.join(each['transports'])} {each['kind']} {n}")
        for n, each in enumerate(found)
    ]


class Recorder(NullListener):
    """Listener that keeps the packets."""

    def __init__(self) -> None:
        self.packets: list[str | bytes] = []

    def _receive_text(self, packet: bytes) -> None:
        self.packets.append(packet.decode())

    def _receive_binary(self, data: bytes) -> None:
        self.packets.append(data)


def decode_messages(decoder: Decoder, packets: list[str | bytes]) -> list[Packet]:
    """Return the packets of Socket.IO in the packets of Engine.IO."""
    decoded = []
    for each in packets:
        if isinstance(each, bytes):
            found = decoder.receive_binary(each)
        elif each.startswith("4"):
            found = decoder.receive_text(each.encode())
        else:
            continue
        if found is not None:
            decoded.append(Packet(*found))
    return decoded


def encode_all(packets: list[Packet]) -> list[str | bytes]:
    """Return the messages of packets as text with the digit 4, or bytes."""
    return [
        each.payload if each.is_binary else each.payload.decode()
        for packet in packets
        for each in JsonParser().encode(packet)
    ]


def of_messages(packets: list[str | bytes]) -> list[str | bytes]:
    return [each for each in packets if isinstance(each, bytes) or each.startswith("4")]


# -- the codecs


@pytest.mark.parametrize("record", records_of("poll", "post"))
def test_recorded_payload_decodes_and_encodes_to_the_same_bytes(record: Any) -> None:
    body = to_bytes(record["body"])
    packets = list(decode_text_payload(body))
    encoded = [
        EncodedPacket(each, is_binary=True)
        if isinstance(each, bytes)
        else EncodedPacket(each.encode())
        for each in packets
    ]
    assert encode_text_payload(encoded) == body
    if record["kind"] == "poll":
        messages = of_messages(packets)
        assert encode_all(decode_messages(JsonParser().decoder(), messages)) == messages
    else:
        decode_messages(old_decoder(JsonParser()), packets)


@pytest.mark.parametrize("record", records_of("websocket"))
def test_recorded_websocket_decodes_and_encodes_to_the_same_bytes(record: Any) -> None:
    sides = {"client": Recorder(), "server": Recorder()}
    for side, message in record["messages"]:
        listener = RevisionThreeListener(sides[side])
        if isinstance(message, dict):
            listener._receive_binary(to_bytes(message))
            data = sides[side].packets[-1]
            assert isinstance(data, bytes)
            assert binary_form(EncodedPacket(data, is_binary=True)).payload == to_bytes(message)
        else:
            listener._receive_text(message.encode())
    messages = of_messages(sides["server"].packets)
    assert encode_all(decode_messages(JsonParser().decoder(), messages)) == messages
    received = decode_messages(old_decoder(JsonParser()), sides["client"].packets)
    connects = {each.namespace: each.data for each in received if each.type is PacketType.CONNECT}
    assert connects == {"/admin": {"token": "abc", "x": "a b"}, "/nope": {}}
    assert ["echo", TEXT, 1] in [each.data for each in received]


# -- the server


def add_handlers(namespace: Namespace) -> None:
    @namespace.on("echo")
    def echo(socket: Socket, *args: Any) -> Any:
        if args == ("x",):  # the recorded event with an ack
            return args
        socket.emit("echo", *args)
        return None

    @namespace.on("many")
    def many(socket: Socket, *args: Any) -> None:
        socket.emit("a", 1)
        socket.emit("b", 2)
        socket.emit("c", 'line1\nline2\\n "q" \u2028')

    @namespace.on("ask")
    def ask(socket: Socket) -> None:
        socket.emit("q", 5, ack=lambda answer: socket.emit("answered", answer))

    @namespace.on("mixed")
    def mixed(socket: Socket) -> None:
        socket.emit("t", TEXT)
        socket.emit("b", b"\x00\x01\xfe\xff")
        socket.emit("t2", "x")


def make_server() -> SocketServer:
    io = SocketServer(allow_eio3=True, jsonp=True)
    admin = io.of("/admin")
    add_handlers(io.main)
    add_handlers(admin)

    @admin.use
    def check(socket: Socket) -> None:
        token = socket.handshake.auth.get("token")
        if token == "bad":
            raise ConnectError("refused", {"code": 7})
        if token == "bad2":
            raise ConnectError("plain message")

    @admin.on("connection")
    def connected(socket: Socket) -> None:
        socket.emit("who", socket.handshake.auth, socket.handshake.query)

    return io


# Deliberate differences: (status, type, body), None where the recorded value holds
DIFFERENT: dict[str, tuple[int | None, str | None, str | None]] = {
    # An object instead of a payload, which no client can read
    "jsonp-poll-mixed": (
        None,
        None,
        '___eio[0]("14:42[\\"t\\",\\"\u00e9\u20ac\U0001f600\\"]39:451-[\\"b\\",{\\"_placeholder'
        '\\":true,\\"num\\":0}]10:b4AAH+/w==12:42[\\"t2\\",\\"x\\"]");',
    ),
    # The answers have the order of the packets; Node runs handlers after the whole payload.
    "poll-several": (
        None,
        None,
        '9:42["a",1]9:42["b",2]33:42["c","line1\\nline2\\\\n \\"q\\" \u2028"]1:3',
    ),
    # An invalid payload is refused before the session ends.
    "post-text-form-as-octet-stream": (400, "", ""),
    "bad-length": (400, "", ""),
}


async def test_server_answers_recorded_requests_like_node() -> None:
    tcp = TcpServer(make_server())
    sids: dict[str, str] = {}
    for exchange in load("eio3-polling", "exchanges"):
        name, query = exchange["name"], exchange["query"]
        if (sid := re.search(r"sid=([\w-]+)", query)) and sid[1] in sids:
            query = query.replace(sid[1], sids[sid[1]])
        headers = {"Content-Type": exchange["content_type"]} if "content_type" in exchange else {}
        body = to_bytes(exchange["body"]) if "body" in exchange else None
        connection = tcp.connect()
        connection.request(exchange["method"], f"/socket.io/?{query}", headers, body)
        await settle()
        response = connection.response()
        expected = to_bytes(exchange["response"])
        opened = re.search(rb'\\?"sid\\?":\\?"([\w-]{20})', expected)
        if opened is not None:
            found = re.search(rb'\\?"sid\\?":\\?"([\w-]{20})', response.body)
            assert found is not None, name
            sids[opened[1].decode()] = found[1].decode()
            expected = expected.replace(opened[1], found[1])
        kind = exchange["type"]
        if expected.startswith(b"___eio"):
            kind = "text/javascript; charset=UTF-8"  # Node: text/plain, which browsers refuse
        status, other_kind, text = DIFFERENT.get(name, (None, None, None))
        assert response.status == (status or exchange["status"]), name
        assert response.header("content-type") == (kind if other_kind is None else None), name
        assert response.body == (expected if text is None else text.encode()), name
    assert len(sids) > 10
