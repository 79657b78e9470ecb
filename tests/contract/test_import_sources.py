"""The four sources of an import: rows S85 and S112 to S120."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.config.producers import IngestToken
from hextrackr_server.imports import service as import_service
from hextrackr_server.imports.store import ImportStore
from hextrackr_server.sockets import imports
from socketio_core.testing import TestClient
from tests.contract.imports import (
    VALID_CSV,
    flush_events,
    receive_payload,
    received_names,
    run_import,
    start_import,
)
from tests.contract.support import HubHarness, Response

PRODUCER = IngestToken("scanner", frozenset({"progress", "broadcast"}), b"p" * 32)
ACK = {"success", "importId", "sessionId", "status", "totalRecords"}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "scan_09_30_2025.csv").write_text(VALID_CSV)
    return inbox


@pytest.fixture
async def hub(tmp_path: Path, inbox: Path) -> AsyncIterator[HubHarness]:
    async with HubHarness(tmp_path, import_inbox=inbox, ingest_tokens=(PRODUCER,)) as hub:
        yield hub


async def start_from(client: TestClient, source: str, **more: Any) -> dict[str, Any]:
    """Start an import from a source and return the ack."""
    answer = await client.emit_with_ack("start-import", {"source": source} | more)
    assert isinstance(answer, dict)
    return answer


def stored_uploads(hub: HubHarness) -> list[Path]:
    """Return the stored files of queued and running imports."""
    return list((hub.directory / "hub.db.uploads").iterdir())


# -- inline rows


async def test_s085_inline_rows_are_imported_like_the_rows_of_a_file(hub: HubHarness) -> None:
    client = await hub.client()
    rows = [
        {"hostname": "h-1", "cve": "CVE-2024-1000", "vpr": 7.5},
        {"hostname": "", "cve": "CVE-2024-2000"},
        {"hostname": "h-2", "cve": "CVE-2024-3000", "vpr": "much"},
    ]
    answer = await start_from(client, "inline", filename="scan.json", rows=rows)
    assert set(answer) == ACK
    assert (answer["status"], answer["totalRecords"]) == ("queued", None)
    done = await receive_payload(client, "import-finished")
    assert (done["totalProcessed"], done["summary"]["inserted"]) == (3, 2)
    assert done["errorDetails"] == [
        {"row": 3, "column": "hostname", "message": "the row names no host"}
    ]
    assert [each["row"] for each in done["warningDetails"]] == [None, 4]


async def test_s085_inline_rows_are_rejected_above_the_maximum(hub: HubHarness) -> None:
    client = await hub.client()
    rows = [{"cve": "x"}] * (imports.MAXIMUM_ROWS + 1)
    answer = await start_from(client, "inline", filename="scan.json", rows=rows)
    assert (answer["code"], answer["fields"][0]["path"]) == ("VALIDATION_ERROR", "rows")


# -- files of the inbox


async def test_s085_admin_imports_an_inbox_file_without_removing_it(
    hub: HubHarness, inbox: Path
) -> None:
    admin = await hub.client("1", "admin")
    answer = await start_from(admin, "path", path="scan_09_30_2025.csv", vendor="cisco")
    assert set(answer) == ACK
    started = await receive_payload(admin, "import-started")
    assert (started["filename"], started["vendor"]) == ("scan_09_30_2025.csv", "cisco")
    assert (await receive_payload(admin, "import-finished"))["summary"]["scanDate"] == "2025-09-30"
    await hub.wait_until(lambda: not stored_uploads(hub))
    assert (inbox / "scan_09_30_2025.csv").read_text() == VALID_CSV


async def test_s085_path_import_is_refused_to_non_admins(hub: HubHarness) -> None:
    client = await hub.client()
    for path in ("scan_09_30_2025.csv", "nothing.csv", "../hub.db"):
        assert (await start_from(client, "path", path=path))["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("path", "code"),
    [("../hub.db", "FORBIDDEN"), ("nothing.csv", "NOT_FOUND"), (".", "VALIDATION_ERROR")],
)
async def test_s085_path_must_name_a_file_in_the_inbox(
    hub: HubHarness, path: str, code: str
) -> None:
    admin = await hub.client("1", "admin")
    answer = await start_from(admin, "path", path=path)
    assert (answer["success"], answer["code"]) == (False, code)


async def test_s085_inbox_file_is_rejected_when_it_exceeds_the_upload_limit(
    hub: HubHarness, inbox: Path
) -> None:
    admin = await hub.client("1", "admin")
    with (inbox / "large.csv").open("wb") as file:
        file.truncate(hub.application.services.uploads.maximum + 1)
    assert (await start_from(admin, "path", path="large.csv"))["code"] == "TOO_LARGE"
    assert stored_uploads(hub) == []


async def test_s085_path_import_error_names_the_setting_when_no_inbox_is_configured(
    tmp_path: Path,
) -> None:
    async with HubHarness(tmp_path) as hub:
        admin = await hub.client("1", "admin")
        answer = await start_from(admin, "path", path="scan.csv")
        assert answer["code"] == "FORBIDDEN"
        assert "HEXTRACKR_IMPORT_INBOX" in answer["error"]


# -- external imports


async def send_report(
    hub: HubHarness, path: str, body: dict[str, Any], method: str = "POST"
) -> dict[str, Any]:
    """Send a report of the producer on an import, and return the response."""
    return await send_to(hub, f"imports/{path}".rstrip("/"), body, method)


async def send_to(
    hub: HubHarness, path: str, body: dict[str, Any], method: str = "POST"
) -> dict[str, Any]:
    """Send a report of the producer and return the response."""
    headers = {"authorization": f"Bearer {PRODUCER.secret.decode()}"}
    target = f"/ingest/v1/{path}"
    answer: Response = await hub.request(method, target, headers, body)
    assert answer.status == 202, answer.body
    return dict(answer.json())


async def send_request(hub: HubHarness, method: str, path: str, user: str = "7") -> Response:
    """Send a request of a user for an import."""
    headers = {"authorization": f"Bearer {hub.token(user)}"}
    return await hub.request(method, f"/api/imports/{path}", headers)


async def test_s112_s113_external_import_is_announced_without_a_job(
    hub: HubHarness,
) -> None:
    owner, other = await hub.client("7"), await hub.client("8")
    answer = await start_from(owner, "external", totalRecords=50, filename="x.csv", vendor="cisco")
    assert set(answer) == ACK
    assert (answer["status"], answer["totalRecords"]) == ("queued", 50)
    number, session = answer["importId"], answer["sessionId"]
    started = await receive_payload(owner, "import-started")
    expected = {"importId": number, "totalRecords": 50, "filename": "x.csv", "vendor": "cisco"}
    assert expected.items() <= started.items()
    assert (await other.emit_with_ack("join-import-room", number))["code"] == "NOT_FOUND"
    assert "import-started" not in received_names(other)
    assert ImportStore(hub.application.database).job_of_session(session) is None


async def test_s114_s116_s118_reports_of_a_producer_are_sent_in_both_contracts(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    answer = await start_from(client, "external", totalRecords=50)
    number, session = answer["importId"], answer["sessionId"]
    await client.emit_with_ack("join-import-room", number)
    await client.emit_with_ack("join-progress", session)
    assert (await send_report(hub, f"{number}", {"processed": 10}, "PATCH"))[
        "status"
    ] == "processing"
    progress = await receive_payload(client, "import-progress")
    assert (progress["processed"], progress["total"], progress["percentage"]) == (10, 50, 20)
    assert (await receive_payload(client, "progress-update"))["progress"] == 20
    done = {"processed": 50, "errors": 1, "summary": {"inserted": 49}}
    assert (await send_report(hub, f"{number}/complete", done))["status"] == "completed"
    completed = await receive_payload(client, "import-completed")
    assert completed == await receive_payload(client, "import-finished")
    assert (completed["totalProcessed"], completed["summary"]) == (50, {"inserted": 49})
    assert (await receive_payload(client, "progress-complete"))["metadata"][
        "insertedToCurrent"
    ] == 49


async def test_s113_total_of_an_external_import_may_be_reported_later(hub: HubHarness) -> None:
    client = await hub.client()
    number = (await start_from(client, "external"))["importId"]
    assert (await receive_payload(client, "import-started"))["totalRecords"] is None
    await client.emit_with_ack("join-import-room", number)
    await send_report(hub, f"{number}", {"processed": 5, "total": 10}, "PATCH")
    assert (await receive_payload(client, "import-progress"))["percentage"] == 50


async def test_s120_producer_may_fail_or_cancel_an_external_import(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    first, second = [(await start_from(client, "external"))["importId"] for _ in range(2)]
    assert (await send_report(hub, f"{first}/fail", {"code": "DISK_FULL", "message": "No space"}))[
        "status"
    ] == "failed"
    assert (await receive_payload(client, "import-failed"))["code"] == "DISK_FULL"
    assert (await receive_payload(client, "application-error"))["code"] == "IMPORT_FAILED"
    await send_report(hub, f"{second}/cancel", {"message": "Stopped by hand"})
    cancelled = await receive_payload(client, "import-cancelled")
    assert (cancelled["importId"], cancelled["code"]) == (second, "CANCELLED")
    assert cancelled["message"] == "Stopped by hand"


async def test_s120_producer_receives_the_status_cancelled_when_the_user_cancels(
    hub: HubHarness,
) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    answer = await start_from(client, "external", totalRecords=50)
    number = answer["importId"]
    await client.emit_with_ack("join-progress", answer["sessionId"])
    assert (await other.emit_with_ack("cancel-import", number))["code"] == "NOT_FOUND"
    assert (await client.emit_with_ack("cancel-import", number))["status"] == "cancelled"
    assert (await receive_payload(client, "import-cancelled"))["importId"] == number
    assert (await receive_payload(client, "progress-error"))["error"]["code"] == "CANCELLED"
    status = await send_report(hub, f"{number}", {"processed": 10}, "PATCH")
    assert status["status"] == "cancelled"
    await flush_events(client)
    assert "import-progress" not in received_names(client)
    assert (await client.emit_with_ack("cancel-import", number))["code"] == "CONFLICT"


async def test_s119_external_import_fails_when_its_reports_stop(hub: HubHarness) -> None:
    client = await hub.client()
    number = (await start_from(client, "external"))["importId"]
    for _ in range(9):
        await hub.advance(60)
    await send_report(hub, f"{number}", {"processed": 1}, "PATCH")
    for _ in range(9):
        await hub.advance(60)
    await flush_events(client)
    assert "import-failed" not in received_names(client)
    for _ in range(2):
        await hub.advance(60)
    failed = await receive_payload(client, "import-failed")
    assert (failed["importId"], failed["status"], failed["code"]) == (number, "failed", "STALLED")
    assert (await send_report(hub, f"{number}", {"processed": 2}, "PATCH"))["status"] == "failed"


async def test_s112_external_imports_are_limited_per_user(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_service, "MAXIMUM_EXTERNAL", 2)
    client, other = await hub.client("7"), await hub.client("8")
    numbers = [(await start_from(client, "external"))["importId"] for _ in range(2)]
    assert len(set(numbers)) == 2
    assert (await start_from(client, "external"))["code"] == "CONFLICT"
    assert (await start_from(other, "external"))["success"]
    await client.emit_with_ack("cancel-import", numbers[0])
    assert (await start_from(client, "external"))["success"]


async def test_s113_session_id_is_rejected_when_an_import_uses_it(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    assert (await start_from(client, "external", sessionId="s-1"))["success"]
    for user in (client, other):
        assert (await start_import(user, sessionId="s-1"))["code"] == "CONFLICT"
        assert (await start_from(user, "external", sessionId="s-1"))["code"] == "CONFLICT"
    await run_import(client, sessionId="s-2")
    await hub.advance(3700)
    await run_import(client)
    assert hub.application.services.tracker.find("s-2") is None
    assert (await start_from(other, "external", sessionId="s-2"))["code"] == "CONFLICT"
    await hub.wait_until(lambda: not hub.application.services.imports._stop_reasons)


@pytest.mark.parametrize("path", ["/api/imports", "/api/imports/upload"])
async def test_s085_upload_without_a_body_is_refused_at_once(hub: HubHarness, path: str) -> None:
    for kind in ("text/csv", "multipart/form-data; boundary=x"):
        headers = {"authorization": f"Bearer {hub.token()}", "content-type": kind}
        answer = await hub.request("POST", path, headers)
        assert (answer.status, answer.json()["error"]) == (400, "The request has no body")
        assert answer.json()["fields"][0]["path"] == "csvFile"


async def test_s057_s113_text_import_id_of_a_producer_names_the_import_everywhere(
    hub: HubHarness,
) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    name = "0b9f6a3e-6c0c-4e0c-9d55-2d1c1c3d7f10"
    start = {"importId": name, "userId": "7", "totalRecords": 10}
    answer = await send_report(hub, "", start)
    assert answer["importId"] == name
    started = await receive_payload(client, "import-started")
    assert (started["importId"], started["sessionId"]) == (name, name)
    joined = await client.emit_with_ack("join-import-room", name)
    assert (joined["success"], joined["status"]["importId"]) == (True, name)
    assert (await other.emit_with_ack("join-import-room", name))["code"] == "NOT_FOUND"
    await send_report(hub, name, {"processed": 5}, "PATCH")
    assert (await receive_payload(client, "import-progress"))["importId"] == name
    await send_report(hub, f"{name}/complete", {"processed": 10})
    assert (await receive_payload(client, "import-completed"))["importId"] == name
    assert (await client.emit_with_ack("leave-import-room", name))["success"]


async def test_s057_session_id_names_an_import_of_the_hub(hub: HubHarness) -> None:
    client = await hub.client()
    name = "5c1d8c8a-86a5-4f6e-a6a2-6bfa7a4c7f3e"
    number = (await run_import(client, sessionId=name))["importId"]
    joined = await client.emit_with_ack("join-import-room", name)
    assert (joined["success"], joined["status"]["importId"]) == (True, number)
    ended = await client.emit_with_ack("cancel-import", name)
    assert ended["code"] == "CONFLICT"


async def test_s057_text_import_id_is_accepted_by_the_routes_and_queries(hub: HubHarness) -> None:
    client, admin = await hub.client(), await hub.client("1", "admin")
    of_hub, of_producer = "5c1d8c8a-86a5-4f6e-a6a2-6bfa7a4c7f3e", "nightly:2025-09-30_a.1"
    number = (await run_import(client, sessionId=of_hub))["importId"]
    await send_report(hub, "", {"importId": of_producer, "userId": "7", "totalRecords": 4})
    for name, shown in ((of_hub, number), (str(number), number), (of_producer, of_producer)):
        answer = await send_request(hub, "GET", name)
        assert (answer.status, answer.json()["status"]["importId"]) == (200, shown)
        assert (await send_request(hub, "GET", name, user="8")).status == 404
        found = await admin.emit_with_ack("get-data", {"resource": "import", "id": name})
        assert found["data"]["importId"] == shown
    assert (await send_request(hub, "POST", f"{of_hub}/cancel")).status == 409
    cancelled = await send_request(hub, "POST", f"{of_producer}/cancel")
    assert (cancelled.status, cancelled.json()["importId"]) == (202, of_producer)


async def test_s057_session_of_digits_is_found_unless_an_import_has_the_number(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    digits = "20250930123456789012345"
    number = (await run_import(client, sessionId=digits))["importId"]
    other = (await run_import(client, sessionId=str(number + 100)))["importId"]
    for name, expected in ((digits, number), (str(number + 100), other), (str(number), number)):
        answer = await send_request(hub, "GET", name)
        assert answer.json()["status"]["importId"] == expected
    unknown = await send_request(hub, "GET", "9" * 100)
    assert unknown.json()["code"] in {"NOT_FOUND", "VALIDATION_ERROR"}


async def test_s057_producer_reaches_the_followers_of_a_text_import_id(hub: HubHarness) -> None:
    client = await hub.client()
    name = "0b9f6a3e-6c0c-4e0c-9d55-2d1c1c3d7f10"
    await send_report(hub, "", {"importId": name, "userId": "7"})
    await client.emit_with_ack("join-import-room", name)
    body = {
        "event": "kev-sync-update",
        "args": [{"status": "started"}],
        "rooms": [f"import-{name}"],
    }
    answer = await send_to(hub, "emit", body)
    assert answer["delivered"] == 1
