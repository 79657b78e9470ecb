"""Tests of the ingest routes for producers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.config.producers import SCOPES, IngestToken
from hextrackr_server.errors import ServiceError
from hextrackr_server.http.ingest import routes as ingest_api
from hextrackr_server.http.ingest import service as ingest_service
from hextrackr_server.security import producer_tokens as ingest_auth
from hextrackr_server.security.producer_tokens import SIGNATURE_HEADER
from socketio_core.testing import settle
from tests.contract.support import HubHarness, Response

FULL = IngestToken("express", frozenset(SCOPES), b"f" * 32)
NARROW = IngestToken("cron", frozenset({"notify"}), b"n" * 32)
LOUD = IngestToken("ci", frozenset({"broadcast"}), b"l" * 32)
BIG = "x" * 300_000


class Producer:
    """An HTTP client that sends reports to a running server."""

    def __init__(self, hub: HubHarness) -> None:
        self.hub = hub

    async def send(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        token: IngestToken | None = FULL,
        **headers: str,
    ) -> Response:
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["authorization"] = f"Bearer {token.secret.decode()}"
        return await self.hub.request(method, f"/ingest/v1/{path}", given, content)

    async def accepted(self, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        answer = await self.send(path, body, **more)
        assert answer.status == 202, answer.body
        parsed = answer.json()
        assert parsed["success"]
        return dict(parsed)

    def signed(self, body: bytes, *, at: int = 0, key: bytes = FULL.secret) -> dict[str, str]:
        moment = str(self.hub.clock.epoch_ms() + at)
        value = hmac.new(key, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        return {"X_HexTrackr_Signature": f"t={moment},v1={value}"}


@pytest.fixture
async def producer(tmp_path: Path) -> AsyncIterator[Producer]:
    async with HubHarness(tmp_path, ingest_tokens=(FULL, NARROW, LOUD)) as hub:
        yield Producer(hub)


# -- authentication and scopes


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic " + "f" * 32, "Bearer "])
async def test_request_without_a_producer_token_is_refused(
    producer: Producer, authorization: str | None
) -> None:
    more = {"authorization": authorization} if authorization else {}
    answer = await producer.send("emit", {}, token=None, **more)
    assert (answer.status, answer.json()["code"]) == (401, "UNAUTHORIZED")


async def test_token_of_a_user_is_refused(producer: Producer) -> None:
    header = f"Bearer {producer.hub.token('1', 'superadmin')}"
    answer = await producer.send("notifications", {}, token=None, authorization=header)
    assert answer.status == 401


async def test_reports_are_refused_when_no_producer_is_configured(tmp_path: Path) -> None:
    async with HubHarness(tmp_path) as hub:
        assert (await Producer(hub).send("notifications")).status == 401


@pytest.mark.parametrize(
    "path",
    ["notifications", "announcements", "maintenance", "sessions/revoke", "imports", "progress/x"],
)
async def test_report_outside_the_scopes_is_refused(producer: Producer, path: str) -> None:
    answer = await producer.send(path, {}, token=NARROW)
    assert (answer.status, answer.json()["code"]) == (403, "FORBIDDEN")
    for event in ("progress-update", "system-notification"):
        assert (await producer.send("emit", {"event": event}, token=NARROW)).status == 403


async def test_signature_is_accepted_once(producer: Producer) -> None:
    body = json.dumps({"type": "x", "message": "y"}).encode()
    headers = producer.signed(body)
    await producer.accepted("notifications", body, token=None, **headers)
    assert (await producer.send("notifications", body, token=None, **headers)).status == 401


@pytest.mark.parametrize("wrong", ["old", "early", "key", "body", "form"])
async def test_invalid_signature_is_refused(producer: Producer, wrong: str) -> None:
    body = b'{"type": "x", "message": "y"}'
    headers = {
        "old": producer.signed(body, at=-301_000),
        "early": producer.signed(body, at=301_000),
        "key": producer.signed(body, key=b"x" * 32),
        "body": producer.signed(body + b" "),
        "form": {"X_HexTrackr_Signature": "v1=0"},
    }[wrong]
    assert (await producer.send("notifications", body, token=None, **headers)).status == 401


async def test_used_signature_stays_refused_after_many_others(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_auth, "MAXIMUM_REMEMBERED", 3)
    body = json.dumps({"type": "x", "message": "y"}).encode()
    first = producer.signed(body)
    for number in range(5):
        headers = producer.signed(body, at=number)
        await producer.accepted("notifications", body, token=None, **headers)
    assert (await producer.send("notifications", body, token=None, **first)).status == 401
    late = producer.signed(body, at=-1, key=LOUD.secret)
    await producer.accepted("notifications", body, token=None, **late)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer x"}, {SIGNATURE_HEADER: "v1=0"}])
async def test_unauthenticated_request_is_refused_before_its_body(
    producer: Producer, headers: dict[str, str]
) -> None:
    headers = headers | {"content-length": "500000"}
    answer = await producer.hub.request("POST", "/ingest/v1/emit", headers, head_only=True)
    assert answer.status == 401


async def test_unverified_bodies_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_api, "MAXIMUM_UNPROVEN", 1)
    async with HubHarness(tmp_path, ingest_tokens=(FULL,)) as hub:
        producer, body = Producer(hub), b'{"type": "x", "message": "y"}'
        signed = producer.signed(body, key=b"no producer's")
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in signed.items()]
        head = ["POST /ingest/v1/emit HTTP/1.1", "host: x", "content-length: 9", *lines]
        _, stranger = await asyncio.open_connection("127.0.0.1", hub.port)
        stranger.write("\r\n".join([*head, "", "{"]).encode())
        # The server reads the unauthenticated body at some point during these requests.
        for number in range(1000):
            headers = producer.signed(body, at=number)
            answer = await producer.send("notifications", body, token=None, **headers)
            if answer.status != 202:
                break
        assert (answer.status, answer.json()["code"]) == (429, "RATE_LIMITED")
        await producer.accepted("notifications", body)
        stranger.close()


async def test_bearer_tokens_are_refused_when_only_signatures_are_allowed(tmp_path: Path) -> None:
    async with HubHarness(tmp_path, ingest_tokens=(FULL,), ingest_signed_only=True) as hub:
        producer = Producer(hub)
        body = b'{"type": "x", "message": "y"}'
        assert (await producer.send("notifications", body)).status == 401
        await producer.accepted("notifications", body, token=None, **producer.signed(body))


# -- bodies and idempotency


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"[]", b"null", b'{"a": NaN}', b"[" * 100_000, b'{"a": 1e999}',
        b'{"a": %d}' % 10**30, b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": %b}' % (b"[" * 99 + b"]" * 99),
    ],
)  # fmt: skip
async def test_body_that_is_not_an_object_is_refused(producer: Producer, body: bytes) -> None:
    answer = await producer.send("notifications", body)
    assert (answer.status, answer.json()["code"]) == (400, "VALIDATION_ERROR")


async def test_too_large_body_is_refused(producer: Producer) -> None:
    answer = await producer.send("notifications", b" " * 1_000_001)
    assert (answer.status, answer.json()["code"]) == (413, "TOO_LARGE")
    body = b'{"op": "complete"}' + b" " * 1_000_001
    await producer.accepted("progress/a", body)
    await producer.accepted("progress/b", body, token=None, **producer.signed(body))


async def test_repeated_request_with_an_idempotency_key_runs_once(producer: Producer) -> None:
    client = await producer.hub.client()
    body = {"type": "x", "message": "once"}
    answers = [
        await producer.accepted("notifications", body, idempotency_key="k-1") for _ in range(2)
    ]
    assert answers[0] == answers[1]
    await settle()
    assert len(list(client.events("system-notification"))) == 1
    other = await producer.send("notifications", body | {"type": "z"}, idempotency_key="k-1")
    assert (other.status, other.json()["code"]) == (409, "CONFLICT")
    await producer.hub.advance(601)
    again = await producer.accepted("notifications", body, idempotency_key="k-1")
    assert again != answers[0]


# -- events


async def test_event_is_sent_to_its_rooms_only(producer: Producer) -> None:
    mine, other = await producer.hub.client("7"), await producer.hub.client("8")
    body = {"event": "user-notification", "rooms": ["user-7"], "args": [{"message": "hi"}]}
    assert (await producer.accepted("emit", body))["delivered"] == 1
    assert (await mine.receive_event("user-notification"))[0] == {"message": "hi"}
    all_but = {"event": "system-announcement", "except": ["user-7"], "args": [1]}
    assert (await producer.accepted("emit", all_but))["delivered"] == 1
    assert (await other.receive_event("system-announcement"))[0] == 1
    assert mine.received == []


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"event": "connect"}, "event"),
        ({"event": "start-import"}, "event"),
        ({"event": None}, "event"),
        ({"event": ["x"]}, "event"),
        ({"args": {}}, "args"),
        ({"args": [0] * 9}, "args"),
        ({"rooms": "user-7"}, "rooms"),
        ({"rooms": ["administrators"]}, "rooms"),
        ({"rooms": ["user-7\n"]}, "rooms"),
        ({"rooms": ["user-7"] * 65}, "rooms"),
        ({"except": [5]}, "except"),
        ({"namespace": "/other"}, "namespace"),
        ({"event": "progress-update", "rooms": ["user-7"]}, "rooms"),
    ],
)
async def test_invalid_event_is_refused_with_its_field(
    producer: Producer, changed: dict[str, Any], path: str
) -> None:
    answer = await producer.send("emit", {"event": "system-notification"} | changed)
    assert (answer.status, answer.json()["fields"][0]["path"]) == (400, path)


async def test_notify_scope_is_limited_to_single_users(producer: Producer) -> None:
    body: dict[str, Any] = {"event": "user-notification", "args": [1]}
    for rooms in ([], ["authenticated"], ["user-7", "import-5"]):
        answer = await producer.send("emit", body | {"rooms": rooms}, token=NARROW)
        assert (answer.status, answer.json()["code"]) == (403, "FORBIDDEN")
    await producer.accepted("emit", body | {"rooms": ["user-7"]}, token=NARROW)


async def test_announcement_requires_the_same_scope_on_each_path(producer: Producer) -> None:
    body = {"event": "system-announcement", "args": [1]}
    assert (await producer.send("emit", body, token=LOUD)).status == 403
    assert (await producer.send("announcements", {"message": "x"}, token=LOUD)).status == 403


# -- progress


async def test_session_progress_is_sent_and_kept(producer: Producer) -> None:
    client = await producer.hub.client()
    client.emit("join-progress", "import-1-abc")
    await settle()
    path = "progress/import-1-abc"
    await producer.accepted(path, {"op": "create", "metadata": {"filename": "x.csv"}})
    await producer.accepted(path, {"op": "progress", "progress": 40.4, "message": "going"})
    update = (await client.receive_event("progress-update"))[0]
    assert (update["sessionId"], update["progress"]) == ("import-1-abc", 40)
    assert update["metadata"]["filename"] == "x.csv"
    late = await producer.hub.client("8")
    late.emit("join-progress", "import-1-abc")
    assert (await late.receive_event("progress-status"))[0]["progress"] == 40
    await producer.accepted(path, {"op": "complete", "metadata": {"rows": 5}})
    complete = (await client.receive_event("progress-complete"))[0]
    assert (complete["status"], complete["progress"]) == ("completed", 100)


async def test_report_with_an_old_sequence_number_is_ignored(producer: Producer) -> None:
    path = "progress/s"
    await producer.accepted(path, {"op": "progress", "progress": 50, "seq": 2})
    answer = await producer.accepted(path, {"op": "progress", "progress": 90, "seq": 1})
    assert answer["ignored"]
    record = producer.hub.application.services.tracker.find("s")
    assert record is not None
    assert record.overall == 50


async def test_refused_report_may_be_repeated(producer: Producer) -> None:
    path = "progress/s"
    wrong = {"op": "progress", "progress": "x", "seq": 2}
    assert (await producer.send(path, wrong)).status == 400
    answer = await producer.accepted(path, wrong | {"progress": 50})
    assert answer == {"success": True, "sessionId": "s"}


async def test_metadata_of_a_session_is_bounded(producer: Producer) -> None:
    path, report = "progress/s", {"op": "progress", "progress": 1}
    for number in range(6):
        metadata = {f"key-{number}": "x" * 10_000}
        await producer.accepted(path, report | {"metadata": metadata})
    answer = await producer.send(path, report | {"metadata": {"key-7": "x" * 10_000}})
    assert (answer.status, answer.json()["fields"][0]["path"]) == (400, "metadata")
    assert (await producer.send("progress/t", report | {"metadata": {"a": BIG}})).status == 400
    assert producer.hub.application.services.tracker.find("t") is None


def summary_of_hextrackr(cves: int) -> dict[str, Any]:
    """Return an importSummary as HexTrackr's importService builds it."""
    new = [
        {"cve": f"CVE-2024-{number}", "severity": "High", "hostCount": 3, "totalVpr": 7.5}
        for number in range(cves)
    ]
    return {
        "cveDiscovery": {"newCves": new, "totalNewCves": cves, "resolvedCves": []},
        "comparison": {"percentageChange": 12.5},
    }


async def test_completion_of_hextrackr_with_20000_changes_is_delivered(producer: Producer) -> None:
    client = await producer.hub.client()
    client.emit("join-progress", "import-1-abc")
    await settle()
    payload = {
        "sessionId": "import-1-abc",
        "progress": 100,
        "status": "completed",
        "message": "Import completed successfully",
        "metadata": {"rowCount": 20_000, "importSummary": summary_of_hextrackr(20_000)},
    }
    report = {"event": "progress-complete", "rooms": ["progress-import-1-abc"], "args": [payload]}
    assert len(json.dumps(report)) > 1_000_000
    await producer.accepted("emit", report)
    complete = (await client.receive_event("progress-complete"))[0]
    assert complete["metadata"]["rowCount"] == 20_000
    discovery = complete["metadata"]["importSummary"]["cveDiscovery"]
    assert (len(discovery["newCves"]), discovery["totalNewCves"]) == (500, 20_000)
    assert (discovery["truncated"], discovery["omitted"]) == (True, {"newCves": 19_500})
    assert complete["metadata"]["importSummary"]["comparison"] == {"percentageChange": 12.5}


async def test_summary_of_600_changes_is_delivered_unchanged(producer: Producer) -> None:
    summary = summary_of_hextrackr(600)
    body = {"op": "complete", "metadata": {"importSummary": summary}}
    await producer.accepted("progress/s", body)
    record = producer.hub.application.services.tracker.find("s")
    assert record is not None
    assert record.metadata["importSummary"] == summary


@pytest.mark.parametrize(
    ("operation", "status"),
    [("complete", "completed"), ("error", "failed"), ("cancel", "cancelled")],
)
async def test_end_of_a_session_is_never_refused_because_of_its_size(
    producer: Producer, operation: str, status: str
) -> None:
    """Also in a session whose metadata is at its limit, and without an earlier report."""
    path = "progress/full"
    metadata = {"key": "x" * 65_000}
    await producer.accepted(path, {"op": "progress", "progress": 1, "metadata": metadata})
    big = {"note": "short", "rows": BIG, "importSummary": {"text": [[BIG] * 9] * 9}}
    for name in ("full", "new"):
        report = {"op": operation, "metadata": big, "details": {"a": BIG}, "message": BIG}
        await producer.accepted(f"progress/{name}", report | {"importSummary": {BIG: 1}})
        record = producer.hub.application.services.tracker.find(name)
        assert record is not None
        assert record.status == status
        assert ingest_service.size_of(record.metadata) < 70_000
        assert ingest_service.size_of(record.result) < 70_000
        if operation == "complete" and name == "new":
            assert record.metadata["note"] == "short"
            assert record.metadata["truncated"] == ["rows"]
            assert record.metadata["importSummaryOmitted"]


@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
async def test_end_of_an_external_import_is_never_refused_because_of_its_size(
    producer: Producer, end: str
) -> None:
    number = (await producer.accepted("imports", {"userId": "7"}))["importId"]
    rows = {"rows": ["x" * 100] * 20_000}
    body = {"processed": 5, "summary": rows, "details": rows, "message": BIG}
    await producer.accepted(f"imports/{number}/{end}", body)
    record = producer.hub.application.services.tracker.find(number)
    assert record is not None
    assert record.finished_at is not None
    assert ingest_service.size_of(record.result) < 300_000


@pytest.mark.parametrize("event", ["progress-status", "progress-update"])
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("error", "failed"),
        ("cancelled", "cancelled"),
        ("completed", "completed"),
        ("initialized", "processing"),
        (None, "processing"),
    ],
)
async def test_relayed_status_ends_the_session(
    producer: Producer, event: str, status: str | None, outcome: str
) -> None:
    args = [{"progress": 40, "status": status, "message": "The database is locked"}]
    await producer.accepted("emit", {"event": event, "rooms": ["progress-s"], "args": args})
    record = producer.hub.application.services.tracker.find("s")
    assert record is not None
    assert (record.status, record.message) == (outcome, "The database is locked")


async def test_number_of_tracked_sessions_is_bounded(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_service, "MAXIMUM_FOLLOWED", 3)
    for number in range(3):
        await producer.accepted(f"progress/s-{number}", {"op": "create"})
    for path, body in (("progress/s-4", {"op": "create"}), ("imports", {"userId": "7"})):
        answer = await producer.send(path, body)
        assert (answer.status, answer.json()["code"]) == (429, "RATE_LIMITED")
    await producer.accepted("progress/s-1", {"op": "complete"})
    await producer.hub.advance(3601)
    await producer.accepted("progress/s-4", {"op": "create"})


@pytest.mark.parametrize("owner", [True, 7.5, {"a": 1}, "", "x" * 129])
async def test_invalid_owner_is_refused_with_its_field(producer: Producer, owner: Any) -> None:
    answer = await producer.send("progress/s", {"op": "create", "ownerUserId": owner})
    assert (answer.status, answer.json()["fields"][0]["path"]) == (400, "ownerUserId")


async def test_user_may_be_an_integer_in_reports(producer: Producer) -> None:
    client, other = await producer.hub.client("7"), await producer.hub.client("8")
    await producer.accepted("imports", {"userId": 7, "totalRecords": 1})
    await client.receive_event("import-started")
    await producer.accepted("progress/s", {"op": "create", "ownerUserId": 7})
    assert (await other.emit_with_ack("join-progress", "s"))["code"] == "NOT_FOUND"
    producer.hub.clock.advance(3600)  # tokens have the time of the system, the hub its own clock
    answer = await producer.accepted("sessions/revoke", {"userId": 7})
    assert (answer["disconnected"], client.connected, other.connected) == (1, False, True)


async def test_invalid_text_id_is_refused_with_its_field(producer: Producer) -> None:
    answer = await producer.send("imports", {"userId": "7", "importId": "run/1"})
    assert (answer.status, answer.json()["fields"][0]["path"]) == (400, "importId")


async def test_external_import_sends_the_events_of_both_contracts(producer: Producer) -> None:
    owner = await producer.hub.client("7")
    body = {"userId": "7", "filename": "x.csv", "totalRecords": 8}
    begun = await producer.accepted("imports", body)
    number, session = begun["importId"], begun["sessionId"]
    started = (await owner.receive_event("import-started"))[0]
    assert (started["importId"], started["totalRecords"]) == (number, 8)
    assert (await owner.emit_with_ack("join-import-room", number))["success"]
    owner.emit("join-progress", session)
    await settle()
    await producer.accepted(f"imports/{number}", {"processed": 5, "total": 10}, method="PATCH")
    assert (await owner.receive_event("import-progress"))[0]["percentage"] == 50
    assert (await owner.receive_event("progress-update"))[0]["progress"] == 50
    # A report by session ID contains a percentage; the events still count the import's records.
    await producer.accepted(f"progress/{session}", {"op": "progress", "progress": 80})
    await producer.hub.advance(0.1)
    progress = (await owner.receive_event("import-progress"))[0]
    assert (progress["processed"], progress["total"], progress["percentage"]) == (8, 10, 80)
    done = {"processed": 10, "errors": 1, "summary": {"inserted": 9}}
    await producer.accepted(f"imports/{number}/complete", done)
    finished = (await owner.receive_event("import-finished"))[0]
    assert (finished["totalProcessed"], finished["errors"]) == (10, 1)
    assert finished["summary"] == {"inserted": 9}
    await owner.receive_event("progress-complete")


async def test_failed_external_import_notifies_its_owner(producer: Producer) -> None:
    owner = await producer.hub.client("7")
    number = (await producer.accepted("imports", {"userId": "7"}))["importId"]
    failure = {"code": "DISK_FULL", "message": "No space"}
    await producer.accepted(f"imports/{number}/fail", failure)
    failed = (await owner.receive_event("import-failed"))[0]
    assert (failed["code"], failed["message"]) == ("DISK_FULL", "No space")
    assert (await owner.receive_event("application-error"))[0]["code"] == "IMPORT_FAILED"


async def test_producer_cannot_report_on_imports_of_this_server(producer: Producer) -> None:
    assert (await producer.send("imports", {"userId": "7", "importId": 5})).status == 400
    answer = await producer.send("imports/5", {"processed": 1}, method="PATCH")
    assert (answer.status, answer.json()["code"]) == (404, "NOT_FOUND")
    tracker = producer.hub.application.services.tracker
    tracker.queue(5, "7", "scan.csv", None, session_id="own")
    for operation in ("create", "progress", "complete", "error"):
        answer = await producer.send("progress/own", {"op": operation, "progress": 1})
        assert (answer.status, answer.json()["code"]) == (409, "CONFLICT")
    record = tracker.find(5)
    assert record is not None
    assert record.status == "queued"


# -- messages, maintenance, revocation, data


async def test_messages_reach_their_recipients(producer: Producer) -> None:
    mine, admin = (
        await producer.hub.client("7"),
        await producer.hub.client("1", "admin", "/admin"),
    )
    message = {"type": "x", "message": "hello"}
    await producer.accepted("users/7/notifications", message, token=NARROW)
    assert (await mine.receive_event("user-notification"))[0]["message"] == "hello"
    await producer.accepted("announcements", {"message": "all", "priority": "low"})
    announced = (await admin.receive_event("system-announcement"))[0]
    assert (announced["message"], announced["from"]) == ("all", "express")
    start = producer.hub.clock.epoch_ms()
    await producer.accepted("maintenance", {"startTime": start, "duration": 5000})
    assert (await admin.receive_event("maintenance-scheduled"))[0]["scheduledBy"] == "express"


async def test_reported_logout_disconnects_its_sockets(producer: Producer) -> None:
    hub = producer.hub
    headers = hub.session_store.log_in("7")
    client = await hub.server.connect(headers=headers)
    other = await hub.server.connect(headers=hub.session_store.log_in("8"))
    answer = await producer.accepted("sessions/revoke", {"sessionId": "sid-7"})
    assert answer["disconnected"] == 1
    assert not client.connected
    assert other.connected
    assert (await hub.connect_error(headers=headers))["code"] == "SESSION_EXPIRED"
    producer.hub.clock.advance(3600)
    assert (await producer.accepted("sessions/revoke", {"userId": "8"}))["disconnected"] == 1
    assert not other.connected
    assert (await producer.send("sessions/revoke", {})).status == 400


async def test_changes_and_kev_updates_reach_clients(producer: Producer) -> None:
    client = await producer.hub.client()
    change = {"type": "updated", "data": {"id": 5, "severity": "High"}}
    await producer.accepted("vulnerabilities/changes", {"changes": [change]})
    assert (await client.receive_event("vulnerability-change"))[0]["type"] == "updated"
    await producer.accepted("kev/sync", {"status": "completed", "processed": 9, "newEntries": 2})
    sync = (await client.receive_event("kev-sync-update"))[0]
    assert (sync["status"], sync["processedCount"], sync["newEntries"]) == ("completed", 9, 2)
    for body in ({"changes": []}, {"changes": [5]}, {"changes": [{"type": "x", "data": {}}]}):
        assert (await producer.send("vulnerabilities/changes", body)).status == 400
    assert (await producer.send("kev/sync", {"status": "done"})).status == 400


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": [1, -2.5, 1e3, true, false, null, "\\u00e4\\ud800", {"b": []}], "a": {"c": ""}}',
        '{"ä": "\u2028"}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b" {} ",
        b"{",
        b"{} {}",
        b"[]",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 9223372036854775808}',
        b'{"a": 01}',
        b'{"a": \xff}',
        b'{"a": "\n"}',
        b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}",
        b'{"a": ' + b"[" * 100_000,
        b'{"a": ' + b'{"":' * 5000 + b"0" + b"}" * 5001,
    ],
    ids=range(17),
)
def test_interruptible_decoder_returns_the_same_as_the_other_one(content: bytes) -> None:
    results: list[Any] = []
    for decoder in (json.JSONDecoder, ingest_api._InterruptibleDecoder):
        try:
            results.append(ingest_api._parse(content, decoder))
        except ServiceError as error:
            results.append((error.code, error.message, error.fields))
    assert results[0] == results[1]


async def test_large_report_is_parsed_while_other_threads_run(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Any] = []
    parse = ingest_api._parse

    def noting(*args: Any) -> Any:
        used.append((threading.current_thread() is threading.main_thread(), args[1:]))
        return parse(*args)

    monkeypatch.setattr(ingest_api, "_parse", noting)
    for text in ("short", "x" * ingest_api.MAXIMUM_BYTES_ON_LOOP):
        body = {"op": "progress", "progress": 1, "metadata": {"text": text}}
        await producer.accepted("progress/s", body)
    assert used == [(True, ()), (False, (ingest_api._InterruptibleDecoder,))]
