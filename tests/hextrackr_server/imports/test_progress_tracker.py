"""Tests of the progress events of imports."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hextrackr_server.imports import progress_tracker
from hextrackr_server.imports.progress_record import ImportStatus, percentage
from hextrackr_server.imports.progress_tracker import ProgressTracker
from tests.hextrackr_server.support import FakeClock, Recorder

RESULT: dict[str, Any] = {
    "totalProcessed": 10,
    "errors": 1,
    "errorDetails": [{"row": 3, "column": "", "message": "bad"}],
    "summary": {"inserted": 9},
}


class Bench:
    def __init__(self) -> None:
        self.clock, self.sent = FakeClock(), Recorder()
        self.tracker = ProgressTracker(self.sent, self.clock)
        self.tracker.queue(5, "7", "scan.csv", "cisco", session_id="s-5")

    def update(self, processed: int, total: int | None = 10, overall: int = 50) -> None:
        self.tracker.update(5, ImportStatus.PROCESSING, processed, total, overall, "at work")

    def snapshot(self) -> dict[str, Any]:
        snapshot = self.tracker.snapshot(5)
        assert snapshot is not None
        return snapshot


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("processed", "total", "share"),
    [
        (0, None, 0),
        (0, 0, 0),
        (5, 0, 0),
        (1, -5, 0),
        (-1, 5, 0),
        (1, 3, 33),
        (2, 3, 67),
        (9, 3, 100),
    ],
)
def test_percentage_is_an_integer_from_0_to_100(
    processed: int, total: int | None, share: int
) -> None:
    assert percentage(processed, total) == share


def test_start_notifies_the_owner(bench: Bench) -> None:
    bench.tracker.start(5)
    assert bench.sent.sent == [
        (
            "user-7",
            "import-started",
            {
                "importId": 5,
                "sessionId": "s-5",
                "totalRecords": None,
                "filename": "scan.csv",
                "vendor": "cisco",
                "timestamp": bench.clock.epoch_ms(),
            },
        )
    ]


def test_start_notifies_once_when_called_twice(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.tracker.start(5)
    assert len(bench.sent.sent) == 1


def test_progress_is_sent_flat_and_nested(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.clock.advance(1.5)
    bench.update(4)
    (payload,) = bench.sent.payloads("import-progress")
    assert bench.sent.events()[-1] == ("import-5+user-7", "import-progress")
    timestamp = bench.clock.epoch_ms()
    assert payload == {
        "importId": 5,
        "sessionId": "s-5",
        "processed": 4,
        "total": 10,
        "percentage": 40,
        "overall": 50,
        "status": "processing",
        "elapsedTime": 1500,
        "etaMs": 1500,
        "rate": 2.7,
        "timestamp": timestamp,
        "message": "at work",
        "seq": 1,
        "progress": {
            "processed": 4,
            "total": 10,
            "percentage": 40,
            "status": "processing",
            "timestamp": timestamp,
        },
    }


def test_burst_of_updates_sends_the_first_and_the_last(bench: Bench) -> None:
    for processed in range(1, 8):
        bench.update(processed)
        bench.clock.advance(0.01)
    assert [each["processed"] for each in bench.sent.payloads("import-progress")] == [1]
    bench.clock.advance(0.1)
    assert [each["processed"] for each in bench.sent.payloads("import-progress")] == [1, 7]
    bench.clock.advance(1)
    assert len(bench.sent.payloads("import-progress")) == 2


def test_user_receives_each_state_and_each_tenth_once(bench: Bench) -> None:
    for share in range(100):
        bench.update(share, total=100, overall=share)
        bench.clock.advance(0.1)
    bench.tracker.update(5, ImportStatus.FINALIZING, 99, 100, 99, "nearly")
    rooms = [room for room, event in bench.sent.events() if event == "import-progress"]
    assert len(rooms) == 101
    assert [number for number, room in enumerate(rooms) if room == "import-5+user-7"] == [
        *range(0, 100, 10), 100,
    ]  # fmt: skip


def test_steady_progress_is_sent_ten_times_a_second(bench: Bench) -> None:
    for processed in range(1000):
        bench.update(processed, total=1000)
        bench.clock.advance(0.005)
    assert 48 <= len(bench.sent.payloads("import-progress")) <= 51


def test_pending_progress_is_sent_before_the_end(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.update(1)
    bench.update(9)
    bench.tracker.complete(5, RESULT)
    assert bench.sent.events()[1:] == [
        ("import-5+user-7", "import-progress"),
        ("import-5", "import-progress"),
        ("import-5", "import-completed"),
        ("user-7", "import-finished"),
    ]
    assert bench.sent.payloads("import-progress")[-1]["processed"] == 9
    bench.clock.advance(1)
    assert len(bench.sent.events()) == 5


def test_completion_sends_the_same_object_to_room_and_owner(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.clock.advance(2)
    bench.tracker.complete(5, RESULT)
    (completed,), (finished,) = (
        bench.sent.payloads("import-completed"),
        bench.sent.payloads("import-finished"),
    )
    assert completed == finished
    assert completed == RESULT | {
        "importId": 5,
        "sessionId": "s-5",
        "status": "completed",
        "duration": 2000,
        "timestamp": bench.clock.epoch_ms(),
    }


def test_failure_notifies_room_and_owner(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.update(3)
    bench.tracker.fail(5, {"code": "VALIDATION_ERROR", "message": "foreign", "fields": []})
    assert bench.sent.events()[-2:] == [
        ("import-5+user-7", "import-failed"),
        ("import-5+user-7", "application-error"),
    ]
    payload = bench.sent.payloads("import-failed")[0]
    assert payload["status"] == "failed"
    assert (payload["code"], payload["message"]) == ("VALIDATION_ERROR", "foreign")
    assert (payload["processed"], payload["total"], payload["duration"]) == (3, 10, 0)


def test_ended_import_ignores_later_reports(bench: Bench) -> None:
    bench.tracker.fail(5, {"code": "X", "message": "no"})
    sent = len(bench.sent.sent)
    bench.update(10)
    bench.tracker.start(5)
    bench.tracker.complete(5, RESULT)
    assert len(bench.sent.sent) == sent
    assert bench.snapshot()["status"] == "failed"


def test_snapshot_contains_the_result_after_the_end(bench: Bench) -> None:
    bench.tracker.complete(5, RESULT)
    snapshot = bench.snapshot()
    assert (snapshot["status"], snapshot["percentage"], snapshot["processed"]) == (
        "completed",
        100,
        10,
    )
    assert snapshot["result"] == RESULT


def test_snapshot_is_queued_before_the_start(bench: Bench) -> None:
    snapshot = bench.snapshot()
    assert (snapshot["status"], snapshot["total"], snapshot["percentage"]) == ("queued", None, 0)
    assert snapshot["elapsedTime"] == 0
    assert "result" not in snapshot


def test_snapshot_contains_progress_that_is_not_yet_sent(bench: Bench) -> None:
    bench.update(1)
    bench.update(6)
    assert bench.snapshot()["processed"] == 6


def test_elapsed_time_stops_at_the_end(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.clock.advance(1)
    bench.tracker.complete(5, RESULT)
    bench.clock.advance(100)
    assert bench.snapshot()["elapsedTime"] == 1000


def test_ended_import_is_kept_for_an_hour(bench: Bench) -> None:
    bench.tracker.queue(6, "7", "other.csv", None, session_id="s-6")
    bench.tracker.complete(5, RESULT)
    bench.clock.advance(3599)
    bench.tracker.sweep()
    assert bench.tracker.find(5) is not None
    bench.clock.advance(1)
    bench.tracker.queue(8, "7", "next.csv", None, session_id="s-8")
    assert bench.tracker.snapshot(5) is None
    assert bench.tracker.find(5) is None
    assert bench.tracker.find(6) is not None


def test_import_cannot_be_tracked_twice(bench: Bench) -> None:
    with pytest.raises(ValueError, match="already tracked"):
        bench.tracker.queue(5, "8", "mine.csv", None, session_id="s-5")


def test_reports_of_an_unknown_import_are_ignored(bench: Bench) -> None:
    bench.tracker.start(99)
    bench.tracker.update(99, ImportStatus.STAGING, 1, 2, 3, "")
    bench.tracker.complete(99, RESULT)
    assert bench.sent.sent == []


def test_close_cancels_all_timers(bench: Bench) -> None:
    bench.update(1)
    bench.update(2)
    bench.tracker.close()
    bench.clock.advance(1)
    assert len(bench.sent.payloads("import-progress")) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(-5, 2000),
            st.one_of(st.none(), st.integers(-1, 1000)),
            st.integers(-10, 200),
            st.floats(0, 0.3),
        ),
        max_size=40,
    )
)
def test_sent_percentages_never_decrease(
    updates: list[tuple[int, int | None, int, float]],
) -> None:
    bench = Bench()
    for processed, total, overall, pause in updates:
        bench.update(processed, total, overall)
        bench.clock.advance(pause)
    bench.clock.advance(1)
    told = bench.sent.payloads("import-progress")
    for name in ("percentage", "overall", "processed", "seq"):
        values = [each[name] for each in told]
        assert values == sorted(values)
        assert all(isinstance(value, int) for value in values)
    assert all(0 <= each["percentage"] <= 100 for each in told)
    if updates:
        assert told[-1]["processed"] == bench.snapshot()["processed"]


# -- the front end's contract


def test_session_receives_progress_with_metadata(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.clock.advance(1.5)
    bench.update(4)
    (update,) = bench.sent.payloads("progress-update")
    assert bench.sent.progress_events() == [("progress-s-5", "progress-update")]
    assert update == {
        "sessionId": "s-5",
        "progress": 50,
        "status": "processing",
        "message": "at work",
        "timestamp": bench.clock.epoch_ms(),
        "stage": "Processing",
        "current": 4,
        "total": 10,
        "eta": 2,
        "metadata": {
            "operation": "csv-import",
            "totalSteps": 3,
            "currentStep": 3,
            "importId": 5,
            "filename": "scan.csv",
            "vendor": "cisco",
            "scanDate": None,
            "rowCount": 10,
            "processedRows": 4,
            "message": "at work",
        },
    }


def test_import_summary_is_sent_to_the_session_only(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.clock.advance(2)
    bench.tracker.complete(5, RESULT | {"importSummary": {"comparison": {}}})
    (complete,) = bench.sent.payloads("progress-complete")
    assert (complete["progress"], complete["status"], complete["duration"]) == (
        100,
        "completed",
        2000,
    )
    assert complete["metadata"]["importSummary"] == {"comparison": {}}
    assert (complete["metadata"]["success"], complete["metadata"]["insertedToCurrent"]) == (True, 9)
    assert "importSummary" not in bench.sent.payloads("import-completed")[0]
    assert "importSummary" not in bench.snapshot()["result"]


def test_session_receives_an_error_status_after_a_failure(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.tracker.fail(5, {"code": "VALIDATION_ERROR", "message": "foreign"})
    assert [event for _, event in bench.sent.progress_events()] == [
        "progress-error",
        "progress-status",
    ]
    (error,), (status,) = (
        bench.sent.payloads("progress-error"),
        bench.sent.payloads("progress-status"),
    )
    assert (error["status"], status["status"], status["message"]) == ("error", "error", "foreign")
    assert error["error"] == {"code": "VALIDATION_ERROR", "message": "foreign"}


def test_canceled_import_notifies_both_rooms_and_is_final(bench: Bench) -> None:
    bench.tracker.start(5)
    bench.update(3)
    bench.tracker.cancel(5, {"code": "CANCELLED", "message": "enough"})
    assert bench.sent.events()[-1] == ("import-5+user-7", "import-cancelled")
    (cancelled,) = bench.sent.payloads("import-cancelled")
    assert (cancelled["status"], cancelled["processed"]) == ("cancelled", 3)
    bench.tracker.complete(5, RESULT)
    assert bench.snapshot()["status"] == "cancelled"
    # The polling route reports "cancelled"; the front end's dialog has no such state.
    record = bench.tracker.find("s-5")
    assert record is not None
    assert record.session_status()["status"] == "cancelled"
    assert bench.sent.payloads("progress-status")[0]["status"] == "error"


def test_session_without_an_import_sends_front_end_events_only(bench: Bench) -> None:
    bench.tracker.open("elsewhere", "8", {"operation": "csv-import"})
    bench.tracker.update("elsewhere", ImportStatus.PROCESSING, 1, 4, 25, "going", {"x": 1})
    bench.tracker.complete("elsewhere", {"message": "gone", "metadata": {"y": 2}})
    assert bench.sent.events() == []
    (complete,) = bench.sent.payloads("progress-complete")
    assert complete["message"] == "gone"
    assert {"x": 1, "y": 2}.items() <= complete["metadata"].items()


def test_other_users_are_removed_when_a_session_gets_an_owner(bench: Bench) -> None:
    allowed = ("user-7", "administrators")
    assert bench.sent.kept_only == [("progress-s-5", allowed), ("import-5", allowed)]
    bench.tracker.open("for-all", None)
    assert len(bench.sent.kept_only) == 2


def test_import_without_progress_fails_as_stalled(bench: Bench) -> None:
    stalled: list[int | str] = []
    bench.tracker.on_stalled = stalled.append
    bench.tracker.watch()
    bench.tracker.start(5)
    bench.tracker.queue(6, "7", "waits.csv", None, session_id="s-6")
    for _ in range(12):
        bench.clock.advance(60)
    assert stalled == [5]
    assert bench.snapshot()["result"]["code"] == "STALLED"
    assert bench.tracker.snapshot(6) is not None
    bench.tracker.close()
    bench.clock.advance(3600)


def test_oldest_ended_imports_are_removed_after_a_minute_when_there_are_too_many(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_tracker, "MAXIMUM_ENDED", 2)
    for number in (11, 12, 13):
        bench.tracker.queue(number, "7", "x.csv", None, session_id=f"s-{number}")
        bench.tracker.complete(number, RESULT)
        bench.clock.advance(1)
    bench.tracker.sweep()
    assert bench.tracker.find(11) is not None
    bench.clock.advance(60)
    bench.tracker.sweep()
    assert [bench.tracker.find(number) is None for number in (11, 12, 13)] == [True, False, False]
    assert bench.tracker.find("s-11") is None
