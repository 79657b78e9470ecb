"""What HexTrackr uses it for, and the transport: rows S1 to S4 and S9 to S12."""

from __future__ import annotations

import json

import pytest

from tests.contract.imports import finished, payload, start
from tests.contract.support import POLLING, Stage


async def test_s001_one_tracker_feeds_both_contracts_of_progress(stage: Stage) -> None:
    """`import-*` by number and `progress-*` by session id tell of the same import."""
    client = await stage.client()
    await client.emit_with_ack("join-progress", "import-1-abc")
    answer = await start(client, sessionId="import-1-abc")
    assert (await client.emit_with_ack("join-import-room", answer["importId"]))["success"]
    complete = await payload(client, "progress-complete")
    completed = await payload(client, "import-completed")
    assert (complete["sessionId"], completed["sessionId"]) == ("import-1-abc",) * 2
    assert complete["metadata"]["importId"] == completed["importId"] == answer["importId"]


async def test_s002_changes_of_vulnerabilities_reach_everybody_who_is_logged_in(
    stage: Stage,
) -> None:
    importer, watcher = await stage.client("7"), await stage.client("8")
    await finished(importer)
    change = await payload(watcher, "vulnerability-change")
    assert (change["type"], change["data"]["created"]) == ("updated", 20)


async def test_s003_who_edits_is_seen_by_the_others(stage: Stage) -> None:
    alice, bob = await stage.client("7"), await stage.client("8")
    assert (await alice.emit_with_ack("start-editing", "ticket", "1"))["success"]
    started = await payload(bob, "user-started-editing")
    assert (started["resourceType"], started["user"]["id"]) == ("ticket", "7")


async def test_s004_the_three_broadcasts_of_the_system_are_distinct(stage: Stage) -> None:
    """A notification to `/`, maintenance and announcements to every namespace."""
    client, admin = await stage.client("7"), await stage.client("1", "admin", "/admin")
    stage.application.services.notifications.system("info", "hello")
    assert (await payload(client, "system-notification"))["message"] == "hello"
    announcement = {"message": "soon", "priority": "high"}
    assert (await admin.emit_with_ack("broadcast-announcement", announcement))["success"]
    for each in (client, admin):
        assert (await payload(each, "system-announcement"))["priority"] == "high"
    start_time = stage.clock.epoch_ms() + 60_000
    maintenance = {"startTime": start_time, "duration": 1000}
    assert (await admin.emit_with_ack("system-maintenance", maintenance))["success"]
    for each in (client, admin):
        assert (await payload(each, "maintenance-scheduled"))["startTime"] == start_time


async def test_s009_s010_the_heartbeat_is_25_and_20_seconds_and_is_told(stage: Stage) -> None:
    """`pingTimeout` is 20 s, not the guide's 60: a dead peer is found sooner. Both are settings."""
    opened = json.loads((await stage.ask("GET", POLLING)).body[1:])
    assert (opened["pingInterval"], opened["pingTimeout"]) == (25_000, 20_000)


async def test_s009_a_peer_that_answers_no_ping_is_dropped(stage: Stage) -> None:
    client = await stage.client()
    client.connection.answers_pings = False
    await stage.advance(26)
    assert client.connected
    await stage.advance(21)
    assert not client.connected


@pytest.mark.parametrize("transport", ["carrier-pigeon", "", "webtransport"])
async def test_s011_transports_are_a_set_and_others_are_refused(
    stage: Stage, transport: str
) -> None:
    answer = await stage.ask("GET", f"/socket.io/?EIO=4&transport={transport}")
    assert (answer.status, answer.json()["code"]) == (400, 0)


async def test_s012_version_3_of_the_protocol_is_refused(stage: Stage) -> None:
    answer = await stage.ask("GET", "/socket.io/?EIO=3&transport=polling")
    assert answer.status == 400
    assert answer.json() == {"code": 5, "message": "Unsupported protocol version"}
