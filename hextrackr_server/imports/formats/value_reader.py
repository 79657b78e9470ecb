"""Reads the values of a row: its state, its severity and its scores."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from hextrackr_server.imports.formats.columns import Columns, Row
from hextrackr_server.imports.formats.finding import ClosedAs
from hextrackr_server.imports.formats.numbers import read_number, read_score
from hextrackr_server.imports.formats.parts import Values
from hextrackr_server.imports.formats.profile import Profile, Severity, State
from hextrackr_server.imports.formats.spreadsheet_marks import read_text
from hextrackr_server.imports.formats.words import (
    FALSE_WORDS,
    SEVERITY_NULLS,
    SEVERITY_WORDS,
    TRUE_WORDS,
    find_state,
)
from hextrackr_server.text import clean

STATE_FIELDS: Final = (
    "state", "fixed", "false_positive", "duplicate", "accepted", "accepted_comment", "active",
)  # fmt: skip
SCORE_FIELDS: Final = (
    "severity", "kind", "cvss3", "cvss4", "cvss2", "cvss", "cvss_version", "vpr", "epss",
)  # fmt: skip

_CVSS_FIELDS: Final = (("cvss3", "3"), ("cvss4", "4"), ("cvss2", "2"), ("cvss", ""))
_UNVERSIONED_FIRST: Final = (*_CVSS_FIELDS[:2], _CVSS_FIELDS[3], _CVSS_FIELDS[2])
# The version of a score, as in `3.1`, `v3`, `CVSSv2` and `CVSS:3.1`.
_CVSS_VERSION: Final = re.compile(r"(?:cvss)?[:\s]*v?([234])(?:\.\d)?", re.IGNORECASE)
_SEVERITY_TEXT: Final = re.compile(
    r"(?:\d{1,2}\s*[-:.)(]\s*)?([a-z]{3,13})\)?(?:\s+(?:risk|severity))?(?:\s*\(\d{1,2}(?:[.,]\d{1,2})?\))?"
)
_FLAGS: Final[tuple[tuple[str, State], ...]] = (
    ("fixed", "fixed"),
    ("false_positive", "false_positive"),
    ("duplicate", "false_positive"),
    ("accepted", "accepted"),
)


class RowState(NamedTuple):
    """The state of a row: its meaning, why the finding is closed, and the word as written."""

    meaning: State
    closed_as: ClosedAs | None
    word: str


class ValueReader:
    """A reader for the states, severities and scores of one file's rows."""

    def __init__(self, profile: Profile, columns: Columns) -> None:
        self._profile = profile
        self._columns = columns
        self._severity_nulls = SEVERITY_NULLS | profile.nulls
        by_field = columns.by_field
        self._flags = tuple((by_field[name], state) for name, state in _FLAGS if name in by_field)
        self._prefixes = tuple(
            (word[:-1], state) for word, state in profile.states.items() if word[-1:] == "*"
        )
        order = _UNVERSIONED_FIRST if profile.prefers_unversioned else _CVSS_FIELDS
        self._cvss = tuple(each for each in order if each[0] in by_field)

    def read(self, row: Row, state: RowState) -> Values:
        """Return the values of a row with that state."""
        cvss_score, cvss_version = self._read_cvss(row)
        severity = self._read_severity(row, cvss_score, cvss_version)
        vpr_score = self._read_score(row, "vpr", 10)
        return Values(state.closed_as, state.word, severity, cvss_score, cvss_version, vpr_score)

    # -- states

    def read_state(self, row: Row) -> RowState:
        """Return the state of a row; an unknown word counts as open, with a warning."""
        found = self._columns.first_cell(row, "state")
        word = "ACTIVE"
        state: State = "open"
        if found is not None:
            word = clean(found[1], 64)
            known = self._find_state(word.lower())
            self._columns.filled["state"] += 1
            if known is None:
                self._columns.failed["state"] += 1
                message = "unknown state; the finding counts as open"
                self._columns.warn_of_cell(row, *found, message)
            state = known or "open"
        if state == "open" or state == "untested":
            state = self._read_flags(row) or state
        closed: ClosedAs | None = None
        if state == "fixed" or state == "accepted" or state == "false_positive":
            closed = state
        elif state == "open" and self._is_inactive(row):
            closed = "inactive"
        return RowState(state, closed, word)

    def _is_inactive(self, row: Row) -> bool:
        """Return whether the column `active` has a word for no; an unknown word is a warning."""
        found = self._columns.first_cell(row, "active")
        word = "" if found is None else found[1].lower()
        if found is not None and word not in TRUE_WORDS | FALSE_WORDS and word[0] != "t":
            message = "neither true nor false; the finding counts as open"
            self._columns.warn_of_cell(row, *found, message)
        return word in FALSE_WORDS

    def _find_state(self, word: str) -> State | None:
        found = self._profile.states.get(word) or find_state(word)
        if found is None:
            for prefix, state in self._prefixes:
                if word.startswith(prefix):
                    return state
        return found

    def _read_flags(self, row: Row) -> State | None:
        """Return the state that the columns with yes and no give, or None."""
        for indexes, state in self._flags:
            for index in indexes:
                if read_text(row.cells[index]).lower() in TRUE_WORDS:
                    return state
        return "accepted" if self._columns.first(row, "accepted_comment") else None

    # -- severities

    def _read_severity(self, row: Row, score: float | None, version: str) -> Severity:
        profile, columns = self._profile, self._columns
        if profile.kinds:
            kind = columns.first(row, "kind").lower()
            if kind and (severity := profile.kinds.get(kind)) is not None:
                return severity
        unknown: tuple[int, str] | None = None
        for index in columns.by_field.get("severity", ()):
            text = read_text(row.cells[index])
            word = text.lower()
            if not word or word in self._severity_nulls:
                continue
            columns.filled["severity"] += 1
            # A spreadsheet or a script may write the level 5 as 5.0 or 5,0.
            word = word.removesuffix(".0").removesuffix(",0")
            found = profile.severities.get(word) or SEVERITY_WORDS.get(word) or _find_word(word)
            if found is not None:
                if unknown is not None:
                    message = f"unknown severity; {found} by another column"
                    columns.warn_of_cell(row, *unknown, message)
                return found
            columns.failed["severity"] += 1
            unknown = unknown or (index, text)
        band = band_of(score, version)
        how = f"{band} by the CVSS score" if band != "Unknown" else "and there is no CVSS score"
        if unknown is not None:
            columns.warn_of_cell(row, *unknown, f"unknown severity; {how}")
        elif "severity" in columns.by_field:
            columns.warn(row, "severity", "", f"no severity; {how}")
        return band

    # -- scores

    def _read_cvss(self, row: Row) -> tuple[float | None, str]:
        """Return the first valid score in order of preference, and its version."""
        for name, version in self._cvss:
            found = self._columns.first_cell(row, name)
            if found is not None:
                score = self._check_score(row, name, found, 10)
                if score is not None:
                    return score, version or self._read_cvss_version(row)
        return None, ""

    def _read_cvss_version(self, row: Row) -> str:
        match = _CVSS_VERSION.fullmatch(self._columns.first(row, "cvss_version"))
        return "" if match is None else match[1]

    def _read_score(self, row: Row, field: str, highest: float) -> float | None:
        found = self._columns.first_cell(row, field)
        return None if found is None else self._check_score(row, field, found, highest)

    def read_epss(self, row: Row) -> float | None:
        """Return the probability of exploitation from 0 to 1."""
        found = self._columns.first_cell(row, "epss")
        if found is None:
            return None
        value = read_number(found[1])
        if value is not None and self._profile.epss_percent and 1 < value <= 100:
            return value / 100
        return self._check_score(row, "epss", found, 1)

    def _check_score(
        self, row: Row, field: str, found: tuple[int, str], highest: float
    ) -> float | None:
        self._columns.filled[field] += 1
        value = read_score(found[1], highest)
        if isinstance(value, str):
            self._columns.failed[field] += 1
            self._columns.warn_of_cell(row, *found, f"{value}; the value is left out")
            return None
        return value


def _find_word(text: str) -> Severity | None:
    """Return the severity of a text such as `2 - High`, `High risk` or `High (7.5)`, or None."""
    match = _SEVERITY_TEXT.fullmatch(text)
    return None if match is None else SEVERITY_WORDS.get(match[1])


def band_of(score: float | None, version: str) -> Severity:
    """Return the severity of a CVSS score.

    Version 2 as Tenable bands it: 10.0 is Critical, 7.0 to 9.9 High.
    """
    if score is None:
        return "Unknown"
    if score >= (10.0 if version == "2" else 9.0):
        return "Critical"
    if score >= 7:
        return "High"
    if score >= 4:
        return "Medium"
    return "Low" if score > 0 else "Info"
