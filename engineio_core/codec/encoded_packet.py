"""Outgoing packets with their cached encodings: WebSocket frame and polling record.

A broadcast passes the same object to all sessions, so that each form is encoded at most once.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Final

from msgspec import Struct

from engineio_core.codec.packet import MESSAGE_PREFIX
from engineio_core.codec.websocket_frame import BINARY, TEXT, encode_frame

LONGEST_SHORT: Final = 125
# The headers of short frames by length: creating a header costs as much as the rest of the frame.
TEXT_HEADS: Final = [bytes((0x80 | TEXT, length)) for length in range(LONGEST_SHORT + 1)]
BINARY_HEADS: Final = [bytes((0x80 | BINARY, length)) for length in range(LONGEST_SHORT + 1)]


class EncodedPacket(Struct, eq=False):
    """An Engine.IO packet: `payload` is `b"4hello"` for text, the data itself for binary.

    The class is a Struct, because creating one calls no Python code: the server creates an
    EncodedPacket for almost every outgoing message.
    """

    payload: bytes
    is_binary: bool = False
    compress: bool = True
    made_frame: bytes | None = None
    """The cached frame or None; transports read it first to save the call of `frame`."""
    made_record: bytes | None = None
    made_old_forms: OldForms | None = None
    """The cached forms of a binary message for clients of revision 3."""

    @classmethod
    def message(cls, data: str | bytes | bytearray | memoryview) -> EncodedPacket:
        """Return the packet of one text or binary message."""
        if isinstance(data, str):
            return cls(MESSAGE_PREFIX + data.encode())
        return cls(bytes(data), is_binary=True)

    @property
    def frame(self) -> bytes:
        """The packet as an unmasked WebSocket frame."""
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
        # Engine.IO v4, Payload: the letter "b" precedes base64-encoded binary data.
        if self.made_record is None:
            self.made_record = b"b" + b2a_base64(self.payload, newline=False)
        return self.made_record

    def __repr__(self) -> str:
        return f"EncodedPacket({self.payload[:40]!r}, is_binary={self.is_binary})"


class OldForms(Struct, eq=False):
    """The forms of one binary message for clients of revision 3; `packet_v3` makes them."""

    binary: EncodedPacket
    """A binary packet: the type byte and the data."""
    base64: EncodedPacket | None = None
    """A text packet: the type and the data in base64."""


CLOSE_PACKET: Final = EncodedPacket(b"1")
PING_PACKET: Final = EncodedPacket(b"2")
PONG_PACKET: Final = EncodedPacket(b"3")
PROBE_REPLY_PACKET: Final = EncodedPacket(b"3probe")
NOOP_PACKET: Final = EncodedPacket(b"6")
