"""Warnings of a file: every value that was not understood, counted by kind and kept in part."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Final

from hextrackr_server.text import clean

MAXIMUM_KEPT: Final = 1000
MAXIMUM_KINDS: Final = 10_000
LONGEST_VALUE: Final = 64
LONGEST_COLUMN: Final = 100
_OTHER: Final = ("", "other warnings")


@dataclass(frozen=True, slots=True)
class FileWarning:
    """One value that was not understood.

    `column`, `row` and `value` are None where the warning concerns a whole row, column or file.
    """

    column: str | None
    row: int | None
    value: str | None
    message: str


def describe_warning(
    column: str | None, row: int | None, value: str | None, message: str
) -> FileWarning:
    """Return a warning with the text of a file on one line: names of columns have line ends too."""
    return FileWarning(
        None if column is None else clean(column, LONGEST_COLUMN) or None,
        row,
        None if value is None else clean(value, LONGEST_VALUE),
        message,
    )


class FileWarnings:
    """The warnings of one file.

    `counts` counts every warning by (column, message); the first MAXIMUM_KEPT are kept in full.
    Messages may hold cells: beyond MAXIMUM_KINDS, warnings of new kinds are counted together.
    """

    __slots__ = ("_kept", "counts", "total")

    def __init__(self) -> None:
        self.total = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        self._kept: list[FileWarning] = []

    def add(self, column: str, row: int | None, value: str | None, message: str) -> None:
        """Count a warning, and keep it if there are not too many.

        A warning on a whole column (`row` is None) is always kept.
        """
        self.total += 1
        column = clean(column, LONGEST_COLUMN)  # the name of a column may contain line ends
        kind = (column, message)
        if len(self.counts) >= MAXIMUM_KINDS and kind not in self.counts:
            kind = _OTHER
        self.counts[kind] += 1
        if row is None or len(self._kept) < MAXIMUM_KEPT:
            self._kept.append(describe_warning(column, row, value, message))

    def first(self, count: int) -> list[FileWarning]:
        """Return up to `count` of the kept warnings."""
        return self._kept[:count]

    def as_json(self, first: list[FileWarning]) -> list[dict[str, Any]]:
        """Return `first`, the kept warnings, and the number of dropped warnings."""
        dropped = sum(self.counts.values()) - len(self._kept)
        last = [FileWarning(None, None, None, f"{dropped} more warnings")] if dropped else []
        return [asdict(each) for each in (*first, *self._kept, *last)]
