"""The handshake of a session, as the server sends it in its open packet."""

from __future__ import annotations

from typing import Final

import msgspec

from engineio_core.codec.packet import malformed


class Handshake(msgspec.Struct, rename="camel"):
    """The contents of the open packet; the intervals are in milliseconds."""

    sid: str
    ping_interval: float
    ping_timeout: float
    upgrades: list[str] = []
    max_payload: int | None = None

    @property
    def silence(self) -> float:
        """Seconds without a packet after which the server counts as lost."""
        return (self.ping_interval + self.ping_timeout) / 1000


_decode: Final = msgspec.json.Decoder(Handshake).decode


def decode_handshake(data: bytes) -> Handshake:
    """Return the handshake of an open packet, without its type digit. Raises ProtocolError."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(f"the handshake is invalid: {error}") from None
