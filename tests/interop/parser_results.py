"""Results of our parsers in the form of `parsers.js`, and the inputs for both."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import datetime
from random import Random
from typing import Any, NamedTuple

from engineio_core.codec.packet import MESSAGE, MESSAGE_PREFIX
from engineio_core.codec.payload import decode_payload
from engineio_core.codec.payload_v3 import decode_binary_payload, decode_text_payload
from engineio_core.errors import ProtocolError
from engineio_core.webtransport.frames import PacketReader
from fuzz.mutation import Mutator
from fuzz.target import load
from socketio_core.codec.json_codec import JsonParser
from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.codec.packet import Decoded
from socketio_core.errors import PacketError

WEBTRANSPORT_LIMIT = 300
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Result(NamedTuple):
    """The packets of an input, and whether the parser refuses the rest."""

    packets: list[Any]
    refused: bool


def as_result(value: dict[str, Any]) -> Result:
    """Return a result of Node."""
    return Result(_doubles(value["packets"]), value["refused"])


def _doubles(value: Any) -> Any:
    """Return a value with floats for all numbers, as in JavaScript."""
    if isinstance(value, list):
        return [_doubles(each) for each in value]
    if isinstance(value, dict):
        return {key: _doubles(each) for key, each in value.items()}
    return float(value) if type(value) is int else value


def _plain(value: Any) -> Any:
    """Return a decoded value in the form of `parsers.js`."""
    if isinstance(value, bytes):
        return {"$base64": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"$date": float((value - _EPOCH) // (_EPOCH.resolution * 1000))}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN
        return {"$number": "NaN"}
    if value in (float("inf"), float("-inf")):
        return {"$number": "Infinity" if value > 0 else "-Infinity"}
    return _doubles(value)


def _read_engine(packets: Iterator[str | bytes]) -> Result:
    found: list[Any] = []
    try:
        for packet in packets:
            is_text = isinstance(packet, str)
            found.append([packet[0], packet[1:]] if is_text else [MESSAGE, _plain(packet)])
    except ProtocolError:
        return Result(found, True)
    return Result(found, False)


def _packet(decoded: Decoded) -> list[Any]:
    kind, namespace, data, ack_id = decoded
    shown = {"$undefined": True} if data is None else _plain(data)
    return [float(kind), namespace, shown, None if ack_id is None else float(ack_id)]


def _read_json(data: bytes) -> Result:
    decoder = JsonParser().decoder()
    found: list[Any] = []
    for message in data.split(b"\x1e"):
        try:
            if message[:1] == b"b":
                packet = decoder.receive_binary(message[1:])
            else:
                packet = decoder.receive_text(MESSAGE_PREFIX + message)
        except (PacketError, UnicodeDecodeError):
            return Result(found, True)
        if packet is not None:
            found.append(_packet(packet))
    return Result(found, False)


def _read_msgpack(data: bytes) -> Result:
    try:
        packet = MsgpackParser().decoder().receive_binary(data)
    except PacketError:
        return Result([], True)
    assert packet is not None
    return Result([_packet(packet)], False)


def _read_stream(data: bytes) -> Result:
    reader = PacketReader(WEBTRANSPORT_LIMIT)
    reader.feed(data)
    found: list[Any] = []
    try:
        while (packet := reader.next_packet()) is not None:
            is_binary, payload = packet
            if is_binary:
                found.append([MESSAGE, _plain(payload)])
                continue
            # A session takes a text packet as the only one of a payload.
            text = Result([], True) if b"\x1e" in payload else _read_engine(decode_payload(payload))
            found += text.packets
            if text.refused:
                return Result(found, True)
    except ProtocolError:
        return Result(found, True)
    return Result(found, False)


OURS: dict[str, Callable[[bytes], Result]] = {
    "payload_v4": lambda data: _read_engine(decode_payload(data)),
    "payload_v3": lambda data: _read_engine(decode_text_payload(data)),
    "payload_v3_binary": lambda data: _read_engine(decode_binary_payload(data)),
    "packets_json": _read_json,
    "packets_msgpack": _read_msgpack,
    "webtransport_frames": _read_stream,
}


def make_inputs(kind: str, count: int) -> list[bytes]:
    """Return the seeds of the target of a parser, and mutations of them; equal in each run."""
    target = load(kind.removesuffix("_binary"))
    seeds = list(target.seeds())
    mutator = Mutator(Random(kind), seeds, target.tokens, 300)
    return [*seeds, *(mutator.make() for _ in range(count))]
