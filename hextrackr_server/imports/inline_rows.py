"""Converts rows sent as objects to the CSV file of an equivalent upload.

Importing rows equals importing that file: the same formats and the same errors apply. Rows are
numbered as in a spreadsheet, so the first object is row 2.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, TypeAlias

import msgspec

from hextrackr_server.imports.formats.csv_table import MAXIMUM_COLUMNS
from hextrackr_server.imports.formats.detection import (
    explain_unknown,
    find_profile,
    known_columns,
)
from hextrackr_server.imports.formats.profile import Profile, normalize
from hextrackr_server.imports.pipeline import refusal_of

CHUNK_ROWS = 500
# More characters than any column keeps of a cell, fewer than the csv module accepts.
_LONGEST = 100_000

#: The values that an object may have for a column.
Cell: TypeAlias = (
    str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | bool | None
)


def rows_as_csv(
    rows: Sequence[Mapping[str, Cell]], mapping: Profile | None = None
) -> Iterator[bytes]:
    """Yield the bytes of the file in chunks of rows, with the columns that imports use.

    These are the columns of all formats, or of the user's `mapping`. The spelling of names matters
    as little as in files; a name that an object lacks becomes an empty cell. Raises ServiceError
    VALIDATION_ERROR if the names satisfy no format.
    """
    header = _header_of(rows, mapping)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header.values())
    for start in range(0, len(rows), CHUNK_ROWS):
        for row in rows[start : start + CHUNK_ROWS]:
            cells = {normalize(name): value for name, value in row.items()}
            writer.writerow([_text(cells.get(name)) for name in header])
        yield text.getvalue().encode("utf-8", "replace")
        text.seek(0)
        text.truncate()


def _header_of(rows: Sequence[Mapping[str, Cell]], mapping: Profile | None) -> dict[str, str]:
    """Return the normalized names of the columns that imports use, with their spelling."""
    if mapping is None:
        known = known_columns()
    else:
        known = frozenset[str]().union(*mapping.normalized.values())
    spelled = {name for row in rows for name in row}
    unknown = sorted(name for name in spelled if normalize(name) not in known)
    header = {normalize(name): name for row in rows for name in row if normalize(name) in known}
    # The names of all formats together are fewer than the columns that a file may have.
    assert mapping is not None or len(header) <= MAXIMUM_COLUMNS
    if mapping is None and find_profile(tuple(header.values())) is None:
        shown = [*header.values(), *unknown]
        raise refusal_of(explain_unknown(shown, "no known format has the names of the rows"))
    return header


def _text(value: Cell) -> str:
    return "" if value is None else str(value)[:_LONGEST]
