"""Imports of producers across a restart of the hub, which may have been killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.config.producers import IngestToken
from hextrackr_server.imports.journal import FLUSH_SECONDS
from hextrackr_server.imports.progress_tracker import KEEP_SECONDS, RESUME_SECONDS
from socketio_core.testing import TestClient, settle
from tests.contract.imports import receive_payload, received_names
from tests.contract.support import HubHarness

PRODUCER = IngestToken("scanner", frozenset({"progress"}), b"p" * 32)
NUMBER = 1_800_000_000_000
TEXT_ID = "0b9f6a3e-6c0c-4e0c-9d55-2d1c1c3d7f10"
SESSION = "import-1735088423891-a3b2c1d4e"

Report = Callable[..., Any]


@asynccontextmanager
async def running_hub(directory: Path) -> AsyncIterator[tuple[HubHarness, Report]]:
    """Run a hub, and yield it with a function that sends a report of the producer."""
    async with HubHarness(directory, ingest_tokens=(PRODUCER,)) as hub:

        async def report(path: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
            headers = {"authorization": f"Bearer {PRODUCER.secret.decode()}"}
            answer = await hub.request(method, f"/ingest/v1/{path}", headers, body)
            assert answer.status == 202, answer.body
            return dict(answer.json())

        yield hub, report


async def leave_unfinished(directory: Path) -> None:
    """Run a hub until a producer has reported 95 % of three imports."""
    async with running_hub(directory) as (hub, report):
        for import_id in (NUMBER, TEXT_ID):
            start = {"importId": import_id, "userId": "7", "totalRecords": 200}
            await report("imports", start | {"filename": "nightly\x00.csv"})
            await report(f"imports/{import_id}", {"processed": 190}, "PATCH")
        await report(f"progress/{SESSION}", {"op": "create", "ownerUserId": "7"})
        await report(f"progress/{SESSION}", {"op": "progress", "progress": 95, "message": "most"})
        await hub.advance(FLUSH_SECONDS)


def interrupted(client: TestClient) -> list[tuple[str, Any]]:
    """Return event and ID of each interrupted import in the late events of a client."""
    found = []
    for name, key in (("import-progress", "importId"), ("progress-status", "sessionId")):
        for payload, *_ in client.events(name):
            if payload.get("interrupted"):
                assert payload["late"] is True
                found.append((name, payload[key]))
    return found


async def test_s112_s119_client_is_informed_of_a_producers_import_that_a_restart_interrupted(
    tmp_path: Path,
) -> None:
    await leave_unfinished(tmp_path)
    async with running_hub(tmp_path) as (hub, _):
        owner, other, admin = (
            await hub.client("7"),
            await hub.client("8"),
            await hub.client("1", role="admin"),
        )
        await settle()
        assert sorted(interrupted(owner), key=str) == sorted(
            [
                ("import-progress", NUMBER),
                ("import-progress", TEXT_ID),
                ("progress-status", SESSION),
                ("progress-status", TEXT_ID),
                ("progress-status", f"import-{NUMBER}"),
            ],
            key=str,
        )
        assert interrupted(admin) == interrupted(owner)
        assert interrupted(other) == []
        state = (await owner.emit_with_ack("join-import-room", TEXT_ID))["status"]
        assert (state["status"], state["percentage"], state["overall"]) == ("processing", 95, 95)
        assert "restarted" in state["message"]
        status = (await owner.emit_with_ack("join-progress", SESSION))["status"]
        assert (status["progress"], status["status"]) == (95, "processing")
        assert (await other.emit_with_ack("join-progress", SESSION))["code"] == "NOT_FOUND"


async def test_s112_s119_import_of_a_producer_continues_after_a_restart(tmp_path: Path) -> None:
    await leave_unfinished(tmp_path)
    async with running_hub(tmp_path) as (hub, report):
        client = await hub.client("7")
        await client.emit_with_ack("join-import-room", NUMBER)
        await client.emit_with_ack("join-progress", SESSION)
        client.received.clear()
        answer = await report(f"imports/{NUMBER}", {"processed": 195}, "PATCH")
        assert answer["status"] == "processing"
        assert (await receive_payload(client, "import-progress"))["processed"] == 195
        await report(f"imports/{NUMBER}/complete", {"processed": 200, "errors": 0})
        finished = await receive_payload(client, "import-finished")
        assert (finished["importId"], finished["status"]) == (NUMBER, "completed")
        emit = {"rooms": [f"progress-{SESSION}"], "event": "progress-complete"}
        await report("emit", emit | {"args": [{"progress": 100, "message": "done"}]})
        complete = await receive_payload(client, "progress-complete")
        assert (complete["status"], complete["progress"]) == ("completed", 100)
        # The import that no report continues ends too.
        await hub.advance(RESUME_SECONDS)
        failed = await receive_payload(client, "import-failed")
        assert (failed["importId"], failed["code"]) == (TEXT_ID, "INTERRUPTED")
        assert "import-failed" not in received_names(client)


@pytest.mark.parametrize("path", [f"imports/{TEXT_ID}", f"progress/{SESSION}"])
async def test_s112_s119_interrupted_import_fails_until_its_producer_reports(
    tmp_path: Path, path: str
) -> None:
    await leave_unfinished(tmp_path)
    async with running_hub(tmp_path) as (hub, _):
        client = await hub.client("7")
        await client.emit_with_ack("join-progress", SESSION)
        await hub.advance(RESUME_SECONDS)
        failures = [payload["code"] for payload, *_ in client.events("import-failed")]
        assert failures == ["INTERRUPTED"] * 2
        error = await receive_payload(client, "progress-error")
        assert error["error"]["code"] == "INTERRUPTED"
    # Even a second restart does not refuse the late producer.
    async with running_hub(tmp_path) as (hub, report):
        client = await hub.client("7")
        await client.emit_with_ack("join-progress", SESSION)
        await client.emit_with_ack("join-progress", TEXT_ID)
        if path.startswith("imports"):
            answer = await report(path, {"processed": 200}, "PATCH")
            assert answer["status"] == "processing"
            await report(f"{path}/complete", {"processed": 200})
        else:
            await report(path, {"op": "create", "ownerUserId": "7"})
            await report(path, {"op": "complete"})
        complete = await receive_payload(client, "progress-complete")
        assert complete["sessionId"] == path.partition("/")[2]
        assert "error" not in complete
        assert complete["metadata"]["success"] is True


async def test_s112_s119_page_that_does_not_join_again_receives_the_end(tmp_path: Path) -> None:
    session = {"op": "progress", "progress": 95}
    async with running_hub(tmp_path) as (hub, report):
        page, left = await hub.client("7"), await hub.client("8")
        # HexTrackr's page joins before the session exists; the shim reports no owner.
        for client in (page, left):
            await client.emit_with_ack("join-progress", SESSION)
        await report(f"progress/{SESSION}", session)
        await left.emit_with_ack("leave-progress", SESSION)
    async with running_hub(tmp_path) as (hub, report):
        page, left = await hub.client("7"), await hub.client("8")
        await settle()
        assert interrupted(page) == [("progress-status", SESSION)]
        assert interrupted(left) == []
        await report(f"progress/{SESSION}", {"op": "complete"})
        assert (await receive_payload(page, "progress-complete"))["sessionId"] == SESSION
        assert "progress-complete" not in received_names(left)
        # A later connection receives the end, too.
        again = await hub.client("7")
        await settle()
        statuses = [payload["status"] for payload, *_ in again.events("progress-status")]
        assert statuses == ["completed"]


async def test_s112_s119_first_report_may_be_repeated_after_a_restart(tmp_path: Path) -> None:
    await leave_unfinished(tmp_path)
    start = {"importId": TEXT_ID, "userId": "7", "totalRecords": 200}
    async with running_hub(tmp_path) as (hub, report):
        assert (await report("imports", start))["importId"] == TEXT_ID
        headers = {"authorization": f"Bearer {PRODUCER.secret.decode()}"}
        again = await hub.request("POST", "/ingest/v1/imports", headers, start)
        assert again.status == 409
        await hub.advance(RESUME_SECONDS)
        snapshot = hub.application.services.tracker.snapshot(TEXT_ID)
        assert snapshot is not None
        assert snapshot["status"] == "processing"


async def test_s112_s119_user_cancels_an_interrupted_import(tmp_path: Path) -> None:
    await leave_unfinished(tmp_path)
    async with running_hub(tmp_path) as (hub, report):
        client = await hub.client("7")
        assert (await client.emit_with_ack("cancel-import", TEXT_ID))["status"] == "cancelled"
        answer = await report(f"imports/{TEXT_ID}", {"processed": 199}, "PATCH")
        assert answer["status"] == "cancelled"


async def test_s112_s119_ended_import_of_a_producer_stays_readable_after_a_restart(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as (hub, report):
        await report("imports", {"importId": TEXT_ID, "userId": "7", "totalRecords": 2})
        await hub.advance(3)
        body = {"processed": 2, "errors": 1, "summary": {"inserted": 1}}
        await report(f"imports/{TEXT_ID}/complete", body)
    async with running_hub(tmp_path) as (hub, report):
        client = await hub.client("7")
        await settle()
        finished = await receive_payload(client, "import-finished")
        assert (finished["importId"], finished["late"]) == (TEXT_ID, True)
        assert finished["summary"] == {"inserted": 1}
        answer = await report(f"imports/{TEXT_ID}", {"processed": 1}, "PATCH")
        assert answer["status"] == "completed"
        await hub.advance(KEEP_SECONDS + 60)
    async with running_hub(tmp_path) as (hub, _):
        assert hub.application.services.tracker.find(TEXT_ID) is None
