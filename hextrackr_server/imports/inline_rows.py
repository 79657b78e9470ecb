"""Rows that come as objects, as the CSV file that they could have been.

Knows: the names that columns may have.  Does not know: what they mean, where the file goes.
An import of rows is an import of that file: the same mapper, the same errors.  Its rows are
numbered as in a spreadsheet, so that the first object is row 2.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, TypeAlias

import msgspec

from hextrackr_server.errors import invalid
from hextrackr_server.imports.csv_mapping import COLUMNS, missing_columns

CHUNK_ROWS = 500
# More than any column keeps of a cell, less than the csv module refuses.
_LONGEST = 100_000

#: What an object may have for a column.
Cell: TypeAlias = (
    str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | bool | None
)

_KNOWN = frozenset(name.lower() for names in COLUMNS.values() for name in names)


def rows_as_csv(rows: Sequence[Mapping[str, Cell]]) -> Iterator[bytes]:
    """The bytes of the file, some rows at a time; of the columns those that mean something.

    A name is the same in upper and in lower case; one that an object lacks is an empty cell.
    Raises ServiceError VALIDATION_ERROR for objects that are no findings.
    """
    header = {name.lower(): name for row in rows for name in row if name.lower() in _KNOWN}
    if missing := missing_columns(tuple(header)):
        raise invalid("The rows have no names that are columns of findings", missing)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header.values())
    for start in range(0, len(rows), CHUNK_ROWS):
        for row in rows[start : start + CHUNK_ROWS]:
            cells = {name.lower(): value for name, value in row.items()}
            writer.writerow([_text(cells.get(name)) for name in header])
        yield text.getvalue().encode("utf-8", "replace")
        text.seek(0)
        text.truncate()


def _text(value: Cell) -> str:
    return "" if value is None else str(value)[:_LONGEST]
