"""WebSocket frames (RFC 6455, section 5.2): encodes server frames, checks client headers."""

from __future__ import annotations

from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - the wheel of a platform without a compiler
    from websockets.utils import apply_mask

__all__ = ["BINARY", "TEXT", "apply_mask", "encode_frame", "find_header_error"]

TEXT: Final = 0x1
BINARY: Final = 0x2


def encode_frame(opcode: int, payload: bytes, rsv1: bool = False) -> bytes:
    """Return one complete frame with FIN set and without a mask."""
    # RFC 6455, section 5.1: "A server MUST NOT mask any frames that it sends to the client."
    first = 0xC0 | opcode if rsv1 else 0x80 | opcode
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big") + payload
    return bytes((first, 127)) + length.to_bytes(8, "big") + payload


def find_header_error(first: int, second: int) -> str | None:
    """Return a description of the error in the first two bytes of a client's frame, or None.

    The rules are those of a connection without extensions. The function does not check rules that
    depend on earlier frames.
    """
    opcode = first & 0x0F
    if first & 0x70:
        # RFC 6455, section 5.2: "If a nonzero value is received and none of the negotiated
        # extensions defines the meaning of such a nonzero value, the receiving endpoint MUST _Fail
        # the WebSocket Connection_."
        return "reserved bits must be 0"
    if 0x2 < opcode < 0x8 or opcode > 0xA:
        return "invalid opcode"
    if not second & 0x80:
        # RFC 6455, section 5.1: "The server MUST close the connection upon receiving a frame that
        # is not masked."
        return "client frames must be masked"
    if opcode >= 0x8 and (not first & 0x80 or second & 0x7F > 125):
        # RFC 6455, section 5.5: "All control frames MUST have a payload length of 125 bytes or less
        # and MUST NOT be fragmented."
        return "control frame is too long or fragmented"
    return None
