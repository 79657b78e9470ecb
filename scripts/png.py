"""Compression of screenshots: PNG images with a palette of 256 colors.

A screenshot has few colors, except at the edges of letters; those become the nearest of the others.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from functools import cache

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BYTES_PER_PIXEL = {2: 3, 6: 4}  # by color type (PNG specification, third edition, section 11.2.1)
_COLORS = 256


def compress(image: bytes) -> bytes:
    """Return an RGB or RGBA image of 8 bits with a palette; transparency is removed."""
    width, height, rows = _decode(image)
    counted = Counter(pixel for row in rows for pixel in row)
    palette = [color for color, _ in counted.most_common(_COLORS)]
    exact = {color: index for index, color in enumerate(palette)}

    @cache
    def nearest(color: bytes) -> int:
        distances = [
            sum((a - b) ** 2 for a, b in zip(each, color, strict=True)) for each in palette
        ]
        return distances.index(min(distances))

    pixels = b"".join(
        b"\0" + bytes(exact[pixel] if pixel in exact else nearest(pixel) for pixel in row)
        for row in rows
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(pixels, 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _decode(image: bytes) -> tuple[int, int, list[list[bytes]]]:
    """Return width, height and the rows of pixels."""
    chunks: dict[bytes, bytes] = {}
    position = len(_SIGNATURE)
    while position < len(image):
        (length,) = struct.unpack_from(">I", image, position)
        kind = image[position + 4 : position + 8]
        data = image[position + 8 : position + 8 + length]
        chunks[kind] = chunks.get(kind, b"") + data
        position += 12 + length
    width, height, _, kind_of_color = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    step = _BYTES_PER_PIXEL[kind_of_color]
    size = width * step
    raw = zlib.decompress(chunks[b"IDAT"])
    rows = []
    above = bytearray(size)
    for start in range(0, height * (size + 1), size + 1):
        line = bytearray(raw[start + 1 : start + 1 + size])
        _reverse_filter(raw[start], line, above, step)
        rows.append([bytes(line[at : at + 3]) for at in range(0, size, step)])
        above = line
    return width, height, rows


def _reverse_filter(kind: int, line: bytearray, above: bytearray, step: int) -> None:
    """Restore the bytes of a row (PNG specification, third edition, section 9.2)."""
    for at in range(len(line)):
        left = line[at - step] if at >= step else 0
        up = above[at]
        if kind == 1:
            line[at] = (line[at] + left) & 255
        elif kind == 2:
            line[at] = (line[at] + up) & 255
        elif kind == 3:
            line[at] = (line[at] + (left + up) // 2) & 255
        elif kind == 4:
            corner = above[at - step] if at >= step else 0
            near = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
            line[at] = (line[at] + near) & 255
