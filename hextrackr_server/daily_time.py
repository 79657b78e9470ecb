"""A time of day in a zone, as a schedule has it: `06:30 Europe/Berlin`.

Knows: zones, clocks that are put forward and back.  Does not know: what is scheduled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FORM = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9]) +(\S{1,64})")


@dataclass(frozen=True, slots=True)
class DailyTime:
    """Comes once on every day of its zone.

    Where the clock is put forward over it, it comes that much later; where the clock is put back
    over it, the first of the two times counts.
    """

    at: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> DailyTime:
        """The time that a text names; ValueError for what is none, or for a zone nobody knows."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no time with a zone")
        try:
            zone = ZoneInfo(match[3])
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"there is no zone {match[3]!r}") from error
        return cls(time(int(match[1]), int(match[2])), zone)

    def __str__(self) -> str:
        return f"{self.at:%H:%M} {self.zone.key}"

    def next_after(self, epoch_ms: int) -> int:
        """When it comes next, in ms since 1970: later than the given time, which is such, too."""
        # Put forward at midnight, yesterday's may still be ahead.
        day = datetime.fromtimestamp(epoch_ms / 1000, self.zone).date() - timedelta(days=1)
        while True:
            moment = datetime.combine(day, self.at, self.zone)
            found = round(moment.timestamp() * 1000)
            if found > epoch_ms:
                return found
            day += timedelta(days=1)
