"""Batching, metrics and the helpers that the guide does not define: S139, S140, S145, S146."""

from __future__ import annotations

import asyncio

from tests.contract.imports import VALID_CSV, receive_payload, run_import, start_import
from tests.contract.support import HubHarness


async def test_s139_changes_of_an_import_are_batched(hub: HubHarness) -> None:
    client = await hub.client()
    await run_import(client)
    await hub.advance(0.5)
    batch = await receive_payload(client, "batch-updates")
    assert [change["type"] for change in batch["vulnerability-change"]] == ["created"] * 20


async def test_s140_metrics_count_connections(hub: HubHarness) -> None:
    before = await hub.metrics()
    await hub.client()
    after = await hub.metrics()
    assert after["activeConnections"] == before["activeConnections"] + 1
    assert {"totalConnections", "reconnections", "errors"} <= set(after)


async def test_s145_server_implements_every_helper_that_the_guide_calls(
    hub: HubHarness,
) -> None:
    """Each assertion covers one helper that the guide calls but does not define."""
    client, other_user = await hub.client("7"), await hub.client("8")
    admin = await hub.client("1", "admin", "/admin")
    # handleImportStart
    number = (await run_import(client))["importId"]
    # validateImportAccess
    assert not (await other_user.emit_with_ack("join-import-room", number))["success"]
    # getImportStatus
    joined = await client.emit_with_ack("join-import-room", number)
    assert joined["status"]["status"] == "completed"
    # getVulnerabilityStats
    assert (await client.emit_with_ack("get-vulnerability-stats", {}))["success"]
    # handleDataRequest
    listed = await client.emit_with_ack("get-data", {"resource": "vulnerabilities", "limit": 5})
    assert listed["pagination"] == {"page": 1, "limit": 5, "total": 20, "pages": 4}
    # enableMaintenanceMode
    window = {"startTime": hub.clock.epoch_ms(), "duration": 60_000}
    assert (await admin.emit_with_ack("system-maintenance", window))["success"]
    # getImportLastActivity: an import without progress for ten minutes fails.
    record = hub.application.services.tracker.find(number)
    assert record is not None
    assert record.touched_at <= hub.clock.monotonic()
    # handleClientDisconnection
    client.disconnect()
    await asyncio.sleep(0)
    assert hub.io.main.adapter.rooms_of(client.id) == set()


async def test_s146_events_contain_the_input_of_the_client_helpers(hub: HubHarness) -> None:
    """The helpers themselves belong to the page; the server sends their input.

    getCurrentUserId, getUserRole, getAuthToken: the server requires only a token.
    showImportError, showValidationErrors, showGenericError: `application-error` and acks.
    updateDashboard, refreshPageData, updateVulnerabilityCounts: acks and `vulnerability-change`.
    """
    client = await hub.client()
    await start_import(client, "Location\n1\n")
    error = await receive_payload(client, "application-error")
    assert {"code", "message", "details"} <= set(error)
    refused = await client.emit_with_ack("start-import", {"source": "inline", "csv": VALID_CSV})
    assert {"path", "message"} == set(refused["fields"][0])
