"""Counters and gauges of the running server, as JSON and as samples for Prometheus.

`exposition` exports the samples, together with those of the Socket.IO server.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from hextrackr_server.clock import Clock
from socketio_core.server_metrics import MetricInfo, Sample

RETURN_SECONDS = 60.0
MAXIMUM_REMEMBERED = 10_000

Gauge = Callable[[], float]

#: The words that `Metrics.error` receives.
ERRORS = ("connect", "handler", "handshake", "packet")
UNITS = ("seconds", "bytes")

ReadGroup = Callable[[], Iterable[Sample]]


class Metrics:
    """Counters of this module, and gauges that read counters of other modules.

    `infos` describes all metrics, by name.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._gauges: dict[str, Gauge] = {}
        self._groups: list[ReadGroup] = []
        self.infos: dict[str, MetricInfo] = {}
        self._add(
            describe("connections_total", "Accepted sockets"),
            describe(
                "reconnections_total", "Sockets that reconnected: recovered, or within a minute"
            ),
            describe("errors_total", "Errors by type", ("type",)),
            describe("uptime_seconds", "Time since the start of the server"),
            describe("memory_bytes", "Resident memory of the process"),
        )
        self._left: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.connections = 0
        self.reconnections = 0
        self.errors: Counter[str] = Counter()

    def gauge(self, name: str, read: Gauge, help_text: str) -> None:
        """Add a gauge that `read` supplies; a name that ends in `_total` is a counter.

        `help_text` describes the number in a few words.
        """
        self._add(describe(name, help_text))
        self._gauges[name] = read

    def group(self, infos: Iterable[MetricInfo], read: ReadGroup) -> None:
        """Add metrics with labels, or histograms, whose samples `read` returns."""
        self._add(*infos)
        self._groups.append(read)

    def _add(self, *infos: MetricInfo) -> None:
        for info in infos:
            # In OpenMetrics, a gauge cannot have the name of a counter without `_total`.
            if info.name in self.infos:
                raise ValueError(f"there is a metric {info.name} already: use another name")
            self.infos[info.name] = info

    def connected(self, user_id: str, address: str, *, recovered: bool) -> None:
        """Count an accepted socket.

        The socket is a reconnection if it was recovered, or if a socket of the same user and
        address was lost within the last minute.
        """
        self.connections += 1
        left = self._left.pop((user_id, address), None)
        now = self._clock.monotonic()
        if recovered or (left is not None and now - left <= RETURN_SECONDS):
            self.reconnections += 1

    def lost(self, user_id: str, address: str) -> None:
        """Record a socket that was disconnected unintentionally."""
        self._left[user_id, address] = self._clock.monotonic()
        self._left.move_to_end((user_id, address))
        if len(self._left) > MAXIMUM_REMEMBERED:
            self._left.popitem(last=False)

    def error(self, kind: str) -> None:
        """Count an error; `kind` is one of a few fixed words."""
        self.errors[kind] += 1

    def snapshot(self) -> dict[str, Any]:
        """Return all numbers; the first four keys are those of the guide."""
        return {
            "totalConnections": self.connections,
            "activeConnections": int(self._gauges.get("active_connections", _zero)()),
            "reconnections": self.reconnections,
            "errors": sum(self.errors.values()),
            "errorsByType": dict(self.errors),
            "uptimeSeconds": round(self._clock.monotonic() - self._started, 3),
            "memoryBytes": resident_bytes(),
            "gauges": {name: read() for name, read in self._gauges.items()},
            "timestamp": self._clock.epoch_ms(),
        }

    def samples(self) -> Iterator[Sample]:
        """Yield the value of each metric for Prometheus."""
        yield _name("connections_total"), {}, self.connections
        yield _name("reconnections_total"), {}, self.reconnections
        for kind, count in (dict.fromkeys(ERRORS, 0) | self.errors).items():
            yield _name("errors_total"), {"type": kind}, count
        yield _name("uptime_seconds"), {}, self._clock.monotonic() - self._started
        yield _name("memory_bytes"), {}, resident_bytes()
        for name, read in self._gauges.items():
            yield _name(name), {}, float(read())
        for read_group in self._groups:
            yield from read_group()


def resident_bytes() -> int:
    """Return the memory of this process in bytes, or 0 on systems without /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def describe(name: str, help_text: str, labels: tuple[str, ...] = ()) -> MetricInfo:
    """Return the description of a counter, if the name ends in `_total`, or of a gauge."""
    unit = next((unit for unit in UNITS if _name(name).endswith(f"_{unit}")), "")
    kind: Literal["counter", "gauge"] = "counter" if name.endswith("_total") else "gauge"
    return MetricInfo(_name(name), kind, help_text, labels, unit)


def _name(name: str) -> str:
    """Return the name with the prefix of the hub; a counter's without its suffix."""
    return f"hextrackr_{name.removesuffix('_total')}"


def _zero() -> float:
    return 0.0
