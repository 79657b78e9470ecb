"""Reads a chunked request body (RFC 9112, section 7.1), without I/O.

h11 rejects the blanks that RFC 9112 allows before a chunk extension, so the connection hands the
bytes behind the head to this reader.
"""

from __future__ import annotations

import re
from typing import Final, final

import h11

from engineio_core.http.grammar import FIELD_VALUE_CHARACTERS, HEADER_LINE

# A longer line is an attack; usual lines have fewer than ten characters.
MAX_LINE: Final = 4096
MAX_TRAILERS: Final = 16 * 1024

# RFC 9112, section 7.1.1: a recipient MUST parse and remove the blanks around the extensions.
_SIZE_LINE: Final = re.compile(
    rf"([0-9A-Fa-f]{{1,15}})[ \t]*(?:;[{FIELD_VALUE_CHARACTERS}]*)?".encode()
)
_TRAILER: Final = re.compile(HEADER_LINE.encode("latin-1"))


@final
class ChunkedReader:
    """Reader of one body: bytes in through `feed`, pieces out through `next_piece`."""

    __slots__ = ("_buffer", "_is_line_end_due", "_left", "_trailers", "is_complete")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = 0  # bytes of the current chunk that have not been returned
        self._is_line_end_due = False
        self._trailers = -1  # bytes of trailer lines; -1 before the last chunk
        self.is_complete = False

    def feed(self, data: bytes) -> None:
        """Append received bytes to the buffer."""
        self._buffer += data

    def next_piece(self) -> bytes | None:
        """Return the next bytes of the body, b"" at its end, or None if more bytes are needed.

        Raises h11.RemoteProtocolError for an invalid body.
        """
        buffer = self._buffer
        while not self.is_complete:
            if self._left:
                if not buffer:
                    return None
                piece = bytes(buffer[: self._left])
                del buffer[: self._left]
                self._left -= len(piece)
                self._is_line_end_due = not self._left
                return piece
            line = self._read_line()
            if line is None:
                return None
            if self._is_line_end_due:
                if line:
                    raise h11.RemoteProtocolError("a chunk is longer than its size")
                self._is_line_end_due = False
            elif self._trailers >= 0:
                self._read_trailer(line)
            else:
                match = _SIZE_LINE.fullmatch(line)
                if match is None:
                    raise h11.RemoteProtocolError("invalid chunk size line")
                self._left = int(match[1], 16)
                if not self._left:
                    self._trailers = 0
        return b""

    def take_rest(self) -> bytes:
        """Return the bytes behind the body."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _read_line(self) -> bytes | None:
        # A line end is due: the next two bytes decide, however long the buffer is.
        limit = 2 if self._is_line_end_due else MAX_LINE
        end = self._buffer.find(b"\r\n", 0, limit)
        if end < 0:
            # A line feed alone ends no line: refuse it now, as no more bytes may come.
            if len(self._buffer) >= limit or self._buffer.find(b"\n", 0, limit) >= 0:
                raise h11.RemoteProtocolError("invalid line end in a chunked body")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self.is_complete = True
            return
        self._trailers += len(line)
        if self._trailers > MAX_TRAILERS or not _TRAILER.fullmatch(line + b"\r\n"):
            raise h11.RemoteProtocolError("invalid trailer of a chunked body")
