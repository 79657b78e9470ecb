"""Series of samples, their growth, and the limits of growth.

The growth of a series is that of the second half, because caches fill in the first one: the slope
of the Theil-Sen regression (the median of the slopes of all pairs) times the length of the half.
Single peaks do not change this slope.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from statistics import mean, median
from typing import Final, NamedTuple


class Metric(NamedTuple):
    """A quantity of a server, its unit, and how much it may grow: a share, or at least an amount.

    A share of None sets no limit: objects and tasks with clients follow the number of clients per
    second, which a busy machine changes. Without clients, their numbers are exact.
    """

    name: str
    unit: str
    share: float | None
    amount: float


METRICS: Final = (
    Metric("memory", "MB", 0.05, 3.0),
    Metric("live objects", "", None, 0.0),
    Metric("descriptors", "", 0.05, 6.0),
    Metric("tasks", "", None, 0.0),
    Metric("threads", "", 0.05, 3.0),
    Metric("round trip, median", "ms", 0.5, 5.0),
    Metric("round trip, p99", "ms", None, 0.0),
)

KEPT: Final = {
    "engineio_core.logs.limiter._Window": 60,
    "hextrackr_server.findings.statistics._Answer": 128,
    "hextrackr_server.imports.progress_record.Record": 500,
    "hextrackr_server.imports.uploads.Upload": 80,
    "socketio_core.adapters.redis.link.Command": 20,
    "socketio_core.adapters.streams.link.Entry": 20,
    "socketio_core.adapters.streams.order.LocalEvent": 20,
    "socketio_core.handlers.runner._SpareTask": 4,
}
"""Classes that a server keeps on purpose, and the limits of their numbers: cached statistics,
ended imports, waiting uploads, counts of the last minute of each kind of log line, events that
servers with Redis send at the time of a count, and tasks that the next handlers use."""

IDLE_MEMORY: Final = 0.05
"""The share by which the memory without clients may rise."""
IDLE_AMOUNTS: Final = {"descriptors": 6, "threads": (os.cpu_count() or 1) + 4, "tasks": 2}
"""By how much other resources without clients may rise: pools start threads when they need them."""


@dataclass
class Series:
    """The samples of one metric, with their times in seconds."""

    metric: Metric
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, time: float, value: float) -> None:
        """Add a sample; times must increase."""
        self.times.append(time)
        self.values.append(value)

    @property
    def middle(self) -> int:
        """The index of the first sample of the second half."""
        return len(self.values) // 2

    @property
    def growth(self) -> float:
        """The growth over the second half; 0 for less than three samples there."""
        times, values = self.times[self.middle :], self.values[self.middle :]
        if len(values) < 3:
            return 0.0
        points = list(zip(times, values, strict=True))
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2)]
        return median(slopes) * (times[-1] - times[0])

    @property
    def limit(self) -> float | None:
        """The growth that the metric may have; None without a limit."""
        if self.metric.share is None:
            return None
        return max(self.metric.share * mean(self.values[self.middle :]), self.metric.amount)

    @property
    def has_grown(self) -> bool:
        """Whether the growth is above the limit."""
        return self.limit is not None and self.growth > self.limit


class Idle(NamedTuple):
    """The state of a server without clients: objects per class, and values by metric."""

    objects: dict[str, int]
    values: dict[str, float]


@dataclass
class Record:
    """The samples of one server, and what it held without clients before and after them."""

    name: str
    series: list[Series] = field(default_factory=lambda: [Series(each) for each in METRICS])
    idle: list[Idle] = field(default_factory=list)
    clients: dict[str, int] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    """Errors of the measuring client, and their numbers."""
    starved: Counter[str] = field(default_factory=Counter)
    """Those during which the server had no processor for most of the time: no failures."""

    def add(self, time: float, values: dict[str, float]) -> None:
        """Add a sample of all metrics."""
        for each in self.series:
            if each.metric.name in values:
                each.add(time, values[each.metric.name])

    @property
    def remaining(self) -> dict[str, int]:
        """The classes with more objects without clients than before, and the difference."""
        before, after = self.idle[0].objects, self.idle[-1].objects
        return {
            name: count - before.get(name, 0)
            for name, count in after.items()
            if count > max(before.get(name, 0), KEPT.get(name, 0))
        }

    def failures(self, *, with_growth: bool, idle_memory: float = IDLE_MEMORY) -> list[str]:
        """Return a text for each failure; `with_growth` includes growth over the second half."""
        found = [
            f"{each.metric.name} grows by {each.growth:.1f} {each.metric.unit}"
            for each in self.series
            if with_growth and each.has_grown
        ]
        if self.remaining:
            found.append(f"objects remain without clients: {self.remaining}")
        before, after = self.idle[0].values, self.idle[-1].values
        rise = after["memory"] / before["memory"] - 1
        if rise > idle_memory:
            found.append(f"memory without clients rises by {rise:.1%}")
        for name, amount in IDLE_AMOUNTS.items():
            if after[name] - before[name] > amount:
                found.append(f"{name} remain without clients: {after[name] - before[name]:.0f}")
        if self.lost:
            found.append(_describe(self.lost))
        return [f"{self.name}: {each}" for each in found]

    def notes(self) -> list[str]:
        """Return a text for the errors that the load of the machine explains."""
        if not self.starved:
            return []
        return [f"{self.name}: {_describe(self.starved)}, while the server had no processor"]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the rows of the table: one per metric, and two for the time without clients."""
        rows = []
        for each in self.series:
            values, unit = each.values, each.metric.unit
            limit = "" if each.limit is None else f"{each.limit:.1f} {unit}".strip()
            verdict = "" if each.limit is None else ("grows" if each.has_grown else "held")
            shown = [f"{value:.1f}" for value in (values[0], values[each.middle], values[-1])]
            rows.append((
                self.name, f"{each.metric.name} ({unit})" if unit else each.metric.name,
                *shown, f"{each.growth:+.1f}", limit, verdict,
            ))  # fmt: skip
        before, after = self.idle[0].values, self.idle[-1].values
        for name, limit in (("memory", f"{before['memory'] * IDLE_MEMORY:.1f} MB"), *(
            (name, str(amount)) for name, amount in IDLE_AMOUNTS.items()
        )):  # fmt: skip
            most = IDLE_AMOUNTS.get(name, before[name] * IDLE_MEMORY)
            rise = after[name] - before[name]
            rows.append((
                self.name, f"{name} without clients", f"{before[name]:.1f}", "",
                f"{after[name]:.1f}", f"{rise:+.1f}", limit, "rises" if rise > most else "held",
            ))  # fmt: skip
        first, last = (sum(each.objects.values()) for each in (self.idle[0], self.idle[-1]))
        rows.append((
            self.name, "live objects without clients", f"{first}", "", f"{last}",
            f"{last - first:+d}", "0 per class", "remain" if self.remaining else "held",
        ))  # fmt: skip
        return rows


def _describe(errors: Counter[str]) -> str:
    reasons = ", ".join(f"{number} x {each}" for each, number in errors.items())
    return f"{errors.total()} acked events had no answer: {reasons}"


HEADS: Final = ("server", "metric", "start", "half", "end", "growth", "limit", "")
