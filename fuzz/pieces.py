"""Divides an input into pieces, as a network divides a stream: the result must not depend on it."""

from __future__ import annotations

from zlib import crc32

#: The most cuts of an input. Most inputs have few, because each piece is a read of a connection,
#: and takes longer than the bytes in it.
MOST = 12
_CUTS = (MOST, 3, 3, 3)
_LONGEST = (1, 2, 5, 60)


def divide(data: bytes) -> list[bytes]:
    """Return the pieces of an input; equal inputs have equal pieces.

    The cuts are close to each other behind the first one, which may be anywhere.
    """
    number = crc32(data)
    longest = _LONGEST[number & 3]
    position = 0 if number & 4 else (number >> 8) % (len(data) + 1)
    pieces = [data[:position]] if position else []
    most = _CUTS[number >> 3 & 3]
    while position < len(data) and len(pieces) < most:
        number = (number * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
        size = 1 + (number >> 8) % longest
        pieces.append(data[position : position + size])
        position += size
    return [*pieces, data[position:]] if position < len(data) else pieces
