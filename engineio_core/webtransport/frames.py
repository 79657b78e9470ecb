"""The frames of packets on a WebTransport stream: an incremental reader and the header encoder.

Source: `createPacketDecoderStream` of engine.io-parser 5.2.3. The first byte of a frame holds the
flag of a binary message (bit 7) and the length; 126 precedes a length of 16 bits, 127 one of 64
bits. Neither streams nor sessions belong here.
"""

from __future__ import annotations

from typing import Final, final

from engineio_core.codec.packet import malformed

BINARY_FLAG: Final = 0x80
_LENGTH_BITS: Final = 0x7F
_SHORT: Final = 126  # a length of 16 bits follows
_LONG: Final = 127  # a length of 64 bits follows
_MAX_LENGTH: Final = 2**53 - 1  # the largest exact integer of JavaScript


def encode_header(length: int, is_binary: bool) -> bytes:
    """Return the header of a packet with `length` bytes."""
    flag = BINARY_FLAG if is_binary else 0
    if length < _SHORT:
        return bytes((flag | length,))
    if length < 1 << 16:
        return bytes((flag | _SHORT,)) + length.to_bytes(2, "big")
    return bytes((flag | _LONG,)) + length.to_bytes(8, "big")


@final
class PacketReader:
    """Reader that splits a stream of bytes into packets; its work is linear in their number.

    `max_size` limits a packet in bytes. The length is checked before the payload arrives.
    """

    __slots__ = ("_buffer", "_is_binary", "_length", "_max_size", "_needed", "_start")

    def __init__(self, max_size: int) -> None:
        self._max_size = min(max_size, _MAX_LENGTH)
        self._buffer = bytearray()
        self._start = 0  # of the next byte to read
        self._length: int | None = None  # of the current packet, once its header is complete
        self._is_binary = False
        self._needed = 1  # bytes without which reading cannot continue

    @property
    def buffered_amount(self) -> int:
        """The number of bytes that have arrived and are not part of a returned packet."""
        return len(self._buffer) - self._start

    @property
    def announced_size(self) -> int:
        """The length of the packet of which only the header has been read; 0 without one."""
        return self._length or 0

    def feed(self, data: bytes) -> None:
        """Add bytes of the stream."""
        self._buffer += data

    def next_packet(self) -> tuple[bool, bytes] | None:
        """Return the next packet (whether it is binary, and its payload), or None.

        Raises ProtocolError for a length of 0 or above `max_size`.
        """
        if self.buffered_amount < self._needed:
            self._discard_read()
            return None
        if self._length is None and not self._read_header():
            return None
        length = self._length
        assert length is not None, "_read_header has read a whole header"
        if self.buffered_amount < length:
            self._needed = length
            self._discard_read()
            return None
        end = self._start + length
        payload = bytes(memoryview(self._buffer)[self._start : end])
        self._start = end
        self._length = None
        self._needed = 1
        return self._is_binary, payload

    def _read_header(self) -> bool:
        """Read the header of a packet; return False if bytes are missing."""
        buffer, start = self._buffer, self._start
        short = buffer[start] & _LENGTH_BITS
        size = 1 if short < _SHORT else 3 if short == _SHORT else 9
        if len(buffer) - start < size:
            self._needed = size
            self._discard_read()
            return False
        length = short if size == 1 else int.from_bytes(buffer[start + 1 : start + size], "big")
        if length == 0:
            raise malformed("a packet must not be empty")
        if length > self._max_size:
            raise malformed(f"a packet of {length} bytes exceeds the limit of {self._max_size}")
        self._is_binary = buffer[start] >= BINARY_FLAG
        self._length = length
        self._start = start + size
        return True

    def _discard_read(self) -> None:
        """Release the bytes of returned packets, once for all packets of a chunk."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
