"""The payloads of the official Redis Streams adapter and emitter, encoded and decoded."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64decode, b64encode
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from socketio_core.adapters.cluster.message import (
    Message,
    MessageError,
    decode_message,
    encode_msgpack,
    to_dict,
)
from socketio_core.adapters.interface import SavedSession
from socketio_core.adapters.streams.entry import (
    decode_entry,
    decode_session,
    encode_entry,
    encode_session,
    is_ephemeral,
    missed_event,
)

PAYLOADS = json.loads((Path(__file__).parent / "payloads" / "redis_streams.json").read_text())
ENTRIES = {each["name"]: each for each in PAYLOADS["entries"]}
PUBLISHED = {each["name"]: each for each in PAYLOADS["published"]}
SESSIONS = {each["name"]: each for each in PAYLOADS["sessions"]}


def revive(value: Any) -> Any:
    """Return a captured value with its bytes, dates and numbers."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$bin_b64"}:
        return b64decode(value["$bin_b64"])
    if value.keys() == {"$date"}:
        return datetime.fromisoformat(value["$date"])
    if value.keys() == {"$number"}:
        return float(value["$number"])
    return {key: revive(item) for key, item in value.items()}


def comparable(value: Any) -> Any:
    """Return a value in which NaN equals NaN."""
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    return "NaN" if isinstance(value, float) and isnan(value) else value


def fields_of(entry: dict[str, Any]) -> dict[bytes, bytes]:
    return {key.encode(): value.encode() for key, value in entry["fields"].items()}


def message_of(entry: dict[str, Any]) -> Message:
    fields = entry["fields"]
    return Message(int(fields["type"]), revive(entry["value"]), fields["uid"], fields["nsp"])


def as_text(fields: dict[str, Any]) -> dict[str, str]:
    return {
        key: value.decode() if isinstance(value, bytes) else value for key, value in fields.items()
    }


@pytest.mark.parametrize("name", ENTRIES)
def test_entry_is_decoded(name: str) -> None:
    decoded = decode_entry(fields_of(ENTRIES[name]))
    assert decoded is not None
    assert comparable(to_dict(decoded)) == comparable(to_dict(message_of(ENTRIES[name])))


@pytest.mark.parametrize("name", ENTRIES)
def test_entry_is_encoded_as_by_the_official_adapter(name: str) -> None:
    entry, message = ENTRIES[name], message_of(ENTRIES[name])
    assert not is_ephemeral(message) or message.uid == "emitter"
    assert as_text(encode_entry(message)) == entry["fields"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_message_is_decoded(name: str) -> None:
    each = PUBLISHED[name]
    assert to_dict(decode_message(b64decode(each["payload"]))) == revive(each["value"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_message_is_encoded_as_by_the_official_adapter(name: str) -> None:
    each = PUBLISHED[name]
    value = revive(each["value"])
    message = Message(value["type"], value["data"], value["uid"], value["nsp"])
    assert b64encode(encode_msgpack(to_dict(message))).decode() == each["payload"]
    is_answer = value["type"] in {8, 10, 11, 12}
    assert is_ephemeral(message) or is_answer


@pytest.mark.parametrize("name", SESSIONS)
def test_session_is_decoded(name: str) -> None:
    each = SESSIONS[name]
    value = revive(each["value"])
    assert decode_session(each["payload"].encode()) == SavedSession(
        value["pid"], value["sid"], tuple(value["rooms"]), value["data"], ""
    )


@pytest.mark.parametrize("name", SESSIONS)
def test_session_is_encoded_as_by_the_official_adapter(name: str) -> None:
    each = SESSIONS[name]
    assert encode_session(decode_session(each["payload"].encode())).decode() == each["payload"]


def test_session_keeps_the_offset_of_a_client_that_has_received_no_event() -> None:
    saved = SavedSession("pid", "id", ("id", "room"), {"n": 1, "b": b"\x00"}, "7-1")
    assert decode_session(encode_session(saved)) == saved


@pytest.mark.parametrize("value", [
    None, [], "text", {}, {"sid": "a"}, {"sid": "a", "pid": 1, "rooms": []},
    {"sid": "a", "pid": "b", "rooms": [1]}, {"sid": "a", "pid": "b", "rooms": None},
    {"sid": "a", "pid": "b", "rooms": [], "offset": 1},
])  # fmt: skip
def test_invalid_session_is_refused(value: Any) -> None:
    with pytest.raises(MessageError):
        decode_session(b64encode(encode_msgpack(value)))


@pytest.mark.parametrize("fields", [
    {b"nsp": b"/", b"type": b"x", b"uid": b"a"},
    {b"nsp": b"/", b"uid": b"a"},
    {b"nsp": b"/", b"type": b"3", b"uid": b"a", b"data": b"{"},
    {b"nsp": b"/", b"type": b"3", b"uid": b"a", b"data": b"*"},
    {b"nsp": b"/", b"type": b"3", b"uid": b"a", b"data": b"AQ=="},
    {b"nsp": b"\xff", b"type": b"3", b"uid": b"a"},
    {b"nsp": b"/", b"type": b"3", b"uid": b"\xff"},
])  # fmt: skip
def test_invalid_entry_is_refused(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(MessageError):
        decode_entry(fields)


def test_entry_occupies_no_more_memory_than_its_text() -> None:
    message = Message(3, {"packet": {"type": 2, "data": ["x", "y" * 10_000]}}, "uid", "/")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [encode_entry(message) for _ in range(20)]
    size = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(kept) == 20
    assert size < 20 * 12_000


def test_entry_of_another_program_is_ignored() -> None:
    assert decode_entry({b"temperature": b"20"}) is None


@pytest.mark.parametrize(("name", "event"), [
    ("missed-while-away", ["missed1", 1]),
    ("missed-while-away 1", ["missed2", 2]),
    ("missed-while-away 2", None),  # another room
    ("missed-while-away 3", None),  # excluded
    ("missed-while-away 4", None),  # volatile; Node replays it
    ("missed-while-away 6", ["missed-bin", b"\x05"]),
    ("socket-emit-with-ack", None),  # Node replays it without its ack id
    ("sockets-join", None),
    ("emitter emit-binary", ["ev", b"\x01\x02"]),
])  # fmt: skip
def test_missed_events_are_those_of_the_rooms(name: str, event: list[Any] | None) -> None:
    rooms = frozenset({"RPUCciw-SxOIY8LxAAAC", "room1", "room2", "j2"})
    assert missed_event(message_of(ENTRIES[name]), rooms) == event
