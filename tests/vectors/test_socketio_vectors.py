"""The codecs pass every case of the Socket.IO vectors."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.codec.json_codec import Decoder, JsonParser, Packet, PacketType, Parser
from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.codec.packet import Decoded
from socketio_core.errors import PacketError

FOLDER = Path(__file__).parents[2] / "spec-vectors"
FILES = {
    path.name: json.loads(path.read_text())
    for path in sorted(FOLDER.glob("socketio-*.json"))
    if not path.stem.endswith("dialogue")
}
SCHEMA = json.loads((FOLDER / "schema.json").read_text())


def cases_of(*kinds: str) -> list[Any]:
    return [
        pytest.param(file["subject"], case, id=case["name"])
        for file in FILES.values()
        for case in file["cases"]
        if case["kind"] in kinds
    ]


def revive(value: Any) -> Any:
    """Replace the tagged objects of the vectors with bytes and datetimes."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$base64"}:
        return base64.b64decode(value["$base64"])
    if value.keys() == {"$date"}:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value["$date"])
    return {key: revive(item) for key, item in value.items()}


def packet_of(case: Any) -> Packet:
    packet = case["packet"]
    return Packet(
        PacketType[packet["type"]],
        packet["namespace"],
        revive(packet.get("data")),
        packet.get("ack_id"),
    )


def parser_of(subject: str, case: Any) -> Parser:
    if subject == "socketio.msgpack":
        return MsgpackParser()
    return JsonParser(**case.get("limits", {}))


def message_of(encoded: EncodedPacket) -> str | bytes:
    if encoded.is_binary:
        return encoded.payload
    text = encoded.payload.decode()
    assert text[0] == "4"
    return text[1:]


def receive(decoder: Decoder, message: str | bytes) -> Decoded | None:
    if isinstance(message, str):
        return decoder.receive_text(b"4" + message.encode())
    return decoder.receive_binary(message)


@pytest.mark.parametrize(("subject", "case"), cases_of("both", "encode"))
def test_packet_encodes_to_the_wire(subject: str, case: Any) -> None:
    messages = [message_of(part) for part in parser_of(subject, case).encode(packet_of(case))]
    assert messages == revive(case["wire"])


@pytest.mark.parametrize(("subject", "case"), cases_of("both", "decode"))
def test_wire_decodes_to_the_packet(subject: str, case: Any) -> None:
    decoder = parser_of(subject, case).decoder()
    *first, last = [receive(decoder, message) for message in revive(case["wire"])]
    assert first == [None] * len(first)
    assert last == packet_of(case)


@pytest.mark.parametrize(("subject", "case"), cases_of("error"))
def test_last_message_raises_the_error_of_the_vector(subject: str, case: Any) -> None:
    decoder = parser_of(subject, case).decoder()
    *first, last = revive(case["wire"])
    packets = [receive(decoder, message) for message in first]
    assert sum(packet is not None for packet in packets) == case.get("delivered", 0)
    with pytest.raises(PacketError) as caught:
        receive(decoder, last)
    assert caught.value.slug == case["error"]


# -- error slugs


def test_docstring_of_packet_error_lists_all_slugs() -> None:
    # The docstring documents the slugs. test_schema.py checks that each slug has a case.
    slugs = set(SCHEMA["$defs"]["socketio_case"]["properties"]["error"]["enum"])
    assert set(re.findall(r"`([a-z_]+)`", PacketError.__doc__ or "")) == slugs | {"slug"}
