"""Polling payloads of revision 3 of Engine.IO, in their text and binary forms.

Text: `<length>:<packet>`, repeated; the length counts UTF-16 code units, as in JavaScript. Binary:
0 for text or 1 for binary, the digits of the length in bytes (one byte with the value 0 to 9 each),
255, and the packet. Source: engine.io-protocol v3, Payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet import BINARY, TYPES, malformed
from engineio_core.codec.packet_v3 import (
    base64_form,
    binary_form,
    decode_base64_packet,
    decode_binary_packet,
)
from engineio_core.errors import ProtocolError

# A number of more than ten digits exceeds every limit of a body.
_TEXT_LENGTH: Final = re.compile(r"([0-9]{1,10}):")
_BINARY_LENGTH: Final = re.compile(rb"([\x00\x01])([\x00-\x09]{1,10})\xff")
_TO_DIGITS: Final = bytes.maketrans(bytes(range(10)), b"0123456789")
# Each empty packet costs time and delivers nothing, so that no turn of the connection ends.
MAX_EMPTY: Final = 1000
_TEXT_RECORD: Final = b"\x00"
_BINARY_RECORD: Final = b"\x01"


def encode_text_payload(packets: list[EncodedPacket]) -> bytes:
    """Return the response body of a poll, with binary packets as base64 text."""
    return b"".join([_text_record(packet) for packet in packets]) or b"0:"


def encode_binary_payload(packets: list[EncodedPacket]) -> bytes:
    """Return the response body of a poll in the binary form."""
    return b"".join([_binary_record(packet) for packet in packets])


def decode_text_payload(body: bytes) -> Iterator[str | bytes]:
    """Yield the packets of a POST body: text with its type digit, or the bytes of a binary message.

    Raises ProtocolError at the first invalid record, after the packets before it.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise malformed("payload is not valid UTF-8") from None
    units = text if text.isascii() else _to_code_units(text)
    has_pairs = len(units) != len(text)
    position, end, empty = 0, len(units), 0
    while position < end or not end:
        found = _TEXT_LENGTH.match(units, position)
        if found is None:
            raise _invalid_length()
        position = found.end()
        stop = position + int(found[1])
        if stop > end:
            raise _invalid_length()
        packet = units[position:stop]
        position = stop
        if packet:
            yield _read_text_packet(_join_pairs(packet) if has_pairs else packet)
        else:
            empty = _count_empty(empty)


def decode_binary_payload(body: bytes) -> Iterator[str | bytes]:
    """Yield the packets of a body with the content type `application/octet-stream`.

    Raises ProtocolError like `decode_text_payload`.
    """
    position, end, empty = 0, len(body), 0
    while position < end or not end:
        found = _BINARY_LENGTH.match(body, position)
        if found is None:
            raise _invalid_length()
        position = found.end()
        stop = position + int(found[2].translate(_TO_DIGITS))
        if stop > end:
            raise _invalid_length()
        packet = body[position:stop]
        position = stop
        if found[1] == _BINARY_RECORD:
            yield decode_binary_packet(packet)
        elif packet:
            yield _read_text_packet(_decode_utf8(packet))
        else:
            empty = _count_empty(empty)


def _text_record(packet: EncodedPacket) -> bytes:
    payload = (base64_form(packet) if packet.is_binary else packet).payload
    if payload.isascii():
        return b"%d:%b" % (len(payload), payload)
    return b"%d:%b" % (len(payload.decode().encode("utf-16-le")) // 2, payload)


def _binary_record(packet: EncodedPacket) -> bytes:
    payload = (binary_form(packet) if packet.is_binary else packet).payload
    length = bytes(map(int, str(len(payload))))
    return b"%b%b\xff%b" % (_BINARY_RECORD if packet.is_binary else _TEXT_RECORD, length, payload)


def _to_code_units(text: str) -> str:
    """Return a text with one character for each code unit of UTF-16."""
    units = text.encode("utf-16")  # in the byte order of this machine, after a byte order mark
    if len(units) == 2 * len(text) + 2:
        return text
    return "".join(map(chr, memoryview(units)[2:].cast("H")))


def _join_pairs(units: str) -> str:
    """Return the text of code units. Raises ProtocolError for half of a surrogate pair."""
    try:
        return units.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _invalid_unicode() from None


def _decode_utf8(packet: bytes) -> str:
    try:
        return packet.decode()
    except UnicodeDecodeError:
        raise _invalid_unicode() from None


def _read_text_packet(packet: str) -> str | bytes:
    kind = packet[0]
    if kind in TYPES:
        return packet
    if kind == BINARY:
        return decode_base64_packet(packet)
    raise malformed(f"unknown packet type {kind!r}")


def _count_empty(count: int) -> int:
    """Return the next count of empty packets. Raises ProtocolError above MAX_EMPTY."""
    if count >= MAX_EMPTY:
        raise malformed(f"payload contains more than {MAX_EMPTY} empty packets")
    return count + 1


def _invalid_unicode() -> ProtocolError:
    return malformed("a packet is not valid Unicode")


def _invalid_length() -> ProtocolError:
    return malformed("payload has an invalid length")
