"""The messages between the servers of a cluster: types, contents, and their JSON and MessagePack.

The format is that of `ClusterAdapter` in `socket.io-adapter` 2.5.9, which all official adapters
except the classic Redis adapter use. `cluster` gives the messages their meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from math import inf
from typing import Any, Final, NamedTuple

import msgspec

from socketio_core.adapters.interface import BroadcastTarget
from socketio_core.codec.attachments import convert_value
from socketio_core.codec.json_codec import dump_json, load_json
from socketio_core.codec.msgpack_codec import unpack
from socketio_core.codec.packet import EVENT, is_event_name

EMITTER_UID: Final = "emitter"
"""The uid of processes without sockets."""

LONGEST_WAIT: Final = 3600.0
"""The longest timeout that a message of another server may set, in seconds."""


class MessageType(IntEnum):
    """The types of messages; each server ignores the types that it does not support."""

    INITIAL_HEARTBEAT = 1
    HEARTBEAT = 2
    BROADCAST = 3
    SOCKETS_JOIN = 4
    SOCKETS_LEAVE = 5
    DISCONNECT_SOCKETS = 6
    FETCH_SOCKETS = 7
    FETCH_SOCKETS_RESPONSE = 8
    SERVER_SIDE_EMIT = 9
    SERVER_SIDE_EMIT_RESPONSE = 10
    BROADCAST_CLIENT_COUNT = 11
    BROADCAST_ACK = 12
    ADAPTER_CLOSE = 13


class Message(NamedTuple):
    """One message; `data` is a dict with the keys of the official format, or None."""

    type: int
    data: dict[str, Any] | None
    uid: str
    """The sender: 16 hexadecimal digits for one namespace of one server, or EMITTER_UID."""
    nsp: str
    """The namespace."""


class MessageError(ValueError):
    """A message of another server that cannot be used."""


_pack = msgspec.msgpack.Encoder(enc_hook=convert_value).encode


def to_dict(message: Message) -> dict[str, Any]:
    """Return a message with the keys, in the order, of the official adapters."""
    kind, data, uid, namespace = message
    if data is None:
        return {"type": int(kind), "uid": uid, "nsp": namespace}
    return {"type": int(kind), "data": data, "uid": uid, "nsp": namespace}


def encode_message(message: Message) -> bytes:
    """Return a message as JSON, or as MessagePack if it contains bytes.

    Raises TypeError or ValueError for a value that cannot be sent.
    """
    body = to_dict(message)
    text = dump_json(body)
    return text if text is not None else encode_msgpack(body)


def encode_msgpack(value: Any) -> bytes:
    """Return a value as MessagePack; a datetime becomes a Timestamp, as with notepack 3."""
    try:
        return _pack(value)
    except RecursionError:
        raise ValueError("data must not be circular to be sent") from None


def decode_message(payload: bytes) -> Message:
    """Return the message of a payload in either format. Raises MessageError."""
    return from_dict(decode_value(payload))


def decode_value(payload: bytes) -> Any:
    """Return the value of a payload: JSON if it starts with a brace. Raises MessageError."""
    try:
        return load_json(payload, None) if payload[:1] == b"{" else unpack(payload)
    except Exception as error:
        raise MessageError(f"undecodable payload of {len(payload)} bytes") from error


def from_dict(body: Any) -> Message:
    """Return the message of a decoded payload. Raises MessageError."""
    if not isinstance(body, dict):
        raise MessageError("a message must be an object")
    kind, uid, namespace = body.get("type"), body.get("uid"), body.get("nsp")
    data = body.get("data")
    if type(kind) is not int or not isinstance(uid, str) or not isinstance(namespace, str):
        raise MessageError("a message must have a numeric type, a uid and a namespace")
    if data is not None and not isinstance(data, dict):
        raise MessageError("the data of a message must be an object")
    return Message(kind, data, uid, namespace)


# -- the contents of messages


def target_options(target: BroadcastTarget, timeout: float | None = None) -> dict[str, Any]:
    """Return the `opts` of a target; `timeout` is in seconds."""
    flags: dict[str, Any] = {}
    if target.volatile:
        flags["volatile"] = True
    if not target.compress:
        flags["compress"] = False
    if timeout is not None:
        flags["timeout"] = round(timeout * 1000)
    # Sorted, because a set has no order and equal targets must give equal messages.
    return {"rooms": list(target.rooms), "except": sorted(target.except_), "flags": flags}


def read_target(options: Any) -> BroadcastTarget:
    """Return the target of `opts`; emitters omit keys. Raises MessageError."""
    if not isinstance(options, dict):
        raise MessageError("opts must be an object")
    flags = options.get("flags")
    if not isinstance(flags, dict):
        flags = {}
    return BroadcastTarget(
        rooms=read_rooms(options.get("rooms")),
        except_=frozenset(read_rooms(options.get("except"))),
        volatile=flags.get("volatile") is True,
        compress=flags.get("compress") is not False,
    )


def read_timeout(options: Any, default: float) -> float:
    """Return the timeout of `opts` in seconds, at most an hour."""
    flags = options.get("flags") if isinstance(options, dict) else None
    milliseconds = flags.get("timeout") if isinstance(flags, dict) else None
    if not isinstance(milliseconds, int | float) or not 0 <= milliseconds < inf:
        return default
    return min(milliseconds / 1000, LONGEST_WAIT)


def read_rooms(rooms: Any) -> tuple[str, ...]:
    """Return the names of rooms; Node also has numbers as names. Raises MessageError."""
    if not isinstance(rooms, list):
        if rooms is None:
            return ()
        raise MessageError("rooms must be a list")
    if len(rooms) < 2:  # hot path: most events have one room and no exceptions
        if not rooms:
            return ()
        if type(rooms[0]) is str:
            return (rooms[0],)
    return tuple([room if type(room) is str else _room_name(room) for room in rooms])


def _room_name(room: Any) -> str:
    if type(room) is int:
        return str(room)
    raise MessageError("the name of a room must be a string or an integer")


def read_event(packet: Any) -> list[Any]:
    """Return the event of a packet, `[name, *arguments]`. Raises MessageError."""
    if not isinstance(packet, dict) or packet.get("type") != EVENT:
        raise MessageError("a broadcast must have an event as its packet")
    data = read_server_event(packet.get("data"))
    if not is_event_name(data[0]):
        raise MessageError("an event must not have a reserved name")
    return data


def read_server_event(data: Any) -> list[Any]:
    """Return the data of a server-side event. Raises MessageError."""
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise MessageError("an event must be a list that starts with its name")
    return data


def describe_handshake(handshake: Any) -> dict[str, Any]:
    """Return a handshake with the keys of Node, whose servers read them."""
    return {
        "headers": handshake.headers,
        "time": handshake.time,
        "address": handshake.address,
        "xdomain": handshake.xdomain,
        "secure": handshake.secure,
        "issued": handshake.issued,
        "url": handshake.url,
        "query": handshake.query,
        "auth": handshake.auth,
    }


def describe_socket(socket: Any, read_data: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """Return a socket as the answer to FETCH_SOCKETS contains it."""
    return {
        "id": socket.id,
        "handshake": describe_handshake(socket.handshake),
        "rooms": list(socket.rooms),
        "data": socket.data if read_data is None else read_data(socket),
    }


def read_sockets(sockets: Any) -> Iterable[tuple[str, Mapping[str, Any], frozenset[str], Any]]:
    """Yield id, handshake, rooms and data of the sockets of an answer. Raises MessageError."""
    if not isinstance(sockets, list):
        raise MessageError("sockets must be a list")
    for each in sockets:
        if not isinstance(each, dict) or not isinstance(each.get("id"), str):
            raise MessageError("a socket must be an object with an id")
        handshake = each.get("handshake")
        rooms = frozenset(read_rooms(each.get("rooms")))
        yield each["id"], handshake if isinstance(handshake, dict) else {}, rooms, each.get("data")
