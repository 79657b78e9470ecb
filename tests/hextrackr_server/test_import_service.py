"""Imports from the queue to their end, without a socket."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from hextrackr_server import import_service
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.import_service import ImportOptions
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
    assert events[1] == (f"import-{number}", "import-progress")
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
    assert [room for room, event in office.sent.events() if event == "import-failed"] == [
        f"import-{state['importId']}",
        "user-7",
    ]


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


async def test_a_session_id_may_be_chosen_and_is_used_once(office: Office) -> None:
    assert (await office.submit(GOOD, session_id="import-1-abc"))["sessionId"] == "import-1-abc"
    with pytest.raises(ServiceError) as refusal:
        await office.submit(GOOD, session_id="import-1-abc")
    assert refusal.value.code is ErrorCode.CONFLICT


@pytest.mark.parametrize(
    ("options", "path"),
    [({"session_id": "a b"}, "sessionId"), ({"scan_date": "tomorrow"}, "scanDate")],
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
    workbench: Workbench,
) -> None:
    workbench.import_rows([finding_row(cve="CVE-2024-9999")])
    before = workbench.findings()
    office = Office(workbench)
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
    assert len(office.sent.payloads("import-failed")) == 2 * len(answers)


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
