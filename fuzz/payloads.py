"""Decoding of polling payloads, for the targets of both revisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import ProtocolError

Packets = list[str | bytes]


def read(decode: Callable[[bytes], Iterator[str | bytes]], body: bytes) -> tuple[Packets, bool]:
    """Return the packets before the first error, and True if the whole body is valid."""
    packets: Packets = []
    try:
        for packet in decode(body):
            packets.append(packet)
    except ProtocolError:
        return packets, False
    return packets, True


def to_packets(packets: Packets) -> list[EncodedPacket]:
    """Return decoded packets in their form for encoders."""
    return [
        EncodedPacket(each.encode())
        if isinstance(each, str)
        else EncodedPacket(each, is_binary=True)
        for each in packets
    ]
