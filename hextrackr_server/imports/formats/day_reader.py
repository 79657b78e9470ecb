"""Reads the days of a row: when a finding was seen, fixed and published.

`dates` reads single timestamps. This module selects the order of day and month of each column, and
checks the days of a row against the scan date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final, TypeAlias

from hextrackr_server.imports.formats.columns import Columns, Row, find_columns
from hextrackr_server.imports.formats.dates import OrderEvidence, is_ambiguous, read_day
from hextrackr_server.imports.formats.file_warnings import FileWarnings
from hextrackr_server.imports.formats.profile import DateOrder, Profile
from hextrackr_server.imports.formats.spreadsheet_marks import read_text

DEFAULT_ORDER: Final[DateOrder] = "mdy"
SEEN_FIELDS: Final = ("first_seen", "last_seen")
OTHER_FIELDS: Final = ("fixed_on", "patched", "kev_due")

_DATE_FIELDS: Final = (*SEEN_FIELDS, "published", *OTHER_FIELDS)
_CACHED_DAYS: Final = 8192
_LONGEST_CACHED: Final = 255

SettleOrders: TypeAlias = Callable[[], Mapping[int, DateOrder]]
"""Returns the order of day and month by column index, from all rows of the file."""


class DayReader:
    """A reader for the days of one file's rows.

    `scan_date` (YYYY-MM-DD) stands for days that the file does not hold. `settle_orders` is called
    at the first date that may be read in two ways.
    """

    def __init__(
        self,
        profile: Profile,
        columns: Columns,
        scan_date: str,
        settle_orders: SettleOrders | None = None,
    ) -> None:
        self._columns = columns
        self._default = profile.date_order or DEFAULT_ORDER
        self._scan_date = scan_date
        self._latest_year = int(scan_date[:4])
        self._latest_day = shift_day(scan_date, 1)
        self._settle_orders = settle_orders
        self._orders: Mapping[int, DateOrder] | None = None
        self._days: dict[tuple[int, str], str | None] = {}

    def read(self, row: Row, field: str) -> str | None:
        """Return a day of a row as YYYY-MM-DD, or None."""
        found = self._columns.first_cell(row, field)
        if found is None:
            return None
        index, text = found
        self._columns.filled[field] += 1
        key = index, _without_time(text)
        if key in self._days:
            day = self._days[key]
        else:
            day = read_day(text, self._order_of(index, text), self._latest_year)
            if len(self._days) >= _CACHED_DAYS:
                self._days.clear()
            if len(text) <= _LONGEST_CACHED:
                self._days[key] = day
        if day is None:
            self._columns.failed[field] += 1
            self._columns.warn_of_cell(row, index, text, "not a date; the value is left out")
        return day

    def read_seen(self, row: Row) -> tuple[str, str]:
        """Return the first and the last day on which the finding was seen."""
        warn = self._columns.warn
        first, last = self.read(row, "first_seen"), self.read(row, "last_seen")
        if last is not None and last > self._latest_day:
            warn(row, "last_seen", last, f"later than the scan date {self._scan_date}")
        if first is None:
            first = last or self._scan_date
        if last is None:
            last = max(first, self._scan_date)
        if first > last:
            warn(row, "first_seen", first, f"later than last seen {last}, which is taken")
            first = last
        return first, last

    def _order_of(self, index: int, text: str) -> DateOrder:
        orders = self._orders
        if orders is None and self._settle_orders is not None and is_ambiguous(text):
            orders = self._orders = self._settle_orders()
        order = orders.get(index) if orders is not None else None
        return order or self._default


def _without_time(text: str) -> str:
    """Return the day of an ISO 8601 timestamp, and any other text as it is.

    Timestamps differ from row to row, days repeat.
    """
    is_iso = text[4:5] == "-" == text[7:8] and text[:4].isdigit() and not text[10:11].isdigit()
    return text[:10] if is_iso else text


def shift_day(day: str, days: int) -> str:
    """Return another day; the same at the end of the calendar."""
    try:
        return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
    except OverflowError:
        return day


def settle_date_orders(
    profile: Profile, header: Sequence[str], rows: Callable[[], Iterable[Sequence[str]]],
    warnings: FileWarnings,
) -> dict[int, DateOrder]:  # fmt: skip
    """Return the order of day and month of each date column, from all its cells."""
    columns = find_columns(profile, header)
    indexes = {index for field in _DATE_FIELDS for index in columns.get(field, ())}
    if not indexes:
        return {}
    evidence = {index: OrderEvidence() for index in indexes}
    for cells in rows():
        for index in indexes:
            if index < len(cells) and cells[index]:
                evidence[index].add(read_text(cells[index]))
    default = profile.date_order or DEFAULT_ORDER
    for index, found in evidence.items():
        if found.is_open:
            order = {"mdy": "month/day/year", "dmy": "day/month/year"}[default]
            warnings.add(
                header[index], None, None,
                f"{found.ambiguous} dates may be read in two ways; they are read as {order}",
            )  # fmt: skip
    return {index: found.order(default) for index, found in evidence.items()}
