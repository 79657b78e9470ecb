"""Times of day in a time zone, as a schedule contains them: `06:30 Europe/Berlin`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FORM = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9]) +(\S{1,64})")


@dataclass(frozen=True, slots=True)
class DailyTime:
    """A time that occurs once on each day of its time zone.

    If the clock is set forward over the time, the time occurs later by the same amount. If the
    clock is set back over it, the first of its two occurrences counts.
    """

    at: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> DailyTime:
        """Return the time that a text names.

        Raises ValueError for an invalid form or an unknown time zone.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a time with a time zone")
        try:
            zone = ZoneInfo(match[3])
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {match[3]!r}") from error
        return cls(time(int(match[1]), int(match[2])), zone)

    def __str__(self) -> str:
        return f"{self.at:%H:%M} {self.zone.key}"

    def next_after(self, epoch_ms: int) -> int:
        """Return the first occurrence after a time; both are in milliseconds since 1970."""
        # If the clock is set forward at midnight, yesterday's occurrence may still be ahead.
        day = datetime.fromtimestamp(epoch_ms / 1000, self.zone).date() - timedelta(days=1)
        while True:
            moment = datetime.combine(day, self.at, self.zone)
            found = round(moment.timestamp() * 1000)
            if found > epoch_ms:
                return found
            day += timedelta(days=1)
