"""Ends of imports that a client missed: the hub sends them when the client connects."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hextrackr_server.imports.progress_tracker import LATE_SECONDS, MAXIMUM_LATE
from hextrackr_server.imports.store import ImportStore
from hextrackr_server.storage.database import Database
from socketio_core.testing import TestClient, settle
from tests.contract.imports import receive_payload, run_import
from tests.contract.support import HubHarness


def late_events(client: TestClient) -> list[tuple[str, Any]]:
    """Return the name and import ID, or session ID, of each late event of a client."""
    found = []
    for name in ("import-finished", "import-completed", "import-failed", "import-cancelled"):
        for payload, *_ in client.events(name):
            if payload.get("late"):
                found.append((name, payload["importId"]))
    for payload, *_ in client.events("progress-status"):
        if payload.get("late"):
            found.append((f"progress-status {payload['status']}", payload["sessionId"]))
    return found


def leave_running(directory: Path, *, ended_before: float | None = None) -> int:
    """Store an import as a killed server leaves it, or one that ended; return its ID."""
    database = Database(directory / "hub.db")
    store = ImportStore(database)
    now = int(time.time() * 1000)
    job = store.create_job(
        session_id=f"import-{time.time_ns()}",
        user_id="7",
        filename="scan.csv",
        vendor=None,
        scan_date="2025-09-30",
        created_at=now,
    )
    if ended_before is None:
        store.update_job(job.import_id, status="running", started_at=now)
    else:
        finished = now - round(ended_before * 1000)
        store.update_job(job.import_id, status="completed", finished_at=finished, result={})
    database.close()
    return job.import_id


async def test_s117_s120_client_receives_the_end_of_an_import_that_a_killed_server_left(
    tmp_path: Path,
) -> None:
    async with HubHarness(tmp_path):
        pass
    number = leave_running(tmp_path)
    async with HubHarness(tmp_path) as hub:
        owner, other, admin = (
            await hub.client("7"),
            await hub.client("8"),
            await hub.client("1", role="admin"),
        )
        await settle()
        ends = late_events(owner)
        assert [name for name, _ in ends] == ["import-failed", "progress-status error"]
        assert late_events(admin) == ends
        assert late_events(other) == []
        failed = await receive_payload(owner, "import-failed")
        assert (failed["importId"], failed["code"]) == (number, "INTERRUPTED")
        # A page that joins again receives the same state.
        answer = await owner.emit_with_ack("join-import-room", number)
        assert answer["status"]["status"] == "failed"


async def test_s117_s120_client_receives_the_end_of_an_import_that_completed_meanwhile(
    hub: HubHarness,
) -> None:
    first = await hub.client("7")
    number = (await run_import(first))["importId"]
    assert late_events(first) == []
    again, admin = await hub.client("7"), await hub.client("1", role="admin")
    await settle()
    assert late_events(again)[0] == ("import-finished", number)
    assert late_events(admin)[0] == ("import-completed", number)
    payload = await receive_payload(again, "import-finished")
    assert payload["summary"]["inserted"] > 0
    await hub.advance(LATE_SECONDS + 1)
    assert late_events(await hub.client("7")) == []


async def test_s117_s120_old_imports_are_not_reported_after_a_restart(tmp_path: Path) -> None:
    async with HubHarness(tmp_path):
        pass
    leave_running(tmp_path, ended_before=LATE_SECONDS + 60)
    recent = [leave_running(tmp_path, ended_before=60) for _ in range(MAXIMUM_LATE + 2)]
    async with HubHarness(tmp_path) as hub:
        ends = [number for name, number in late_events(await hub.client("7")) if "import" in name]
    assert len([number for number in ends if number in recent]) == MAXIMUM_LATE
    assert {number for number in ends if isinstance(number, int)} <= set(recent)
