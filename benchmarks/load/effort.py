"""Holds the sizes of the load benchmark: the full run for the table, and the quick one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Effort:
    """Rounds, numbers of connections, and durations in seconds."""

    rounds: int
    most_idle: int
    ping_interval: float
    victim_seconds: float
    ack_seconds: float
    reconnecting: int
    tick_seconds: int

    @property
    def few_rounds(self) -> int:
        """The rounds of parts whose figures hardly vary."""
        return max(1, self.rounds - 1)


FULL: Final = Effort(
    rounds=3, most_idle=50_000, ping_interval=10.0, victim_seconds=5.0, ack_seconds=2.0,
    reconnecting=5000, tick_seconds=5,
)  # fmt: skip
QUICK: Final = Effort(
    rounds=1, most_idle=500, ping_interval=1.0, victim_seconds=1.0, ack_seconds=0.2,
    reconnecting=200, tick_seconds=1,
)  # fmt: skip
