"""The default codec: a packet is a text message, followed by its binary attachments.

It implements revision 5 of the Socket.IO protocol and limits what a peer may send. A server has
one parser; each connection has its own decoder, because attachments arrive after their packet.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import orjson

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet import IS_COMPILED, MESSAGE_PREFIX
from engineio_core.options import check_at_least
from engineio_core.subclassing import mypyc_attr
from socketio_core.codec.attachments import (
    BINARY_TYPES,
    FLOAT_KEY,
    Attachments,
    convert_value,
    reconstruct,
    to_plain,
)
from socketio_core.codec.large import LARGE, decode_uncollected, load_large
from socketio_core.codec.lenient_json import MAX_STRUCTURE, load_leniently
from socketio_core.codec.packet import (
    ACK,
    ACK_ID_LIMIT,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    EVENT,
    MAX_ACK_ID_DIGITS,
    MAX_NAMESPACE_LENGTH,
    RESERVED_EVENTS,
    Decoded,
    Decoder,
    Packet,
    PacketType,
    Parser,
    check_address,
    check_data_to_send,
    check_event_to_send,
    check_received_data,
    is_namespace,
    refuse_payload,
)
from socketio_core.errors import PacketError

__all__ = [
    "Decoder", "JsonDecoder", "JsonParser", "Packet", "PacketType", "Parser", "dump_json",
    "dump_json_with_buffers", "load_json",
]  # fmt: skip

# Final names of this module: a compiled module reads other global names from a dictionary.
_dumps: Final = orjson.dumps
_loads: Final = orjson.loads
_convert: Final = convert_value
_IS_COMPILED: Final = IS_COMPILED
_RESERVED: Final[frozenset[str]] = RESERVED_EVENTS
_EVENT: Final = EVENT
_CONNECT: Final = CONNECT
_MAIN_CONNECT: Final = Packet(CONNECT)  # of a client without auth data
_PLAIN: Final[Any] = orjson.OPT_PASSTHROUGH_DATETIME
_EVENT_DIGIT: Final = 0x32  # "2"
_BRACKET: Final = 0x5B  # "["
# A message of Engine.IO is written and read here with its type digit in front: one copy less per
# packet (benchmarks/hop_budget.py).
_EVENT_PREFIX: Final = b"%b%d" % (MESSAGE_PREFIX, EVENT)
_CONNECT_PREFIX: Final = b"%b%d" % (MESSAGE_PREFIX, CONNECT)
_EVENT_START: Final = _EVENT_PREFIX + b"["
_ACK_PREFIX: Final = b"%b%d" % (MESSAGE_PREFIX, ACK)
_HEADS: Final = 1000  # clients number their events from 0
_ACK_HEADS: Final = [b"%b%d" % (_ACK_PREFIX, number) for number in range(_HEADS)]
_ACK_FORMAT: Final = _ACK_PREFIX + b"%d%b"
_HEADER_FORMAT: Final = MESSAGE_PREFIX + b"%d%b"
_FORMAT: Final = MESSAGE_PREFIX + b"%d%b%b"
_BINARY_FORMAT: Final = MESSAGE_PREFIX + b"%d%d-%b%b"
_ACK_ID_END: Final = 2 + MAX_ACK_ID_DIGITS + 1
_ID_LIMIT: Final[int] = ACK_ID_LIMIT
_ANY_NUMBER: Final = 2**31
_ANY_KEY = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS
_TYPE_OF_LETTER = {str(int(kind)): kind for kind in PacketType}
_DIGITS = frozenset("0123456789")


@mypyc_attr(allow_interpreted_subclasses=True)
class JsonParser:
    """The default codec of Socket.IO."""

    __slots__ = ("max_attachment_bytes", "max_attachments", "name")

    def __init__(self, max_attachments: int = 10, max_attachment_bytes: int = 10_000_000) -> None:
        """Create a parser with the limits of one packet.

        The default of `max_attachment_bytes` is ten Engine.IO messages of the default size.
        """
        check_at_least("max_attachments", max_attachments, 0)
        check_at_least("max_attachment_bytes", max_attachment_bytes, 0)
        self.name = "json"
        self.max_attachments = max_attachments
        self.max_attachment_bytes = max_attachment_bytes

    def decoder(self) -> JsonDecoder:
        """Return the decoder of a new connection."""
        return JsonDecoder(self)

    def encode(self, packet: Packet) -> tuple[EncodedPacket, ...]:
        """Return the text message of a packet, followed by its attachments."""
        kind, namespace, data, ack_id = packet
        if kind is _CONNECT and namespace == "/" and ack_id is None and type(data) is dict:
            # The reply to nearly every client needs no check.
            try:
                return (EncodedPacket(_CONNECT_PREFIX + _dumps(data, _convert_binary_too, _PLAIN)),)
            except TypeError:
                return (EncodedPacket(_CONNECT_PREFIX + _dump_slowly(data, _convert_binary_too)),)
        check_data_to_send(kind, data)
        if kind is EVENT:
            if not isinstance(data[0], str):  # a number, which the protocol allows
                return self._encode_any(EVENT, namespace, data, ack_id)
            return self.encode_event(namespace, data, ack_id)
        if kind is ACK:
            if ack_id is None:
                raise ValueError("an ACK packet needs the ack id of its event")
            encoded = self.encode_ack(namespace, ack_id, data)
            return (EncodedPacket(encoded),) if isinstance(encoded, bytes) else encoded
        header = _HEADER_FORMAT % (kind, _address(namespace, ack_id))
        if data is None:
            return (EncodedPacket(header),)
        try:
            payload = _dumps(data, _convert_binary_too, _PLAIN)
        except TypeError:
            payload = _dump_slowly(data, _convert_binary_too)
        return (EncodedPacket(header + payload),)

    def encode_event(
        self, namespace: str, data: list[Any] | tuple[Any, ...], ack_id: int | None = None
    ) -> tuple[EncodedPacket, ...]:
        """Encode an EVENT without the cost of a `Packet`; the name must be a string."""
        # hot path: codec
        if not data or type(data[0]) is not str or data[0] in _RESERVED:
            check_event_to_send(data)
        try:
            payload = _dumps(data, _convert, _PLAIN)
        except TypeError:
            return self._encode_any(EVENT, namespace, data, ack_id)
        if ack_id is None and namespace == "/":
            return (EncodedPacket(_EVENT_PREFIX + payload),)
        return (EncodedPacket(_EVENT_PREFIX + _address(namespace, ack_id) + payload),)

    def encode_ack(
        self, namespace: str, ack_id: int, data: list[Any] | tuple[Any, ...]
    ) -> bytes | tuple[EncodedPacket, ...]:
        """Encode an ACK without the cost of a `Packet`."""
        # hot path: codec
        try:
            payload = _dumps(data, _convert, _PLAIN)
        except TypeError:
            return self._encode_any(ACK, namespace, data, ack_id)
        if namespace == "/" and 0 <= ack_id < _ID_LIMIT:
            if ack_id < _HEADS:
                return _ACK_HEADS[ack_id] + payload
            if _IS_COMPILED:
                return _ACK_PREFIX + str(ack_id).encode() + payload
            return _ACK_FORMAT % (ack_id, payload)
        return (EncodedPacket(_ACK_PREFIX + _address(namespace, ack_id) + payload),)

    def _encode_any(
        self,
        kind: PacketType,
        namespace: str,
        data: list[Any] | tuple[Any, ...],
        ack_id: int | None,
    ) -> tuple[EncodedPacket, ...]:
        """Encode data with binary values, keys that are not strings, or lone surrogates."""
        collector = Attachments(self.max_attachments)
        try:
            # orjson calls `convert` in the order of the text: depth first, keys in their order.
            payload = _dumps(data, collector.convert, _ANY_KEY)
            is_exact = FLOAT_KEY.search(payload) is None
        except TypeError:
            is_exact = False
        if not is_exact:
            collector = Attachments(self.max_attachments)
            payload = _dump_slowly(data, collector.convert)
        address = _address(namespace, ack_id)
        attachments = collector.found
        if not attachments:
            return (EncodedPacket(_FORMAT % (kind, address, payload)),)
        binary_kind = BINARY_EVENT if kind is EVENT else BINARY_ACK
        text = _BINARY_FORMAT % (binary_kind, len(attachments), address, payload)
        return (EncodedPacket(text), *(EncodedPacket(a, is_binary=True) for a in attachments))


def _address(namespace: str, ack_id: int | None) -> bytes:
    """Return the part of a packet between its type and its payload."""
    check_address(namespace, ack_id)
    address = "" if namespace == "/" else namespace + ","
    return (address if ack_id is None else f"{address}{ack_id:d}").encode()


def _convert_binary_too(value: Any) -> Any:
    # Node: only events and acks have attachments; in other packets a binary value becomes the
    # result of `Buffer.prototype.toJSON`.
    if isinstance(value, BINARY_TYPES):
        return {"type": "Buffer", "data": list(bytes(value))}
    return convert_value(value)


_write_json = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode


def _dump_slowly(data: Any, convert: Callable[[Any], Any]) -> bytes:
    """Encode data that orjson refuses or writes differently from JavaScript.

    Raises TypeError or ValueError, with the reason, for data that cannot be sent.
    """
    # JSON.stringify escapes a lone surrogate as "\\ud800"; the error handler writes the same.
    return _write_json(to_plain(data, convert)).encode("utf-8", "backslashreplace")


def dump_json(value: Any) -> bytes | None:
    """Return a plain value as JSON text, as `JSON.stringify` writes it; None if it has bytes.

    Raises TypeError or ValueError, with the reason, for a value that cannot be sent.
    """
    try:
        return _dumps(value, convert_value, _PLAIN)
    except TypeError:
        collector = Attachments(_ANY_NUMBER)
        text = _dump_slowly(value, collector.convert)
    return text if not collector.found else None


def dump_json_with_buffers(value: Any) -> bytes:
    """Return a plain value as JSON text, with bytes as Node's `Buffer` writes them.

    Raises TypeError or ValueError, with the reason, for a value that cannot be sent.
    """
    try:
        return _dumps(value, _convert_binary_too, _PLAIN)
    except TypeError:
        return _dump_slowly(value, _convert_binary_too)


def load_json(text: bytes, max_structure: int | None = MAX_STRUCTURE) -> Any:
    """Return the value of a JSON text, as `JSON.parse` reads it.

    `max_structure` is that of `load_leniently`. Raises PacketError, and UnicodeDecodeError for
    invalid UTF-8.
    """
    try:
        return _loads(text) if len(text) <= LARGE else load_large(text)
    except ValueError:
        return load_leniently(text.decode(), max_structure)


@mypyc_attr(allow_interpreted_subclasses=True)
class JsonDecoder:
    """Reads the messages of one connection; the connection must close after a `PacketError`."""

    __slots__ = ("_limits", "_reconstruction")

    def __init__(self, limits: JsonParser) -> None:
        self._limits = limits
        self._reconstruction: _Reconstruction | None = None

    def receive_text(self, message: bytes) -> Decoded | None:
        """Return the packet, or None if its attachments are missing."""
        if self._reconstruction is not None:
            self.close()
            message.decode()  # invalid UTF-8 takes precedence
            raise PacketError(
                "text_while_reconstructing", "got plaintext data when reconstructing a packet"
            )
        # hot path: codec. An event of "/" has at most an ack id before its array.
        data: list[Any]
        if message[:3] == _EVENT_START:
            start = 2
            ack_id = None
        elif _IS_COMPILED:
            # Machine code reads the digits in a third of the time of the three methods below.
            start, number, end = 2, 0, min(len(message), _ACK_ID_END)
            while start < end and 0x30 <= (digit := message[start]) <= 0x39:
                number = 10 * number + digit - 0x30
                start += 1
            if not 2 < start < end or message[start] != _BRACKET or message[1] != _EVENT_DIGIT:
                return self._receive_any(message[1:].decode())
            ack_id = number
        else:
            start = message.find(b"[", 2, _ACK_ID_END)
            if (
                start < 0
                or message[1] != _EVENT_DIGIT
                or not (digits := message[2:start]).isdigit()
            ):
                return self._receive_any(message[1:].decode())
            ack_id = int(digits)
        try:
            payload = message[start:]
            data = _loads(payload) if len(payload) <= LARGE else load_large(payload)
        except ValueError:
            data = load_leniently(payload.decode())
        if not data or type(data[0]) is not str or data[0] in _RESERVED:
            check_received_data(EVENT, data)
        return _EVENT, "/", data, ack_id

    def receive_binary(self, data: bytes) -> Packet | None:
        """Receive one attachment; return the packet after the last attachment."""
        reconstruction = self._reconstruction
        if reconstruction is None:
            raise PacketError(
                "binary_when_not_reconstructing",
                "got binary data when not reconstructing a packet",
            )
        self._reconstruction = None
        if not reconstruction.add(data):
            self._reconstruction = reconstruction
            return None
        return reconstruction.packet()

    def close(self) -> None:
        """Drop a packet that waits for attachments."""
        self._reconstruction = None

    def _receive_any(self, text: str) -> Packet | None:
        """Read any packet: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`."""
        if text == "0":
            return _MAIN_CONNECT
        letter = text[:1]
        kind = _TYPE_OF_LETTER.get(letter)
        if kind is None:
            raise PacketError("unknown_packet_type", f"unknown packet type {letter}")
        attachments = 0
        position = 1
        if kind >= BINARY_EVENT:
            attachments, position = self._read_attachments(text)
            kind = EVENT if kind is BINARY_EVENT else ACK
        namespace = "/"
        if text[position : position + 1] == "/":
            namespace, position = _read_namespace(text, position)
        ack_id = None
        if text[position : position + 1] in _DIGITS:
            ack_id, position = _read_ack_id(text, position)
        packet = Packet(kind, namespace, _read_data(kind, text[position:]), ack_id)
        if attachments == 0:
            return packet
        self._reconstruction = _Reconstruction(
            packet, attachments, self._limits.max_attachment_bytes, is_large=len(text) > LARGE
        )
        return None

    def _read_attachments(self, text: str) -> tuple[int, int]:
        # The search is bounded (CVE-2020-36049); no limit has more digits than this.
        end = text.find("-", 1, 1 + MAX_ACK_ID_DIGITS)
        digits = text[1 : max(end, 1)]
        if not (digits.isdecimal() and digits.isascii() and int(digits)):
            raise PacketError("illegal_attachments", "Illegal attachments")
        # CVE-2026-33151: a packet may announce ten attachments, unless the server sets a limit.
        if int(digits) > self._limits.max_attachments:
            raise PacketError("too_many_attachments", "too many attachments")
        return int(digits), end + 1


class _Reconstruction:
    """A packet that waits for its attachments, whose number and size are bounded."""

    __slots__ = ("_attachments", "_is_large", "_missing", "_packet", "_room")

    def __init__(self, packet: Packet, missing: int, room: int, *, is_large: bool) -> None:
        self._is_large = is_large
        self._packet = packet
        self._missing = missing
        self._room = room
        self._attachments: list[bytes] = []

    def add(self, data: bytes) -> bool:
        """Add an attachment; return whether it was the last one."""
        self._room -= len(data)
        if self._room < 0:
            raise PacketError("attachments_too_large", "too many bytes in attachments")
        self._attachments.append(data)
        self._missing -= 1
        return self._missing == 0

    def packet(self) -> Packet:
        """Return the packet with its attachments."""
        data, attachments = self._packet.data, self._attachments
        if self._is_large:
            decode_uncollected(lambda tree: reconstruct(tree, attachments), data)
        else:
            reconstruct(data, attachments)
        return self._packet


def _read_namespace(text: str, position: int) -> tuple[str, int]:
    end = text.find(",", position, position + MAX_NAMESPACE_LENGTH + 1)
    namespace = text[position:] if end < 0 else text[position:end]
    if not is_namespace(namespace):
        raise PacketError("invalid_namespace", "invalid namespace")
    # Node: without a comma, the namespace extends to the end ("0/admin").
    return namespace, position + len(namespace) + 1


def _read_ack_id(text: str, position: int) -> tuple[int, int]:
    end = position + 1
    while text[end : end + 1] in _DIGITS:
        end += 1
        # Node accepts any number of digits and blanks, and returns both changed.
        if end - position > MAX_ACK_ID_DIGITS:
            raise PacketError("invalid_ack_id", "invalid ack id")
    return int(text[position:end]), end


def _read_data(kind: PacketType, payload: str) -> Any:
    if payload:
        try:
            data = _loads(payload) if len(payload) <= LARGE else load_large(payload)
        except ValueError:
            data = load_leniently(payload)
        check_received_data(kind, data)
        return data
    if kind is EVENT:
        refuse_payload()  # Node accepts an event without a name and ignores it
    return [] if kind is ACK else None
