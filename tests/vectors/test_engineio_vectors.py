"""The codecs and the server pass every case of the Engine.IO and WebSocket vectors."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from engineio_core import Cors
from engineio_core.codec import encoded_packet
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.jsonp import decode_form, encode_script, function_name
from engineio_core.codec.packet import TYPES
from engineio_core.codec.payload import decode_payload, encode_payload
from engineio_core.codec.payload_v3 import (
    decode_binary_payload,
    decode_text_payload,
    encode_binary_payload,
    encode_text_payload,
)
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
# Packets that the server creates without a message of the application.
SERVER_PACKETS = {
    "CLOSE": encoded_packet.CLOSE_PACKET,
    "PING": encoded_packet.PING_PACKET,
    "PONG": encoded_packet.PROBE_REPLY_PACKET,
    "NOOP": encoded_packet.NOOP_PACKET,
}
# Error messages by slug.
MESSAGES = {
    "empty_packet": "empty packet",
    "unknown_packet_type": "unknown packet type",
    "invalid_utf8": "not valid UTF-8",
    "invalid_base64": "not valid base64",
    "invalid_form": "form of a JSONP request",
    "invalid_length": "invalid length",
    "invalid_unicode": "not valid Unicode",
}


def cases_of(name: str, *kinds: str) -> list[Any]:
    file = json.loads((FOLDER / f"{name}.json").read_text())
    cases = [case for case in file["cases"] if case["kind"] in kinds]
    assert cases
    return [pytest.param(case, id=case["name"]) for case in cases]


def revive(value: Any) -> Any:
    return base64.b64decode(value["$base64"]) if isinstance(value, dict) else value


def text_of(found: dict[str, Any]) -> str | bytes:
    """Return a packet in decoded form: the type digit and the text, or the bytes of a message."""
    data = revive(found.get("data", ""))
    return data if isinstance(data, bytes) else DIGITS[found["type"]] + data


def encoded(found: dict[str, Any]) -> EncodedPacket:
    if found["type"] == "MESSAGE":
        return EncodedPacket.message(revive(found["data"]))
    return SERVER_PACKETS[found["type"]]


def body_of(wire: Any) -> bytes:
    body = revive(wire)
    return body.encode() if isinstance(body, str) else body


# -- packets


@pytest.mark.parametrize("case", cases_of("engineio-packet", "both", "encode"))
def test_packet_encodes_to_the_wire(case: Any) -> None:
    made = encoded(case["packet"])
    wire = revive(case["wire"])
    assert made.is_binary == isinstance(wire, bytes)
    assert made.payload == body_of(case["wire"])


@pytest.mark.parametrize("case", cases_of("engineio-packet", "both", "decode"))
def test_websocket_message_decodes_to_the_packet(case: Any) -> None:
    wire = revive(case["wire"])
    client = Server().open_websocket()
    if case["packet"]["type"] == "MESSAGE":
        client.send_packet(wire) if isinstance(wire, str) else client.send(wire)
        assert client.server.received == [revive(case["packet"]["data"])]
    else:
        assert wire == text_of(case["packet"])
        assert wire[0] in TYPES


@pytest.mark.parametrize("case", cases_of("engineio-packet", "error"))
def test_invalid_websocket_message_closes_the_session(case: Any) -> None:
    client = Server().open_websocket()
    client.send_packet(case["wire"])
    assert client.is_over
    assert client.server.reasons == ["parse error"]
    assert client.server.received == []


# -- payloads


@pytest.mark.parametrize("case", cases_of("engineio-payload", "both", "encode"))
def test_payload_encodes_to_the_wire(case: Any) -> None:
    packets = [encoded(each) for each in case["packets"]]
    assert encode_payload(packets) == body_of(case["wire"])


@pytest.mark.parametrize("case", cases_of("engineio-payload", "both", "decode"))
def test_payload_decodes_to_the_packets(case: Any) -> None:
    assert list(decode_payload(body_of(case["wire"]))) == [text_of(p) for p in case["packets"]]


@pytest.mark.parametrize("case", cases_of("engineio-payload", "error"))
def test_invalid_payload_raises_the_error_of_the_vector(case: Any) -> None:
    packets = decode_payload(body_of(case["wire"]))
    for _ in range(case.get("delivered", 0)):
        next(packets)
    with pytest.raises(ProtocolError, match=MESSAGES[case["error"]]) as caught:
        next(packets)
    assert caught.value.reason is CloseReason.PARSE_ERROR


# -- payloads of revision 3


def decode_v3(wire: Any) -> list[str | bytes]:
    body = body_of(wire)
    return list(decode_text_payload(body) if isinstance(wire, str) else decode_binary_payload(body))


@pytest.mark.parametrize("case", cases_of("engineio-v3-payload", "both", "encode"))
def test_v3_payload_encodes_to_the_wire(case: Any) -> None:
    packets = [
        encoded_packet.PONG_PACKET if each["type"] == "PONG" else encoded(each)
        for each in case["packets"]
    ]
    encode = encode_binary_payload if case.get("binary") else encode_text_payload
    assert encode(packets) == body_of(case["wire"])


@pytest.mark.parametrize("case", cases_of("engineio-v3-payload", "both", "decode"))
def test_v3_payload_decodes_to_the_packets(case: Any) -> None:
    assert decode_v3(case["wire"]) == [text_of(each) for each in case["packets"]]


@pytest.mark.parametrize("case", cases_of("engineio-v3-payload", "error"))
def test_invalid_v3_payload_raises_the_error_of_the_vector(case: Any) -> None:
    with pytest.raises(ProtocolError, match=MESSAGES[case["error"]]) as caught:
        decode_v3(case["wire"])
    assert caught.value.reason is CloseReason.PARSE_ERROR


# -- JSONP


@pytest.mark.parametrize("case", cases_of("engineio-jsonp", "encode"))
def test_payload_encodes_to_the_script(case: Any) -> None:
    payload = encode_payload([encoded(each) for each in case["packets"]])
    assert encode_script(function_name(case["index"]), payload).decode() == case["wire"]


@pytest.mark.parametrize("case", cases_of("engineio-jsonp", "decode"))
def test_form_decodes_to_the_packets(case: Any) -> None:
    packets = decode_payload(decode_form(case["wire"].encode()))
    assert list(packets) == [text_of(p) for p in case["packets"]]


@pytest.mark.parametrize("case", cases_of("engineio-jsonp", "error"))
def test_invalid_form_raises_the_error_of_the_vector(case: Any) -> None:
    delivered: list[str | bytes] = []
    with pytest.raises(ProtocolError, match=MESSAGES[case["error"]]) as caught:
        delivered.extend(decode_payload(decode_form(case["wire"].encode())))
    assert len(delivered) == case.get("delivered", 0)
    assert caught.value.reason is CloseReason.PARSE_ERROR


# -- handshakes


@pytest.mark.parametrize("case", cases_of("engineio-handshake", "opens", "refused"))
def test_handshake_response_matches_the_vector(case: Any) -> None:
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


def test_refusal_has_the_cors_headers() -> None:
    server = Server(cors=Cors(origins="*"))
    response = server.get(transport="tobi").response()
    assert response.header("access-control-allow-origin") == "*"


# -- frames


class Listener(NullListener):
    """Listener that stores messages and ignores all other events."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []

    def _receive_text(self, packet: bytes) -> None:
        self.messages.append(packet.decode())

    def _receive_binary(self, data: bytes) -> None:
        self.messages.append(data)


def open_websocket(case: Any) -> WebSocketClient:
    limits = case.get("limits", {})
    size = limits.get("max_size", 1_000_000)
    return Server(max_http_buffer_size=size).open_websocket()


@pytest.mark.parametrize("case", cases_of("websocket-frame", "encode"))
def test_message_encodes_to_a_frame(case: Any) -> None:
    message = revive(case["message"])
    opcode = TEXT if isinstance(message, str) else BINARY
    assert encode_frame(opcode, body_of(case["message"])).hex() == case["wire"]


@pytest.mark.parametrize("case", cases_of("websocket-frame", "decode"))
@pytest.mark.parametrize("pieces", ["whole", "bytes"])
def test_frames_decode_to_the_messages(case: Any, pieces: str) -> None:
    client = open_websocket(case)
    listener = Listener()
    # The session would reject the messages, because they are not Engine.IO packets.
    transport = client.server.session.transport
    assert isinstance(transport, WebSocketTransport)
    transport.listener = listener
    wire = bytes.fromhex(case["wire"])
    for piece in [wire] if pieces == "whole" else [wire[n : n + 1] for n in range(len(wire))]:
        client.feed(piece)
    pongs = [frame.payload for frame in client.frames() if frame.opcode == PONG]
    assert listener.messages == [revive(message) for message in case["messages"]]
    assert pongs == [base64.b64decode(each) for each in case.get("pongs", [])]
    assert not client.is_over


@pytest.mark.parametrize("case", cases_of("websocket-frame", "error", "close"))
def test_frames_close_the_connection_with_the_code_of_the_vector(case: Any) -> None:
    client = open_websocket(case)
    client.feed(bytes.fromhex(case["wire"]))
    assert client.close_code == case["close_code"]
    assert client.server.received == []
    assert len(client.server.reasons) == 1
