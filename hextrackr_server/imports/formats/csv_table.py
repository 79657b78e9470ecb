"""A CSV export as a table: the numbered rows below its header, and whether the file is complete.

`csv_header` finds the header, `csv_rows` splits the text into rows, and `mapper` reads the cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from hextrackr_server.imports.formats.csv_header import Header, split_wrapped
from hextrackr_server.imports.formats.csv_parts import AROUND, REPEATED_HEADER, Part, PartFinder
from hextrackr_server.imports.formats.csv_rows import (
    ENDLESS_ROW,
    OPEN_QUOTE,
    NumberedRow,
    make_reader,
    read_rows,
)
from hextrackr_server.imports.formats.spreadsheet_marks import join_guards
from hextrackr_server.imports.formats.text_source import Checkpoint, TextSource

MAXIMUM_COLUMNS: Final = 1000


class FileRefusedError(Exception):
    """A file that cannot be imported; the text gives the reason and the remedy.

    `lacking` lists what the file lacks, each with the part of the file that lacks it. `profile` is
    the id of a format that is never imported, otherwise empty.
    """

    def __init__(
        self, message: str, lacking: Sequence[tuple[str, str]] = (), profile: str = ""
    ) -> None:
        super().__init__(message)
        self.lacking = tuple(lacking)
        self.profile = profile


#: The option that allows partial files: on the page, on the command line, in forms and events.
ALLOW_PARTIAL = '"Read a file that breaks off" on the page, --allow-partial, allowPartial'


class IncompleteFileError(FileRefusedError):
    """A file that ends within a row: a broken download."""

    def __init__(self, why: str, what: str) -> None:
        """Describe the end of the file; `what` can be imported up to there."""
        super().__init__(
            f"the file is incomplete: {why}. Export or download it again. To import the {what} "
            f"that are there, which resolves nothing: {ALLOW_PARTIAL}"
        )


@dataclass(slots=True)
class CsvTable:
    """The rows of a CSV file below its header."""

    path: Path
    header: Header
    allow_partial: bool = False
    checkpoint: Checkpoint | None = None
    incomplete: str = field(default="", init=False)
    """The reason why the file is incomplete, after its end was read; empty for a whole file."""
    open_end: NumberedRow | None = field(default=None, init=False)
    """The last row if the line end behind it is missing, once it was read.

    The file may be cut off within or behind the last cell of that row, which leaves no other trace.
    """

    def rows(self) -> Iterator[NumberedRow]:
        """Yield the data rows that are not blank.

        Raises IncompleteFileError at the end of a file that breaks off, unless `allow_partial`.
        """
        header = self.header
        finder, expected = PartFinder(header), len(header.names)
        beginnings = finder.beginnings
        part: Part | None = None
        source = TextSource(self.path, self.checkpoint)
        others_are_short = others_end_empty = has_gaps = False
        previous = last_number = header.row
        last: NumberedRow | None = None
        for row in read_rows(source, header.delimiter, self.path):
            number, cells, problem, _ = row
            if number <= header.row:
                continue
            if problem and problem in {OPEN_QUOTE, ENDLESS_ROW}:
                if last is not None:
                    yield last if part is None else part.arrange(last)
                self._break_off(number, problem)
                return
            if header.is_wrapped and not any(cells[1:]):
                cells = split_wrapped(cells[0])
                row = number, cells, problem, row[3]
            if len(cells) > expected and not problem and not row[3]:
                cells = join_guards(cells, header.delimiter)
                row = number, cells, problem, ()
            is_like_header = cells and cells[0].strip(AROUND).lower() in beginnings
            begun = finder.find(row) if is_like_header else None
            if last is not None:
                last_cells = last[1]
                others_are_short |= len(last_cells) < expected
                others_end_empty |= not (last_cells and last_cells[-1])
                has_gaps |= last_number > previous + 1
                previous = last_number
                yield last if part is None else part.arrange(last)
            if begun is not None:
                part, expected = begun, begun.width
                row = number, cells, REPEATED_HEADER, ()
            last = row
            last_number = number
        if last is None:
            self._check_header_end(source.last_character)
            return
        if self._is_whole(
            last,
            expected,
            source.last_character,
            others_are_short=others_are_short,
            others_end_empty=others_end_empty,
            is_apart=last_number > previous + 1 and not has_gaps,
        ):
            yield last if part is None else part.arrange(last)

    def _is_whole(
        self,
        last: NumberedRow,
        expected: int,
        character: str,
        *,
        others_are_short: bool,
        others_end_empty: bool,
        is_apart: bool,
    ) -> bool:
        """Return whether the last row is whole; see `_find_cut`. Raises IncompleteFileError."""
        why = self._find_cut(
            last,
            expected,
            character,
            others_are_short=others_are_short,
            others_end_empty=others_end_empty,
            is_apart=is_apart,
        )
        if why:
            self._refuse_unless_partial(why)
        elif len(last[1]) >= expected and character not in "\r\n":
            self.open_end = last
        return not why

    def _find_cut(
        self,
        last: NumberedRow,
        expected: int,
        character: str,
        *,
        others_are_short: bool,
        others_end_empty: bool,
        is_apart: bool,
    ) -> str:
        """Return how the last row shows that the file is cut off, or an empty string.

        `expected` is the number of columns, `character` the last character of the file; `is_apart`
        is set if the row follows the only blank row.
        """
        number, cells, problem, _ = last
        count = len(cells)
        has_end = character in "\r\n"
        if problem:
            return ""
        if count < expected:
            # A cut within a plain cell leaves a short last row without a line end. With a line end
            # the row counts as cut if it is the only short one. One or two cells are a footer, with
            # a line end or below the only blank row.
            is_footer = count <= 2 and (has_end or (is_apart and expected > 4))
            if is_footer or (has_end and others_are_short):
                return ""
            return f"the last row ({number}) has {count} of {expected} cells"
        # In a file that quotes all cells, the last cell is quoted. If no other row has an empty
        # last cell, the last one has none either. Other cuts in the last cell leave no trace.
        if has_end or character == '"':
            return ""
        is_only = number == self.header.row + 1
        is_empty = not cells[-1] and not others_end_empty and not is_only
        if is_empty or self._quotes_header():
            return f"the last cell of the last row ({number}) is cut off"
        return ""

    def _check_header_end(self, character: str) -> None:
        if character not in "\r\n":
            self._refuse_unless_partial(f"it ends within its header (row {self.header.row})")

    def _quotes_header(self) -> bool:
        """Return whether the header ends with a quote."""
        lines: list[str] = []

        def remember() -> Iterator[str]:
            for line in TextSource(self.path).lines():
                lines[:] = [line]
                yield line

        for _ in islice(make_reader(remember(), self.header.delimiter), self.header.row):
            pass
        return lines[0].rstrip().endswith('"')

    def _break_off(self, number: int, problem: str) -> None:
        where = "before the end of the file" if problem == OPEN_QUOTE else "within 4 MB"
        self._refuse_unless_partial(f"the quote that opens in row {number} is not closed {where}")

    def _refuse_unless_partial(self, why: str) -> None:
        self.incomplete = why
        if not self.allow_partial:
            raise IncompleteFileError(why, "rows")
