"""Many packets in one HTTP body, and back.

Knows: the record separator, base64 for binary, the limit of a body.
Does not know: requests, sessions, what a packet means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet import TYPES, decode_binary_record, malformed

SEPARATOR: Final = "\x1e"


def encode_payload(packets: list[EncodedPacket]) -> bytes:
    """Join packets to the body of a poll's response."""
    return b"\x1e".join([packet.polling for packet in packets])


def decode_payload(body: bytes) -> Iterator[str | bytes]:
    """Yield the packets of a POST body: text with its type digit, or the bytes of a binary one.

    Raises ProtocolError at the first record that is no packet; those before it have been yielded.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise malformed("a payload is not UTF-8") from None
    for record in text.split(SEPARATOR):
        kind = record[:1]
        if kind in TYPES and kind:
            yield record
        elif kind == "b":
            yield decode_binary_record(record[1:])
        else:
            raise malformed(
                "a payload holds an empty packet" if not kind else f"unknown packet type {kind!r}"
            )
