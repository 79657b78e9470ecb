"""Imports from the queue to their end, without a socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.imports import csv_reader as csv_source
from hextrackr_server.imports import service as import_service
from hextrackr_server.imports.pipeline import Importer, Progress, Report, Stopping
from hextrackr_server.imports.progress_record import ImportStatus
from hextrackr_server.imports.service import ImportOptions
from hextrackr_server.imports.store import ImportJob
from hextrackr_server.storage.database import Database
from tests.hextrackr_server.support import (
    ADMIN,
    ALICE,
    BOB,
    Office,
    Workbench,
    csv_text,
    finding_row,
)

GOOD = csv_text([finding_row()])


async def test_an_import_is_queued_at_once_and_then_done(office: Office) -> None:
    answer = await office.submit(GOOD)
    assert answer["success"] is True
    assert (answer["status"], answer["totalRecords"]) == ("queued", None)
    assert answer["sessionId"].startswith("import-")
    state = await office.ended(answer["importId"])
    assert (state["status"], state["percentage"]) == ("completed", 100)
    assert state["result"]["summary"]["inserted"] == len(office.bench.findings()) == 1


async def test_owner_and_room_hear_of_an_import_from_start_to_end(office: Office) -> None:
    number = (await office.submit(GOOD, vendor="cisco"))["importId"]
    await office.ended(number)
    events = office.sent.events()
    assert events[0] == ("user-7", "import-started")
    assert events[1] == (f"import-{number}+user-7", "import-progress")
    assert events[-2:] == [(f"import-{number}", "import-completed"), ("user-7", "import-finished")]
    assert office.sent.payloads("import-started")[0]["vendor"] == "cisco"
    assert office.sent.payloads("import-progress")[-1]["percentage"] == 100


async def test_events_come_on_the_loops_thread(office: Office) -> None:
    threads: set[int] = set()
    emit = office.sent.emit

    def noting(room: str, event: str, payload: dict[str, Any]) -> None:
        threads.add(threading.get_ident())
        emit(room, event, payload)

    office.sent.emit = noting  # type: ignore[method-assign]
    await office.ended((await office.submit(GOOD))["importId"])
    assert threads == {threading.get_ident()}


async def test_statistics_are_told_of_a_commit_but_not_of_a_failure(office: Office) -> None:
    await office.ended((await office.submit("Location,Devices\n1,2\n"))["importId"])
    assert office.commits == []
    await office.ended((await office.submit(GOOD))["importId"])
    assert len(office.commits) == 1


async def test_a_foreign_file_fails_with_code_and_fields(office: Office) -> None:
    state = await office.ended((await office.submit("Location,Devices\n1,2\n"))["importId"])
    assert state["status"] == "failed"
    assert state["result"]["code"] == "VALIDATION_ERROR"
    assert [each["path"] for each in state["result"]["fields"]] == ["host", "vulnerability"]
    rooms = f"import-{state['importId']}+user-7"
    assert office.sent.events()[-2:] == [(rooms, "import-failed"), (rooms, "application-error")]
    (error,) = office.sent.payloads("application-error")
    assert (error["code"], error["details"]["importId"]) == ("IMPORT_FAILED", state["importId"])


async def test_an_error_of_ours_fails_the_import_and_not_the_next(office: Office) -> None:
    upload = await office.upload(GOOD)
    upload.path.unlink()
    broken = await office.imports.submit(upload, ALICE, ImportOptions())
    state = await office.ended(broken["importId"])
    assert (state["status"], state["result"]["code"]) == ("failed", "IMPORT_FAILED")
    assert str(upload.path) not in str(state)
    assert (await office.ended((await office.submit(GOOD))["importId"]))["status"] == "completed"


async def test_imports_are_done_one_at_a_time_in_their_order(office: Office) -> None:
    answers = [await office.submit(csv_text([finding_row(host=f"h-{n}")])) for n in range(5)]
    for answer in answers:
        await office.ended(answer["importId"])
    ends = [p["importId"] for p in office.sent.payloads("import-completed")]
    starts = [p["importId"] for p in office.sent.payloads("import-started")]
    assert starts == ends == [each["importId"] for each in answers]
    order = [event for _, event in office.sent.events() if event != "import-progress"]
    assert order == ["import-started", "import-completed", "import-finished"] * 5


async def test_the_file_is_deleted_after_its_import(office: Office) -> None:
    for content in (GOOD, "foreign\n1\n"):
        await office.ended((await office.submit(content))["importId"])
    await office.submit(GOOD)
    await office.imports.stop()
    assert list((office.bench.directory / "uploads").iterdir()) == []


async def test_an_import_is_seen_by_its_owner_and_by_admins(office: Office) -> None:
    number = (await office.submit(GOOD))["importId"]
    for principal in (ALICE, ADMIN):
        assert (await office.imports.status(number, principal))["importId"] == number


async def test_a_foreign_import_looks_like_one_that_does_not_exist(office: Office) -> None:
    number = (await office.submit(GOOD))["importId"]
    refusals = []
    for each in (number, 999):
        with pytest.raises(ServiceError) as refusal:
            await office.imports.status(each, BOB)
        refusals.append(refusal.value.body())
    assert refusals[0] == refusals[1]
    assert refusals[0]["code"] == "NOT_FOUND"


async def test_an_import_that_the_tracker_forgot_is_read_from_the_database(office: Office) -> None:
    good = await office.ended((await office.submit(GOOD))["importId"])
    bad = await office.ended((await office.submit("foreign\n1\n"))["importId"])
    office.tracker.close()
    for state in (good, bad):
        remembered = await office.imports.status(state["importId"], ALICE)
        for name in ("importId", "status", "processed", "total", "percentage", "result"):
            assert remembered[name] == state[name]


async def test_more_imports_than_the_queue_holds_are_refused(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_service, "MAXIMUM_QUEUED", 0)
    with pytest.raises(ServiceError) as refusal:
        await office.submit(GOOD)
    assert refusal.value.code is ErrorCode.CONFLICT
    assert list((office.bench.directory / "uploads").iterdir()) == []


async def test_nobody_fills_the_queue_alone_however_many_he_sends_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_service, "MAXIMUM_QUEUED_OF_USER", 2)
    asked = [office.submit(GOOD) for _ in range(5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in answers if isinstance(each, ServiceError)]
    assert [each.code for each in refused] == [ErrorCode.CONFLICT] * 3
    await office.ended((await office.submit(GOOD, BOB))["importId"])
    await office.ended((await office.submit(GOOD))["importId"])


async def test_a_session_that_a_producer_reports_of_is_no_imports(office: Office) -> None:
    office.tracker.open("import-1-abc", None)
    with pytest.raises(ServiceError) as refusal:
        await office.submit(GOOD, session_id="import-1-abc")
    assert refusal.value.code is ErrorCode.CONFLICT
    assert list((office.bench.directory / "uploads").iterdir()) == []
    assert not office.imports._queued


async def test_a_session_id_may_be_chosen_and_is_used_once(office: Office) -> None:
    assert (await office.submit(GOOD, session_id="import-1-abc"))["sessionId"] == "import-1-abc"
    with pytest.raises(ServiceError) as refusal:
        await office.submit(GOOD, session_id="import-1-abc")
    assert refusal.value.code is ErrorCode.CONFLICT


async def test_a_session_that_begins_elsewhere_meanwhile_is_not_taken_over(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = office.bench.store.create_job

    def overtaken(**values: Any) -> ImportJob:
        office.tracker.open("import-1-abc", BOB.user_id)
        return create(**values)

    monkeypatch.setattr(office.bench.store, "create_job", overtaken)
    with pytest.raises(ServiceError) as refusal:
        await office.submit(GOOD, session_id="import-1-abc")
    assert refusal.value.code is ErrorCode.CONFLICT
    job = office.bench.store.job_of_session("import-1-abc")
    assert job is not None
    assert (job.status, job.error_code) == ("failed", "CONFLICT")
    assert not office.imports._queued
    assert office.imports._stop_reasons == {}
    assert list((office.bench.directory / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"session_id": "a b"}, "sessionId"),
        ({"scan_date": "tomorrow"}, "scanDate"),
        ({"scope": "everything"}, "scope"),
    ],
)
async def test_options_are_checked(office: Office, options: dict[str, str], path: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        await office.submit(GOOD, **options)
    assert refusal.value.fields is not None
    assert refusal.value.fields[0]["path"] == path


async def test_a_scan_date_may_be_told(office: Office) -> None:
    await office.ended((await office.submit(GOOD, scan_date="2024-02-29"))["importId"])
    assert office.bench.findings()[0]["scan_date"] == "2024-02-29"


async def test_a_server_that_stops_interrupts_its_imports_and_says_so(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench.import_rows([finding_row(cve="CVE-2024-9999")])
    before = workbench.findings()
    office = Office(workbench)
    inspect = csv_source.inspect

    def held(path: Path, checkpoint: csv_source.Checkpoint) -> csv_source.CsvSource:
        # A quick machine would end the first before the last is queued.
        assert office.imports._stop.wait(10)
        return inspect(path, checkpoint)

    monkeypatch.setattr(csv_source, "inspect", held)
    await office.imports.start()
    rows = [finding_row(host=f"h-{number}") for number in range(3000)]
    answers = [await office.submit(csv_text(rows)[:99_000]) for _ in range(3)]
    await office.imports.stop()
    await asyncio.sleep(0)
    for answer in answers:
        job = workbench.store.job(answer["importId"])
        assert job is not None
        assert (job.status, job.error_code) == ("failed", "INTERRUPTED")
    assert workbench.findings() == before
    assert len(office.sent.payloads("import-failed")) == len(answers)


class Held(Importer):
    """An importer that waits in the middle of its work until it is let go."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.phase = ImportStatus.PARSING
        self.reached, self.let_go = threading.Event(), threading.Event()

    def run(self, job: ImportJob, path: Path, report: Report, stopping: Stopping) -> dict[str, Any]:
        def held(progress: Progress) -> None:
            report(progress)
            if progress.status is self.phase:
                self.reached.set()
                self.let_go.wait(10)

        return super().run(job, path, held, stopping)


@pytest.fixture
async def held(workbench: Workbench) -> AsyncIterator[tuple[Office, Held]]:
    importer = workbench.importer = Held(workbench.database)
    office = Office(workbench)
    await office.imports.start()
    yield office, importer
    importer.let_go.set()
    await office.imports.stop()
    office.tracker.close()


async def test_a_running_import_is_cancelled_and_leaves_everything_as_it_was(
    held: tuple[Office, Held],
) -> None:
    office, importer = held
    importer.phase = ImportStatus.PROCESSING
    number = (await office.submit(GOOD))["importId"]
    await asyncio.to_thread(importer.reached.wait, 10)
    assert (await office.imports.cancel(number, ALICE))["status"] == "cancelling"
    importer.let_go.set()
    state = await office.ended(number)
    assert (state["status"], state["result"]["code"]) == ("cancelled", "CANCELLED")
    assert (office.bench.findings(), office.bench.staged()) == ([], 0)
    job = office.bench.store.job(number)
    assert job is not None
    assert (job.status, job.error_code) == ("cancelled", "CANCELLED")
    assert len(office.sent.payloads("import-cancelled")) == 1
    with pytest.raises(ServiceError, match="already cancelled"):
        await office.imports.cancel(number, ALICE)


async def test_one_that_waits_is_cancelled_at_once_and_never_begins(
    held: tuple[Office, Held],
) -> None:
    office, importer = held
    first = (await office.submit(GOOD))["importId"]
    second = (await office.submit(GOOD))["importId"]
    await asyncio.to_thread(importer.reached.wait, 10)
    assert (await office.imports.cancel(second, ADMIN))["status"] == "cancelled"
    assert (await office.imports.status(second, ALICE))["status"] == "cancelled"
    importer.let_go.set()
    assert (await office.ended(first))["status"] == "completed"
    await office.imports.stop()
    assert len(office.sent.payloads("import-started")) == 1
    assert list((office.bench.directory / "uploads").iterdir()) == []


async def test_a_foreign_import_cannot_be_cancelled(held: tuple[Office, Held]) -> None:
    office, _ = held
    number = (await office.submit(GOOD))["importId"]
    with pytest.raises(ServiceError) as refusal:
        await office.imports.cancel(number, BOB)
    assert refusal.value.code is ErrorCode.NOT_FOUND


async def test_an_import_that_stalled_ends_when_it_moves_again(held: tuple[Office, Held]) -> None:
    office, importer = held
    number = (await office.submit(GOOD))["importId"]
    await asyncio.to_thread(importer.reached.wait, 10)
    office.tracker.fail(number, {"code": "STALLED", "message": "it does not move"})
    office.tracker.on_stalled(number)
    importer.let_go.set()
    await office.imports.stop()
    job = office.bench.store.job(number)
    assert job is not None
    assert (job.status, job.error_code) == ("failed", "STALLED")
    assert office.bench.findings() == []
    assert len(office.sent.payloads("import-failed")) == 1


async def test_of_a_commit_the_changes_are_told_with_their_import(office: Office) -> None:
    number = (await office.submit(csv_text([finding_row(severity="Critical")])))["importId"]
    await office.ended(number)
    ((committed, summary, changes),) = office.commits
    assert (committed, summary["inserted"]) == (number, 1)
    assert [each["cve"] for each in changes["rows"]] == ["CVE-2024-1000"]
    assert [each["cve"] for each in changes["topCritical"]] == ["CVE-2024-1000"]


async def test_a_session_is_shown_in_the_front_ends_words_also_when_forgotten(
    office: Office,
) -> None:
    good = await office.submit(GOOD, session_id="import-1-a")
    bad = await office.submit("foreign\n1\n", session_id="import-1-b")
    await office.ended(good["importId"])
    await office.ended(bad["importId"])
    view = office.imports.view
    shown = [await view.session(each, ALICE) for each in ("import-1-a", "import-1-b")]
    assert [each["status"] for each in shown] == ["completed", "error"]
    assert shown[0]["metadata"]["importSummary"]["comparison"]["currentTotal"] == 1
    office.tracker.close()
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


async def test_the_loop_is_free_while_an_import_works(office: Office) -> None:
    """The loop turns many times between start and end: the work is elsewhere."""
    number = (await office.submit(csv_text([finding_row(host=f"h-{n}") for n in range(2000)])))[
        "importId"
    ]
    turns = 0
    while (await office.imports.status(number, ALICE))["status"] != "completed":
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 10


async def test_what_a_former_server_left_is_settled_at_the_start(workbench: Workbench) -> None:
    left = workbench.job()
    office = Office(workbench)
    await office.imports.start()
    state = await office.imports.status(left.import_id, ADMIN)
    await office.imports.stop()
    assert (state["status"], state["result"]["code"]) == ("failed", "INTERRUPTED")
