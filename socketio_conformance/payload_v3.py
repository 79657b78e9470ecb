"""Polling payloads of revision 3 of Engine.IO, from the point of view of a client.

`player` uses it for the dialogues of this revision. Packets are text with their type digit, or
bytes with their type byte.
"""

from __future__ import annotations

from collections.abc import Sequence


def join_packets(packets: Sequence[str]) -> bytes:
    """Return the body of a POST: each packet behind its length in UTF-16 code units."""
    return "".join(f"{_count_units(packet)}:{packet}" for packet in packets).encode()


def split_packets(body: bytes) -> list[str | bytes]:
    """Return the packets of a response. Raises ValueError for an invalid body."""
    return _split_binary(body) if body[:1] in {b"\x00", b"\x01"} else _split_text(body.decode())


def _count_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _split_text(text: str) -> list[str | bytes]:
    packets: list[str | bytes] = []
    while text:
        length, colon, rest = text.partition(":")
        units = rest.encode("utf-16-le")
        if not (colon and length.isdecimal() and 2 * int(length) <= len(units)):
            raise ValueError(f"a payload of revision 3 must have lengths, got {text[:40]!r}")
        packets.append(units[: 2 * int(length)].decode("utf-16-le"))
        text = units[2 * int(length) :].decode("utf-16-le")
    return packets


def _split_binary(body: bytes) -> list[str | bytes]:
    packets: list[str | bytes] = []
    while body:
        kind, (length, end, rest) = body[0], body[1:].partition(b"\xff")
        if kind > 1 or not end or not length or max(length) > 9:
            raise ValueError(f"a payload of revision 3 must have lengths, got {body[:40]!r}")
        size = int("".join(map(str, length)))
        if size > len(rest):
            raise ValueError(f"a payload ends within a packet of {size} bytes")
        packet = rest[:size]
        packets.append(packet if kind else packet.decode())
        body = rest[size:]
    return packets
