"""Every case of the Engine.IO and WebSocket vectors, by its name."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from engineio_core import Cors
from engineio_core.codec import encoded_packet
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet import TYPES
from engineio_core.codec.payload import decode_payload, encode_payload
from engineio_core.codec.websocket_frame import BINARY, TEXT, encode_frame
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.transports.interface import NullListener
from engineio_core.transports.websocket import WebSocketTransport
from tests.helpers.client import Server, WebSocketClient
from tests.helpers.wire import PONG

FOLDER = Path(__file__).parents[2] / "spec-vectors"
DIGITS = dict(
    zip(("OPEN", "CLOSE", "PING", "PONG", "MESSAGE", "UPGRADE", "NOOP"), "0123456", strict=True)
)
# What a server makes by itself.
OWN = {
    "CLOSE": encoded_packet.CLOSE_PACKET,
    "PING": encoded_packet.PING_PACKET,
    "PONG": encoded_packet.PROBE_REPLY_PACKET,
    "NOOP": encoded_packet.NOOP_PACKET,
}
# The slugs of the vectors in the words of our errors.
WORDS = {
    "empty_packet": "empty packet",
    "unknown_packet_type": "unknown packet type",
    "invalid_utf8": "not valid UTF-8",
    "invalid_base64": "not valid base64",
}


def cases_of(name: str, *kinds: str) -> list[Any]:
    file = json.loads((FOLDER / f"{name}.json").read_text())
    cases = [case for case in file["cases"] if case["kind"] in kinds]
    assert cases
    return [pytest.param(case, id=case["name"]) for case in cases]


def revive(value: Any) -> Any:
    return base64.b64decode(value["$base64"]) if isinstance(value, dict) else value


def text_of(found: dict[str, Any]) -> str | bytes:
    """Return a packet as our decoders give it: its type and text, or the bytes of a message."""
    data = revive(found.get("data", ""))
    return data if isinstance(data, bytes) else DIGITS[found["type"]] + data


def encoded(found: dict[str, Any]) -> EncodedPacket:
    if found["type"] == "MESSAGE":
        return EncodedPacket.message(revive(found["data"]))
    return OWN[found["type"]]


def body_of(wire: Any) -> bytes:
    body = revive(wire)
    return body.encode() if isinstance(body, str) else body


# -- packets


@pytest.mark.parametrize("case", cases_of("engineio-packet", "both", "encode"))
def test_a_packet_is_encoded_as_written(case: Any) -> None:
    made = encoded(case["packet"])
    wire = revive(case["wire"])
    assert made.is_binary == isinstance(wire, bytes)
    assert made.payload == body_of(case["wire"])


@pytest.mark.parametrize("case", cases_of("engineio-packet", "both", "decode"))
def test_a_message_of_a_websocket_is_the_packet_that_is_written(case: Any) -> None:
    wire = revive(case["wire"])
    client = Server().open_websocket()
    if case["packet"]["type"] == "MESSAGE":
        client.send_packet(wire) if isinstance(wire, str) else client.send(wire)
        assert client.server.received == [revive(case["packet"]["data"])]
    else:
        assert wire == text_of(case["packet"])
        assert wire[0] in TYPES


@pytest.mark.parametrize("case", cases_of("engineio-packet", "error"))
def test_a_message_of_a_websocket_is_no_packet(case: Any) -> None:
    client = Server().open_websocket()
    client.send_packet(case["wire"])
    assert client.is_over
    assert client.server.reasons == ["parse error"]
    assert client.server.received == []


# -- payloads


@pytest.mark.parametrize("case", cases_of("engineio-payload", "both", "encode"))
def test_packets_are_joined_as_written(case: Any) -> None:
    packets = [encoded(each) for each in case["packets"]]
    assert encode_payload(packets) == body_of(case["wire"])


@pytest.mark.parametrize("case", cases_of("engineio-payload", "both", "decode"))
def test_a_payload_holds_the_packets_that_are_written(case: Any) -> None:
    assert list(decode_payload(body_of(case["wire"]))) == [text_of(p) for p in case["packets"]]


@pytest.mark.parametrize("case", cases_of("engineio-payload", "error"))
def test_a_payload_is_refused_as_written(case: Any) -> None:
    packets = decode_payload(body_of(case["wire"]))
    for _ in range(case.get("delivered", 0)):
        next(packets)
    with pytest.raises(ProtocolError, match=WORDS[case["error"]]) as caught:
        next(packets)
    assert caught.value.reason is CloseReason.PARSE_ERROR


# -- handshakes


@pytest.mark.parametrize("case", cases_of("engineio-handshake", "opens", "refused"))
def test_a_query_is_answered_as_written(case: Any) -> None:
    request = case["request"]
    server = Server()
    target = server.path + "/?" + request["query"]
    connection = server.connect()
    headers = dict(request.get("headers", {}))
    if request.get("upgrade"):
        headers |= {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        }
    connection.request(request["method"], target, headers)
    response = connection.response()
    assert response.status == case["status"]
    if case["kind"] == "opens":
        assert len(server.sessions) == 1
        return
    assert server.sessions == []
    assert server.errors[0].code == case["code"]
    if request.get("upgrade"):
        assert response.text == case["message"]
    else:
        assert response.json == {"code": case["code"], "message": case["message"]}


def test_a_refusal_has_the_headers_of_cors_too() -> None:
    server = Server(cors=Cors(origins="*"))
    response = server.get(transport="tobi").response()
    assert response.header("access-control-allow-origin") == "*"


# -- frames


class Listener(NullListener):
    """Hears messages, and nothing else."""

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []

    def _receive_text(self, packet: bytes) -> None:
        self.heard.append(packet.decode())

    def _receive_binary(self, data: bytes) -> None:
        self.heard.append(data)


def open_websocket(case: Any) -> WebSocketClient:
    limits = case.get("limits", {})
    size = limits.get("max_size", 1_000_000)
    return Server(max_http_buffer_size=size).open_websocket()


@pytest.mark.parametrize("case", cases_of("websocket-frame", "encode"))
def test_a_message_is_framed_as_written(case: Any) -> None:
    message = revive(case["message"])
    opcode = TEXT if isinstance(message, str) else BINARY
    assert encode_frame(opcode, body_of(case["message"])).hex() == case["wire"]


@pytest.mark.parametrize("case", cases_of("websocket-frame", "decode"))
@pytest.mark.parametrize("pieces", ["whole", "bytes"])
def test_frames_hold_the_messages_that_are_written(case: Any, pieces: str) -> None:
    client = open_websocket(case)
    listener = Listener()
    # Below the packets: what a frame holds need be none.
    transport = client.server.session.transport
    assert isinstance(transport, WebSocketTransport)
    transport.listener = listener
    wire = bytes.fromhex(case["wire"])
    for piece in [wire] if pieces == "whole" else [wire[n : n + 1] for n in range(len(wire))]:
        client.feed(piece)
    pongs = [frame.payload for frame in client.frames() if frame.opcode == PONG]
    assert listener.heard == [revive(message) for message in case["messages"]]
    assert pongs == [base64.b64decode(each) for each in case.get("pongs", [])]
    assert not client.is_over


@pytest.mark.parametrize("case", cases_of("websocket-frame", "error", "close"))
def test_frames_end_the_connection_as_written(case: Any) -> None:
    client = open_websocket(case)
    client.feed(bytes.fromhex(case["wire"]))
    assert client.close_code == case["close_code"]
    assert client.server.received == []
    assert len(client.server.reasons) == 1
