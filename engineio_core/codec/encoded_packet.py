"""One outgoing message, encoded once for whoever receives it.

Knows: how a message looks in a WebSocket frame and in a polling payload.
Does not know: to whom it goes, nor what its text means.
A broadcast hands the same object to every session, so that each form is made at most once.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Final

from msgspec import Struct

from engineio_core.codec.packet import MESSAGE_PREFIX
from engineio_core.codec.websocket_frame import BINARY, TEXT, encode_frame

LONGEST_SHORT: Final = 125
# The heads of short frames, by length: making one costs as much as the rest of the frame.
TEXT_HEADS: Final = [bytes((0x80 | TEXT, length)) for length in range(LONGEST_SHORT + 1)]
BINARY_HEADS: Final = [bytes((0x80 | BINARY, length)) for length in range(LONGEST_SHORT + 1)]


class EncodedPacket(Struct, eq=False, gc=False):
    """A packet of Engine.IO: `payload` is `b"4hello"` for text, the bare bytes for binary.

    A Struct since one is made for every message that goes out: it has no `__init__` in Python.
    """

    payload: bytes
    is_binary: bool = False
    compress: bool = True
    made_frame: bytes | None = None
    """The frame, once it was asked for: who sends looks here first, and saves a call."""
    made_record: bytes | None = None

    @classmethod
    def message(cls, data: str | bytes | bytearray | memoryview) -> EncodedPacket:
        """Make the packet of one message, text or binary."""
        if isinstance(data, str):
            return cls(MESSAGE_PREFIX + data.encode())
        return cls(bytes(data), is_binary=True)

    @property
    def frame(self) -> bytes:
        """The unmasked WebSocket frame."""
        frame = self.made_frame
        if frame is None:
            payload = self.payload
            if len(payload) <= LONGEST_SHORT:
                frame = (BINARY_HEADS if self.is_binary else TEXT_HEADS)[len(payload)] + payload
            else:
                frame = encode_frame(BINARY if self.is_binary else TEXT, payload)
            self.made_frame = frame
        return frame

    @property
    def polling(self) -> bytes:
        """The packet as one record of a polling payload."""
        if not self.is_binary:
            return self.payload
        # Engine.IO v4, Payload: binary is base64-encoded behind the letter "b".
        if self.made_record is None:
            self.made_record = b"b" + b2a_base64(self.payload, newline=False)
        return self.made_record

    def __repr__(self) -> str:
        return f"EncodedPacket({self.payload[:40]!r}, is_binary={self.is_binary})"


CLOSE_PACKET: Final = EncodedPacket(b"1")
PING_PACKET: Final = EncodedPacket(b"2")
PROBE_REPLY_PACKET: Final = EncodedPacket(b"3probe")
NOOP_PACKET: Final = EncodedPacket(b"6")
