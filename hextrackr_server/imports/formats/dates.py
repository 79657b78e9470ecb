"""Days from the timestamps of scanners.

The day is taken as written, as the scanner's console shows it; time zones are not applied. Numeric
dates such as 05/06/2030 are ambiguous: `OrderEvidence` decides the order for a whole column.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final

from hextrackr_server.imports.formats.profile import DateOrder

LONGEST: Final = 64

_YEAR_FIRST: Final = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
_COMPACT: Final = re.compile(
    r"(\d{4})(\d{2})(\d{2})(?:T\d{4,9}Z?|\d{6}|[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?Z?)?"
)
_NUMERIC: Final = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
_MONTH_FIRST: Final = re.compile(
    r"(?:[a-z]{3,9},?\s+)?([a-z]{3,9})\.?(?:\s+|[/-])(\d{1,2})(?:st|nd|rd|th)?(?:,\s*|\s+|[/-])"
    r"(\d{4})(?!\d)",
    re.IGNORECASE,
)
# Thu May 30 15:24:32 2030
_YEAR_LAST: Final = re.compile(
    r"(?:[a-z]{3},?\s+)?([a-z]{3})\s+(\d{1,2})\s+\d{1,2}:\d{2}:\d{2}\s+(?:[a-z]{3,5}\s+)?(\d{4})$",
    re.IGNORECASE,
)
_DAY_FIRST: Final = re.compile(
    # The digits before a time and a year are an hour: `30 May 10:11:12 2030`.
    r"(?:[a-z]{3,9},?\s+)?(\d{1,2})(?:st|nd|rd|th)?\.?[\s/-]*([a-z]{3,9})\.?,?[\s/-]*"
    r"(\d{4}|\d{2})(?!\d|:\d{2}(?::\d{2})?\s+\d{4})",
    re.IGNORECASE,
)
_YEAR_NAMED: Final = re.compile(r"(\d{4})[\s/-]([a-z]{3,9})[\s/-](\d{1,2})(?!\d)", re.IGNORECASE)
# Text marks of spreadsheets: an apostrophe, directions of writing, a byte-order mark.
_MARKS: Final = "'\u200b\u200e\u200f\ufeff"
_EPOCH: Final = re.compile(r"\d{10}(?:\d{3})?(?:\.\d+)?")
_MONTH_NAMES: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTHS: Final = {
    word: number
    for number, name in enumerate(_MONTH_NAMES, 1)
    for word in (name, name[:3], *(("sept",) if name == "september" else ()))
}


class OrderEvidence:
    """Evidence for the order of day and month in one column."""

    __slots__ = ("ambiguous", "day_first", "month_first")

    def __init__(self) -> None:
        self.day_first = 0
        self.month_first = 0
        self.ambiguous = 0

    def add(self, text: str) -> None:
        """Count one cell; texts of other forms are ignored."""
        match = _NUMERIC.match(_bare(text))
        if match is None or match[2] == ".":
            return
        first, second = int(match[1]), int(match[3])
        if first > 12 >= second:
            self.day_first += 1
        elif second > 12 >= first:
            self.month_first += 1
        elif first != second:
            self.ambiguous += 1

    def order(self, default: DateOrder) -> DateOrder:
        """Return the order of the column; the default where the cells do not settle it."""
        if bool(self.day_first) == bool(self.month_first):
            return default
        return "dmy" if self.day_first else "mdy"

    @property
    def is_open(self) -> bool:
        """Return whether ambiguous cells are read by the default order."""
        return self.ambiguous > 0 and bool(self.day_first) == bool(self.month_first)


def is_ambiguous(text: str) -> bool:
    """Return whether day and month of a numeric date may be exchanged."""
    match = _NUMERIC.match(_bare(text))
    if match is None or match[2] == ".":
        return False
    first, second = int(match[1]), int(match[3])
    return first <= 12 and second <= 12 and first != second


def read_day(text: str, order: DateOrder, latest_year: int) -> str | None:
    """Return the day as YYYY-MM-DD, or None if the text is not a date.

    `latest_year` bounds two-digit years: the latest century that does not pass it is taken.
    """
    text = _bare(text)
    found = _read(text, order, latest_year)
    if found is None:
        return None
    try:
        return date(*found).isoformat()
    except ValueError:
        return None


def _bare(text: str) -> str:
    """Return a text without the apostrophe and the invisible marks that spreadsheets add."""
    return text[:LONGEST].strip().lstrip(_MARKS)


def _read(text: str, order: DateOrder, latest_year: int) -> tuple[int, int, int] | None:
    if match := _YEAR_FIRST.match(text):
        return int(match[1]), int(match[3]), int(match[4])
    if match := _NUMERIC.match(text):
        first, second = int(match[1]), int(match[3])
        year = _full_year(match[4], latest_year)
        is_day_first = match[2] == "." or first > 12 or (order == "dmy" and second <= 12)
        return (year, second, first) if is_day_first else (year, first, second)
    if _EPOCH.fullmatch(text):
        return _read_epoch(text)
    if match := _COMPACT.fullmatch(text):
        return int(match[1]), int(match[2]), int(match[3])
    if match := _MONTH_FIRST.match(text) or _YEAR_LAST.match(text):
        return _named(match[3], match[1], match[2], latest_year)
    if match := _DAY_FIRST.match(text):
        return _named(match[3], match[2], match[1], latest_year)
    if match := _YEAR_NAMED.match(text):
        return _named(match[1], match[2], match[3], latest_year)
    return None


def _named(year: str, month: str, day: str, latest_year: int) -> tuple[int, int, int] | None:
    number = _MONTHS.get(month.lower())
    return None if number is None else (_full_year(year, latest_year), number, int(day))


def _full_year(text: str, latest_year: int) -> int:
    year = int(text)
    if len(text) == 4:
        return year
    year += latest_year - latest_year % 100
    return year if year <= latest_year else year - 100


def _read_epoch(text: str) -> tuple[int, int, int] | None:
    whole = text.partition(".")[0]
    seconds = int(whole) / (1000 if len(whole) == 13 else 1)
    day = datetime.fromtimestamp(seconds, UTC)
    return day.year, day.month, day.day


# -- scan dates in file names

_NAME_YEAR_FIRST: Final = re.compile(r"(?<!\d)(20\d{2})([-_.]?)(\d{2})\2(\d{2})(?!\d)")
_NAME_MONTH_FIRST: Final = re.compile(r"(?<!\d)(\d{1,2})([-_.])(\d{1,2})\2(20\d{2})(?!\d)")
_NAME_MONTH: Final = re.compile(
    r"(?<![a-z])(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)[-_ .]?(\d{1,2})(?!\d)"
    r"(?:[-_ .,]{1,2}(20\d{2})(?!\d))?",
    re.IGNORECASE,
)


def day_in_file_name(name: str, today: date) -> str | None:
    """Return the scan date that a file name holds, or None.

    HexTrackr writes `scan-09-30-2025`, `scan_2025_09_30` and `...sept01`: month before day, and
    the latest such day that is not after today where the year is missing.
    """
    if match := _NAME_YEAR_FIRST.search(name):
        found = int(match[1]), int(match[3]), int(match[4])
    elif match := _NAME_MONTH_FIRST.search(name):
        first, second = int(match[1]), int(match[3])
        month, day = (second, first) if first > 12 else (first, second)
        found = int(match[4]), month, day
    elif match := _NAME_MONTH.search(name):
        month, day = _MONTHS[match[1][:3].lower()], int(match[2])
        year = int(match[3] or today.year)
        if not match[3] and (month, day) > (today.month, today.day):
            year -= 1
        found = year, month, day
    else:
        return None
    try:
        return date(*found).isoformat()
    except ValueError:
        return None
