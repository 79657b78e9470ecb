"""Frames of packets on a WebTransport stream."""

from __future__ import annotations

from engineio_core.errors import ProtocolError
from engineio_core.webtransport.frames import PacketReader, encode_header
from fuzz.pieces import divide
from fuzz.target import Target

LIMIT = 300


def read(pieces: list[bytes]) -> tuple[list[tuple[bool, bytes]], bool, int]:
    """Return the packets, whether an error ended them, and the number of unread bytes."""
    reader = PacketReader(LIMIT)
    packets: list[tuple[bool, bytes]] = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (packet := reader.next_packet()) is not None:
                packets.append(packet)
        except ProtocolError:
            return packets, True, 0
        assert reader.buffered_amount <= LIMIT + 9
    return packets, False, reader.buffered_amount


def run(data: bytes) -> None:
    """Compare one piece with many; encode the packets and read them again."""
    found = read([data])
    assert read(divide(data)) == found
    packets = found[0]
    assert all(0 < len(payload) <= LIMIT for _, payload in packets)
    wire = b"".join(
        encode_header(len(payload), is_binary) + payload for is_binary, payload in packets
    )
    assert read([wire]) == (packets, False, 0)


TARGET = Target(
    "frames of WebTransport streams; divided and in one piece",
    lambda: (
        b"\x064hello", b"\x83abc\x012", b"\x7e\x00\x7e" + b"4" * 126, b"\xfe\x01\x2c" + bytes(300),
        b"\xff" + (200).to_bytes(8, "big") + bytes(200), b"\x00", b"\x7e\x01\x2d",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ),
    run,
    (b"\x7e", b"\x7f", b"\xfe\x00", b"\xff\x00\x00\x00\x00\x00\x00\x00", b"\x0140", b"\x81a"),
)  # fmt: skip
