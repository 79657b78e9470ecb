"""Durations on the command line of long programs, with their unit: `90s`, `10m`, `1h`."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Final

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> float:
    """Return a duration in seconds. Raises ArgumentTypeError, also for a number without a unit."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if seconds <= 0:
        raise ArgumentTypeError(
            f"a duration must be a positive number with a unit, such as 90s, 10m or 1h, got {text}"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """Return a duration as words: "20 minutes", "12 seconds"."""
    if seconds < 60:
        return f"{seconds:g} seconds"
    return f"{seconds / 60:g} minutes"
