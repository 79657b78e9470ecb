"""Events and states of imports: rows S112 to S120."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest

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
    """Return the state of each finding by host."""
    with hub.application.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT hostname, lifecycle_state FROM vulnerabilities_current"
        )
        return {row[0]: row[1] for row in rows}


def job_codes(directory: Path) -> list[str | None]:
    """Return the error code of each import, in order; the server must have stopped."""
    database = Database(directory / "hub.db")
    with database.reading() as connection:
        query = "SELECT error_code FROM import_jobs ORDER BY import_id"
        codes = [row[0] for row in connection.exec_driver_sql(query)]
    database.close()
    return codes


async def test_s112_import_is_stored_as_a_job(hub: HubHarness) -> None:
    client = await hub.client()
    number = (await run_import(client))["importId"]
    job = ImportStore(hub.application.database).job(number)
    assert job is not None
    assert (job.user_id, job.status, job.total, job.processed) == ("7", "completed", 20, 20)


async def test_s113_import_started_reaches_all_sockets_of_its_user(hub: HubHarness) -> None:
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


async def test_s113_session_id_is_rejected_when_it_was_used_before(hub: HubHarness) -> None:
    client = await hub.client()
    await run_import(client, sessionId="import-1-a")
    again = await start_import(client, sessionId="import-1-a")
    assert (again["success"], again["code"]) == (False, "CONFLICT")


async def test_s114_progress_is_throttled_without_losing_the_last_update(hub: HubHarness) -> None:
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


async def test_s114_progress_is_sent_in_coarse_steps_outside_the_room(hub: HubHarness) -> None:
    client = await hub.client()
    tracker = hub.application.services.tracker
    tracker.queue(70, "7", "scan.csv", None, session_id="s-70")
    for processed in range(100):
        tracker.update(70, ImportStatus.PROCESSING, processed, 100, processed, "")
        await hub.advance(0.1)
    processed_counts = [args[0]["processed"] for args in client.events("import-progress")]
    assert processed_counts == list(range(0, 100, 10))


async def test_s115_final_states_do_not_change(hub: HubHarness) -> None:
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


async def test_s116_progress_contains_elapsed_time_eta_and_rate(hub: HubHarness) -> None:
    client = await hub.client()
    tracker = hub.application.services.tracker
    tracker.queue(71, "7", "scan.csv", None, session_id="s-71")
    tracker.start(71)
    await client.emit_with_ack("join-import-room", 71)
    hub.clock.advance(2)
    tracker.update(71, ImportStatus.PROCESSING, 50, 100, 50, "")
    progress = await receive_payload(client, "import-progress")
    assert (progress["elapsedTime"], progress["etaMs"], progress["rate"]) == (2000, 2000, 25.0)


async def test_s117_s118_end_of_an_import_is_sent_once_to_room_and_user(
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


async def test_s119_stalled_import_fails_and_stays_readable(hub: HubHarness) -> None:
    client = await hub.client()
    tracker = hub.application.services.tracker
    tracker.queue(72, "7", "scan.csv", None, session_id="s-72")
    tracker.start(72)
    for _ in range(12):
        await hub.advance(60)
    failed = await receive_payload(client, "import-failed")
    assert (failed["importId"], failed["code"]) == (72, "STALLED")
    assert (await client.emit_with_ack("join-import-room", 72))["status"]["status"] == "failed"


async def test_s120_failed_import_is_reported_with_code_and_reason(hub: HubHarness) -> None:
    client = await hub.client()
    number = (await start_import(client, UNKNOWN_COLUMNS_CSV))["importId"]
    failed = await receive_payload(client, "import-failed")
    expected = {"status": "failed", "code": "VALIDATION_ERROR", "importId": number}
    assert expected.items() <= failed.items()
    assert {"message", "processed", "total", "duration", "timestamp", "fields"} <= set(failed)
    error = await receive_payload(client, "application-error")
    assert (error["code"], error["details"]["importId"]) == ("IMPORT_FAILED", number)


class BlockedImporter(Importer):
    """Importer that waits until a test sets `is_released`, or for ten seconds."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.is_released = False

    def run(
        self, job: Any, path: Path, report: Any, stopping: Any, options: Any = None
    ) -> dict[str, Any]:
        end = time.monotonic() + 300
        while not (self.is_released or stopping()) and time.monotonic() < end:
            time.sleep(0.002)
        return super().run(job, path, report, stopping, options)


@pytest.fixture
def blocked_importer(hub: HubHarness) -> BlockedImporter:
    importer = BlockedImporter(hub.application.database)
    hub.application.services.imports._importer = importer
    return importer


async def test_s120_cancel_import_ends_running_and_queued_imports(
    hub: HubHarness, blocked_importer: BlockedImporter
) -> None:
    client, other_user = await hub.client("7"), await hub.client("8")
    admin = await hub.client("1", "admin")
    running, queued, other = [(await start_import(client))["importId"] for _ in range(3)]
    await receive_payload(client, "import-started")
    for number in (running, queued):
        assert (await other_user.emit_with_ack("cancel-import", number))["code"] == "NOT_FOUND"
    assert (await client.emit_with_ack("cancel-import", queued))["status"] == "cancelled"
    assert (await receive_payload(client, "import-cancelled"))["importId"] == queued
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


def record_events(client: TestClient) -> list[tuple[bool, str]]:
    """Record the names of the events of a client, and its disconnect.

    Each name is recorded with the connection state of the client before the packet.
    """
    received: list[tuple[bool, str]] = []
    receive = client._receive

    def record(packet: Any) -> None:
        connected = client.connected
        receive(packet)
        kind = "disconnect" if connected and not client.connected else str((packet[2] or [""])[0])
        received.append((connected, kind))

    client._receive = record  # type: ignore[method-assign]
    return received


async def test_s120_s141_interruption_is_sent_before_the_disconnect_at_shutdown(
    hub: HubHarness, blocked_importer: BlockedImporter
) -> None:
    """Both progress contracts report the interruption of the running and the queued import."""
    client, follower = await hub.client("7"), await hub.client("1", "admin")
    follower.emit("join-progress", "import-1-x")
    running = (await start_import(client, sessionId="import-1-x"))["importId"]
    queued = (await start_import(client))["importId"]
    await receive_payload(client, "import-started")
    received, received_by_follower = record_events(client), record_events(follower)
    await hub.application.shutdown()
    failed = [await receive_payload(client, "import-failed") for _ in range(2)]
    assert [(each["importId"], each["code"]) for each in failed] == [
        (running, "INTERRUPTED"),
        (queued, "INTERRUPTED"),
    ]
    error = await receive_payload(follower, "progress-error")
    assert (error["sessionId"], error["status"]) == ("import-1-x", "error")
    assert received[-1] == received_by_follower[-1] == (True, "disconnect")
    assert job_codes(hub.directory) == ["INTERRUPTED", "INTERRUPTED"]


async def test_s120_s141_start_import_is_refused_when_the_server_stops(
    start_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engineio_core.waves.random.random", lambda: 0.0)
    hub: HubHarness = await start_hub(shutdown_drain=10.0)
    clients = [await hub.client(user) for user in ("7", "8")]
    stopping = asyncio.create_task(hub.application.shutdown())
    await hub.wait_until(lambda: not all(client.connected for client in clients))
    (remaining,) = [client for client in clients if client.connected]
    assert (await start_import(remaining))["code"] == "UNAVAILABLE"
    await hub.advance(10)
    await stopping
    assert not remaining.connected
    assert list((hub.directory / "hub.db.uploads").glob("*")) == []


async def test_s120_s141_clients_are_disconnected_when_an_import_cannot_be_interrupted(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    class UninterruptibleImporter(BlockedImporter):
        def run(
            self, job: Any, path: Path, report: Any, stopping: Any, options: Any = None
        ) -> dict[str, Any]:
            return super().run(job, path, report, lambda: False, options)

    monkeypatch.setattr("hextrackr_server.imports.feature.INTERRUPT_SECONDS", 0.01)
    importer = UninterruptibleImporter(hub.application.database)
    hub.application.services.imports._importer = importer
    client = await hub.client("7")
    await start_import(client)
    await receive_payload(client, "import-started")
    stopping = asyncio.create_task(hub.application.shutdown())
    await hub.wait_until(lambda: not client.connected)
    assert "import-failed" not in received_names(client)
    importer.is_released = True
    await stopping
    assert job_codes(hub.directory) == [None]


async def test_s120_cancel_route_of_the_front_end_cancels_the_import(
    hub: HubHarness, blocked_importer: BlockedImporter
) -> None:
    client = await hub.client()
    client.emit("join-progress", "import-1-c")
    await start_import(client, sessionId="import-1-c")
    headers = {"authorization": f"Bearer {hub.token()}", "content-type": "application/json"}
    path, body = "/api/vulnerabilities/import-cancel", {"sessionId": "import-1-c"}
    assert (await hub.request("POST", path, headers, body)).json()["success"]
    # A client that joins while the import starts first receives its current status.
    while (await receive_payload(client, "progress-status"))["status"] == "processing":
        pass
    progress = await hub.request("GET", "/api/import/progress/import-1-c", headers)
    assert progress.json()["status"] == "cancelled"


async def test_s113_concurrent_imports_run_in_order(hub: HubHarness) -> None:
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
async def test_s120_file_without_valid_rows_fails_and_resolves_no_finding(
    hub: HubHarness, content: str, scope: str
) -> None:
    """The import fails in every scope and leaves all findings active."""
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
async def test_s120_partial_file_resolves_findings_within_its_scope(
    hub: HubHarness, scope: str, resolved: int
) -> None:
    client = await hub.client()
    await run_import(client)
    content = csv_text([finding_row(host="h-0")])
    done = await run_import(client, content, scope=scope, confirm=True)
    assert (done["summary"]["resolved"], done["summary"]["scope"]) == (resolved, scope)


async def test_s117_rejected_row_keeps_its_possible_findings_active(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    await run_import(client)
    rejected = ["h-1", "", "", "pending", "High"]
    content = csv_text([finding_row(host="h-0"), rejected])
    done = await run_import(client, content, scope="full", confirm=True)
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


async def crash_during_import(database: Path) -> None:
    """End a process during an import, after it has merged the first batch of rows."""
    # The folder of uploads, which the next server empties.
    file = database.with_name(database.name + ".uploads") / "crash.csv"
    file.parent.mkdir()
    file.write_text(VALID_CSV)
    command = [sys.executable, "-c", CRASH, str(database), str(file)]
    process = await asyncio.create_subprocess_exec(*command)
    assert await asyncio.wait_for(process.wait(), 300) == 9
    assert file.with_name("crash.csv.staged").exists()


async def test_s112_crashed_import_is_marked_as_interrupted_at_the_next_start(
    tmp_path: Path,
) -> None:
    """The crash happens before finalizing: the next start deletes the stage file."""
    await crash_during_import(tmp_path / "hub.db")
    async with HubHarness(tmp_path) as hub:
        client: TestClient = await hub.client()
        status = (await client.emit_with_ack("join-import-room", 1))["status"]
        assert (status["status"], status["result"]["code"]) == ("failed", "INTERRUPTED")
        assert findings(hub) == {}
        assert list((tmp_path / "hub.db.uploads").iterdir()) == []
        progress = await client.emit_with_ack("join-progress", "import-1-crash")
        assert progress["status"]["status"] == "error"
        assert (await run_import(client))["summary"]["inserted"] == 20
