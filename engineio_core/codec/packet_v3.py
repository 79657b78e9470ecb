"""Packets of revision 3 of Engine.IO where they differ: a binary message carries its type.

A binary message is the byte 4 and the data, or the text `b4` and the data in base64. Text packets
are the same in both revisions. Source: engine.io-protocol v3, Encoding.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Final

from engineio_core.codec.encoded_packet import EncodedPacket, OldForms
from engineio_core.codec.packet import (
    BINARY,
    MESSAGE,
    MESSAGE_PREFIX,
    TYPES,
    decode_binary_record,
    malformed,
)

_TYPE_BYTE: Final = bytes((int(MESSAGE),))
_BASE64_PREFIX: Final = BINARY.encode() + MESSAGE_PREFIX


def binary_form(packet: EncodedPacket) -> EncodedPacket:
    """Return a binary message as a packet with its type byte."""
    forms = packet.made_old_forms
    if forms is None:
        binary = EncodedPacket(
            _TYPE_BYTE + packet.payload, is_binary=True, compress=packet.compress
        )
        forms = packet.made_old_forms = OldForms(binary)
    return forms.binary


def base64_form(packet: EncodedPacket) -> EncodedPacket:
    """Return a binary message as a text packet in base64."""
    binary_form(packet)
    forms = packet.made_old_forms
    assert forms is not None, "binary_form has made it"
    if forms.base64 is None:
        text = _BASE64_PREFIX + b2a_base64(packet.payload, newline=False)
        forms.base64 = EncodedPacket(text, compress=packet.compress)
    return forms.base64


def decode_binary_packet(data: bytes) -> str | bytes:
    """Return the data of a binary message, or the type digit of another packet.

    Raises ProtocolError for an empty packet and for an unknown type.
    """
    if data[:1] == _TYPE_BYTE:
        return data[1:]
    return _other_type(str(data[0]) if data else "")


def decode_base64_packet(text: str) -> str | bytes:
    """Return the data of a binary message in base64, or the type digit of another packet.

    `text` starts with the letter "b". Raises ProtocolError like `decode_binary_packet`.
    """
    kind = text[1:2]
    if kind == MESSAGE:
        return decode_binary_record(text[2:])
    return _other_type(kind)


def _other_type(kind: str) -> str:
    if kind not in TYPES:
        raise malformed(f"unknown packet type {kind!r}" if kind else "empty packet")
    return kind
