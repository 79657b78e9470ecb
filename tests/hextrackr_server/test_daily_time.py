"""Tests of daily times across changes of daylight saving time."""

from __future__ import annotations

from datetime import datetime

import pytest

from hextrackr_server.daily_time import DailyTime

BERLIN = "Europe/Berlin"


def ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


@pytest.mark.parametrize(
    ("daily", "after", "then"),
    [
        (f"06:30 {BERLIN}", "2026-01-10T05:29:59+00:00", "2026-01-10T05:30:00+00:00"),
        (f"06:30 {BERLIN}", "2026-01-10T05:30:00+00:00", "2026-01-11T05:30:00+00:00"),
        # A day of 23 hours, then one of 25 hours.
        (f"06:30 {BERLIN}", "2026-03-28T05:30:00+00:00", "2026-03-29T04:30:00+00:00"),
        (f"06:30 {BERLIN}", "2026-10-24T04:30:00+00:00", "2026-10-25T05:30:00+00:00"),
        # 02:30 does not exist: an hour later. 02:30 exists twice: the first one.
        (f"02:30 {BERLIN}", "2026-03-28T12:00:00+00:00", "2026-03-29T01:30:00+00:00"),
        (f"02:30 {BERLIN}", "2026-10-24T12:00:00+00:00", "2026-10-25T00:30:00+00:00"),
        (f"02:30 {BERLIN}", "2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"),
        # The clock is set forward at midnight: the time of the evening follows on the next day.
        ("23:30 America/Scoresbysund", "2024-03-31T00:10:00+00:00", "2024-03-31T00:30:00+00:00"),
        ("0:05 UTC", "2026-01-10T23:59:59+00:00", "2026-01-11T00:05:00+00:00"),
    ],
)
def test_next_time_follows_the_clock_of_its_zone(daily: str, after: str, then: str) -> None:
    assert DailyTime.parse(daily).next_after(ms(after)) == ms(then)


def test_year_contains_one_time_per_day() -> None:
    daily, at, count = DailyTime.parse(f"02:30 {BERLIN}"), ms("2026-01-01T00:00:00+00:00"), 0
    while (at := daily.next_after(at)) < ms("2027-01-01T00:00:00+00:00"):
        count += 1
    assert count == 365


def test_text_is_normalized() -> None:
    assert str(DailyTime.parse(" 6:05  Europe/Berlin ")) == "06:05 Europe/Berlin"


@pytest.mark.parametrize(
    "text",
    ["", "06:30", "6 UTC", "24:00 UTC", "06:60 UTC", "06:30 Nowhere/City", "06:30 /etc/passwd",
     "06:30 ..", "06:30 Europe", "06:30 UTC daily", "06:30 " + "x" * 65],
)  # fmt: skip
def test_invalid_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time with a time zone|unknown time zone"):
        DailyTime.parse(text)
