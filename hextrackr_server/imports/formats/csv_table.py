"""A CSV export as a table: its delimiter, its header, and its numbered rows.

The header is the first row that satisfies the signature of a profile; rows above it are the
preamble. Rows are numbered as in a spreadsheet, from 1. `TextSource` decodes the file, and
`mapper` reads the cells.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Final

from hextrackr_server.imports.formats.profile import Profile, normalize
from hextrackr_server.imports.formats.text_source import (
    LONGEST_ROW,
    Checkpoint,
    TextSource,
    is_invalid,
    is_windows_1252,
    repair,
)

HEADER_ROWS: Final = 40
HEADER_LINES: Final = 10_000
HEADER_SIZE: Final = 1 << 21
LONGEST_HEADER: Final = 1 << 18
MAXIMUM_COLUMNS: Final = 1000
DELIMITERS: Final = (",", ";", "\t", "|")

#: Returns the cells without invalid characters, and the indexes of the repaired cells.
Repair = Callable[[list[str]], tuple[list[str], tuple[int, ...]]]

_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


class FileRefusedError(Exception):
    """A file that cannot be imported; the text gives the reason and the remedy.

    `lacking` lists what the file lacks, each with the part of the file that lacks it.
    """

    def __init__(self, message: str, lacking: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.lacking = tuple(lacking)


class IncompleteFileError(FileRefusedError):
    """A file that ends within a row: a broken download."""


@dataclass(frozen=True, slots=True)
class Row:
    """One data row: its cells, or the reason why they cannot be read."""

    number: int
    cells: list[str]
    problem: str = ""
    invalid_cells: tuple[int, ...] = ()
    """Cells that held bytes in no known encoding; they contain U+FFFD now."""


@dataclass(frozen=True, slots=True)
class Header:
    """Where the header stands, and which profile it satisfies."""

    profile: Profile
    names: tuple[str, ...]
    row: int
    delimiter: str
    is_wrapped: bool = False
    preamble: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True)
class CsvTable:
    """The rows of a CSV file below its header."""

    path: Path
    header: Header
    allow_partial: bool = False
    checkpoint: Checkpoint | None = None
    incomplete: str = field(default="", init=False)
    """Why the file is incomplete, once its end was read; empty for a whole file."""

    def rows(self) -> Iterator[Row]:
        """Yield the data rows that are not blank.

        Raises IncompleteFileError at the end of a file that breaks off, unless `allow_partial`.
        """
        header = self.header
        expected = len(header.names)
        source = TextSource(self.path, self.checkpoint)
        others_are_short = others_end_empty = has_gaps = False
        previous = header.row
        last: Row | None = None
        for row in _read_rows(source, header.delimiter, make_repair(self.path)):
            if row.number <= header.row:
                continue
            if row.problem in {_OPEN_QUOTE, _ENDLESS_QUOTE}:
                if last is not None:
                    yield last
                self._break_off(row)
                return
            if header.is_wrapped and len(row.cells) == 1:
                row = replace(row, cells=split_wrapped(row.cells[0]))
            if last is not None:
                others_are_short = others_are_short or len(last.cells) < expected
                others_end_empty = others_end_empty or not last.cells or not last.cells[-1]
                has_gaps = has_gaps or last.number > previous + 1
                previous = last.number
                yield last
            last = row
        if last is None:
            return
        why = self._find_cut(
            last,
            source.last_character,
            others_are_short=others_are_short,
            others_end_empty=others_end_empty,
            is_apart=last.number > previous + 1 and not has_gaps,
        )
        if why:
            self._refuse_unless_partial(why)
        else:
            yield last

    def _find_cut(
        self,
        last: Row,
        character: str,
        *,
        others_are_short: bool,
        others_end_empty: bool,
        is_apart: bool,
    ) -> str:
        """Return how the last row shows that the file is cut off, or an empty string.

        `character` is the last one of the file; `is_apart` is set if the row follows the only
        blank row.
        """
        expected = len(self.header.names)
        count = len(last.cells)
        has_end = character in "\r\n"
        if last.problem:
            return ""
        if count < expected:
            # A cut within a plain cell leaves a short last row without a line end. With a line end
            # the row counts as cut if it is the only short one. One or two cells are a footer, with
            # a line end or below the only blank row.
            is_footer = count <= 2 and (has_end or (is_apart and expected > 4))
            if is_footer or (has_end and others_are_short):
                return ""
            return f"the last row ({last.number}) has {count} of {expected} cells"
        # In a file that quotes all cells, the last cell is quoted. If no other row has an empty
        # last cell, the last one has none either. Other cuts in the last cell leave no trace.
        if has_end or character == '"':
            return ""
        is_only = last.number == self.header.row + 1
        is_empty = not last.cells[-1] and not others_end_empty and not is_only
        if is_empty or self._quotes_header():
            return f"the last cell of the last row ({last.number}) is cut off"
        return ""

    def _quotes_header(self) -> bool:
        """Return whether the header ends with a quote."""
        lines: list[str] = []

        def remember() -> Iterator[str]:
            for line in TextSource(self.path).lines():
                lines[:] = [line]
                yield line

        for _ in islice(csv.reader(remember(), delimiter=self.header.delimiter), self.header.row):
            pass
        return lines[0].rstrip().endswith('"')

    def _break_off(self, row: Row) -> None:
        where = "before the end of the file" if row.problem == _OPEN_QUOTE else "within 4 MB"
        self._refuse_unless_partial(
            f"the quote that opens in row {row.number} is not closed {where}"
        )

    def _refuse_unless_partial(self, why: str) -> None:
        self.incomplete = why
        if not self.allow_partial:
            raise IncompleteFileError(
                f"the file is incomplete: {why}. Export or download it again, or import the rows "
                "that are there with --allow-partial, which resolves nothing"
            )


def make_repair(path: Path) -> Repair:
    """Return the function that repairs the cells of a file; it reads the file when it must."""
    is_old: bool | None = None

    def repair_cells(cells: list[str]) -> tuple[list[str], tuple[int, ...]]:
        nonlocal is_old
        broken = tuple(index for index, cell in enumerate(cells) if is_invalid(cell))
        if not broken:
            return cells, ()
        if is_old is None:
            is_old = is_windows_1252(path)
        fixed = [repair(cell, windows_1252=is_old) for cell in cells]
        return fixed, () if is_old else broken

    return repair_cells


_OPEN_QUOTE: Final = "a quote is not closed before the end of the file"
_ENDLESS_QUOTE: Final = f"the row is longer than {LONGEST_ROW} characters"


class _Lines:
    """The lines of a source, counted for each row; iteration continues after a csv.Error."""

    __slots__ = ("_lines", "is_over", "row_lines", "row_size")

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.row_lines = 0
        self.row_size = 0
        self.is_over = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines, None)
        if line is None:
            self.is_over = True
            raise StopIteration
        self.row_lines += 1
        self.row_size += len(line)
        if self.row_size > LONGEST_ROW:
            raise csv.Error(_ENDLESS_QUOTE)
        # The csv module refuses NUL before Python 3.13.
        return line.replace("\0", "") if "\0" in line else line


def _read_rows(
    source: TextSource,
    delimiter: str,
    repair_cells: Repair | None = None,
    most_lines: int | None = None,
) -> Iterator[Row]:
    """Yield the rows of a file that are not blank."""
    lines = _Lines(islice(source.lines(), most_lines))
    reader = csv.reader(lines, delimiter=delimiter)
    csv.field_size_limit(LONGEST_ROW)
    number = 0
    while True:
        number += 1
        lines.row_lines = lines.row_size = 0
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(number, [], str(error))
            continue
        if lines.is_over and lines.row_lines:
            # The reader requested another line within a row: a quote is open.
            yield Row(number, cells, _OPEN_QUOTE)
            return
        if not any(cells):
            continue
        if source.has_invalid and repair_cells is not None:
            cells, broken = repair_cells(cells)
            yield Row(number, cells, invalid_cells=broken)
        else:
            yield Row(number, cells)


def read_beginning(path: Path, delimiter: str) -> list[Row]:
    """Return the first rows of a file, in which the header is searched.

    A row that is too long for a header has no cells; the search ends after HEADER_SIZE characters.
    """
    beginning: list[Row] = []
    size = 0
    rows = _read_rows(TextSource(path), delimiter, make_repair(path), HEADER_LINES)
    for row in islice(rows, HEADER_ROWS):
        row_size = sum(map(len, row.cells))
        size += row_size
        if row_size > LONGEST_HEADER:
            beginning.append(replace(row, cells=[]))
        elif row.cells:
            beginning.append(row)
        if size > HEADER_SIZE:
            break
    return beginning


def find_separator_line(path: Path) -> str:
    """Return the delimiter that a first line such as `sep=;` names, or an empty string."""
    first = next(TextSource(path).lines(), "")
    match = _SEPARATOR_LINE.fullmatch(first.lstrip("\ufeff"))
    return match[1] if match else ""


def find_header(path: Path, profiles: Sequence[Profile]) -> Header | None:
    """Return the header of a CSV file: the first row that satisfies a profile's signature.

    The delimiter is the one under which a row satisfies a signature. Wrapped rows (each row is one
    quoted cell that is CSV itself) are tried after plain ones, general profiles after special ones.
    """
    named = find_separator_line(path)
    delimiters = (named,) if named else DELIMITERS
    beginnings = {delimiter: read_beginning(path, delimiter) for delimiter in delimiters}
    special = [profile for profile in profiles if profile.id != "hub"]
    for chosen in (special, [profile for profile in profiles if profile.id == "hub"]):
        for delimiter, rows in beginnings.items():
            for is_wrapped in (False, True):
                found = _match_rows(rows, chosen, delimiter, is_wrapped=is_wrapped)
                if found is not None:
                    return found
    return None


def _match_rows(
    rows: list[Row], profiles: Sequence[Profile], delimiter: str, *, is_wrapped: bool
) -> Header | None:
    preamble: list[tuple[str, ...]] = []
    for row in rows:
        cells = row.cells
        if is_wrapped:
            if len(cells) != 1:
                preamble.append(tuple(cells))
                continue
            cells = split_wrapped(cells[0])
        names = tuple(cell.strip().lstrip("\ufeff") for cell in cells)
        known = frozenset(normalize(name) for name in names if name)
        for profile in profiles:
            if profile.signatures and not profile.missing(known):
                return Header(profile, names, row.number, delimiter, is_wrapped, tuple(preamble))
        preamble.append(names)
    return None


def split_wrapped(text: str) -> list[str]:
    """Return the cells of a wrapped row, leniently: a quote ends a cell only before a comma.

    Qualys writes inner quotes such as `cols="3"` without doubling them.
    """
    cells: list[str] = []
    position, end = 0, len(text)
    while position <= end:
        if not text.startswith('"', position):
            stop = text.find(",", position)
            stop = end if stop < 0 else stop
            cells.append(text[position:stop])
            position = stop + 1
            continue
        quote = text.find('"', position + 1)
        while quote >= 0 and text[quote + 1 : quote + 2] not in {"", ","}:
            quote = text.find('"', quote + (2 if text[quote + 1] == '"' else 1))
        stop = end if quote < 0 else quote
        cells.append(text[position + 1 : stop].replace('""', '"'))
        position = stop + 2
    return cells
