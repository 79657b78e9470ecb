"""Messages with a length prefix over Unix streams, between the processes of a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from struct import Struct
from typing import Final, final

logger = logging.getLogger("socketio_core")

_LENGTH: Final = Struct("!I")
MAX_FRAME: Final = 1 << 30
"""The size of the largest message in bytes; only an error in the other process exceeds it."""


def encode_frame(*parts: bytes) -> bytes:
    """Return a message with its length. Raises ValueError for a message above the limit."""
    size = sum(map(len, parts))
    if size > MAX_FRAME:
        raise ValueError(f"a message between workers must not exceed {MAX_FRAME} bytes, got {size}")
    return _LENGTH.pack(size) + b"".join(parts)


@final
class FrameLink(asyncio.Protocol):
    """One connection: `on_frame(message)` for each message, `on_lost()` once at its end."""

    def __init__(self, on_frame: Callable[[bytes], None], on_lost: Callable[[], None]) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._tcp: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send from now on."""
        self._tcp = transport  # type: ignore[assignment]  # asyncio passes a Transport

    def data_received(self, data: bytes) -> None:
        """Pass on the complete messages; an exception of the receiver is logged."""
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        while end - start >= 4:
            (size,) = _LENGTH.unpack_from(buffer, start)
            if size > MAX_FRAME:
                logger.error("a worker sent a message of %d bytes: closing the connection", size)
                self.close()
                return
            if end - start - 4 < size:
                break
            message = bytes(buffer[start + 4 : start + 4 + size])
            start += 4 + size
            try:
                self._on_frame(message)
            except Exception:
                logger.exception("a message of another process of this server failed")
        del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end of the connection."""
        self._tcp = None
        self._on_lost()

    def send(self, frame: bytes) -> None:
        """Send an encoded frame; dropped after the end of the connection."""
        if self._tcp is not None:
            self._tcp.write(frame)

    @property
    def unsent(self) -> int:
        """The number of bytes that the other process has not taken."""
        return self._tcp.get_write_buffer_size() if self._tcp is not None else 0

    def close(self) -> None:
        """Close after all writes."""
        if self._tcp is not None:
            self._tcp.close()

    def abort(self) -> None:
        """Close without sending the waiting messages."""
        if self._tcp is not None:
            self._tcp.abort()
