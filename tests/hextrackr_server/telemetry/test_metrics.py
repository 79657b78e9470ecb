"""Tests of the Prometheus text format."""

from __future__ import annotations

from hextrackr_server.telemetry.metrics import Metrics
from tests.hextrackr_server.support import FakeClock


def test_prometheus_numbers_have_all_digits() -> None:
    clock = FakeClock()
    metrics = Metrics(clock)
    metrics.gauge("events_total", lambda: 12_345_678)
    metrics.gauge("seconds", lambda: 1_234_567.125)
    metrics.errors["packet"] = 10_000_001
    clock.advance(0.5)
    lines = metrics.prometheus().splitlines()
    assert "hextrackr_events_total 12345678" in lines
    assert "hextrackr_seconds 1234567.125" in lines
    assert 'hextrackr_errors_total{type="packet"} 10000001' in lines
    assert "hextrackr_connections_total 0" in lines
    assert "hextrackr_uptime_seconds 0.5" in lines
