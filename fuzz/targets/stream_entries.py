"""Entries and sessions of Redis Streams, and notifications of PostgreSQL.

An input has the fields `nsp`, `type`, `uid` and `data` of an entry, one in each line.
"""

from __future__ import annotations

from binascii import b2a_base64

from fuzz.target import Target
from fuzz.targets.cluster_messages import seeds as messages
from socketio_core.adapters.cluster.message import Message, MessageError
from socketio_core.adapters.interface import SavedSession
from socketio_core.adapters.postgres.format import Notification, encode_head, parse_notification
from socketio_core.adapters.streams.entry import (
    decode_entry,
    decode_session,
    encode_entry,
    encode_session,
    format_position,
    missed_event,
    parse_position,
)

FIELDS = (b"nsp", b"type", b"uid", b"data")
ROOMS = frozenset({"red", "a"})


def run(data: bytes) -> None:
    """Read the input as each of the formats; write the results, and read them again."""
    lines = data.split(b"\n", 3)
    read_entry(dict(zip(FIELDS, lines, strict=False)))
    read_session(lines[-1])
    text = data.decode("utf-8", "replace")
    position = parse_position(text)
    assert position is None or parse_position(format_position(position)) == position
    read_notification(text)


def read_entry(fields: dict[bytes, bytes]) -> None:
    """Read the message of an entry."""
    try:
        message = decode_entry(fields)
        if message is None:
            return
        assert isinstance(message, Message)
        event = missed_event(message, ROOMS)
        assert event is None or isinstance(event[0], str | int | float)
    except MessageError:
        return
    try:
        entry = encode_entry(message)
    except (ValueError, TypeError):
        return  # integers beyond 64 bits, keys that are not strings
    wire = {k.encode(): v.encode() if isinstance(v, str) else v for k, v in entry.items()}
    again = decode_entry(wire)
    assert again is None or again[:1] + again[2:] == message[:1] + message[2:]


def read_session(value: bytes) -> None:
    """Read a stored session."""
    try:
        saved = decode_session(value)
    except MessageError:
        return
    assert isinstance(saved, SavedSession)
    try:
        again = encode_session(saved)
    except (ValueError, TypeError):
        return
    assert decode_session(again).rooms == saved.rooms


def read_notification(text: str) -> None:
    """Read a notification of PostgreSQL."""
    try:
        found = parse_notification(text)
    except MessageError:
        return
    assert isinstance(found, Notification)
    assert found.message is None or found.row is None
    assert text.startswith(encode_head(found.server, found.number, found.receiver)) or (
        int(text.split(":")[1]) == found.number
    )


SESSION = SavedSession("pid", "sid", ("red",), {"a": b"\x01"}, "1-2")
TARGET = Target(
    "entries and sessions of Redis Streams, notifications of PostgreSQL",
    lambda: [
        *(b"/\n3\n0123456789abcdef\n" + each for each in messages()[:40]),
        b'/\n3\na\n{"packet":{"type":2,"data":["x"]},"opts":{"rooms":["red"]}}',
        b"/\n3\na\n" + b2a_base64(b"\x81\xa1a\xc4\x01\x02", newline=False),
        encode_session(SESSION), b"1700000000000-0", b"18446744073709551616-1",
        b'srv:1::{"type":2}', b"srv:12:uid:=gQ==", b"srv:3::#42", b"srv:4::", b"srv:00:::",
    ],
    run,
    (
        b"\n", b"/\n3\na\n", b":", b"=", b"#1", b'{"packet":', b'"opts":{"rooms":["red"]}', b"g6",
        b"-",
        b'"requestId":"1"', b'"flags":{"volatile":true}', b"\xff", b"-0",
    ),
)  # fmt: skip
