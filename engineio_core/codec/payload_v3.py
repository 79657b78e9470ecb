"""Polling payloads of revision 3 of Engine.IO, in their text and binary forms.

Text: `<length>:<packet>`, repeated; the length counts UTF-16 code units, as in JavaScript. Binary:
0 for text or 1 for binary, the digits of the length in bytes (one byte with the value 0 to 9 each),
255, and the packet. Source: engine.io-protocol v3, Payload.
"""

from __future__ import annotations

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

# A longer number exceeds every limit of a body.
MAX_LENGTH_DIGITS: Final = 10

_TEXT_RECORD: Final = 0
_BINARY_RECORD: Final = 1
_END_OF_LENGTH: Final = 255


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
    if not body:
        raise _invalid_length()
    # In UTF-16, half of a surrogate pair at the edge of a record makes the record invalid.
    width, encoding = (1, "ascii") if body.isascii() else (2, "utf-16-le")
    text = body if width == 1 else _to_utf16(body)
    colon = ":".encode(encoding)
    position, end = 0, len(text)
    while position < end:
        stop = text.find(colon, position, position + width * (MAX_LENGTH_DIGITS + 1))
        digits = text[position : max(stop, position)].decode(encoding, "replace")
        if not (digits.isdecimal() and digits.isascii()):
            raise _invalid_length()
        position = stop + width
        stop = position + width * int(digits)
        if stop > end:
            raise _invalid_length()
        if stop > position:
            yield _read_text_record(text[position:stop], encoding)
        position = stop


def decode_binary_payload(body: bytes) -> Iterator[str | bytes]:
    """Yield the packets of a body with the content type `application/octet-stream`.

    Raises ProtocolError like `decode_text_payload`.
    """
    if not body:
        raise _invalid_length()
    position, end = 0, len(body)
    while position < end:
        kind = body[position]
        stop = body.find(_END_OF_LENGTH, position, position + MAX_LENGTH_DIGITS + 2)
        digits = body[position + 1 : max(stop, 0)]
        if kind > _BINARY_RECORD or not digits or max(digits) > 9:
            raise _invalid_length()
        position = stop + 1
        stop = position + int("".join(map(str, digits)))
        if stop > end:
            raise _invalid_length()
        record = body[position:stop]
        if kind == _BINARY_RECORD:
            yield decode_binary_packet(record)
        elif record:
            yield _read_text_record(record, "utf-8")
        position = stop


def _text_record(packet: EncodedPacket) -> bytes:
    payload = (base64_form(packet) if packet.is_binary else packet).payload
    if payload.isascii():
        return b"%d:%b" % (len(payload), payload)
    return b"%d:%b" % (len(payload.decode().encode("utf-16-le")) // 2, payload)


def _binary_record(packet: EncodedPacket) -> bytes:
    payload = (binary_form(packet) if packet.is_binary else packet).payload
    length = bytes(map(int, str(len(payload))))
    return b"%c%b\xff%b" % (_BINARY_RECORD if packet.is_binary else _TEXT_RECORD, length, payload)


def _to_utf16(body: bytes) -> bytes:
    try:
        return body.decode().encode("utf-16-le")
    except UnicodeDecodeError:
        raise malformed("payload is not valid UTF-8") from None


def _read_text_record(record: bytes, encoding: str) -> str | bytes:
    try:
        packet = record.decode(encoding)
    except UnicodeDecodeError:
        raise malformed("a packet is not valid Unicode") from None
    kind = packet[0]
    if kind in TYPES:
        return packet
    if kind == BINARY:
        return decode_base64_packet(packet)
    raise malformed(f"unknown packet type {kind!r}")


def _invalid_length() -> ProtocolError:
    return malformed("payload has an invalid length")
