"""Durations on the command lines of `make soak` and `make fuzz`."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from benchmarks.duration import format_duration, parse_duration


@pytest.mark.parametrize(("text", "seconds"), [
    ("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("0.2m", 12.0),
])  # fmt: skip
def test_duration_is_returned_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["60", "0s", "-1m", "10 m", "10min", "m", "1d", "", "1e3s"])
def test_duration_without_number_or_unit_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"such as 90s, 10m or 1h, got {text}$"):
        parse_duration(text)


def test_duration_is_formatted_in_words() -> None:
    assert [format_duration(each) for each in (12.0, 1200.0, 90.0)] == [
        "12 seconds", "20 minutes", "1.5 minutes",
    ]  # fmt: skip
