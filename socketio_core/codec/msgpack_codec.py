"""The MessagePack codec: a packet is one binary message that contains its binary values.

It is compatible with `socket.io-msgpack-parser` 3 and the notepack release that it uses. The rules
for the contents of packets, and the slugs of errors, are those of the text codec.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from itertools import chain
from math import isfinite
from secrets import token_urlsafe
from typing import Any, Final

import msgspec
import orjson

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.codec.attachments import (
    BINARY_TYPES,
    FLOAT_KEY,
    convert_value,
    to_plain,
    to_utc,
)
from socketio_core.codec.large import LARGE, decode_uncollected, load_large
from socketio_core.codec.packet import (
    ACK,
    ACK_ID_LIMIT,
    EVENT,
    RESERVED_EVENTS,
    Decoded,
    Packet,
    PacketType,
    check_address,
    check_data_to_send,
    check_event_to_send,
    check_received_data,
    is_namespace,
    refuse_payload,
)
from socketio_core.errors import PacketError

__all__ = ["MsgpackDecoder", "MsgpackParser", "unpack"]

# The extension of notepack: one byte is `undefined`, eight bytes are a Date in milliseconds. An
# ArrayBuffer from Node has the same code, after the header of a variable length.
_NOTEPACK = 0
_VARIABLE_LENGTH: Final = 0xC7
_ANY_ARRAY_BUFFER: Final = b"\xc7"
_SMALL_ARRAY_BUFFERS: Final = (b"\xc7\x01\x00", b"\xc7\x08\x00")
# The header of a Timestamp with 64-bit seconds (MessagePack specification, timestamp 96), the only
# form that reaches the years that datetime cannot represent.
_TIMESTAMP_96 = b"\xc7\x0c\xff"
# Exact decoding is about forty times slower, so the peer must not control its duration.
_MAX_EXACT_DEPTH = 16
_MAX_EXACT_SIZE = 65_536
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LATEST_DATE = 8_640_000_000_000_000  # ECMA-262, Time Values: milliseconds from 1970, both ways
_CALENDAR_CYCLE = 146_097 * 86_400_000  # milliseconds of 400 years of the Gregorian calendar
_LEAVES = frozenset({*BINARY_TYPES, msgspec.msgpack.Ext})
_TYPES = tuple(PacketType)[:5]  # no separate types for binary data
# Types whose values msgspec writes as `to_plain` would convert them, at any size.
_NATIVE: Final = frozenset({str, bytes, int, bool, type(None)})
# Larger and deeper data is left to orjson, which checks it faster.
_MAX_NATIVE_ITEMS: Final = 32
_MAX_NATIVE_DEPTH: Final = 2
_DATE: Final = struct.Struct(">2sq")
_unpack_number: Final = struct.Struct(">q").unpack
_DATE_HEADER: Final = b"\xd7\x00"  # an extension of eight bytes, of notepack
# Takes the place of a value that JSON has no form for. A client cannot guess it.
_TOKEN: Final = token_urlsafe(18)
_PACKED_TOKEN: Final = msgspec.msgpack.encode(_TOKEN)
# The same, with the number of the value in hexadecimal.
_NUMBERED: Final = token_urlsafe(12)
_NUMBERED_TOKEN: Final = re.compile(b"\xb8" + re.escape(_NUMBERED).encode() + b"([0-9a-f]{8})")
# Only types that msgspec and orjson write alike, with keys that are strings.
_STRICT: Final = (
    orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_ANY_KEY: Final = (
    orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_NON_STR_KEYS
)
# The values for which orjson writes null and msgspec a form that clients must not receive, or
# other bytes that look like one: a float whose exponent is that of NaN or infinity, a Timestamp.
_OTHER_FORM: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]|[\xd6\xd7]\xff|\xc7\x0c\xff")
_EVENT_NUMBER: Final = int(EVENT)
_ACK_NUMBER: Final = int(ACK)
_pack = msgspec.msgpack.Encoder().encode
_dumps: Final = orjson.dumps
_loads: Final = orjson.loads


class MsgpackParser:
    """The codec of clients that use `socket.io-msgpack-parser` 3.x."""

    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name = "msgpack"

    def decoder(self) -> MsgpackDecoder:
        """Return the decoder of a new connection."""
        return MsgpackDecoder()

    def encode(self, packet: Packet) -> tuple[EncodedPacket, ...]:
        """Return the single message of a packet."""
        kind, namespace, data, ack_id = packet
        check_data_to_send(kind, data)
        check_address(namespace, ack_id)
        if kind is ACK and ack_id is None:
            raise ValueError("an ACK packet needs the ack id of its event")
        # The keys have the order of Node's server.
        body: dict[str, Any] = {"type": int(kind)}
        if data is not None:
            body["data"] = data
        if ack_id is not None:
            body["id"] = ack_id
        body["nsp"] = namespace
        return (EncodedPacket(_pack_any(body), is_binary=True),)

    def encode_event(
        self, namespace: str, data: list[Any] | tuple[Any, ...], ack_id: int | None = None
    ) -> tuple[EncodedPacket, ...]:
        """Encode an EVENT; the name must be a string."""
        # hot path: codec
        if not data or data[0].__class__ is not str or data[0] in RESERVED_EVENTS:
            check_event_to_send(data)
        check_address(namespace, ack_id)
        body: dict[str, Any] = {"type": _EVENT_NUMBER, "data": data}
        if ack_id is not None:
            body["id"] = ack_id
        body["nsp"] = namespace
        if _is_native(data, _MAX_NATIVE_DEPTH):
            try:
                return (EncodedPacket(_pack(body), is_binary=True),)
            except OverflowError:  # an integer of more than 64 bits: `to_plain` names the remedy
                pass
        return (EncodedPacket(_pack_any(body), is_binary=True),)

    def encode_ack(
        self, namespace: str, ack_id: int, data: list[Any] | tuple[Any, ...]
    ) -> tuple[EncodedPacket, ...]:
        """Return the single message of an ACK."""
        # hot path: codec
        check_address(namespace, ack_id)
        body = {"type": _ACK_NUMBER, "data": data, "id": ack_id, "nsp": namespace}
        if _is_native(data, _MAX_NATIVE_DEPTH):
            try:
                return (EncodedPacket(_pack(body), is_binary=True),)
            except OverflowError:
                pass
        return (EncodedPacket(_pack_any(body), is_binary=True),)


def _is_native(items: Collection[Any], depth: int) -> bool:
    """Return whether msgspec writes these values as `to_plain` would convert them.

    False may also mean that there are many values, or that they are nested deeper than `depth`.
    """
    if len(items) > _MAX_NATIVE_ITEMS:
        return False
    for item in items:
        kind = type(item)
        if kind in _NATIVE:
            continue
        if kind is dict:
            for key in item:
                if type(key) is not str:
                    return False
            if depth == 0 or not _is_native(item.values(), depth - 1):
                return False
        elif kind is list:
            if depth == 0 or not _is_native(item, depth - 1):
                return False
        elif kind is not float or not isfinite(item):
            return False
    return True


def _pack_any(body: dict[str, Any]) -> bytes:
    """Return the message of a packet with any data.

    Raises TypeError or ValueError, with the reason, for data that cannot be sent.
    """
    # orjson visits the values several times as fast as Python code would. A client chooses their
    # number if a handler returns what it receives.
    try:
        text = _dumps(body, _check_leaf, _STRICT)
        message = _pack(body)
        if b"null" not in text or _OTHER_FORM.search(message) is None:
            return message
    except TypeError:
        pass  # types or keys that have another form on the wire
    try:
        return _pack_converted(body)
    except TypeError:
        return _pack({**body, "data": to_plain(body["data"], _convert, _LEAVES)})


def _check_leaf(value: Any) -> str | None:
    """Return any text for a value that msgspec writes as it is, None for a datetime with a zone.

    Raises TypeError for other values.
    """
    kind = value.__class__
    if kind in _LEAVES:
        return ""
    if kind is datetime and value.utcoffset() is not None:
        return None
    raise TypeError


def _pack_converted(body: dict[str, Any], *, is_numbered: bool = False) -> bytes:
    """Convert data by way of JSON, with a token for each value that JSON has no form for.

    Raises TypeError for data that `to_plain` must convert or refuse.
    """
    pieces: list[bytes] = []

    def convert(value: Any) -> Any:
        if value.__class__ in _LEAVES:
            pieces.append(_pack(value))
        elif isinstance(value, datetime):
            pieces.append(_pack_date(value))
        else:
            return convert_value(value)
        return f"{_NUMBERED}{len(pieces) - 1:08x}" if is_numbered else _TOKEN

    text = _dumps(body, convert, _ANY_KEY)
    if FLOAT_KEY.search(text):
        raise TypeError
    message = _pack(_loads(text) if len(text) <= LARGE else load_large(text))
    if is_numbered:
        return _NUMBERED_TOKEN.sub(lambda found: pieces[int(found[1], 16)], message)
    parts = message.split(_PACKED_TOKEN)
    if len(parts) != len(pieces) + 1:
        # A dict with the keys 1 and "1" has one of them in JSON: the order is not enough.
        return _pack_converted(body, is_numbered=True)
    pieces.append(b"")
    return b"".join(chain.from_iterable(zip(parts, pieces, strict=True)))


def _pack_date(moment: datetime) -> bytes:
    """Return a Date of notepack: version 2 cannot read the datetime format of msgspec."""
    passed = (moment if moment.tzinfo is UTC else to_utc(moment)) - _EPOCH
    seconds = passed.days * 86_400 + passed.seconds
    return _DATE.pack(_DATE_HEADER, seconds * 1000 + passed.microseconds // 1000)


def _convert(value: Any) -> Any:
    if isinstance(value, datetime):
        return msgspec.msgpack.Ext(_NOTEPACK, _pack_date(value)[2:])
    return convert_value(value)


class MsgpackDecoder:
    """Reads the messages of one connection; it has no state."""

    __slots__ = ()

    def receive_text(self, message: bytes) -> Packet | None:
        """Raise PacketError: every packet is a binary message."""
        message.decode()  # invalid UTF-8 takes precedence
        raise PacketError("unexpected_text", "got text where packets are binary")

    def receive_binary(self, data: bytes) -> Decoded | None:
        """Return the packet of a message."""
        # hot path: codec
        message = unpack(data)
        if not isinstance(message, dict):
            refuse_payload()
        if len(data) > LARGE:
            _check_keys(message)
        kind, content, ack_id = message.get("type"), message.get("data"), message.get("id")
        # A valid event of "/"; `read_message` reads or refuses all other packets.
        if (
            kind == _EVENT_NUMBER
            and kind.__class__ is int
            and message.get("nsp") == "/"
            and content.__class__ is list
            and content
            and content[0].__class__ is str
            and content[0] not in RESERVED_EVENTS
            and (ack_id is None or (ack_id.__class__ is int and 0 <= ack_id < ACK_ID_LIMIT))
        ):
            return EVENT, "/", content, ack_id
        return read_message(message)

    def close(self) -> None:
        """Do nothing: the decoder has no state."""


def read_message(message: dict[Any, Any]) -> Packet:
    """Return the packet of a decoded message. Raises PacketError."""
    # True is an int in Python, but not a packet type.
    number = message.get("type")
    if type(number) is not int or not 0 <= number < len(_TYPES):
        raise PacketError("unknown_packet_type", "invalid packet type")
    kind = _TYPES[number]
    namespace = message.get("nsp")
    if not isinstance(namespace, str) or not is_namespace(namespace):
        raise PacketError("invalid_namespace", "invalid namespace")
    ack_id = message.get("id")
    if ack_id is not None and (type(ack_id) is not int or not 0 <= ack_id < ACK_ID_LIMIT):
        raise PacketError("invalid_ack_id", "invalid packet id")
    # Official clients write `undefined` for absent data, others nil: both mean no data.
    payload = message.get("data")
    if payload is not None:
        check_received_data(kind, payload)
    elif kind is EVENT:
        refuse_payload()
    elif kind is ACK:
        payload = []
    return Packet(kind, namespace, payload, ack_id)


def _read_extension(code: int, data: memoryview) -> Any:
    if code == _NOTEPACK:
        size = len(data)
        if size == 8:
            return _read_date(_unpack_number(data)[0])
        return None if size == 1 else bytes(data)
    return [code, bytes(data)]  # like an unknown extension in notepack


def _read_date(milliseconds: int) -> datetime | str | None:
    """Return the datetime of a Date; for years outside 1 to 9999, its text as in JSON.

    None stands for a number that is not a Date, as in `JSON.stringify`.
    """
    if not -_LATEST_DATE <= milliseconds <= _LATEST_DATE:
        return None
    try:
        return _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        pass
    cycles, rest = divmod(milliseconds, _CALENDAR_CYCLE)
    moment = _EPOCH + rest * _MILLISECOND
    year = moment.year + 400 * cycles
    # ECMA-262, Date.prototype.toISOString: a sign and six digits unless four digits suffice
    text = f"{year:04d}" if year == 0 else f"{year:+07d}"
    return f"{text}{moment:-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


_decode = msgspec.msgpack.Decoder(ext_hook=_read_extension).decode
_decode_list = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_map = msgspec.msgpack.Decoder(dict[Any, msgspec.Raw]).decode


def unpack(data: bytes) -> Any:
    """Return the value of a message, with the extensions of notepack. Raises PacketError."""
    try:
        if (
            _ANY_ARRAY_BUFFER in data
            and len(data) <= _MAX_EXACT_SIZE
            and any(map(data.__contains__, _SMALL_ARRAY_BUFFERS))
        ):
            return _unpack_exactly(data)
        return _decode(data) if len(data) <= LARGE else decode_uncollected(_decode, data)
    except ValueError:
        return _unpack_any_date(data)
    except (TypeError, OverflowError, RecursionError):
        # TypeError: msgspec before 0.22 does not check that map keys are hashable.
        refuse_payload()


def _check_keys(message: Any) -> None:
    """Refuse the keys of a large message that only `to_plain` can convert.

    It would take up to half a second for a message of 0.9 MB. Raises PacketError for floats, nil
    and keys that have no form in JSON; official clients write strings.
    """
    try:
        _dumps(message, _ignore, _STRICT)  # all keys are strings
    except TypeError:
        try:
            text = _dumps(message, _ignore, _ANY_KEY)
        except TypeError:
            text = b""  # keys without a form in JSON, or too many levels
        if not text or FLOAT_KEY.search(text):
            raise PacketError(
                "invalid_payload",
                f"a MessagePack message above {LARGE} bytes must have keys that are strings or "
                "integers",
            ) from None


def _ignore(_: Any) -> None:
    """Return null for a value that JSON has no form for."""


def unpack_message(data: bytes) -> dict[Any, Any]:
    """Return the decoded message of a packet, not yet checked. Raises PacketError."""
    message = unpack(data)
    if not isinstance(message, dict):
        refuse_payload()
    if len(data) > LARGE:
        _check_keys(message)
    return message


def _unpack_any_date(data: bytes) -> Any:
    """Decode a message that msgspec refuses: for a Timestamp outside the years 1 to 9999."""
    if len(data) > _MAX_EXACT_SIZE or _TIMESTAMP_96 not in data:
        refuse_payload()
    try:
        return _unpack_exactly(data)
    except (ValueError, TypeError, OverflowError, RecursionError):
        refuse_payload()


def _unpack_exactly(data: bytes | msgspec.Raw, depth: int = _MAX_EXACT_DEPTH) -> Any:
    """Distinguish a small ArrayBuffer from `undefined` and a Date, which the hook cannot.

    A Timestamp outside the years 1 to 9999 becomes text, like a Date. Each level decodes its part
    again. Below the last level, and in long messages, an ArrayBuffer of one or eight bytes is
    decoded as `undefined` or a Date.
    """
    view = memoryview(data)
    head = view[0]
    if head == _VARIABLE_LENGTH and view[2] == _NOTEPACK:
        return bytes(view[3:])
    if view[:3] == _TIMESTAMP_96:
        return _read_timestamp(data)
    if depth and (0x80 <= head <= 0x8F or head in (0xDE, 0xDF)):
        return {key: _unpack_exactly(item, depth - 1) for key, item in _decode_map(data).items()}
    if depth and (0x90 <= head <= 0x9F or head in (0xDC, 0xDD)):
        return [_unpack_exactly(item, depth - 1) for item in _decode_list(data)]
    return _decode(data)


def _read_timestamp(data: bytes | msgspec.Raw) -> Any:
    try:
        return _decode(data)
    except ValueError:
        view = memoryview(data)
        if len(view) != 15:
            raise  # the message ends too early
        nanoseconds, seconds = struct.unpack(">Iq", view[3:])
        if nanoseconds >= 1_000_000_000:
            raise
    return _read_date(seconds * 1000 + nanoseconds // 1_000_000)
