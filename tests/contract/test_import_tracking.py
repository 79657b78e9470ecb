"""The life of an import as it is told: rows S112 to S120."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.application import Application
from hextrackr_server.imports.pipeline import Importer
from hextrackr_server.imports.progress_record import ImportStatus
from hextrackr_server.imports.store import ImportStore
from hextrackr_server.storage.database import Database
from socketio_core.testing import TestClient
from tests.contract.imports import (
    UNKNOWN_COLUMNS_CSV,
    VALID_CSV,
    flush_events,
    receive_payload,
    received_names,
    run_import,
    start_import,
)
from tests.contract.support import HubHarness
from tests.hextrackr_server.support import csv_text, finding_row


def findings(hub: HubHarness) -> dict[str, str]:
    """The state of each finding, by host."""
    with hub.application.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT hostname, lifecycle_state FROM vulnerabilities_current"
        )
        return {row[0]: row[1] for row in rows}


def job_codes(directory: Path) -> list[str | None]:
    """Why each import failed, read when the server has stopped."""
    database = Database(directory / "hub.db")
    with database.reading() as connection:
        query = "SELECT error_code FROM import_jobs ORDER BY import_id"
        codes = [row[0] for row in connection.exec_driver_sql(query)]
    database.close()
    return codes


async def test_s112_an_import_is_a_row_in_the_database(hub: HubHarness) -> None:
    client = await hub.client()
    number = (await run_import(client))["importId"]
    job = ImportStore(hub.application.database).job(number)
    assert job is not None
    assert (job.user_id, job.status, job.total, job.processed) == ("7", "completed", 20, 20)


async def test_s113_import_started_goes_to_the_starters_sockets(hub: HubHarness) -> None:
    first, second = await hub.client("7"), await hub.client("7")
    other = await hub.client("8")
    answer = await start_import(first, vendor="cisco")
    assert set(answer) == {"success", "importId", "sessionId", "status", "totalRecords"}
    for client in (first, second):
        started = await receive_payload(client, "import-started")
        assert (started["importId"], started["filename"], started["vendor"]) == (
            answer["importId"],
            "scan.csv",
            "cisco",
        )
        assert {"totalRecords", "timestamp"} <= set(started)
    await receive_payload(first, "import-finished")
    assert "import-started" not in received_names(other)


async def test_s113_the_id_of_a_session_is_used_once(hub: HubHarness) -> None:
    client = await hub.client()
    await run_import(client, sessionId="import-1-a")
    again = await start_import(client, sessionId="import-1-a")
    assert (again["success"], again["code"]) == (False, "CONFLICT")


async def test_s114_progress_is_throttled_and_its_last_word_is_never_lost(hub: HubHarness) -> None:
    client = await hub.client()
    tracker = hub.application.services.tracker
    tracker.queue(70, "7", "scan.csv", None, session_id="s-70")
    await client.emit_with_ack("join-import-room", 70)
    await client.emit_with_ack("join-progress", "s-70")
    for processed in range(1, 101):
        tracker.update(70, ImportStatus.PROCESSING, processed, 100, processed, "")
    await flush_events(client)
    assert [args[0]["processed"] for args in client.events("import-progress")] == [1]
    await hub.advance(0.1)
    assert [args[0]["processed"] for args in client.events("import-progress")] == [1, 100]
    assert [args[0]["current"] for args in client.events("progress-update")] == [1, 100]


async def test_s114_other_pages_of_the_starter_see_coarse_steps(hub: HubHarness) -> None:
    client = await hub.client()
    tracker = hub.application.services.tracker
    tracker.queue(70, "7", "scan.csv", None, session_id="s-70")
    for processed in range(100):
        tracker.update(70, ImportStatus.PROCESSING, processed, 100, processed, "")
        await hub.advance(0.1)
    seen = [args[0]["processed"] for args in client.events("import-progress")]
    assert seen == list(range(0, 100, 10))


async def test_s115_the_states_are_a_closed_set_and_final_ones_are_final(hub: HubHarness) -> None:
    assert {str(each) for each in ImportStatus} == {
        "queued",
        "starting",
        "parsing",
        "staging",
        "processing",
        "finalizing",
        "completed",
        "failed",
        "cancelled",
    }
    client = await hub.client()
    number = (await run_import(client))["importId"]
    hub.application.services.tracker.fail(number, {"code": "X", "message": "late"})
    hub.application.services.tracker.update(number, ImportStatus.STAGING, 0, 1, 0, "")
    status = (await client.emit_with_ack("join-import-room", number))["status"]
    assert status["status"] == "completed"


async def test_s116_time_and_pace_are_told(hub: HubHarness) -> None:
    client = await hub.client()
    tracker = hub.application.services.tracker
    tracker.queue(71, "7", "scan.csv", None, session_id="s-71")
    tracker.start(71)
    await client.emit_with_ack("join-import-room", 71)
    hub.clock.advance(2)
    tracker.update(71, ImportStatus.PROCESSING, 50, 100, 50, "")
    told = await receive_payload(client, "import-progress")
    assert (told["elapsedTime"], told["etaMs"], told["rate"]) == (2000, 2000, 25.0)


async def test_s117_s118_the_end_goes_to_the_room_and_to_the_user_once_each(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    header_and_rows = csv_text([finding_row(), ["", "", "", "", "Low"]])
    answer = await start_import(client, header_and_rows)
    await client.emit_with_ack("join-import-room", answer["importId"])
    done = await receive_payload(client, "import-finished")
    assert (done["status"], done["totalProcessed"], done["errors"]) == ("completed", 2, 1)
    assert done["errorDetails"][0]["row"] == 3
    assert {"importId", "duration", "summary", "timestamp"} <= set(done)
    await flush_events(client)
    assert received_names(client).count("import-completed") <= 1
    assert "import-finished" not in received_names(client)


async def test_s119_what_ended_can_be_asked_for_and_what_stalls_fails(hub: HubHarness) -> None:
    client = await hub.client()
    tracker = hub.application.services.tracker
    tracker.queue(72, "7", "scan.csv", None, session_id="s-72")
    tracker.start(72)
    for _ in range(12):
        await hub.advance(60)
    failed = await receive_payload(client, "import-failed")
    assert (failed["importId"], failed["code"]) == (72, "STALLED")
    assert (await client.emit_with_ack("join-import-room", 72))["status"]["status"] == "failed"


async def test_s120_a_failure_is_told_with_code_and_reason(hub: HubHarness) -> None:
    client = await hub.client()
    number = (await start_import(client, UNKNOWN_COLUMNS_CSV))["importId"]
    failed = await receive_payload(client, "import-failed")
    expected = {"status": "failed", "code": "VALIDATION_ERROR", "importId": number}
    assert expected.items() <= failed.items()
    assert {"message", "processed", "total", "duration", "timestamp", "fields"} <= set(failed)
    error = await receive_payload(client, "application-error")
    assert (error["code"], error["details"]["importId"]) == ("IMPORT_FAILED", number)


class HeldImporter(Importer):
    """Begins only when it is let go."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.go = False

    def run(self, job: Any, path: Path, report: Any, stopping: Any) -> dict[str, Any]:
        end = time.monotonic() + 10
        while not (self.go or stopping()) and time.monotonic() < end:
            time.sleep(0.002)
        return super().run(job, path, report, stopping)


@pytest.fixture
def held(hub: HubHarness) -> HeldImporter:
    importer = HeldImporter(hub.application.database)
    hub.application.services.imports._importer = importer
    return importer


async def test_s120_cancel_import_ends_it_for_everybody(
    hub: HubHarness, held: HeldImporter
) -> None:
    client, stranger = await hub.client("7"), await hub.client("8")
    admin = await hub.client("1", "admin")
    running, waiting, other = [(await start_import(client))["importId"] for _ in range(3)]
    await receive_payload(client, "import-started")
    for number in (running, waiting):
        assert (await stranger.emit_with_ack("cancel-import", number))["code"] == "NOT_FOUND"
    assert (await client.emit_with_ack("cancel-import", waiting))["status"] == "cancelled"
    assert (await receive_payload(client, "import-cancelled"))["importId"] == waiting
    assert (await client.emit_with_ack("cancel-import", str(running)))["success"]
    cancelled = await receive_payload(client, "import-cancelled")
    assert (cancelled["importId"], cancelled["status"], cancelled["code"]) == (
        running,
        "cancelled",
        "CANCELLED",
    )
    headers = {"authorization": f"Bearer {hub.token('1', 'admin')}"}
    answer = await hub.request("POST", f"/api/imports/{other}/cancel", headers)
    assert answer.status == 202
    assert (await receive_payload(client, "import-cancelled"))["importId"] == other
    again = await admin.emit_with_ack("cancel-import", running)
    assert (again["success"], again["code"]) == (False, "CONFLICT")
    assert findings(hub) == {}


def watch_goodbye(client: TestClient) -> list[tuple[bool, str]]:
    """What a client hears from now on, and whether it was still connected then."""
    heard: list[tuple[bool, str]] = []
    receive = client.receive

    def note(packet: Any) -> None:
        connected = client.connected
        receive(packet)
        kind = "goodbye" if connected and not client.connected else str((packet[2] or [""])[0])
        heard.append((connected, kind))

    client.receive = note  # type: ignore[method-assign]
    return heard


async def test_s120_s141_at_shutdown_followers_hear_of_the_interruption_before_the_goodbye(
    hub: HubHarness, held: HeldImporter
) -> None:
    """In both contracts, for what runs and for what waits; the findings stay as they were."""
    client, follower = await hub.client("7"), await hub.client("1", "admin")
    follower.emit("join-progress", "import-1-x")
    running = (await start_import(client, sessionId="import-1-x"))["importId"]
    waiting = (await start_import(client))["importId"]
    await receive_payload(client, "import-started")
    heard, followed = watch_goodbye(client), watch_goodbye(follower)
    await hub.application.shutdown()
    failed = [await receive_payload(client, "import-failed") for _ in range(2)]
    assert [(each["importId"], each["code"]) for each in failed] == [
        (running, "INTERRUPTED"),
        (waiting, "INTERRUPTED"),
    ]
    error = await receive_payload(follower, "progress-error")
    assert (error["sessionId"], error["status"]) == ("import-1-x", "error")
    assert heard[-1] == followed[-1] == (True, "goodbye")
    assert job_codes(hub.directory) == ["INTERRUPTED", "INTERRUPTED"]


async def test_s120_s141_while_the_server_stops_no_import_begins(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(shutdown_drain=10.0)
    clients = [await hub.client(user) for user in ("7", "8")]
    stopping = asyncio.create_task(hub.application.shutdown())
    await hub.wait_until(lambda: not all(client.connected for client in clients))
    (left,) = [client for client in clients if client.connected]
    assert (await start_import(left))["code"] == "UNAVAILABLE"
    await hub.advance(10)
    await stopping
    assert not left.connected
    assert list((hub.directory / "hub.db.uploads").glob("*")) == []


async def test_s120_s141_a_result_that_is_being_written_keeps_nobody_for_long(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(HeldImporter):
        def run(self, job: Any, path: Path, report: Any, stopping: Any) -> dict[str, Any]:
            return super().run(job, path, report, lambda: False)

    monkeypatch.setattr("hextrackr_server.imports.feature.INTERRUPT_SECONDS", 0.01)
    importer = Stubborn(hub.application.database)
    hub.application.services.imports._importer = importer
    client = await hub.client("7")
    await start_import(client)
    await receive_payload(client, "import-started")
    stopping = asyncio.create_task(hub.application.shutdown())
    await hub.wait_until(lambda: not client.connected)
    assert "import-failed" not in received_names(client)
    importer.go = True
    await stopping
    assert job_codes(hub.directory) == [None]


async def test_s120_the_front_ends_cancel_button_works(hub: HubHarness, held: HeldImporter) -> None:
    client = await hub.client()
    client.emit("join-progress", "import-1-c")
    await start_import(client, sessionId="import-1-c")
    headers = {"authorization": f"Bearer {hub.token()}", "content-type": "application/json"}
    path, body = "/api/vulnerabilities/import-cancel", {"sessionId": "import-1-c"}
    assert (await hub.request("POST", path, headers, body)).json()["success"]
    # Whoever joins while the import begins is told first how far it is.
    while (await receive_payload(client, "progress-status"))["status"] == "processing":
        pass
    progress = await hub.request("GET", "/api/import/progress/import-1-c", headers)
    assert progress.json()["status"] == "cancelled"


async def test_s113_imports_started_at_once_are_done_one_after_the_other(hub: HubHarness) -> None:
    client = await hub.client()
    answers = await asyncio.gather(*(start_import(client) for _ in range(5)))
    numbers = [answer["importId"] for answer in answers]
    assert len(set(numbers)) == 5
    ended = [(await receive_payload(client, "import-finished"))["importId"] for _ in numbers]
    started = [(await receive_payload(client, "import-started"))["importId"] for _ in numbers]
    assert ended == started == sorted(numbers)
    assert len(findings(hub)) == 20


@pytest.mark.parametrize("scope", ["vendor", "hosts", "full", "none"])
@pytest.mark.parametrize("content", [csv_text([]), "", csv_text([["", "", "", "", "High"]] * 3)])
async def test_s120_a_file_without_a_valid_row_resolves_nothing(
    hub: HubHarness, content: str, scope: str
) -> None:
    """Header only, empty, nothing valid: it fails, whatever its scope, and nothing is changed."""
    client = await hub.client()
    await run_import(client)
    before = findings(hub)
    await start_import(client, content, scope=scope)
    assert (await receive_payload(client, "import-failed"))["code"] == "VALIDATION_ERROR"
    assert findings(hub) == before
    assert set(before.values()) == {"active"}


@pytest.mark.parametrize(
    ("scope", "resolved"), [("vendor", 19), ("hosts", 0), ("full", 19), ("none", 0)]
)
async def test_s120_a_partial_file_resolves_within_its_scope(
    hub: HubHarness, scope: str, resolved: int
) -> None:
    client = await hub.client()
    await run_import(client)
    done = await run_import(client, csv_text([finding_row(host="h-0")]), scope=scope)
    assert (done["summary"]["resolved"], done["summary"]["scope"]) == (resolved, scope)


async def test_s117_what_a_rejected_row_may_have_meant_stays_open_and_is_told(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    await run_import(client)
    rejected = ["h-1", "", "", "pending", "High"]
    done = await run_import(client, csv_text([finding_row(host="h-0"), rejected]), scope="full")
    assert (done["summary"]["resolved"], done["summary"]["withheld"]) == (18, 1)
    assert findings(hub)["h-1"] == "active"


CRASH = """
import os, sys
from pathlib import Path
from hextrackr_server.storage.database import Database
from hextrackr_server.imports.store import ImportStore
from hextrackr_server.imports.pipeline import Importer

database = Database(Path(sys.argv[1]))
store = ImportStore(database)
job = store.create_job(session_id="import-1-crash", user_id="7", filename="scan.csv", vendor=None,
                       scan_date="2025-09-30", created_at=0)
store.update_job(job.import_id, status="running", started_at=1)

def report(progress):
    if progress.status == "processing":
        os._exit(9)

Importer(database).run(job, Path(sys.argv[2]), report, lambda: False)
"""


async def crashed(database: Path) -> None:
    """A server dies between staging and finalizing."""
    file = database.with_name("crash.csv")
    file.write_text(VALID_CSV)
    command = [sys.executable, "-c", CRASH, str(database), str(file)]
    process = await asyncio.create_subprocess_exec(*command)
    assert await asyncio.wait_for(process.wait(), 60) == 9
    opened = Database(database)
    with opened.reading() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM vulnerability_staging")
        assert count.scalar_one() == 20
    opened.close()


async def test_s112_what_a_crash_left_is_marked_at_the_next_start(tmp_path: Path) -> None:
    """Between hub and finalize: the job is INTERRUPTED, nothing staged, nothing changed."""
    await crashed(tmp_path / "hub.db")
    async with HubHarness(tmp_path) as hub:
        client: TestClient = await hub.client()
        status = (await client.emit_with_ack("join-import-room", 1))["status"]
        assert (status["status"], status["result"]["code"]) == ("failed", "INTERRUPTED")
        assert findings(hub) == {}
        application: Application = hub.application
        with application.database.reading() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM vulnerability_staging")
            assert count.scalar_one() == 0
        progress = await client.emit_with_ack("join-progress", "import-1-crash")
        assert progress["status"]["status"] == "error"
        assert (await run_import(client))["summary"]["inserted"] == 20
