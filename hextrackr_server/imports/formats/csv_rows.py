"""Splits the text of a CSV file into numbered rows.

Rows are numbered as in a spreadsheet, from 1; blank rows are counted and not returned. The csv
module reads whole blocks of text without running Python code per line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final, TypeAlias

from hextrackr_server.imports.formats.text_source import (
    LONGEST_ROW,
    TextSource,
    is_invalid,
    is_windows_1252,
    repair,
)

NumberedRow: TypeAlias = tuple[int, list[str], str, tuple[int, ...]]
"""One row: its number, its cells, why they cannot be read, and the indexes of repaired cells.

Repaired cells held bytes in no known encoding; they contain U+FFFD now.
"""

HOST_ROW: Final = 0
"""The number of a row of an XML file that only names a scanned host, which has no results."""

OPEN_QUOTE: Final = "a quote is not closed before the end of the file"
ENDLESS_ROW: Final = f"the row is longer than {LONGEST_ROW} characters"

# The csv module receives this character and a delimiter as the last line. They become a row of two
# cells, unless a quote is open. No decoder returns this character.
_END: Final = "\ud800"
_FIELD_LIMIT: Final = "field larger than field limit"

#: Returns the cells without invalid characters, and the indexes of the repaired cells.
_Repair: TypeAlias = Callable[[list[str]], tuple[list[str], tuple[int, ...]]]


class _Blocks:
    """The blocks of a source, with a bound for the size of a row that spans blocks.

    `number` is the row that is being read. `has_invalid` is set if the blocks in which that row may
    lie contain bytes that are not UTF-8, `is_over` once the last block was read.
    """

    __slots__ = ("_source", "has_invalid", "is_over", "number")

    def __init__(self, source: TextSource) -> None:
        self._source = source
        self.number = 1
        self.has_invalid = False
        self.is_over = False

    def __iter__(self) -> Iterator[io.StringIO]:
        """Yield blocks of lines. Raises csv.Error for a row that is too long."""
        number = size = 0
        was_invalid = False
        for text in self._source.blocks():
            if self.number != number:
                # The row began within the previous block, of which it is only a part.
                number, size = self.number, 0
                self.has_invalid = was_invalid
            if size > LONGEST_ROW or (len(text) > LONGEST_ROW and _has_long_line(text)):
                raise csv.Error(ENDLESS_ROW)
            size += len(text)
            was_invalid = self._source.has_invalid
            self.has_invalid = self.has_invalid or was_invalid
            yield io.StringIO(text, newline="")

    def end(self, delimiter: str) -> Iterator[str]:
        """Yield the line behind the last one."""
        self.is_over = True
        yield _END + delimiter


def read_rows(
    source: TextSource, delimiter: str, path: Path, most_lines: int | None = None
) -> Iterator[NumberedRow]:
    """Yield the rows of a file that are not blank; the last one may be a row with a problem.

    `path` is read a second time if the file has bytes that are not UTF-8: they may be Windows-1252.
    """
    csv.field_size_limit(LONGEST_ROW)
    blocks = _Blocks(source)
    repair_cells = _make_repair(path)
    lines = islice(chain.from_iterable(blocks), most_lines)
    reader = make_reader(chain(lines, blocks.end(delimiter)), delimiter)
    number = 0
    while True:
        try:
            for cells in reader:
                number += 1
                blocks.number = number + 1
                if blocks.is_over:
                    if cells != [_END, ""]:
                        # The csv module requested this line within a row: a quote is open.
                        cells[-1] = cells[-1].removesuffix(_END + delimiter)
                        yield number, cells, OPEN_QUOTE, ()
                    return
                if not cells or (
                    (not cells[0] or cells[0].isspace()) and not any(map(str.strip, cells))
                ):
                    continue
                if blocks.has_invalid:
                    cells, broken = repair_cells(cells)
                    yield number, cells, "", broken
                else:
                    yield number, cells, "", ()
        except csv.Error as error:
            number += 1
            text = str(error)
            yield number, [], ENDLESS_ROW if text.startswith(_FIELD_LIMIT) else text, ()
        else:
            return


def make_reader(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """Return a reader for which a quote behind a delimiter and blanks opens a cell."""
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ")


def _has_long_line(text: str) -> bool:
    return any(len(line) > LONGEST_ROW for line in io.StringIO(text, newline=""))


def _make_repair(path: Path) -> _Repair:
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
