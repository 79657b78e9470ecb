"""Rooms of imports and their progress events: rows S56 to S63, and the front end's rooms."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from hextrackr_server.imports.progress_record import ImportStatus, percentage
from hextrackr_server.sockets import progress as progress_handlers
from tests.contract.imports import (
    UNKNOWN_COLUMNS_CSV,
    flush_events,
    receive_payload,
    received_names,
    run_import,
    start_import,
)
from tests.contract.support import HubHarness


async def test_s056_followers_of_an_import_are_the_members_of_its_room(hub: HubHarness) -> None:
    """The adapter's room is the only list of followers, so a disconnect removes the client."""
    client = await hub.client()
    number = (await run_import(client))["importId"]
    await client.emit_with_ack("join-import-room", number)
    adapter = hub.io.main.adapter
    room = f"import-{number}"
    assert [s.id for s in await hub.io.in_(room).fetch_sockets()] == [client.id]
    client.disconnect()
    await asyncio.sleep(0)
    assert await hub.io.in_(room).fetch_sockets() == []
    assert adapter.rooms_of(client.id) == set()


async def test_s057_join_import_room_accepts_numbers_digits_and_known_texts(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    number = (await run_import(client))["importId"]
    for value in (number, str(number), number):
        assert (await client.emit_with_ack("join-import-room", value))["success"]
    invalid: Any
    for invalid in (None, {}, [], "x y", -1, True, 1.5, "9" * 200, {"toString": "x"}):
        client.emit("join-import-room", invalid)
        refused = await client.emit_with_ack("join-import-room", invalid)
        assert (refused["success"], refused["code"]) == (False, "VALIDATION_ERROR")
    assert client.connected


async def test_s057_join_progress_is_refused_when_the_limit_is_reached(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_handlers, "MAXIMUM_ROOMS", 2)
    client = await hub.client()
    for session in ("one", "two", "two"):
        assert (await client.emit_with_ack("join-progress", session))["success"]
    assert (await client.emit_with_ack("join-progress", "three"))["code"] == "CONFLICT"
    await client.emit_with_ack("leave-progress", "one")
    assert (await client.emit_with_ack("join-progress", "three"))["success"]


async def test_s058_import_of_another_user_is_reported_as_not_found(hub: HubHarness) -> None:
    owner, other_user = await hub.client("7"), await hub.client("8")
    admin = await hub.client("1", "admin")
    number = (await run_import(owner))["importId"]
    foreign = await other_user.emit_with_ack("join-import-room", number)
    assert foreign == await other_user.emit_with_ack("join-import-room", 99_999)
    assert (foreign["success"], foreign["code"]) == (False, "NOT_FOUND")
    assert (await admin.emit_with_ack("join-import-room", number))["success"]


async def test_s058_claimed_user_id_and_role_are_ignored(hub: HubHarness) -> None:
    """A claimed user ID or role gives no access to an import of another user."""
    owner = await hub.client("7")
    number = (await run_import(owner, sessionId="import-1-mine"))["importId"]
    attacker = await hub.client("8", role="user")
    for event, value in (
        ("join-import-room", {"importId": number, "userId": "7", "role": "admin"}),
        ("join-import-room", number),
        ("join-progress", "import-1-mine"),
        ("cancel-import", number),
        ("get-data", {"resource": "import", "id": number, "userId": "7"}),
    ):
        assert (await attacker.emit_with_ack(event, value))["success"] is False, event
    started = await start_import(attacker, userId="7")
    assert hub.application.services.tracker.find(started["importId"]).user_id == "8"  # type: ignore[union-attr]
    assert (await hub.connect_error(auth={"userId": "7", "role": "admin"}))[
        "code"
    ] == "UNAUTHORIZED"
    refused = await hub.connect_error(auth={"token": hub.token("8"), "userId": "7"})
    assert refused["code"] == "UNAUTHORIZED"


async def test_s059_clients_cannot_join_rooms_by_name(hub: HubHarness) -> None:
    """No event joins the rooms `user-...` or `authenticated`."""
    client = await hub.client("8")
    before = hub.io.sockets[client.id].rooms
    for event in ("join-import-room", "join-progress", "join", "subscribe"):
        client.emit(event, "user-7")
    await flush_events(client)
    after = hub.io.sockets[client.id].rooms
    assert after - before <= {"progress-user-7"}


async def test_s060_join_ack_contains_a_snapshot_with_its_sequence_number(hub: HubHarness) -> None:
    client = await hub.client()
    number = (await run_import(client))["importId"]
    status = (await client.emit_with_ack("join-import-room", number))["status"]
    expected = {"importId", "status", "processed", "total", "percentage", "elapsedTime"}
    assert expected | {"timestamp", "message", "result", "seq"} <= set(status)
    assert (status["status"], status["percentage"], status["processed"]) == ("completed", 100, 20)


async def test_s061_leave_succeeds_when_the_room_was_not_joined(hub: HubHarness) -> None:
    client = await hub.client()
    client.emit("leave-import-room", 5)
    for _ in range(2):
        assert await client.emit_with_ack("leave-import-room", 5) == {"success": True}
    assert await client.emit_with_ack("leave-progress", "never-joined") == {"success": True}


async def test_s062_import_progress_contains_flat_and_nested_fields(hub: HubHarness) -> None:
    client = await hub.client()
    tracker = hub.application.services.tracker
    tracker.queue(77, "7", "scan.csv", None, session_id="s-77")
    tracker.start(77)
    assert (await client.emit_with_ack("join-import-room", 77))["success"]
    tracker.update(77, ImportStatus.PROCESSING, 3, 8, 70, "going")
    progress = await receive_payload(client, "import-progress")
    nested = progress["progress"]
    assert set(nested) == {"processed", "total", "percentage", "status", "timestamp"}
    assert nested == {name: progress[name] for name in nested}
    assert (progress["importId"], progress["percentage"]) == (77, 38)


@pytest.mark.parametrize(
    ("processed", "total", "share"),
    [(1, 0, 0), (5, None, 0), (-5, 10, 0), (20, 10, 100), (1, 3, 33)],
)
def test_s063_percentage_is_an_integer_from_0_to_100(
    processed: int, total: int | None, share: int
) -> None:
    assert percentage(processed, total) == share


async def test_s063_percentage_never_decreases(hub: HubHarness) -> None:
    client = await hub.client()
    tracker = hub.application.services.tracker
    tracker.queue(78, "7", "scan.csv", None, session_id="s-78")
    await client.emit_with_ack("join-import-room", 78)
    for processed, total in ((5, 10), (2, 10), (6, 0), (7, 10), (3, 1000)):
        tracker.update(78, ImportStatus.PROCESSING, processed, total, 50, "")
        await hub.advance(0.2)
    progress = [args[0]["percentage"] for args in client.events("import-progress")]
    assert progress == sorted(progress)
    assert all(isinstance(each, int) for each in progress)


# -- the front end's rooms


async def test_s001_s060_join_progress_succeeds_before_the_import_exists(hub: HubHarness) -> None:
    client = await hub.client()
    session = "import-1735088423891-a3b2c1d4e"
    answer = await client.emit_with_ack("join-progress", session)
    assert answer == {"success": True, "status": None}
    await start_import(client, sessionId=session)
    complete = await receive_payload(client, "progress-complete")
    assert (complete["progress"], complete["status"]) == (100, "completed")
    assert set(complete["metadata"]["importSummary"]) == {
        "sessionId",
        "importMetadata",
        "cveDiscovery",
        "severityImpact",
        "hostImpact",
        "comparison",
    }
    client.emit("join-progress", session)
    status = await receive_payload(client, "progress-status")
    assert set(status) == {"sessionId", "progress", "status", "message", "metadata"}
    assert status["status"] == "completed"


async def test_s058_other_users_are_removed_from_the_progress_room_when_the_import_starts(
    hub: HubHarness,
) -> None:
    owner, other_user = await hub.client("7"), await hub.client("8")
    admin = await hub.client("1", "admin")
    for client in (owner, other_user, admin):
        assert (await client.emit_with_ack("join-progress", "import-1-x"))["success"]
    await start_import(owner, sessionId="import-1-x")
    for client in (owner, admin):
        assert (await receive_payload(client, "progress-complete"))["sessionId"] == "import-1-x"
    await flush_events(other_user)
    assert not [name for name in received_names(other_user) if name.startswith("progress-")]
    assert (await other_user.emit_with_ack("join-progress", "import-1-x"))["code"] == "NOT_FOUND"


async def test_s120_progress_status_is_sent_after_a_progress_error(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    await client.emit_with_ack("join-progress", "import-1-bad")
    await start_import(client, UNKNOWN_COLUMNS_CSV, sessionId="import-1-bad")
    error = await receive_payload(client, "progress-error")
    status = await receive_payload(client, "progress-status")
    assert (error["error"]["code"], status["status"]) == ("VALIDATION_ERROR", "error")
    assert status["message"] == error["message"]


async def test_s057_join_reports_no_older_status_than_the_events_of_the_import(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await hub.client()
    view = hub.application.services.imports.view
    find = view._job

    async def find_while_the_import_fails(key: Any) -> Any:
        # The query of the join reads the job before the import fails, and returns after it.
        monkeypatch.setattr(view, "_job", find)
        await start_import(client, UNKNOWN_COLUMNS_CSV, sessionId="import-1-bad")
        await hub.wait_until(lambda: "progress-error" in received_names(client))
        job = await find(key)
        return dataclasses.replace(job, status="queued", error_message=None)

    monkeypatch.setattr(view, "_job", find_while_the_import_fails)
    answer = await client.emit_with_ack("join-progress", "import-1-bad")
    assert answer["status"]["status"] == "error"
    statuses = [payload["status"] for payload, *_ in client.events("progress-status")]
    assert set(statuses) == {"error"}


async def test_s001_ping_is_answered_with_pong(hub: HubHarness) -> None:
    client = await hub.client()
    client.emit("ping")
    await client.receive_event("pong")


@pytest.mark.parametrize("value", [None, "", "a b", "x" * 129, 5, {}, ["x"], "ä", "../x"])
async def test_s057_invalid_session_id_is_rejected(hub: HubHarness, value: Any) -> None:
    client = await hub.client()
    for event in ("join-progress", "leave-progress"):
        client.emit(event, value)
        assert (await client.emit_with_ack(event, value))["code"] == "VALIDATION_ERROR"


async def test_s060_progress_is_readable_over_http_after_the_import(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    await run_import(client, sessionId="import-1-poll")
    await hub.advance(7200)
    headers = {"authorization": f"Bearer {hub.token()}"}
    answer = await hub.request("GET", "/api/import/progress/import-1-poll", headers)
    assert (answer.status, answer.json()["status"], answer.json()["progress"]) == (
        200,
        "completed",
        100,
    )
