"""Polling payloads of revision 4 of Engine.IO."""

from __future__ import annotations

from engineio_core.codec.packet import TYPES
from engineio_core.codec.payload import decode_payload, encode_payload
from fuzz.payloads import read, to_packets
from fuzz.seeds import wires
from fuzz.target import Target


def run(data: bytes) -> None:
    """Decode a payload; encode the packets and decode them again."""
    packets, is_valid = read(decode_payload, data)
    for packet in packets:
        assert isinstance(packet, bytes) or packet[0] in TYPES
    assert packets or not is_valid
    if packets:
        assert read(decode_payload, encode_payload(to_packets(packets))) == (packets, True)


TARGET = Target(
    "Engine.IO payloads, revision 4",
    lambda: [*wires("engineio-payload"), *wires("engineio-packet")],
    run,
    (
        b"\x1e",
        b"b",
        b"4",
        b"=",
        b"bAQID",
        "\u20ac".encode(),
        "\U0001f980".encode(),
        b"\xed\xa0\x80",
    ),
)
