"""Repeated headers in a CSV file that joins several exports, and the order of the cells below them.

The cells below a repeated header are arranged in the order of the first header of the file. If that
is not possible, the rows below it are rejected with the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from hextrackr_server.imports.formats.columns import find_columns, names_by_field
from hextrackr_server.imports.formats.csv_header import Header, read_names
from hextrackr_server.imports.formats.csv_rows import NumberedRow
from hextrackr_server.imports.formats.profile import load_profiles, normalize

REPEATED_HEADER: Final = "the row repeats the header"
#: Characters around the first name of a header that begins a file.
AROUND: Final = "\ufeff\"'= \t"

_HOSTS: Final = frozenset({"host", "host_url", "address"})
_VULNERABILITIES: Final = frozenset({"cve", "plugin_id", "plugin_name", "plugin_name_parts"})
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Part:
    """The rows below a repeated header, which has `width` columns.

    `sources` has the index of the cell for each column of the first header, -1 for no cell; it is
    None if the columns are the same. `problem` is the reason why the rows cannot be read.
    """

    width: int
    sources: tuple[int, ...] | None = None
    problem: str = ""

    def arrange(self, row: NumberedRow) -> NumberedRow:
        """Return a row with its cells in the order of the first header."""
        number, cells, problem, repaired = row
        if problem or (self.sources is None and not self.problem) or len(cells) == 1:
            return row
        if self.problem:
            return number, cells, self.problem, ()
        assert self.sources is not None
        if any(cells[self.width :]):
            why = f"the row has {len(cells)} cells, the header {self.width}"
            return number, cells, why, ()
        # A column that this part lacks has the empty cell at the end.
        cells = [*cells[: self.width], *[""] * (self.width - len(cells)), ""]
        moved = tuple(new for new, old in enumerate(self.sources) if old in repaired)
        return number, [cells[old] for old in self.sources], "", moved


class PartFinder:
    """Finds the repeated headers among the rows of a file.

    Only rows whose first cell is in `beginnings`, in lower case and without AROUND, can be one.
    """

    __slots__ = ("_header", "_known", "_names", "_preamble", "_preambles", "beginnings")

    def __init__(self, header: Header) -> None:
        profile = header.profile
        self._header = header
        self._names = tuple(map(normalize, header.names))
        self._known = frozenset(self._names) | _known_names()[0]
        self._preamble = normalize(profile.preamble_date or "")
        self._preambles = 0
        names = (*header.names, profile.preamble_date or header.names[0])
        self.beginnings = _known_names()[1] | {name.lower() for name in names}

    def find(self, row: NumberedRow) -> Part | None:
        """Return the part that a row begins, or None if the row is not a header."""
        number, cells, _, _ = row
        names = read_names(cells)
        keys = tuple(map(normalize, names))
        if self._preamble and self._preamble in keys:
            self._preambles += 1
            return None
        filled = [key for key in keys if key]
        known = sum(key in self._known for key in filled)
        if known * 2 <= len(filled) or known < min(2, len(self._names)):
            return None
        why = self._find_problem(names, keys)
        if why:
            why = f"the header in row {number} has {why}: import the rows below it as a file of "
            return Part(len(keys), None, why + "their own")
        return Part(len(keys), None if keys == self._names else tuple(self._arrange(keys)))

    def _find_problem(self, names: Sequence[str], keys: Sequence[str]) -> str:
        """Return why the cells below a header cannot be read, or an empty string."""
        if self._preambles:
            return f"a {self._header.profile.preamble_date!r} of its own"
        profile = self._header.profile
        others = {key: name for key, name in zip(keys, names, strict=True) if key}
        for key in self._names:
            others.pop(key, None)
        fields = find_columns(profile, names).keys()
        if fields & _HOSTS and fields & _VULNERABILITIES:
            read = frozenset[str]().union(*names_by_field(profile).values())
            others = {key: name for key, name in others.items() if key in read}
            if not others:
                return ""
        shown = ", ".join(repr(name[:64]) for name in [*others.values()][:_SHOWN])
        return f"other columns than the first header ({shown or 'and fewer'})"

    def _arrange(self, keys: Sequence[str]) -> Iterable[int]:
        """Yield the index of the cell for each column of the first header.

        Columns of one name are taken in their order.
        """
        positions: dict[str, list[int]] = {}
        for index, key in enumerate(keys):
            positions.setdefault(key, []).append(index)
        for key in self._names:
            indexes = positions.get(key)
            yield indexes.pop(0) if indexes else -1


@cache
def _known_names() -> tuple[frozenset[str], frozenset[str]]:
    """Return the column names of all formats: normalized, and as written, in lower case."""
    names: set[str] = set()
    for profile in load_profiles().values():
        if profile.signatures:
            names.update(*profile.columns.values())
            for signature in profile.signatures:
                names.update(signature.all_of.values(), signature.any_of.values())
    return frozenset(map(normalize, names)), frozenset(map(str.lower, names))
