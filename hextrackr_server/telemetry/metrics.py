"""Counters and gauges of the running server, as JSON and in the Prometheus text format."""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from hextrackr_server.clock import Clock

RETURN_SECONDS = 60.0
MAXIMUM_REMEMBERED = 10_000

Gauge = Callable[[], float]

_HELP = {
    "connections_total": "Accepted sockets",
    "connections": "Connected sockets",
    "reconnections_total": "Sockets that reconnected: recovered, or within a minute",
    "errors_total": "Errors by type",
}


class Metrics:
    """Counters of this module, and gauges that read counters of other modules."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._gauges: dict[str, Gauge] = {}
        self._left: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.connections = 0
        self.reconnections = 0
        self.errors: Counter[str] = Counter()

    def gauge(self, name: str, read: Gauge) -> None:
        """Add a gauge that `read` supplies; a name that ends in `_total` is a counter."""
        self._gauges[name] = read

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
            "activeConnections": int(self._gauges.get("connections", _zero)()),
            "reconnections": self.reconnections,
            "errors": sum(self.errors.values()),
            "errorsByType": dict(self.errors),
            "uptimeSeconds": round(self._clock.monotonic() - self._started, 3),
            "memoryBytes": resident_bytes(),
            "gauges": {name: read() for name, read in self._gauges.items()},
            "timestamp": self._clock.epoch_ms(),
        }

    def prometheus(self) -> str:
        """Return all numbers in the Prometheus text format 0.0.4."""
        lines: list[str] = []
        _add(lines, "connections_total", {"": self.connections})
        _add(lines, "reconnections_total", {"": self.reconnections})
        by_type = {f'{{type="{kind}"}}': float(count) for kind, count in self.errors.items()}
        _add(lines, "errors_total", by_type or {"": 0})
        for name, read in self._gauges.items():
            _add(lines, name, {"": read()})
        _add(lines, "uptime_seconds", {"": self._clock.monotonic() - self._started})
        _add(lines, "memory_bytes", {"": resident_bytes()})
        return "\n".join(lines) + "\n"


def resident_bytes() -> int:
    """Return the memory of this process in bytes, or 0 on systems without /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _add(lines: list[str], name: str, values: Mapping[str, float]) -> None:
    kind = "counter" if name.endswith("_total") else "gauge"
    lines.append(f"# HELP hextrackr_{name} {_HELP.get(name, name.replace('_', ' '))}")
    lines.append(f"# TYPE hextrackr_{name} {kind}")
    lines += [f"hextrackr_{name}{labels} {_number(value)}" for labels, value in values.items()]


def _number(value: float) -> str:
    """Return a number with all its digits: rounded counters stand still for Prometheus."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _zero() -> float:
    return 0.0
