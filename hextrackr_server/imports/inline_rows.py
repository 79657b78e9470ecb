"""Converts rows sent as objects to the CSV file of an equivalent upload.

Importing rows equals importing that file: the same mapper and the same errors apply. Rows are
numbered as in a spreadsheet, so the first object is row 2. `csv_mapping` interprets the columns.
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
# More characters than any column keeps of a cell, fewer than the csv module accepts.
_LONGEST = 100_000

#: The values that an object may have for a column.
Cell: TypeAlias = (
    str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | bool | None
)

_KNOWN = frozenset(name.lower() for names in COLUMNS.values() for name in names)


def rows_as_csv(rows: Sequence[Mapping[str, Cell]]) -> Iterator[bytes]:
    """Yield the bytes of the file in chunks of rows, with the columns that imports use.

    Names are case-insensitive; a name that an object lacks becomes an empty cell.
    Raises ServiceError VALIDATION_ERROR if the objects lack the required columns.
    """
    header = {name.lower(): name for row in rows for name in row if name.lower() in _KNOWN}
    if missing := missing_columns(tuple(header)):
        raise invalid("The rows lack required columns of findings", missing)
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
