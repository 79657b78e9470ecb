"""The contents of Redis Streams entries and session values, in the format of the official adapter.

The format is that of `@socket.io/redis-streams-adapter` 0.3.1: one entry per message with the
fields `uid`, `nsp`, `type` and `data`, and one key per session. Nothing here talks to Redis.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, final

from socketio_core.adapters.cluster.message import (
    Message,
    MessageError,
    MessageType,
    decode_value,
    encode_msgpack,
    from_dict,
    read_event,
    read_target,
)
from socketio_core.adapters.interface import SavedSession
from socketio_core.codec.json_codec import dump_json

Position: TypeAlias = tuple[int, int]
"""An entry id as numbers, which have the order of the stream."""

DEFAULT_MAX_LEN: Final = 10_000
"""The number of entries that a stream keeps, about; the default of the official adapter."""
START: Final[Position] = (0, 0)
NO_OFFSET: Final = ""
"""Ends an event that is not in the stream; no server restores a session from it."""


@final
class Cursor:
    """The position of the last entry that this server has read."""

    __slots__ = ("position",)

    def __init__(self) -> None:
        self.position: Position = START


_ENTRY_ID: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})", re.ASCII)
# Types of this project, which Node ignores: a server requests the session of a client that another
# server may still consider connected.
SESSION_REQUEST: Final = 102
SESSION_RESPONSE: Final = 103
_EPHEMERAL: Final = frozenset(
    {MessageType.SERVER_SIDE_EMIT, MessageType.FETCH_SOCKETS, SESSION_REQUEST}
)


def is_ephemeral(message: Message) -> bool:
    """Return whether a message is published instead of added to the stream."""
    if message.type == MessageType.BROADCAST:
        return message.data is not None and "requestId" in message.data
    return message.type in _EPHEMERAL


def encode_entry(message: Message) -> dict[str, str | bytes]:
    """Return the fields of a message. Raises TypeError or ValueError for an unsendable value."""
    fields: dict[str, str | bytes] = {
        "uid": message.uid,
        "nsp": message.nsp,
        "type": str(int(message.type)),
    }
    if message.data is not None:
        text = dump_json(message.data)
        if text is None:
            fields["data"] = b2a_base64(encode_msgpack(message.data), newline=False)
        else:
            # A copy, because entries may wait: the result of orjson occupies up to eight times its
            # length (orjson 3.13, tests/socketio_core/adapters/test_streams_payloads.py).
            fields["data"] = bytes(memoryview(text))
    return fields


def append_command(
    stream: str, max_len: int, fields: Mapping[str, str | bytes]
) -> tuple[bytes, ...]:
    """Return the command that appends an entry to a stream."""
    args = [b"XADD", stream.encode(), b"MAXLEN", b"~", b"%d" % max_len, b"*"]
    for name, value in fields.items():
        args += (name.encode(), value.encode() if isinstance(value, str) else value)
    return tuple(args)


def decode_entry(fields: Mapping[bytes, bytes]) -> Message | None:
    """Return the message of an entry; None for an entry of something else.

    Raises MessageError for a message that cannot be used.
    """
    namespace = fields.get(b"nsp")
    if not namespace:
        return None
    kind, data = fields.get(b"type", b""), fields.get(b"data")
    if not kind.isdigit() or len(kind) > 3:
        raise MessageError("the type of an entry must be a number")
    try:
        return from_dict({
            "type": int(kind),
            "uid": fields.get(b"uid", b"").decode(),
            "nsp": namespace.decode(),
            "data": None if not data else decode_data(data),
        })  # fmt: skip
    except UnicodeDecodeError as error:
        raise MessageError("the fields of an entry must be UTF-8") from error


def decode_data(data: bytes) -> Any:
    """Return the value of the field `data`: JSON, or base64 of MessagePack."""
    return decode_value(data if data[:1] == b"{" else _from_base64(data))


def _from_base64(text: bytes) -> bytes:
    try:
        return a2b_base64(text)
    except ValueError as error:
        raise MessageError("binary data must be base64") from error


# -- sessions


def encode_session(saved: SavedSession) -> bytes:
    """Return the value of a session key.

    The key `offset` is an addition, which Node ignores: from there on, a client that has not
    received an event has missed events. Raises TypeError or ValueError for data that cannot be
    sent.
    """
    value = {
        "sid": saved.socket_id,
        "pid": saved.pid,
        "rooms": list(saved.rooms),
        "data": saved.data,
    }
    if saved.offset:
        value["offset"] = saved.offset
    return b2a_base64(encode_msgpack(value), newline=False)


def decode_session(value: bytes) -> SavedSession:
    """Return the session of a key. Raises MessageError."""
    session = decode_value(_from_base64(value))
    if not isinstance(session, dict):
        raise MessageError("a session must be an object")
    socket_id, pid, rooms = session.get("sid"), session.get("pid"), session.get("rooms")
    offset = session.get("offset", NO_OFFSET)
    if not (isinstance(socket_id, str) and isinstance(pid, str) and isinstance(offset, str)):
        raise MessageError("a session must have a socket id and a pid")
    if not isinstance(rooms, list) or not all(isinstance(room, str) for room in rooms):
        raise MessageError("the rooms of a session must be a list of names")
    data = session.get("data")
    return SavedSession(pid, socket_id, tuple(rooms), {} if data is None else data, offset)


# -- offsets and missed events


def parse_position(offset: str) -> Position | None:
    """Return the position of an entry id; None for another text."""
    match = _ENTRY_ID.fullmatch(offset)
    if match is None:
        return None
    position = int(match[1]), int(match[2])
    return position if max(position) < 2**64 else None


def format_position(position: Position) -> str:
    """Return the entry id of a position."""
    return f"{position[0]}-{position[1]}"


def missed_event(message: Message, rooms: frozenset[str]) -> list[Any] | None:
    """Return the event of a message that a client in `rooms` has missed, if it is to be replayed.

    Volatile events and events that request an ack are not. Raises MessageError.
    """
    if message.type != MessageType.BROADCAST or message.data is None:
        return None
    packet = message.data.get("packet")
    target = read_target(message.data.get("opts"))
    if target.volatile or (isinstance(packet, dict) and packet.get("id") is not None):
        return None
    if target.rooms and rooms.isdisjoint(target.rooms):
        return None
    return None if not rooms.isdisjoint(target.except_) else read_event(packet)
