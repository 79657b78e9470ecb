"""Scaling, batching and cleanup: rows S87 to S95."""

from __future__ import annotations

import asyncio

import pytest

from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError
from hextrackr_server.findings.batcher import INTERVAL_SECONDS, UpdateBatcher
from hextrackr_server.imports.progress_tracker import KEEP_SECONDS, WATCH_SECONDS
from tests.contract.imports import flush_events, receive_payload, run_import, start_import
from tests.contract.support import HubHarness
from tests.hextrackr_server.support import SECRET, FakeClock, Recorder


async def test_s087_rooms_are_kept_in_an_in_memory_adapter_when_redis_is_not_set(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    assert hub.io.main.adapter.rooms_of(client.id) >= {"authenticated", "user-7"}
    assert hub.io.adapter_status() is None


def test_s088_redis_url_is_checked_at_the_start() -> None:
    environment = {"JWT_SECRET": SECRET.decode(), "REDIS_URL": "http://cache"}
    with pytest.raises(SettingsError, match="REDIS_URL"):
        settings.load(environment)
    environment["REDIS_URL"] = "redis://cache:6379/0"
    assert settings.load(environment).redis_url == "redis://cache:6379/0"


def test_s089_s092_batcher_uses_the_given_emitter_and_interval() -> None:
    """The emitter is injected; the default interval is half a second."""
    clock, sent = FakeClock(), Recorder()
    assert INTERVAL_SECONDS == 0.5
    batcher = UpdateBatcher(sent, clock, interval=2.0)
    batcher.add("room", "changed", 1)
    clock.advance(1.9)
    assert sent.sent == []
    clock.advance(0.1)
    assert sent.sent == [("room", "batch-updates", {"changed": [1]})]


def test_s090_batch_is_limited_and_rejects_reserved_type_names() -> None:
    clock, sent = FakeClock(), Recorder()
    batcher = UpdateBatcher(sent, clock, maximum_updates=3, maximum_bytes=50)
    for number in range(4):
        batcher.add("room", "x", number)
    batcher.add("room", "x", "y" * 60)
    assert [each[2]["x"] for each in sent.sent] == [[0, 1, 2], [3], ["y" * 60]]
    for name in ("__proto__", "constructor", ""):
        with pytest.raises(ValueError, match="update type must"):
            batcher.add("room", name, 1)


async def test_s091_batch_updates_are_lists_by_type(hub: HubHarness) -> None:
    client = await hub.client()
    hub.application.services.batcher.add("user-7", "changed", {"id": 1})
    hub.application.services.batcher.add("user-7", "changed", {"id": 2})
    hub.application.services.batcher.add("user-7", "created", {"id": 3})
    await hub.advance(0.5)
    assert await receive_payload(client, "batch-updates") == {
        "changed": [{"id": 1}, {"id": 2}],
        "created": [{"id": 3}],
    }


async def test_s091_pending_batch_is_sent_before_the_disconnect_at_shutdown(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    hub.application.services.batcher.add("user-7", "changed", {"id": 1})
    await hub.application.shutdown()
    assert await receive_payload(client, "batch-updates") == {"changed": [{"id": 1}]}


async def test_s093_s094_import_records_are_removed_by_state_and_age(hub: HubHarness) -> None:
    """The record is removed after an hour; the status is then read from the database."""
    client = await hub.client()
    number = (await run_import(client))["importId"]
    tracker = hub.application.services.tracker
    await hub.advance(KEEP_SECONDS - 2 * WATCH_SECONDS)
    assert tracker.find(number) is not None
    for _ in range(4):
        await hub.advance(WATCH_SECONDS)
    assert tracker.find(number) is None
    status = (await client.emit_with_ack("join-import-room", number))["status"]
    assert (status["status"], status["percentage"]) == ("completed", 100)


async def test_s095_sweep_timer_is_cancelled_at_shutdown(hub: HubHarness) -> None:
    client = await hub.client()
    await run_import(client)
    await hub.application.shutdown()
    await asyncio.sleep(0)
    active = [timer for timer in hub.clock.timers if timer.callback is not None]
    assert active == []


async def test_s093_unused_uploads_are_deleted(hub: HubHarness) -> None:
    headers = {"authorization": f"Bearer {hub.token()}", "content-type": "text/csv"}
    for _ in range(12):
        await hub.request("POST", "/api/imports/upload", headers, body=b"hostname,cve\n")
    client = await hub.client()
    await start_import(client)
    await flush_events(client)
    files = list((hub.directory / "hub.db.uploads").glob("*.csv"))
    assert len(files) <= 11
