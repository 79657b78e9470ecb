"""Metrics of imports: running and queued ones, and outcome, rows and duration of ended ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from engineio_core.counts import Histogram
from hextrackr_server.imports.progress_record import FINAL, ImportStatus, Record
from hextrackr_server.imports.progress_tracker import ProgressTracker
from hextrackr_server.telemetry.metrics import Metrics, describe
from socketio_core.server_metrics import MetricInfo, Sample

DURATION_BOUNDS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class ImportMetrics:
    """Counters of the ended imports of a tracker, including those that producers run."""

    def __init__(self, tracker: ProgressTracker, metrics: Metrics) -> None:
        self._tracker = tracker
        self._outcomes = Counter({str(status): 0 for status in sorted(FINAL)})
        self._rows = 0
        self._durations = Histogram(DURATION_BOUNDS)
        tracker.observers.append(self)
        metrics.group(
            [
                describe("imports_total", "Imports that have ended", ("outcome",)),
                describe("imports_running", "Imports that have begun and not ended"),
                describe("imports_queued", "Imports that wait for their start"),
                describe("import_rows_total", "Rows of completed imports"),
                MetricInfo(
                    "hextrackr_import_duration_seconds", "histogram",
                    "Time from the start of an import to its end", unit="seconds",
                ),
            ],
            self._samples,
        )  # fmt: skip

    def queued(self, record: Record) -> None:
        """Do nothing: the tracker has the number of queued imports."""

    def started(self, record: Record) -> None:
        """Do nothing: the tracker has the number of running imports."""

    def ended(self, record: Record) -> None:
        """Count an import by its outcome, and measure its duration."""
        self._outcomes[str(record.status)] += 1
        if record.status is ImportStatus.COMPLETED:
            self._rows += record.processed
        if record.started_at is not None and record.finished_at is not None:
            self._durations.observe(record.finished_at - record.started_at)

    def _samples(self) -> Iterator[Sample]:
        for outcome, count in self._outcomes.items():
            yield "hextrackr_imports", {"outcome": outcome}, count
        states = Counter(record.status for record in self._tracker.records())
        queued = states[ImportStatus.QUEUED]
        unfinished = sum(number for status, number in states.items() if status not in FINAL)
        yield "hextrackr_imports_queued", {}, queued
        yield "hextrackr_imports_running", {}, unfinished - queued
        yield "hextrackr_import_rows", {}, self._rows
        yield "hextrackr_import_duration_seconds", {}, self._durations
