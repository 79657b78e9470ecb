"""Finds the header of a CSV file: its delimiter, its row, and the profile that it satisfies.

The header is the first row that satisfies the signature of a profile; rows above it are the
preamble.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Final, NamedTuple

from hextrackr_server.imports.formats.csv_rows import read_rows
from hextrackr_server.imports.formats.profile import Profile, normalize
from hextrackr_server.imports.formats.spreadsheet_marks import read_text
from hextrackr_server.imports.formats.text_source import TextSource

HEADER_ROWS: Final = 40
HEADER_LINES: Final = 10_000
HEADER_SIZE: Final = 1 << 21
LONGEST_HEADER: Final = 1 << 18
DELIMITERS: Final = (",", ";", "\t", "|")

_SEPARATOR_LINE: Final = re.compile(r'"?sep=([^"\r\n\0])"?\s*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a file: its row, and the profile that it satisfies."""

    profile: Profile
    names: tuple[str, ...]
    row: int
    delimiter: str
    is_wrapped: bool = False
    preamble: tuple[tuple[str, ...], ...] = ()


class BeginningRow(NamedTuple):
    """One of the first rows of a file; a row that is too long for a header has no cells."""

    number: int
    cells: list[str]


def read_beginning(path: Path, delimiter: str) -> list[BeginningRow]:
    """Return the first rows of a file, in which the header is searched.

    The search ends after HEADER_SIZE characters.
    """
    beginning: list[BeginningRow] = []
    size = 0
    rows = read_rows(TextSource(path), delimiter, path, HEADER_LINES)
    for number, cells, _, _ in islice(rows, HEADER_ROWS):
        row_size = sum(map(len, cells))
        size += row_size
        if row_size > LONGEST_HEADER:
            beginning.append(BeginningRow(number, []))
        elif cells:
            beginning.append(BeginningRow(number, cells))
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
    candidates: dict[tuple[str, bool], list[_Candidate]] = {}
    beginning: list[BeginningRow] = []
    special = [profile for profile in profiles if profile.id != "hub"]
    for chosen in (special, [profile for profile in profiles if profile.id == "hub"]):
        wanted = frozenset[str]().union(*(profile.signature_names for profile in chosen))
        for delimiter, is_wrapped in product(delimiters, (False, True)):
            key = delimiter, is_wrapped
            rows: Iterable[_Candidate] | None = candidates.get(key)
            if rows is None:  # read when it is needed: most files have the first delimiter
                if not is_wrapped:
                    beginning = read_beginning(path, delimiter)
                candidates[key] = []
                rows = _make_candidates(beginning, candidates[key], is_wrapped=is_wrapped)
            found = _match_rows(rows, chosen, wanted, delimiter, is_wrapped=is_wrapped)
            if found is not None:
                return found
    return None


class _Candidate(NamedTuple):
    """A row that may be the header: its names, and their normalized forms."""

    number: int
    names: tuple[str, ...]
    known: frozenset[str]


def _make_candidates(
    rows: Iterable[BeginningRow], made: list[_Candidate], *, is_wrapped: bool
) -> Iterator[_Candidate]:
    """Yield the rows as candidates, and append them to `made`: most headers are the first row."""
    for row in rows:
        made.append(_make_candidate(row, is_wrapped=is_wrapped))
        yield made[-1]


def _make_candidate(row: BeginningRow, *, is_wrapped: bool) -> _Candidate:
    cells = row.cells
    if is_wrapped:
        # A spreadsheet fills all rows up to the longest one with empty cells.
        if not cells or any(cells[1:]) or "," not in cells[0]:
            return _Candidate(row.number, tuple(cells), frozenset())
        cells = split_wrapped(cells[0])
    names = read_names(cells)
    return _Candidate(row.number, names, frozenset([normalize(name) for name in names if name]))


def _match_rows(
    rows: Iterable[_Candidate],
    profiles: Sequence[Profile],
    wanted: frozenset[str],
    delimiter: str,
    *,
    is_wrapped: bool,
) -> Header | None:
    """Return the first row that satisfies a profile; `wanted` are the names of all signatures."""
    preamble: list[tuple[str, ...]] = []
    for row in rows:
        for profile in () if row.known.isdisjoint(wanted) else profiles:
            if profile.fits(row.known):
                names, above = row.names, tuple(preamble)
                return Header(profile, names, row.number, delimiter, is_wrapped, above)
        preamble.append(row.names)
    return None


def read_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns without marks of files and of spreadsheets."""
    return tuple([_read_name(cell) for cell in cells])


def _read_name(cell: str) -> str:
    text = cell.strip()
    if text[:1] == "\ufeff":
        # In the middle of a file, the csv module does not see a quote behind the mark.
        text = text.lstrip("\ufeff").strip('" ')
    return read_text(text)


def split_wrapped(text: str) -> list[str]:
    """Return the cells of a wrapped row, leniently: a quote ends a cell only before a comma.

    Qualys writes inner quotes such as `cols="3"` without doubling them.
    """
    cells: list[str] = []
    position, end = 0, len(text)
    while position <= end:
        while text.startswith(" ", position):
            position += 1
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
