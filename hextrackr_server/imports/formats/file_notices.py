"""Warnings on whole columns and on the whole file, from the totals of its mapped rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from hextrackr_server.imports.formats.columns import Columns
from hextrackr_server.imports.formats.day_reader import shift_day
from hextrackr_server.imports.formats.file_warnings import FileWarning, describe_warning
from hextrackr_server.imports.formats.profile import SEVERITIES, Profile, Severity, normalize

MAXIMUM_COUNTED: Final = 10_000


class MappedTotals:
    """Totals of the mapped rows of one file.

    `severities` counts rows by severity, `last_days` by last day (of formats with old findings),
    `left_out` rows that do not concern hosts by the kind of their resource. A file with very many
    days or kinds has the rest of them counted together.
    """

    __slots__ = ("has_several_plugins", "last_days", "left_out", "severities")

    def add_last_day(self, day: str) -> None:
        """Count a row by the last day on which its finding was seen."""
        days = self.last_days
        if len(days) >= MAXIMUM_COUNTED and day not in days:
            # All of these are long before the newest day, however they are counted.
            oldest = sorted(days)[: MAXIMUM_COUNTED // 2]
            days[oldest[-1]] = sum(days.pop(each) for each in oldest)
        days[day] += 1

    def leave_out(self, kind: str) -> None:
        """Count a row that does not concern a host, by the kind of its resource."""
        if len(self.left_out) >= MAXIMUM_COUNTED and kind not in self.left_out:
            kind = "other kinds"
        self.left_out[kind] += 1

    def __init__(self) -> None:
        self.severities: dict[Severity, int] = dict.fromkeys(SEVERITIES, 0)
        self.last_days: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.has_several_plugins = False

    def found_severities(self) -> set[Severity]:
        """Return the severities that at least one row has."""
        return {severity for severity, count in self.severities.items() if count}


def column_warnings(profile: Profile, columns: Columns, totals: MappedTotals) -> list[FileWarning]:
    """Return the warnings on the whole file, and one for each field that was not understood."""
    found = [FileWarning(None, None, None, text) for text in _notices(profile, columns, totals)]
    return found + [
        describe_warning(
            columns.name_of_field(field, field), None, None,
            f"no value of this column was understood as {field.replace('_', ' ')} ({count} cells)",
        )
        for field, count in columns.filled.items()
        if count == columns.failed[field]
    ]  # fmt: skip


def _notices(profile: Profile, columns: Columns, totals: MappedTotals) -> Iterator[str]:
    rows, unknown = sum(totals.severities.values()), totals.severities["Unknown"]
    if "severity" not in columns.by_field:
        yield "the file has no severity column; severities are those of the CVSS scores"
    elif unknown * 2 > rows:
        yield f"{unknown} of {rows} rows have no known severity"
    guessed = [
        f"{field}: {columns.names[index]!r}"
        for field, indexes in columns.by_field.items()
        for index in indexes
        if normalize(columns.names[index]) in profile.guesses
    ]
    if guessed:
        yield f"no known format; columns are read by their usual names ({', '.join(guessed)})"
    if totals.left_out:
        kinds = ", ".join(f"{count} of {kind}" for kind, count in totals.left_out.items())
        yield f"rows that do not concern a host are left out: {kinds}"
    if (days := profile.stale_days) and totals.last_days:
        oldest = shift_day(max(totals.last_days), -days)
        stale = sum(count for day, count in totals.last_days.items() if day < oldest)
        if stale:
            yield (
                f"{stale} findings were last seen more than {days} days before the newest: "
                "they may be fixed"
            )
