"""WebSocket frames: unmasked ones out, headers of masked ones in.

Knows: the layout of RFC 6455, section 5.2.  Does not know: connections, fragments, UTF-8.
"""

from __future__ import annotations

from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - the wheel of a platform without a compiler
    from websockets.utils import apply_mask

__all__ = ["BINARY", "CLOSE", "TEXT", "apply_mask", "encode_close", "encode_frame"]

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8


def encode_frame(opcode: int, payload: bytes, rsv1: bool = False) -> bytes:
    """Return one whole frame: FIN set, not masked."""
    # 5.1: "A server MUST NOT mask any frames that it sends to the client."
    first = 0xC0 | opcode if rsv1 else 0x80 | opcode
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big") + payload
    return bytes((first, 127)) + length.to_bytes(8, "big") + payload


def encode_close(code: int | None = None, reason: str = "") -> bytes:
    """Return a close frame; without a code it is empty (the peer reads 1005)."""
    if code is None:
        return encode_frame(CLOSE, b"")
    # 5.5: "All control frames MUST have a payload length of 125 bytes or less"
    text = reason.encode()[:123].decode(errors="ignore").encode()
    return encode_frame(CLOSE, code.to_bytes(2, "big") + text)
