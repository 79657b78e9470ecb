"""Cleaning of untrusted text and recognition of dates, for all readers of files and payloads."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

MAXIMUM_TEXT = 10_000
_MAXIMUM_DATE = 255

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff\ud800-\udfff]")
_CONTROL_EXCEPT_LINES = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff\ud800-\udfff]"
)
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?=$|[T ])")
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?=$| )")


def clean(text: str, limit: int) -> str:
    """Return a text on one line, without control characters, cut to `limit` characters."""
    if _CONTROL.search(text):
        text = " ".join(_CONTROL.sub(" ", text).split())
    return text[:limit]


def clean_text(text: str) -> str:
    """Return a text without control characters except line breaks and tabs, cut to a limit."""
    return _CONTROL_EXCEPT_LINES.sub("", text[:MAXIMUM_TEXT])


def iso_date(text: str) -> str | None:
    """Return the day of a timestamp as YYYY-MM-DD, or None if the text is not a date.

    Accepted forms are ISO 8601 and month/day/year.
    """
    return _iso_date(text[:_MAXIMUM_DATE])


# Exports repeat the same dates in row after row. The argument is cut first, so that the cache
# does not hold the longest cells of a hostile file.
@lru_cache(maxsize=4096)
def _iso_date(text: str) -> str | None:
    if match := _ISO_DATE.match(text):
        year, month, day = match.groups()
    elif match := _US_DATE.match(text):
        month, day, year = match.groups()
    else:
        return None
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None
