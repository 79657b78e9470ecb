"""Tests of the stored progress of producers' imports."""

from __future__ import annotations

from typing import Any

from hextrackr_server.imports.journal import FLUSH_SECONDS, ImportJournal, JournalStore
from hextrackr_server.imports.progress_record import ImportStatus
from hextrackr_server.imports.progress_tracker import KEEP_SECONDS, ProgressTracker
from tests.hextrackr_server.support import FakeClock, Recorder, Workbench


class Bench:
    """A tracker whose journal writes at once, and the number of its writes."""

    def __init__(self, workbench: Workbench) -> None:
        self.clock = FakeClock()
        self.store = JournalStore(workbench.database)
        self.writes = 0
        self.tracker = ProgressTracker(Recorder(), self.clock)
        self.journal = ImportJournal(self.store, self._write, self.clock)
        self.tracker.on_change = self.journal.note
        self.tracker.on_forget = self.journal.forget

    def _write(self, call: Any, *args: Any) -> None:
        self.writes += 1
        call(*args)

    def states(self) -> list[dict[str, Any]]:
        return self.store.load(0)


def test_start_and_end_are_stored_at_once_and_progress_within_a_second(
    workbench: Workbench,
) -> None:
    bench = Bench(workbench)
    bench.tracker.open("a", "7", {"text": "\x00\ud800"})
    assert [state["status"] for state in bench.states()] == ["starting"]
    for number in range(50):
        bench.tracker.update("a", ImportStatus.PROCESSING, number, 100, number, "\x00")
    assert bench.writes == 1
    bench.clock.advance(FLUSH_SECONDS)
    (state,) = bench.states()
    assert (bench.writes, state["processed"], state["message"]) == (2, 49, "\x00")
    bench.tracker.complete("a", {"message": "done", "importSummary": {"x": 1}})
    (state,) = bench.states()
    assert (state["status"], state["metadata"]["importSummary"]) == ("completed", {"x": 1})


def test_imports_of_this_server_are_not_stored(workbench: Workbench) -> None:
    bench = Bench(workbench)
    bench.tracker.queue(5, "7", "scan.csv", None, session_id="s-5")
    bench.tracker.start(5)
    bench.tracker.complete(5, {"totalProcessed": 1})
    bench.clock.advance(FLUSH_SECONDS)
    assert bench.states() == []


def test_forgotten_import_is_deleted(workbench: Workbench) -> None:
    bench = Bench(workbench)
    bench.tracker.open("a", None)
    bench.tracker.complete("a", {})
    bench.clock.advance(KEEP_SECONDS)
    bench.tracker.sweep()
    bench.clock.advance(FLUSH_SECONDS)
    assert bench.states() == []


def test_restored_record_has_the_times_of_the_stored_one(workbench: Workbench) -> None:
    bench = Bench(workbench)
    bench.tracker.queue(1_800_000_000_000, "7", "x.csv", "cisco", session_id="s", total=4)
    bench.tracker.start("s")
    bench.clock.advance(2)
    bench.tracker.fail("s", {"code": "X", "message": "no"})
    later = Bench(workbench)
    later.clock.advance(100)
    (state,) = later.states()
    record = later.journal.restore(state)
    assert record.elapsed_ms(later.clock.monotonic()) == 2000
    assert (record.import_id, record.user_id, record.vendor) == (1_800_000_000_000, "7", "cisco")
    assert record.result == {"code": "X", "message": "no"}
    # Imports that ended before the given time are deleted.
    assert later.store.load(state["finished_at"] + 1) == []
    assert later.states() == []
