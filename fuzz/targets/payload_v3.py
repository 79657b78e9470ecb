"""Polling payloads of revision 3 of Engine.IO, in their text and binary forms."""

from __future__ import annotations

from engineio_core.codec.packet import TYPES
from engineio_core.codec.payload_v3 import (
    decode_binary_payload,
    decode_text_payload,
    encode_binary_payload,
    encode_text_payload,
)
from fuzz.payloads import read, to_packets
from fuzz.seeds import wires
from fuzz.target import Target

FORMS = (
    (decode_text_payload, encode_text_payload),
    (decode_binary_payload, encode_binary_payload),
)


def run(data: bytes) -> None:
    """Decode a payload in both forms; encode the packets and decode them again."""
    for decode, encode in FORMS:
        packets, _ = read(decode, data)
        for packet in packets:
            assert isinstance(packet, bytes) or packet[0] in TYPES
        if packets:
            assert read(decode, encode(to_packets(packets))) == (packets, True)


TARGET = Target(
    "Engine.IO payloads, revision 3, text and binary",
    lambda: wires("engineio-v3-payload"),
    run,
    (
        b"1:2", b"6:4hello", b"10:b4AQIDBA==", b"\x00\x01\xff4", b"\x01\x04\xff\x04abc", b":",
        b"3:4\xf0\x9f\x98\x80", b"\xff", b"\x00\x00\xff",
    ),
)  # fmt: skip
