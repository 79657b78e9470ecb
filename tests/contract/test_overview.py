"""Uses of the connection, and the transport: rows S1 to S4 and S9 to S12."""

from __future__ import annotations

import json

import pytest

from tests.contract.imports import receive_payload, run_import, start_import
from tests.contract.support import POLLING, HubHarness


async def test_s001_import_is_reported_in_both_progress_contracts(hub: HubHarness) -> None:
    """`import-*` events by number and `progress-*` events by session ID report one import."""
    client = await hub.client()
    await client.emit_with_ack("join-progress", "import-1-abc")
    answer = await start_import(client, sessionId="import-1-abc")
    assert (await client.emit_with_ack("join-import-room", answer["importId"]))["success"]
    complete = await receive_payload(client, "progress-complete")
    completed = await receive_payload(client, "import-completed")
    assert (complete["sessionId"], completed["sessionId"]) == ("import-1-abc",) * 2
    assert complete["metadata"]["importId"] == completed["importId"] == answer["importId"]


async def test_s002_vulnerability_changes_reach_all_authenticated_clients(
    hub: HubHarness,
) -> None:
    importer, watcher = await hub.client("7"), await hub.client("8")
    await run_import(importer)
    change = await receive_payload(watcher, "vulnerability-change")
    assert (change["type"], change["data"]["created"]) == ("updated", 20)


async def test_s003_editing_is_announced_to_other_users(hub: HubHarness) -> None:
    alice, bob = await hub.client("7"), await hub.client("8")
    assert (await alice.emit_with_ack("start-editing", "ticket", "1"))["success"]
    started = await receive_payload(bob, "user-started-editing")
    assert (started["resourceType"], started["user"]["id"]) == ("ticket", "7")


async def test_s004_system_broadcasts_reach_their_namespaces(hub: HubHarness) -> None:
    """Notifications go to `/`; maintenance and announcements go to every namespace."""
    client, admin = await hub.client("7"), await hub.client("1", "admin", "/admin")
    hub.application.services.notifications.system("info", "hello")
    assert (await receive_payload(client, "system-notification"))["message"] == "hello"
    announcement = {"message": "soon", "priority": "high"}
    assert (await admin.emit_with_ack("broadcast-announcement", announcement))["success"]
    for each in (client, admin):
        assert (await receive_payload(each, "system-announcement"))["priority"] == "high"
    start_time = hub.clock.epoch_ms() + 60_000
    maintenance = {"startTime": start_time, "duration": 1000}
    assert (await admin.emit_with_ack("system-maintenance", maintenance))["success"]
    for each in (client, admin):
        assert (await receive_payload(each, "maintenance-scheduled"))["startTime"] == start_time


async def test_s009_s010_handshake_contains_the_heartbeat_times(hub: HubHarness) -> None:
    """`pingTimeout` is 20 s instead of the guide's 60 s: the server detects lost clients sooner."""
    opened = json.loads((await hub.request("GET", POLLING)).body[1:])
    assert (opened["pingInterval"], opened["pingTimeout"]) == (25_000, 20_000)


async def test_s009_client_is_disconnected_when_it_does_not_answer_pings(hub: HubHarness) -> None:
    client = await hub.client()
    client.connection.answers_pings = False
    await hub.advance(26)
    assert client.connected
    await hub.advance(21)
    assert not client.connected


@pytest.mark.parametrize("transport", ["carrier-pigeon", "", "webtransport"])
async def test_s011_unknown_transport_is_refused(hub: HubHarness, transport: str) -> None:
    answer = await hub.request("GET", f"/socket.io/?EIO=4&transport={transport}")
    assert (answer.status, answer.json()["code"]) == (400, 0)


async def test_s012_protocol_version_3_is_refused(hub: HubHarness) -> None:
    answer = await hub.request("GET", "/socket.io/?EIO=3&transport=polling")
    assert answer.status == 400
    assert answer.json() == {"code": 5, "message": "Unsupported protocol version"}
