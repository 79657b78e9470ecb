"""Tests of queued imports without sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.errors import DATABASE_LOST, DatabaseFileLostError, ErrorCode, ServiceError
from hextrackr_server.imports import reading
from hextrackr_server.imports import service as import_service
from hextrackr_server.imports.options import ImportOptions
from hextrackr_server.imports.pipeline import Importer, Progress, ReadOptions, Report, Stopping
from hextrackr_server.imports.progress_record import ImportStatus
from hextrackr_server.imports.store import ImportJob
from hextrackr_server.storage.database import Database
from tests.hextrackr_server.support import (
    ADMIN,
    ALICE,
    BOB,
    ImportHarness,
    Workbench,
    csv_text,
    finding_row,
)

GOOD = csv_text([finding_row()])


async def test_import_is_queued_and_then_completed(harness: ImportHarness) -> None:
    answer = await harness.submit(GOOD)
    assert answer["success"] is True
    assert (answer["status"], answer["totalRecords"]) == ("queued", None)
    assert answer["sessionId"].startswith("import-")
    state = await harness.ended(answer["importId"])
    assert (state["status"], state["percentage"]) == ("completed", 100)
    assert state["result"]["summary"]["inserted"] == len(harness.bench.findings()) == 1


async def test_owner_and_room_receive_the_events_of_an_import(harness: ImportHarness) -> None:
    number = (await harness.submit(GOOD, vendor="cisco"))["importId"]
    await harness.ended(number)
    events = harness.sent.events()
    assert events[0] == ("user-7", "import-started")
    assert events[1] == (f"import-{number}+user-7", "import-progress")
    assert events[-2:] == [(f"import-{number}", "import-completed"), ("user-7", "import-finished")]
    assert harness.sent.payloads("import-started")[0]["vendor"] == "cisco"
    assert harness.sent.payloads("import-progress")[-1]["percentage"] == 100


async def test_events_are_sent_on_the_loop_thread(harness: ImportHarness) -> None:
    threads: set[int] = set()
    emit = harness.sent.emit

    def noting(room: str, event: str, payload: dict[str, Any]) -> None:
        threads.add(threading.get_ident())
        emit(room, event, payload)

    harness.sent.emit = noting  # type: ignore[method-assign]
    await harness.ended((await harness.submit(GOOD))["importId"])
    assert threads == {threading.get_ident()}


async def test_commit_callback_runs_for_completed_imports_only(harness: ImportHarness) -> None:
    await harness.ended((await harness.submit("Location,Devices\n1,2\n"))["importId"])
    assert harness.commits == []
    await harness.ended((await harness.submit(GOOD))["importId"])
    assert len(harness.commits) == 1


async def test_import_of_an_unrelated_file_fails_with_code_and_fields(
    harness: ImportHarness,
) -> None:
    state = await harness.ended((await harness.submit("Location,Devices\n1,2\n"))["importId"])
    assert state["status"] == "failed"
    assert state["result"]["code"] == "VALIDATION_ERROR"
    assert [each["path"] for each in state["result"]["fields"]] == ["header", "header"]
    rooms = f"import-{state['importId']}+user-7"
    assert harness.sent.events()[-2:] == [(rooms, "import-failed"), (rooms, "application-error")]
    (error,) = harness.sent.payloads("application-error")
    assert (error["code"], error["details"]["importId"]) == ("IMPORT_FAILED", state["importId"])


async def test_internal_error_fails_one_import_and_hides_its_details(
    harness: ImportHarness,
) -> None:
    upload = await harness.upload(GOOD)
    upload.path.unlink()
    broken = await harness.imports.submit(upload, ALICE, ImportOptions())
    state = await harness.ended(broken["importId"])
    assert (state["status"], state["result"]["code"]) == ("failed", "IMPORT_FAILED")
    assert str(upload.path) not in str(state)
    assert (await harness.ended((await harness.submit(GOOD))["importId"]))["status"] == "completed"


async def test_imports_run_one_at_a_time_in_order(harness: ImportHarness) -> None:
    answers = [await harness.submit(csv_text([finding_row(host=f"h-{n}")])) for n in range(5)]
    for answer in answers:
        await harness.ended(answer["importId"])
    ends = [p["importId"] for p in harness.sent.payloads("import-completed")]
    starts = [p["importId"] for p in harness.sent.payloads("import-started")]
    assert starts == ends == [each["importId"] for each in answers]
    order = [event for _, event in harness.sent.events() if event != "import-progress"]
    assert order == ["import-started", "import-completed", "import-finished"] * 5


async def test_file_is_deleted_after_its_import(harness: ImportHarness) -> None:
    for content in (GOOD, "foreign\n1\n"):
        await harness.ended((await harness.submit(content))["importId"])
    await harness.submit(GOOD)
    await harness.imports.stop()
    assert list((harness.bench.directory / "uploads").iterdir()) == []


async def test_import_is_visible_to_its_owner_and_administrators(harness: ImportHarness) -> None:
    number = (await harness.submit(GOOD))["importId"]
    for principal in (ALICE, ADMIN):
        assert (await harness.imports.status(number, principal))["importId"] == number


async def test_import_of_another_user_is_reported_as_missing(harness: ImportHarness) -> None:
    number = (await harness.submit(GOOD))["importId"]
    refusals = []
    for each in (number, 999):
        with pytest.raises(ServiceError) as refusal:
            await harness.imports.status(each, BOB)
        refusals.append(refusal.value.body())
    assert refusals[0] == refusals[1]
    assert refusals[0]["code"] == "NOT_FOUND"


async def test_status_is_read_from_the_database_when_the_tracker_has_no_record(
    harness: ImportHarness,
) -> None:
    good = await harness.ended((await harness.submit(GOOD))["importId"])
    bad = await harness.ended((await harness.submit("foreign\n1\n"))["importId"])
    harness.tracker.close()
    for state in (good, bad):
        remembered = await harness.imports.status(state["importId"], ALICE)
        for name in ("importId", "status", "processed", "total", "percentage", "result"):
            assert remembered[name] == state[name]


async def test_import_is_refused_when_the_queue_is_full(
    harness: ImportHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_service, "MAXIMUM_QUEUED", 0)
    with pytest.raises(ServiceError) as refusal:
        await harness.submit(GOOD)
    assert refusal.value.code is ErrorCode.CONFLICT
    assert list((harness.bench.directory / "uploads").iterdir()) == []


async def test_import_is_refused_when_its_user_has_too_many_queued(
    harness: ImportHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_service, "MAXIMUM_QUEUED_OF_USER", 2)
    asked = [harness.submit(GOOD) for _ in range(5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in answers if isinstance(each, ServiceError)]
    assert [each.code for each in refused] == [ErrorCode.CONFLICT] * 3
    await harness.ended((await harness.submit(GOOD, BOB))["importId"])
    for each in answers:
        if isinstance(each, dict):
            await harness.ended(each["importId"])
    await harness.ended((await harness.submit(GOOD))["importId"])


async def test_import_is_refused_when_a_producer_uses_its_session(harness: ImportHarness) -> None:
    harness.tracker.open("import-1-abc", None)
    with pytest.raises(ServiceError) as refusal:
        await harness.submit(GOOD, session_id="import-1-abc")
    assert refusal.value.code is ErrorCode.CONFLICT
    assert list((harness.bench.directory / "uploads").iterdir()) == []
    assert not harness.imports._queued


async def test_session_id_may_be_chosen_once(harness: ImportHarness) -> None:
    assert (await harness.submit(GOOD, session_id="import-1-abc"))["sessionId"] == "import-1-abc"
    with pytest.raises(ServiceError) as refusal:
        await harness.submit(GOOD, session_id="import-1-abc")
    assert refusal.value.code is ErrorCode.CONFLICT


async def test_import_fails_when_a_producer_opens_its_session_meanwhile(
    harness: ImportHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = harness.bench.store.create_job

    def overtaken(**values: Any) -> ImportJob:
        harness.tracker.open("import-1-abc", BOB.user_id)
        return create(**values)

    monkeypatch.setattr(harness.bench.store, "create_job", overtaken)
    with pytest.raises(ServiceError) as refusal:
        await harness.submit(GOOD, session_id="import-1-abc")
    assert refusal.value.code is ErrorCode.CONFLICT
    job = harness.bench.store.job_of_session("import-1-abc")
    assert job is not None
    assert (job.status, job.error_code) == ("failed", "CONFLICT")
    assert not harness.imports._queued
    assert harness.imports._stop_reasons == {}
    assert list((harness.bench.directory / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"session_id": "a b"}, "sessionId"),
        ({"scan_date": "tomorrow"}, "scanDate"),
        ({"scope": "everything"}, "scope"),
    ],
)
async def test_invalid_option_is_refused_with_its_field(
    harness: ImportHarness, options: dict[str, str], path: str
) -> None:
    with pytest.raises(ServiceError) as refusal:
        await harness.submit(GOOD, **options)
    assert refusal.value.fields is not None
    assert refusal.value.fields[0]["path"] == path


async def test_scan_date_may_be_chosen(harness: ImportHarness) -> None:
    await harness.ended((await harness.submit(GOOD, scan_date="2024-02-29"))["importId"])
    assert harness.bench.findings()[0]["scan_date"] == "2024-02-29"


async def test_stop_interrupts_imports_and_notifies_followers(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench.import_rows([finding_row(cve="CVE-2024-9999")])
    before = workbench.findings()
    harness = ImportHarness(workbench)
    reader = reading.ExportReader

    def paused(path: Path, **options: Any) -> reading.ExportReader:
        # Otherwise the first import could end before the last one is queued.
        assert harness.imports._stop.wait(300)
        return reader(path, **options)

    monkeypatch.setattr(reading, "ExportReader", paused)
    await harness.imports.start()
    rows = [finding_row(host=f"h-{number}") for number in range(3000)]
    answers = [await harness.submit(csv_text(rows)[:99_000]) for _ in range(3)]
    await harness.imports.stop()
    await asyncio.sleep(0)
    for answer in answers:
        job = workbench.store.job(answer["importId"])
        assert job is not None
        assert (job.status, job.error_code) == ("failed", "INTERRUPTED")
    assert workbench.findings() == before
    assert len(harness.sent.payloads("import-failed")) == len(answers)


class PausedImporter(Importer):
    """An importer that pauses in a given phase until the test resumes it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.phase = ImportStatus.PARSING
        self.reached, self.resume = threading.Event(), threading.Event()

    def run(
        self,
        job: ImportJob,
        path: Path,
        report: Report,
        stopping: Stopping,
        options: ReadOptions | None = None,
    ) -> dict[str, Any]:
        def paused(progress: Progress) -> None:
            report(progress)
            if progress.status is self.phase:
                self.reached.set()
                self.resume.wait(300)

        return super().run(job, path, paused, stopping, options)


@pytest.fixture
async def paused(workbench: Workbench) -> AsyncIterator[tuple[ImportHarness, PausedImporter]]:
    importer = workbench.importer = PausedImporter(workbench.database)
    harness = ImportHarness(workbench)
    await harness.imports.start()
    yield harness, importer
    importer.resume.set()
    await harness.imports.stop()
    harness.tracker.close()


async def test_canceled_running_import_changes_nothing(
    paused: tuple[ImportHarness, PausedImporter],
) -> None:
    harness, importer = paused
    importer.phase = ImportStatus.PROCESSING
    number = (await harness.submit(GOOD))["importId"]
    await asyncio.to_thread(importer.reached.wait, 300)
    assert (await harness.imports.cancel(number, ALICE))["status"] == "cancelling"
    importer.resume.set()
    state = await harness.ended(number)
    assert (state["status"], state["result"]["code"]) == ("cancelled", "CANCELLED")
    assert (harness.bench.findings(), harness.bench.staged()) == ([], 0)
    job = harness.bench.store.job(number)
    assert job is not None
    assert (job.status, job.error_code) == ("cancelled", "CANCELLED")
    assert len(harness.sent.payloads("import-cancelled")) == 1
    with pytest.raises(ServiceError, match="already cancelled"):
        await harness.imports.cancel(number, ALICE)


async def test_canceled_queued_import_never_starts(
    paused: tuple[ImportHarness, PausedImporter],
) -> None:
    harness, importer = paused
    first = (await harness.submit(GOOD))["importId"]
    second = (await harness.submit(GOOD))["importId"]
    await asyncio.to_thread(importer.reached.wait, 300)
    assert (await harness.imports.cancel(second, ADMIN))["status"] == "cancelled"
    assert (await harness.imports.status(second, ALICE))["status"] == "cancelled"
    importer.resume.set()
    assert (await harness.ended(first))["status"] == "completed"
    await harness.imports.stop()
    assert len(harness.sent.payloads("import-started")) == 1
    assert list((harness.bench.directory / "uploads").iterdir()) == []


async def test_cancel_is_refused_for_an_import_of_another_user(
    paused: tuple[ImportHarness, PausedImporter],
) -> None:
    harness, _ = paused
    number = (await harness.submit(GOOD))["importId"]
    with pytest.raises(ServiceError) as refusal:
        await harness.imports.cancel(number, BOB)
    assert refusal.value.code is ErrorCode.NOT_FOUND


async def test_stalled_import_stops_at_its_next_checkpoint(
    paused: tuple[ImportHarness, PausedImporter],
) -> None:
    harness, importer = paused
    number = (await harness.submit(GOOD))["importId"]
    await asyncio.to_thread(importer.reached.wait, 300)
    harness.tracker.fail(number, {"code": "STALLED", "message": "it does not move"})
    harness.tracker.on_stalled(number)
    importer.resume.set()
    await harness.imports.stop()
    job = harness.bench.store.job(number)
    assert job is not None
    assert (job.status, job.error_code) == ("failed", "STALLED")
    assert harness.bench.findings() == []
    assert len(harness.sent.payloads("import-failed")) == 1


async def test_commit_callback_receives_the_changes(harness: ImportHarness) -> None:
    number = (await harness.submit(csv_text([finding_row(severity="Critical")])))["importId"]
    await harness.ended(number)
    ((committed, summary, changes),) = harness.commits
    assert (committed, summary["inserted"]) == (number, 1)
    assert [each["cve"] for each in changes["rows"]] == ["CVE-2024-1000"]
    assert [each["cve"] for each in changes["topCritical"]] == ["CVE-2024-1000"]


async def test_session_state_is_the_same_from_tracker_and_database(
    harness: ImportHarness,
) -> None:
    good = await harness.submit(GOOD, session_id="import-1-a")
    bad = await harness.submit("foreign\n1\n", session_id="import-1-b")
    await harness.ended(good["importId"])
    await harness.ended(bad["importId"])
    view = harness.imports.view
    shown = [await view.session(each, ALICE) for each in ("import-1-a", "import-1-b")]
    assert [each["status"] for each in shown] == ["completed", "error"]
    assert shown[0]["metadata"]["importSummary"]["comparison"]["currentTotal"] == 1
    harness.tracker.close()
    for before in shown:
        after = await view.session(before["sessionId"], ADMIN)
        for name in ("sessionId", "status", "message"):
            assert after[name] == before[name]
    again = await view.session("import-1-a", ALICE)
    assert again["metadata"]["importSummary"] == shown[0]["metadata"]["importSummary"]
    for stranger in (BOB,):
        with pytest.raises(ServiceError) as refusal:
            await view.session("import-1-a", stranger)
        assert refusal.value.code is ErrorCode.NOT_FOUND


async def test_loop_runs_while_an_import_works(
    paused: tuple[ImportHarness, PausedImporter],
) -> None:
    harness, importer = paused
    importer.phase = ImportStatus.PROCESSING
    number = (await harness.submit(GOOD))["importId"]
    await asyncio.to_thread(importer.reached.wait)
    # The import waits in its thread; in the loop, it would let no other task run.
    for _ in range(10):
        status = (await harness.imports.status(number, ALICE))["status"]
        assert status not in {"completed", "failed"}
        await asyncio.sleep(0)
    importer.resume.set()
    assert (await harness.ended(number))["status"] == "completed"


async def test_start_fails_the_unfinished_imports_of_a_previous_server(
    workbench: Workbench,
) -> None:
    left = workbench.job()
    harness = ImportHarness(workbench)
    await harness.imports.start()
    state = await harness.imports.status(left.import_id, ADMIN)
    await harness.imports.stop()
    assert (state["status"], state["result"]["code"]) == ("failed", "INTERRUPTED")


async def test_import_of_a_user_does_not_wait_for_those_of_another_user(
    paused: tuple[ImportHarness, PausedImporter],
) -> None:
    harness, importer = paused
    slow = [(await harness.submit(GOOD))["importId"] for _ in range(5)]
    await asyncio.to_thread(importer.reached.wait, 300)
    importer.phase = ImportStatus.FAILED  # the next import does not pause
    fast = (await harness.submit(GOOD, BOB))["importId"]
    assert (await harness.ended(fast))["status"] == "completed"
    states = [(await harness.imports.status(number, ALICE))["status"] for number in slow]
    assert states[1:] == ["queued"] * 4
    importer.resume.set()
    for number in slow:
        assert (await harness.ended(number))["status"] == "completed"


async def test_import_that_waits_to_write_can_be_canceled(
    paused: tuple[ImportHarness, PausedImporter],
) -> None:
    harness, importer = paused
    importer.phase = ImportStatus.PROCESSING
    first = (await harness.submit(GOOD))["importId"]
    await asyncio.to_thread(importer.reached.wait, 300)
    second = (await harness.submit(GOOD, BOB))["importId"]
    assert (await harness.imports.cancel(second, BOB))["status"] in {"cancelling", "cancelled"}
    assert (await harness.ended(second))["status"] == "cancelled"
    importer.resume.set()
    assert (await harness.ended(first))["status"] == "completed"


@pytest.mark.parametrize("replace", [False, True])
async def test_import_fails_and_keeps_its_file_when_the_database_file_is_gone(
    paused: tuple[ImportHarness, PausedImporter], *, replace: bool
) -> None:
    harness, importer = paused
    importer.phase = ImportStatus.PROCESSING
    number = (await harness.submit(GOOD))["importId"]
    await asyncio.to_thread(importer.reached.wait, 300)
    path = harness.bench.directory / "test.db"
    path.unlink()
    if replace:
        path.write_bytes(b"")
    importer.resume.set()
    state = await harness.ended(number)
    assert state["status"] == "failed"
    assert state["result"]["message"] == f"{DATABASE_LOST}; the uploaded file is kept on the server"
    (kept,) = (harness.bench.directory / "uploads-kept").iterdir()
    assert kept.suffix == ".csv"
    assert kept.read_text() == GOOD
    with pytest.raises(DatabaseFileLostError, match="restore the file from a backup"):
        await harness.submit(GOOD)
    with pytest.raises(DatabaseFileLostError):
        harness.bench.database.check()
