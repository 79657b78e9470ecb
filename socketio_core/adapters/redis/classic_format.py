"""The payloads of the classic Redis adapter, as messages of `cluster.message` and back.

The format is that of `@socket.io/redis-adapter` 8.3.0: broadcasts and acks are MessagePack, all
other messages JSON. Answers do not name their sender.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple

from socketio_core.adapters.cluster.message import (
    EMITTER_UID,
    Message,
    MessageError,
    MessageType,
    decode_value,
    encode_msgpack,
    read_rooms,
)
from socketio_core.adapters.cluster.requests import ANY_SERVER
from socketio_core.adapters.interface import BroadcastTarget
from socketio_core.codec.json_codec import dump_json_with_buffers


class RequestType(IntEnum):
    """The types of requests and answers."""

    SOCKETS = 0
    ALL_ROOMS = 1
    REMOTE_JOIN = 2
    REMOTE_LEAVE = 3
    REMOTE_DISCONNECT = 4
    REMOTE_FETCH = 5
    SERVER_SIDE_EMIT = 6
    BROADCAST = 7
    BROADCAST_CLIENT_COUNT = 8
    BROADCAST_ACK = 9


class OldRequest(NamedTuple):
    """A request of versions before 8: for one socket, for socket ids, or for room names.

    With a `message`, the server of `socket_id` executes it. Otherwise the answer contains the
    sockets in `target`; without a target, the rooms.
    """

    uid: str
    request_id: Any
    message: Message | None = None
    socket_id: str = ""
    target: BroadcastTarget | None = None


# -- encoding


def encode_broadcast(message: Message) -> bytes:
    """Return a broadcast without acks: an array of uid, packet and options."""
    data = message.data or {}
    return encode_msgpack([message.uid, _packet(message), data["opts"]])


def _packet(message: Message) -> dict[str, Any]:
    packet = (message.data or {})["packet"]
    return {"type": packet["type"], "data": packet["data"], "nsp": message.nsp}


def encode_request(message: Message) -> bytes:
    """Return the payload of a request for the request channel."""
    kind, data, uid, _ = message
    assert data is not None, "all requests have data"
    if kind == MessageType.BROADCAST:
        return encode_msgpack(
            {
                "uid": uid,
                "requestId": data["requestId"],
                "type": int(RequestType.BROADCAST),
                "packet": _packet(message),
                "opts": data["opts"],
            }
        )
    body: dict[str, Any] = {} if uid == EMITTER_UID else {"uid": uid}
    if kind == MessageType.SERVER_SIDE_EMIT:
        body["uid"] = uid
        if "requestId" in data:
            body["requestId"] = data["requestId"]
        body |= {"type": int(RequestType.SERVER_SIDE_EMIT), "data": data["packet"]}
        return dump_json_with_buffers(body)
    options = {"rooms": data["opts"]["rooms"], "except": data["opts"]["except"]}
    if kind == MessageType.FETCH_SOCKETS:
        body |= {"requestId": data["requestId"], "type": int(RequestType.REMOTE_FETCH)}
        body["opts"] = options
    elif kind == MessageType.DISCONNECT_SOCKETS:
        body |= {"type": int(RequestType.REMOTE_DISCONNECT), "opts": options}
        body["close"] = data["close"]
    else:
        is_join = kind == MessageType.SOCKETS_JOIN
        request = RequestType.REMOTE_JOIN if is_join else RequestType.REMOTE_LEAVE
        body |= {"type": int(request), "opts": options, "rooms": data["rooms"]}
    return dump_json_with_buffers(body)


def encode_answer(message: Message) -> bytes:
    """Return the answer to a request."""
    kind, data, _, _ = message
    assert data is not None, "all answers have data"
    request_id = data["requestId"]
    if kind == MessageType.BROADCAST_ACK:
        ack: dict[str, Any] = {"type": int(RequestType.BROADCAST_ACK), "requestId": request_id}
        if "packet" in data:
            ack["packet"] = data["packet"]
        return encode_msgpack(ack)
    if kind == MessageType.BROADCAST_CLIENT_COUNT:
        return dump_json_with_buffers(
            {
                "type": int(RequestType.BROADCAST_CLIENT_COUNT),
                "requestId": request_id,
                "clientCount": data["clientCount"],
            }
        )
    if kind == MessageType.SERVER_SIDE_EMIT_RESPONSE:
        body: dict[str, Any] = {"type": int(RequestType.SERVER_SIDE_EMIT), "requestId": request_id}
        if "packet" in data:
            body["data"] = data["packet"]
        return dump_json_with_buffers(body)
    return dump_json_with_buffers({"requestId": request_id, "sockets": data["sockets"]})


# -- decoding


def read_broadcast(payload: bytes, namespace: str) -> Message | None:
    """Return the message of a broadcast without acks; None for another namespace."""
    value = decode_value(payload)
    if not isinstance(value, list) or len(value) < 3 or not isinstance(value[0], str):
        raise MessageError("a broadcast must be a list of uid, packet and opts")
    uid, packet, options = value[:3]
    if not isinstance(packet, dict):
        raise MessageError("the packet of a broadcast must be an object")
    # Emitters of old versions omit the namespace of "/".
    if packet.get("nsp", "/") != namespace:
        return None
    return Message(MessageType.BROADCAST, {"packet": packet, "opts": options}, uid, namespace)


def _read_body(payload: bytes) -> dict[str, Any]:
    body = decode_value(payload)
    if not isinstance(body, dict):
        raise MessageError("a request must be an object")
    return body


def read_request(payload: bytes, namespace: str) -> Message | OldRequest | None:
    """Return the message of a request; None for a type of a later version."""
    body = _read_body(payload)
    uid = body.get("uid", EMITTER_UID)
    if not isinstance(uid, str):
        raise MessageError("the uid of a request must be a string")
    kind = body.get("type")
    read = _READERS.get(kind) if isinstance(kind, int) else None
    return read(body, uid, namespace) if read is not None else None


def _read_sockets(body: dict[str, Any], uid: str, namespace: str) -> OldRequest:
    target = BroadcastTarget(rooms=read_rooms(body.get("rooms")))
    return OldRequest(uid, body.get("requestId"), target=target)


def _read_all_rooms(body: dict[str, Any], uid: str, namespace: str) -> OldRequest:
    return OldRequest(uid, body.get("requestId"))


def _read_bulk(body: dict[str, Any], uid: str, namespace: str) -> Message | OldRequest:
    kind = _BULK[body["type"]]
    data: dict[str, Any] = {"opts": body.get("opts")}
    if kind == MessageType.DISCONNECT_SOCKETS:
        data["close"] = body.get("close") is True
    else:
        data["rooms"] = body.get("rooms")
    if "opts" in body:
        return Message(kind, data, uid, namespace)
    socket_id = body.get("sid")
    if not isinstance(socket_id, str):
        raise MessageError("a request must have opts or the id of a socket")
    data["opts"] = {"rooms": [socket_id]}
    if "rooms" in data:
        data["rooms"] = [body.get("room")]
    message = Message(kind, data, uid, namespace)
    return OldRequest(uid, body.get("requestId"), message, socket_id)


def _read_fetch(body: dict[str, Any], uid: str, namespace: str) -> Message:
    data = {"opts": body.get("opts"), "requestId": body.get("requestId")}
    return Message(MessageType.FETCH_SOCKETS, data, uid, namespace)


def _read_server_event(body: dict[str, Any], uid: str, namespace: str) -> Message:
    data = {"packet": body.get("data")}
    if body.get("requestId") is not None:
        data["requestId"] = body["requestId"]
    return Message(MessageType.SERVER_SIDE_EMIT, data, uid, namespace)


def _read_broadcast_with_ack(body: dict[str, Any], uid: str, namespace: str) -> Message:
    data = {
        "packet": body.get("packet"),
        "requestId": body.get("requestId"),
        "opts": body.get("opts"),
    }
    return Message(MessageType.BROADCAST, data, uid, namespace)


_BULK: Final = {
    RequestType.REMOTE_JOIN: MessageType.SOCKETS_JOIN,
    RequestType.REMOTE_LEAVE: MessageType.SOCKETS_LEAVE,
    RequestType.REMOTE_DISCONNECT: MessageType.DISCONNECT_SOCKETS,
}
_READERS: Final[dict[int, Callable[[dict[str, Any], str, str], Message | OldRequest]]] = {
    RequestType.SOCKETS: _read_sockets,
    RequestType.ALL_ROOMS: _read_all_rooms,
    RequestType.REMOTE_JOIN: _read_bulk,
    RequestType.REMOTE_LEAVE: _read_bulk,
    RequestType.REMOTE_DISCONNECT: _read_bulk,
    RequestType.REMOTE_FETCH: _read_fetch,
    RequestType.SERVER_SIDE_EMIT: _read_server_event,
    RequestType.BROADCAST: _read_broadcast_with_ack,
}


def read_response(payload: bytes, namespace: str) -> Message | None:
    """Return the message of an answer; None for an answer to a request of older versions."""
    body = _read_body(payload)
    kind = body.get("type")
    data: dict[str, Any] = {"requestId": body.get("requestId")}
    if kind == RequestType.BROADCAST_CLIENT_COUNT:
        message_type = MessageType.BROADCAST_CLIENT_COUNT
        data["clientCount"] = body.get("clientCount")
    elif kind == RequestType.BROADCAST_ACK:
        message_type = MessageType.BROADCAST_ACK
        if "packet" in body:
            data["packet"] = body["packet"]
    elif kind == RequestType.SERVER_SIDE_EMIT:
        message_type = MessageType.SERVER_SIDE_EMIT_RESPONSE
        if "data" in body:
            data["packet"] = body["data"]
    elif "sockets" in body:
        message_type = MessageType.FETCH_SOCKETS_RESPONSE
        data["sockets"] = body["sockets"]
    else:
        return None
    return Message(message_type, data, ANY_SERVER, namespace)
