"""Lines of a text file in any encoding of the usual tools, in bounded memory.

UTF-8 with and without a byte-order mark, UTF-16 with and without one, and Windows-1252. One invalid
byte affects one cell: bytes that are not UTF-8 arrive as lone surrogates, which `repair` replaces
cell by cell. A file without any valid multi-byte character is Windows-1252 instead.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

BLOCK: Final = 1 << 18
# A line, and a row with its quoted line ends, must not be longer than this many characters.
LONGEST_ROW: Final = 1 << 22

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_INVALID: Final = re.compile("[\udc80-\udcff]+")
_PROBE: Final = 4096

#: Called with the number of bytes that were read; may raise to stop the reading.
Checkpoint = Callable[[int], None]


class TextSource:
    """The lines of a file; `bytes_read` and `has_invalid` follow the reading."""

    __slots__ = ("_checkpoint", "_path", "_skip", "bytes_read", "encoding", "has_invalid",
                 "last_character", "size")  # fmt: skip

    def __init__(self, path: Path, checkpoint: Checkpoint | None = None) -> None:
        self._path = path
        self._checkpoint = checkpoint
        self.size = path.stat().st_size
        self.encoding, self._skip = detect_encoding(path)
        self.bytes_read = 0
        self.has_invalid = False
        """Whether the block that is being read contains bytes that are not UTF-8."""
        self.last_character = "\n"

    def blocks(self) -> Iterator[str]:
        """Yield the text in blocks of whole lines; a line that is too long comes in pieces."""
        encoding, skip = self.encoding, self._skip
        self.bytes_read = skip
        decode = _make_decoder(encoding)
        with self._path.open("rb", buffering=0) as file:
            file.seek(skip)
            pending = ""
            while True:
                data = _read_block(file)
                self.bytes_read += len(data)
                if self._checkpoint is not None:
                    self._checkpoint(self.bytes_read)
                decoded = decode(data, not data)
                if "\0" in decoded:
                    # The csv module refuses NUL before Python 3.13. It may stand within a line end.
                    decoded = decoded.replace("\0", "")
                text = pending + decoded
                if not data or len(text) > LONGEST_ROW:
                    end = len(text)
                else:
                    # A carriage return at the end may be the first half of a line end.
                    end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
                pending = text[end:]
                whole = text[:end]
                self.has_invalid = encoding == "utf-8" and is_invalid(whole)
                if whole:
                    self.last_character = whole[-1]
                    yield whole
                if not data:
                    return

    def lines(self) -> Iterator[str]:
        """Yield the lines with their ends; a line that is too long comes in pieces."""
        for block in self.blocks():
            yield from io.StringIO(block, newline="")


def _read_block(file: BinaryIO | io.RawIOBase) -> bytes:
    return file.read(BLOCK) or b""


def _make_decoder(encoding: str) -> Callable[[bytes, bool], str]:
    errors = "surrogateescape" if encoding == "utf-8" else "replace"
    return codecs.getincrementaldecoder(encoding)(errors).decode


def detect_encoding(path: Path) -> tuple[str, int]:
    """Return the encoding of a file, and the number of bytes of its byte-order mark."""
    with path.open("rb") as file:
        beginning = file.read(_PROBE)
    for mark, encoding in _MARKS:
        if beginning.startswith(mark):
            return encoding, len(mark)
    if encoding := _detect_utf16(beginning):
        return encoding, 0
    return "utf-8", 0


def _detect_utf16(beginning: bytes) -> str:
    """Return the encoding of UTF-16 without a mark: every other byte of Latin text is zero."""
    half = len(beginning) // 2
    if half and beginning[1::2].count(0) > half * 0.6 and not beginning[::2].count(0):
        return "utf-16-le"
    if half and beginning[::2].count(0) > half * 0.6 and not beginning[1::2].count(0):
        return "utf-16-be"
    return ""


def is_windows_1252(path: Path) -> bool:
    """Return whether a file has bytes that are not UTF-8 and no multi-byte character that is."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    found = False
    with path.open("rb") as file:
        while data := file.read(BLOCK):
            if data.isascii():
                continue
            text = decoder.decode(data)
            if not _INVALID.sub("", text).isascii():
                return False
            found = found or not text.isascii()
    return found


def repair(cell: str, *, windows_1252: bool) -> str:
    """Return a cell without lone surrogates: as Windows-1252, or with U+FFFD for each byte run."""
    if windows_1252:
        return _INVALID.sub(_from_windows_1252, cell)
    return _INVALID.sub("\ufffd", cell)


def is_invalid(text: str) -> bool:
    """Return whether a text holds bytes that are not UTF-8."""
    if text.isascii():
        return False
    try:
        # Several times as fast as a search for lone surrogates.
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _from_windows_1252(match: re.Match[str]) -> str:
    return match[0].encode("utf-8", "surrogateescape").decode("cp1252", "replace")
