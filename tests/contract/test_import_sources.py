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
from tests.contract.imports import GOOD, finished, names, payload, reached, start
from tests.contract.support import Answer, Stage

PRODUCER = IngestToken("scanner", frozenset({"progress"}), b"p" * 32)
ACK = {"success", "importId", "sessionId", "status", "totalRecords"}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "scan_09_30_2025.csv").write_text(GOOD)
    return inbox


@pytest.fixture
async def stage(tmp_path: Path, inbox: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path, import_inbox=inbox, ingest_tokens=(PRODUCER,)) as stage:
        yield stage


async def begin(client: TestClient, source: str, **more: Any) -> dict[str, Any]:
    answer = await client.emit_with_ack("start-import", {"source": source} | more)
    assert isinstance(answer, dict)
    return answer


def stored(stage: Stage) -> list[Path]:
    """The files that wait to be imported, or are being read."""
    return list((stage.directory / "stage.db.uploads").iterdir())


# -- rows


async def test_s085_rows_are_imported_as_a_file_of_them_would_be(stage: Stage) -> None:
    client = await stage.client()
    rows = [
        {"hostname": "h-1", "cve": "CVE-2024-1000", "vpr": 7.5},
        {"hostname": "", "cve": "CVE-2024-2000"},
        {"hostname": "h-2", "cve": "CVE-2024-3000", "vpr": "much"},
    ]
    answer = await begin(client, "inline", filename="scan.json", rows=rows)
    assert set(answer) == ACK
    assert (answer["status"], answer["totalRecords"]) == ("queued", None)
    done = await payload(client, "import-finished")
    assert (done["totalProcessed"], done["summary"]["inserted"]) == (3, 2)
    assert done["errorDetails"] == [
        {"row": 3, "column": "hostname", "message": "the row names no host"}
    ]
    assert [each["row"] for each in done["warningDetails"]] == [4]


async def test_s085_rows_are_bounded(stage: Stage) -> None:
    client = await stage.client()
    rows = [{"cve": "x"}] * (imports.MAXIMUM_ROWS + 1)
    answer = await begin(client, "inline", filename="scan.json", rows=rows)
    assert (answer["code"], answer["fields"][0]["path"]) == ("VALIDATION_ERROR", "rows")


# -- a path


async def test_s085_an_admin_imports_a_file_of_the_inbox_which_stays(
    stage: Stage, inbox: Path
) -> None:
    admin = await stage.client("1", "admin")
    answer = await begin(admin, "path", path="scan_09_30_2025.csv", vendor="cisco")
    assert set(answer) == ACK
    started = await payload(admin, "import-started")
    assert (started["filename"], started["vendor"]) == ("scan_09_30_2025.csv", "cisco")
    assert (await payload(admin, "import-finished"))["summary"]["scanDate"] == "2025-09-30"
    await stage.settled(lambda: not stored(stage))
    assert (inbox / "scan_09_30_2025.csv").read_text() == GOOD


async def test_s085_a_path_is_for_admins_alone(stage: Stage) -> None:
    client = await stage.client()
    for path in ("scan_09_30_2025.csv", "nothing.csv", "../stage.db"):
        assert (await begin(client, "path", path=path))["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("path", "code"),
    [("../stage.db", "FORBIDDEN"), ("nothing.csv", "NOT_FOUND"), (".", "VALIDATION_ERROR")],
)
async def test_s085_a_path_leads_to_a_file_of_the_inbox_alone(
    stage: Stage, path: str, code: str
) -> None:
    admin = await stage.client("1", "admin")
    answer = await begin(admin, "path", path=path)
    assert (answer["success"], answer["code"]) == (False, code)


async def test_s085_a_file_of_the_inbox_is_as_large_as_an_upload_at_most(
    stage: Stage, inbox: Path
) -> None:
    admin = await stage.client("1", "admin")
    with (inbox / "large.csv").open("wb") as file:
        file.truncate(stage.application.services.uploads.maximum + 1)
    assert (await begin(admin, "path", path="large.csv"))["code"] == "TOO_LARGE"
    assert stored(stage) == []


async def test_s085_without_an_inbox_the_setting_is_named(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        admin = await stage.client("1", "admin")
        answer = await begin(admin, "path", path="scan.csv")
        assert answer["code"] == "FORBIDDEN"
        assert "HEXTRACKR_IMPORT_INBOX" in answer["error"]


# -- work that is done elsewhere


async def report(
    stage: Stage, path: str, body: dict[str, Any], method: str = "POST"
) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {PRODUCER.secret.decode()}"}
    answer: Answer = await stage.ask(method, f"/ingest/v1/imports/{path}", headers, body)
    assert answer.status == 202, answer.body
    return dict(answer.json())


async def test_s112_s113_an_external_import_is_begun_here_and_done_elsewhere(stage: Stage) -> None:
    owner, other = await stage.client("7"), await stage.client("8")
    answer = await begin(owner, "external", totalRecords=50, filename="x.csv", vendor="cisco")
    assert set(answer) == ACK
    assert (answer["status"], answer["totalRecords"]) == ("queued", 50)
    number, session = answer["importId"], answer["sessionId"]
    started = await payload(owner, "import-started")
    wanted = {"importId": number, "totalRecords": 50, "filename": "x.csv", "vendor": "cisco"}
    assert wanted.items() <= started.items()
    assert (await other.emit_with_ack("join-import-room", number))["code"] == "NOT_FOUND"
    assert "import-started" not in names(other)
    assert ImportStore(stage.application.database).job_of_session(session) is None


async def test_s114_s116_s118_what_its_producer_reports_is_told_in_both_contracts(
    stage: Stage,
) -> None:
    client = await stage.client()
    answer = await begin(client, "external", totalRecords=50)
    number, session = answer["importId"], answer["sessionId"]
    await client.emit_with_ack("join-import-room", number)
    await client.emit_with_ack("join-progress", session)
    assert (await report(stage, f"{number}", {"processed": 10}, "PATCH"))["status"] == "processing"
    told = await payload(client, "import-progress")
    assert (told["processed"], told["total"], told["percentage"]) == (10, 50, 20)
    assert (await payload(client, "progress-update"))["progress"] == 20
    done = {"processed": 50, "errors": 1, "summary": {"inserted": 49}}
    assert (await report(stage, f"{number}/complete", done))["status"] == "completed"
    completed = await payload(client, "import-completed")
    assert completed == await payload(client, "import-finished")
    assert (completed["totalProcessed"], completed["summary"]) == (50, {"inserted": 49})
    assert (await payload(client, "progress-complete"))["metadata"]["insertedToCurrent"] == 49


async def test_s113_the_total_may_come_later(stage: Stage) -> None:
    client = await stage.client()
    number = (await begin(client, "external"))["importId"]
    assert (await payload(client, "import-started"))["totalRecords"] is None
    await client.emit_with_ack("join-import-room", number)
    await report(stage, f"{number}", {"processed": 5, "total": 10}, "PATCH")
    assert (await payload(client, "import-progress"))["percentage"] == 50


async def test_s120_an_external_import_fails_or_is_cancelled_where_it_is_done(
    stage: Stage,
) -> None:
    client = await stage.client()
    first, second = [(await begin(client, "external"))["importId"] for _ in range(2)]
    assert (await report(stage, f"{first}/fail", {"code": "DISK_FULL", "message": "No space"}))[
        "status"
    ] == "failed"
    assert (await payload(client, "import-failed"))["code"] == "DISK_FULL"
    assert (await payload(client, "application-error"))["code"] == "IMPORT_FAILED"
    await report(stage, f"{second}/cancel", {"message": "Stopped by hand"})
    cancelled = await payload(client, "import-cancelled")
    assert (cancelled["importId"], cancelled["code"]) == (second, "CANCELLED")
    assert cancelled["message"] == "Stopped by hand"


async def test_s120_an_external_import_is_cancelled_here_and_its_producer_learns_it(
    stage: Stage,
) -> None:
    client, other = await stage.client("7"), await stage.client("8")
    answer = await begin(client, "external", totalRecords=50)
    number = answer["importId"]
    await client.emit_with_ack("join-progress", answer["sessionId"])
    assert (await other.emit_with_ack("cancel-import", number))["code"] == "NOT_FOUND"
    assert (await client.emit_with_ack("cancel-import", number))["status"] == "cancelled"
    assert (await payload(client, "import-cancelled"))["importId"] == number
    assert (await payload(client, "progress-error"))["error"]["code"] == "CANCELLED"
    learned = await report(stage, f"{number}", {"processed": 10}, "PATCH")
    assert learned["status"] == "cancelled"
    await reached(stage, client)
    assert "import-progress" not in names(client)
    assert (await client.emit_with_ack("cancel-import", number))["code"] == "CONFLICT"


async def test_s119_an_import_that_nobody_reports_on_ends_by_itself(stage: Stage) -> None:
    client = await stage.client()
    number = (await begin(client, "external"))["importId"]
    for _ in range(9):
        await stage.advance(60)
    await report(stage, f"{number}", {"processed": 1}, "PATCH")
    for _ in range(9):
        await stage.advance(60)
    await reached(stage, client)
    assert "import-failed" not in names(client)
    for _ in range(2):
        await stage.advance(60)
    failed = await payload(client, "import-failed")
    assert (failed["importId"], failed["status"], failed["code"]) == (number, "failed", "STALLED")
    assert (await report(stage, f"{number}", {"processed": 2}, "PATCH"))["status"] == "failed"


async def test_s112_external_imports_are_bounded(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_service, "MAXIMUM_EXTERNAL", 2)
    client, other = await stage.client("7"), await stage.client("8")
    numbers = [(await begin(client, "external"))["importId"] for _ in range(2)]
    assert len(set(numbers)) == 2
    assert (await begin(client, "external"))["code"] == "CONFLICT"
    assert (await begin(other, "external"))["success"]
    await client.emit_with_ack("cancel-import", numbers[0])
    assert (await begin(client, "external"))["success"]


async def test_s113_a_session_has_one_import_wherever_it_is_done(stage: Stage) -> None:
    client, other = await stage.client("7"), await stage.client("8")
    assert (await begin(client, "external", sessionId="s-1"))["success"]
    for asking in (client, other):
        assert (await start(asking, sessionId="s-1"))["code"] == "CONFLICT"
        assert (await begin(asking, "external", sessionId="s-1"))["code"] == "CONFLICT"
    await finished(client, sessionId="s-2")
    await stage.advance(3700)
    await finished(client)
    assert stage.application.services.tracker.find("s-2") is None
    assert (await begin(other, "external", sessionId="s-2"))["code"] == "CONFLICT"
    await stage.settled(lambda: not stage.application.services.imports._stop_reasons)
