"""A CSV file as numbered rows, in bounded memory.

Knows: encodings, delimiters, the csv module, how a spreadsheet numbers rows (the first is 1).
Does not know: what the columns mean.
Counting and reading walk the same generator, so that their numbers agree.
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

# A line is read in pieces of this many characters, so that a file without line ends stays cheap;
# no row is longer, however many lines its quotes span.
MAXIMUM_LINE = 1 << 20
MAXIMUM_COLUMNS = 1000
CHECKPOINT_LINES = 5000

#: Called with the number of lines so far, now and then; may raise to give up.
Checkpoint = Callable[[int], None]

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A file whose shape is known: how to decode it, its header, how many rows follow."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    row_count: int
    warning: str | None

    def rows(self, checkpoint: Checkpoint) -> Iterator[tuple[int, list[str] | str]]:
        """Each row that is not blank: its number, and its cells or what is wrong with it."""
        with _opened(self.path, self.encoding) as file:
            numbered = _numbered_rows(file, self.delimiter, checkpoint)
            next(numbered)
            yield from numbered


def inspect(path: Path, checkpoint: Checkpoint) -> CsvSource:
    """Find out a file's shape by reading all of it; ServiceError if it has no header."""
    encoding = _encoding_of(path)
    warning = None
    try:
        return _inspect_as(path, encoding, checkpoint, warning)
    except UnicodeDecodeError:
        # Exports of older Windows tools; every byte has a meaning there, so this cannot fail.
        warning = "the file is not UTF-8: it was read as Windows-1252"
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
            raise invalid("The file is empty: a CSV file begins with a row of column names")
        if len(header) > MAXIMUM_COLUMNS:
            raise invalid(f"The file has {len(header)} columns; {MAXIMUM_COLUMNS} are too many")
        count = sum(1 for _ in numbered)
    names = tuple(cell.strip() for cell in header)
    return CsvSource(path, encoding, delimiter, names, count, warning)


def _opened(path: Path, encoding: str) -> TextIO:
    errors = "strict" if encoding == "utf-8" else "replace"
    return io.TextIOWrapper(_LargeReads(io.FileIO(path)), encoding, errors, newline="")


class _LargeReads(io.BufferedReader):
    """Reads 256 KiB at once, where a text file asks for 8.

    A thread that lets go of the interpreter for many short reads takes it back each time before
    a waiting thread is awake: the event loop would starve for as long as the file is read.
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
    """The separator that the first line uses most; spreadsheets of some countries write `;`."""
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
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The reader starts afresh with the next line: one broken row does not end the file.
            yield number, f"not readable as CSV: {error}"
            continue
        if any(cells):
            yield number, cells


class _Lines:
    """The lines of a file, long ones in pieces; it goes on after the csv.Error of a long row."""

    __slots__ = ("_checkpoint", "_file", "_number", "row_size")

    def __init__(self, file: TextIO, checkpoint: Checkpoint) -> None:
        self._file = file
        self._checkpoint = checkpoint
        # Lines, not rows, are counted for checkpoints: a file may be nothing but blank lines.
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
