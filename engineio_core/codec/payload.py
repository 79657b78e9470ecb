"""Polling payloads: encodes several packets into one HTTP body and decodes such a body.

The transport enforces the maximum size of a body.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet import TYPES, decode_binary_record, malformed

SEPARATOR: Final = "\x1e"


def encode_payload(packets: list[EncodedPacket]) -> bytes:
    """Return the response body of a poll that carries the packets."""
    return b"\x1e".join([packet.polling for packet in packets])


def decode_payload(body: bytes) -> Iterator[str | bytes]:
    """Yield the packets of a POST body: text with its type digit, or the bytes of a binary packet.

    Raises ProtocolError at the first invalid record, after the packets before it.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise malformed("payload is not valid UTF-8") from None
    for record in text.split(SEPARATOR):
        kind = record[:1]
        if kind in TYPES and kind:
            yield record
        elif kind == "b":
            yield decode_binary_record(record[1:])
        else:
            raise malformed(
                "payload contains an empty packet" if not kind else f"unknown packet type {kind!r}"
            )
