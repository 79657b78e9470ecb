"""Every case of the Socket.IO vectors, by its name; and that the files are what the schema says."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engineio_core.encoded_packet import EncodedPacket
from socketio_core.errors import PacketError
from socketio_core.msgpack_packet import MsgpackParser
from socketio_core.packet import Decoder, JsonParser, Packet, PacketType, Parser

FOLDER = Path(__file__).parents[2] / "spec-vectors"
FILES = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("socketio-*.json"))}
SCHEMA = json.loads((FOLDER / "schema.json").read_text())


def cases_of(*kinds: str) -> list[Any]:
    return [
        pytest.param(file["subject"], case, id=case["name"])
        for file in FILES.values()
        for case in file["cases"]
        if case["kind"] in kinds
    ]


def revive(value: Any) -> Any:
    """Turn the tagged objects of the vectors into binary and moments."""
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


def receive(decoder: Decoder, message: str | bytes) -> Packet | None:
    if isinstance(message, str):
        return decoder.receive_text(message)
    return decoder.receive_binary(message)


@pytest.mark.parametrize(("subject", "case"), cases_of("both", "encode"))
def test_the_packet_is_encoded_as_written(subject: str, case: Any) -> None:
    messages = [message_of(part) for part in parser_of(subject, case).encode(packet_of(case))]
    assert messages == revive(case["wire"])


@pytest.mark.parametrize(("subject", "case"), cases_of("both", "decode"))
def test_the_messages_are_decoded_as_written(subject: str, case: Any) -> None:
    decoder = parser_of(subject, case).decoder()
    *first, last = [receive(decoder, message) for message in revive(case["wire"])]
    assert first == [None] * len(first)
    assert last == packet_of(case)
    assert type(last) is Packet


@pytest.mark.parametrize(("subject", "case"), cases_of("error"))
def test_the_last_message_is_refused_as_written(subject: str, case: Any) -> None:
    decoder = parser_of(subject, case).decoder()
    *first, last = revive(case["wire"])
    packets = [receive(decoder, message) for message in first]
    assert sum(packet is not None for packet in packets) == case.get("delivered", 0)
    with pytest.raises(PacketError) as caught:
        receive(decoder, last)
    assert caught.value.slug == case["error"]


# -- the files themselves: what schema.json says, as far as it takes no library to check it


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_the_keys_that_the_schema_names(name: str) -> None:
    file = FILES[name]
    assert set(SCHEMA["required"]) <= file.keys() <= SCHEMA["properties"].keys()
    assert file["subject"] in SCHEMA["properties"]["subject"]["enum"]
    assert file["protocol"] == SCHEMA["properties"]["protocol"]["const"]


@pytest.mark.parametrize(("subject", "case"), cases_of("both", "decode", "encode", "error"))
def test_a_case_has_the_keys_that_the_schema_names(subject: str, case: Any) -> None:
    schema = SCHEMA["$defs"]["case"]
    assert set(schema["required"]) <= case.keys() <= schema["properties"].keys()
    assert re.match(schema["properties"]["name"]["pattern"], case["name"])
    assert ("error" in case) == (case["kind"] == "error")
    assert ("packet" in case) == (case["kind"] != "error")
    if "error" in case:
        assert case["error"] in schema["properties"]["error"]["enum"]
    else:
        packet_schema = SCHEMA["$defs"]["packet"]
        keys = case["packet"].keys()
        assert set(packet_schema["required"]) <= keys <= packet_schema["properties"].keys()


def test_every_kind_of_case_is_known_and_no_name_is_given_twice() -> None:
    cases = [case for file in FILES.values() for case in file["cases"]]
    kinds = set(SCHEMA["$defs"]["case"]["properties"]["kind"]["enum"])
    assert {case["kind"] for case in cases} == kinds
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names)


def test_every_slug_has_a_case() -> None:
    slugs = set(SCHEMA["$defs"]["case"]["properties"]["error"]["enum"])
    assert {
        case["error"] for file in FILES.values() for case in file["cases"] if "error" in case
    } == slugs
    # The docstring of the error is where a reader looks for them.
    assert set(re.findall(r"`([a-z_]+)`", PacketError.__doc__ or "")) == slugs | {"slug"}
