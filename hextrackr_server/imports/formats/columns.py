"""The columns of one file by the fields of its profile, and the cells of a row by field.

Of several columns of a field, the first that is not empty in a row counts. A column that stands
twice in the header has two cells in each row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

from hextrackr_server.imports.formats.file_warnings import FileWarnings
from hextrackr_server.imports.formats.profile import Profile, load_profiles, normalize
from hextrackr_server.imports.formats.spreadsheet_marks import MARKS, read_text, remove_marks
from hextrackr_server.imports.formats.words import LONGEST_NULL, NULLS

_USUAL_FIELDS: Final = (
    "first_seen", "last_seen", "published", "cvss3", "cvss4", "cvss2", "vpr", "epss",
    "operating_system",
)  # fmt: skip
# Usual names that a known format may use for another value.
_AMBIGUOUS: Final = frozenset({"date", "detected", "discovered", "published"})


class Row:
    """A row that is read cell by cell; it has at least as many cells as the header."""

    __slots__ = ("cells", "number")

    def __init__(self, number: int, cells: Sequence[str]) -> None:
        self.number = number
        self.cells = cells


class Columns:
    """The columns of one file.

    `filled` counts the cells of a field that were read, `failed` those that were not understood.
    Cells of repeated rows are not counted again.
    """

    __slots__ = ("by_field", "failed", "filled", "names", "nulls", "warnings")

    def __init__(self, profile: Profile, header: Sequence[str], warnings: FileWarnings) -> None:
        self.names = tuple(header)
        self.by_field = find_columns(profile, header)
        self.nulls = NULLS | profile.nulls
        self.warnings = warnings
        self.filled: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    # -- cells

    def first(self, row: Row, field: str) -> str:
        """Return the first cell of a field that is not empty."""
        found = self.first_cell(row, field)
        return "" if found is None else found[1]

    def first_cell(self, row: Row, field: str) -> tuple[int, str] | None:
        """Return the first cell of a field that is not empty, with its index."""
        cells = row.cells
        for index in self.by_field.get(field, ()):
            text = cells[index].strip()
            if text and text[0] in MARKS:
                text = remove_marks(text)
            if text and (len(text) > LONGEST_NULL or text.lower() not in self.nulls):
                return index, text
        return None

    def all(self, row: Row, field: str) -> list[str]:
        """Return the cells of a field that are not empty."""
        cells = (read_text(row.cells[index]) for index in self.by_field.get(field, ()))
        return [cell for cell in cells if cell.lower() not in self.nulls]

    def key_of(self, fields: Iterable[str]) -> Callable[[Sequence[str]], Any]:
        """Return a function that returns the cells of some fields, as the key of a cache."""
        indexes = {index for field in fields for index in self.by_field.get(field, ())}
        return itemgetter(*sorted(indexes)) if indexes else _no_cells

    def fit(self, cells: Sequence[str]) -> Sequence[str]:
        """Return cells to which empty ones are added if there are fewer than in the header."""
        missing = len(self.names) - len(cells)
        return [*cells, *[""] * missing] if missing > 0 else cells

    # -- names and warnings

    def name_of(self, index: int) -> str:
        """Return the name of a column; its number for a cell behind the header."""
        return self.names[index] if index < len(self.names) else f"column {index + 1}"

    def name_of_field(self, field: str, default: str = "") -> str:
        """Return the name of the first column of a field."""
        indexes = self.by_field.get(field)
        return self.names[indexes[0]] if indexes else default

    def warn(self, row: Row, field: str, value: str | None, message: str) -> None:
        """Warn of a field of a row."""
        self.warnings.add(self.name_of_field(field, field), row.number, value, message)

    def warn_of_cell(self, row: Row, index: int, value: str, message: str) -> None:
        """Warn of a single cell."""
        self.warnings.add(self.names[index], row.number, value, message)


def find_columns(profile: Profile, header: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the column indexes of each field, in the profile's order of preference.

    A name that stands twice in the header gives both columns: the first that is not empty counts.
    """
    positions: dict[str, list[int]] = {}
    for index, name in enumerate(header):
        positions.setdefault(normalize(name), []).append(index)
    columns: dict[str, tuple[int, ...]] = {}
    for field, names in names_by_field(profile).items():
        indexes = [index for name in names for index in positions.get(name, ())]
        if indexes:
            columns[field] = tuple(dict.fromkeys(indexes))
    return columns


def names_by_field(profile: Profile) -> Mapping[str, tuple[str, ...]]:
    """Return the normalized names of each field, in the order of preference.

    The usual names of days and of scores with a version follow those of a known CSV format.
    """
    if profile.signatures and load_profiles().get(profile.id) is profile:
        return _with_usual_names(profile.id)
    return profile.normalized


@cache
def _with_usual_names(identifier: str) -> Mapping[str, tuple[str, ...]]:
    profiles = load_profiles()
    names, usual = dict(profiles[identifier].normalized), profiles["hub"].normalized
    known = frozenset[str]().union(*names.values())
    for field in _USUAL_FIELDS:
        # Without the word, a column may hold a temporal score or a vector.
        more = (name for name in usual[field] if field[:4] != "cvss" or "score" in name)
        own = names.get(field, ())
        names[field] = (*own, *(name for name in more if name not in known | _AMBIGUOUS))
    return MappingProxyType(names)


def _no_cells(_: Sequence[str]) -> str:
    return ""
