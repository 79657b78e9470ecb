"""The guide's advice on batching and metrics, and the helpers that it leaves open: S139, S140,
S145, S146."""

from __future__ import annotations

import asyncio

from tests.contract.imports import VALID_CSV, receive_payload, run_import, start_import
from tests.contract.support import HubHarness


async def test_s139_updates_are_batched_where_that_is_possible(hub: HubHarness) -> None:
    client = await hub.client()
    await run_import(client)
    await hub.advance(0.5)
    batch = await receive_payload(client, "batch-updates")
    assert [change["type"] for change in batch["vulnerability-change"]] == ["created"] * 20


async def test_s140_connections_are_measured(hub: HubHarness) -> None:
    before = (await hub.request("GET", "/socket-metrics")).json()
    await hub.client()
    after = (await hub.request("GET", "/socket-metrics")).json()
    assert after["activeConnections"] == before["activeConnections"] + 1
    assert {"totalConnections", "reconnections", "errors"} <= set(after)


async def test_s145_every_helper_of_the_server_that_the_guide_names_is_there(
    hub: HubHarness,
) -> None:
    """One question for each helper that the guide calls and does not define."""
    client, stranger = await hub.client("7"), await hub.client("8")
    admin = await hub.client("1", "admin", "/admin")
    # handleImportStart
    number = (await run_import(client))["importId"]
    # validateImportAccess
    assert not (await stranger.emit_with_ack("join-import-room", number))["success"]
    # getImportStatus
    joined = await client.emit_with_ack("join-import-room", number)
    assert joined["status"]["status"] == "completed"
    # getVulnerabilityStats
    assert (await client.emit_with_ack("get-vulnerability-stats", {}))["success"]
    # handleDataRequest
    listed = await client.emit_with_ack("get-data", {"resource": "vulnerabilities", "limit": 5})
    assert listed["pagination"] == {"page": 1, "limit": 5, "total": 20, "pages": 4}
    # enableMaintenanceMode
    wanted = {"startTime": hub.clock.epoch_ms(), "duration": 60_000}
    assert (await admin.emit_with_ack("system-maintenance", wanted))["success"]
    # getImportLastActivity: what has not moved for ten minutes has failed
    record = hub.application.services.tracker.find(number)
    assert record is not None
    assert record.touched_at <= hub.clock.monotonic()
    # handleClientDisconnection
    client.disconnect()
    await asyncio.sleep(0)
    assert hub.io.main.adapter.rooms_of(client.id) == set()


async def test_s146_what_helpers_of_the_client_need_is_in_the_events(hub: HubHarness) -> None:
    """Not applicable to a server: a page supplies these helpers; their input is what is sent.

    getCurrentUserId, getUserRole, getAuthToken: the server asks for a token alone.
    showImportError, showValidationErrors, showGenericError: `application-error` and acks.
    updateDashboard, refreshPageData, updateVulnerabilityCounts: acks and `vulnerability-change`.
    """
    client = await hub.client()
    await start_import(client, "Location\n1\n")
    error = await receive_payload(client, "application-error")
    assert {"code", "message", "details"} <= set(error)
    refused = await client.emit_with_ack("start-import", {"source": "inline", "csv": VALID_CSV})
    assert {"path", "message"} == set(refused["fields"][0])
