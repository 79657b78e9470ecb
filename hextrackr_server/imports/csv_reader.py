"""Reads a CSV file as numbered rows in bounded memory.

The module handles encodings, delimiters and malformed rows. Rows are numbered as in a spreadsheet:
the header is row 1. Counting and reading use the same generator, so that their numbers agree.
`csv_mapping` interprets the columns.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from hextrackr_server.errors import invalid

# A line is read in pieces of this many characters, so that a file without line ends uses little
# memory. A row, including its quoted line ends, must not be longer.
MAXIMUM_LINE = 1 << 20
MAXIMUM_CELL = 1 << 17
MAXIMUM_COLUMNS = 1000
CHECKPOINT_LINES = 5000

#: Called from time to time with the number of lines read so far; may raise to stop the reading.
Checkpoint = Callable[[int], None]

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A file of known shape: its encoding, delimiter, header and number of data rows."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    row_count: int
    warning: str | None

    def rows(self, checkpoint: Checkpoint) -> Iterator[tuple[int, list[str] | str]]:
        """Yield the number of each nonblank row, and its cells or the reason it is unreadable."""
        with _opened(self.path, self.encoding) as file:
            numbered = _numbered_rows(file, self.delimiter, checkpoint)
            next(numbered)
            yield from numbered


def inspect(path: Path, checkpoint: Checkpoint) -> CsvSource:
    """Determine a file's shape by reading it once; raise ServiceError if it has no header."""
    encoding = _encoding_of(path)
    warning = None
    try:
        return _inspect_as(path, encoding, checkpoint, warning)
    except UnicodeDecodeError:
        # Older Windows tools export Windows-1252. Undecodable bytes are replaced, so this
        # second attempt does not fail.
        warning = "the file is not UTF-8; it is read as Windows-1252"
        return _inspect_as(path, "cp1252", checkpoint, warning)


def _inspect_as(
    path: Path, encoding: str, checkpoint: Checkpoint, warning: str | None
) -> CsvSource:
    with _opened(path, encoding) as file:
        delimiter = _delimiter_of(_Lines(file, checkpoint))
    with _opened(path, encoding) as file:
        numbered = _numbered_rows(file, delimiter, checkpoint)
        _, header = next(numbered, (0, ""))
        if isinstance(header, str):
            raise invalid("The file is empty: a CSV file must begin with a row of column names")
        if len(header) > MAXIMUM_COLUMNS:
            message = f"A file may have {MAXIMUM_COLUMNS} columns, this one has {len(header)}"
            raise invalid(f"{message}: remove columns that the import does not need")
        count = sum(1 for _ in numbered)
    names = tuple(cell.strip() for cell in header)
    return CsvSource(path, encoding, delimiter, names, count, warning)


def _opened(path: Path, encoding: str) -> TextIO:
    errors = "strict" if encoding == "utf-8" else "replace"
    return io.TextIOWrapper(_LargeReads(io.FileIO(path)), encoding, errors, newline="")


class _LargeReads(io.BufferedReader):
    """A reader that reads 256 KiB at once where TextIOWrapper requests 8 KiB.

    Each short read releases the interpreter lock and takes it back before a waiting thread wakes
    up, which would starve the event loop while a file is read.
    """

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(1 << 18)


def _encoding_of(path: Path) -> str:
    with path.open("rb") as file:
        beginning = file.read(4)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if beginning.startswith(mark):
            return encoding
    return "utf-8"


def _delimiter_of(lines: Iterator[str]) -> str:
    """Return the separator that the first line uses most; some locales export `;`."""
    for line in lines:
        if line.strip():
            return max(",;\t", key=line.count)
    return ","


def _numbered_rows(
    file: TextIO, delimiter: str, checkpoint: Checkpoint
) -> Iterator[tuple[int, list[str] | str]]:
    lines = _Lines(file, checkpoint)
    reader = csv.reader(lines, delimiter=delimiter)
    number = 0
    while True:
        number += 1
        lines.row_size = 0
        csv.field_size_limit(MAXIMUM_CELL)  # the limit is global, and `formats` sets another
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The csv reader resumes with the next line: one malformed row does not end the file.
            yield number, f"not readable as CSV: {error}"
            continue
        if any(cells):
            yield number, cells


class _Lines:
    """The lines of a file, long ones in pieces; iteration continues after a csv.Error."""

    __slots__ = ("_checkpoint", "_file", "_number", "row_size")

    def __init__(self, file: TextIO, checkpoint: Checkpoint) -> None:
        self._file = file
        self._checkpoint = checkpoint
        # Checkpoints count lines, not rows, because a file may consist of blank lines only.
        self._number = 0
        self.row_size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAXIMUM_LINE)
        if not line:
            raise StopIteration
        self._number += 1
        if self._number % CHECKPOINT_LINES == 0:
            self._checkpoint(self._number)
        self.row_size += len(line)
        if self.row_size > MAXIMUM_LINE:
            raise csv.Error(f"the row is longer than {MAXIMUM_LINE} characters")
        return line
