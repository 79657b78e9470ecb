"""Statistics with acks, and vulnerability events: rows S66 to S69."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.imports import flush_events, receive_payload, received_names, run_import
from tests.contract.support import HubHarness


@pytest.mark.parametrize("filters", [None, {}, {"filters": {}}, {"filters": {"severity": "High"}}])
async def test_s066_statistics_ack_contains_success_and_data(hub: HubHarness, filters: Any) -> None:
    client = await hub.client()
    await run_import(client)
    answer = await client.emit_with_ack("get-vulnerability-stats", filters)
    assert answer["success"] is True
    assert "error" not in answer
    expected = {"bySeverity", "totals", "trend", "kev", "vendors", "lastImport", "generatedAt"}
    assert expected == set(answer["data"])
    assert answer["data"]["totals"]["findings"] == 20


async def test_s067_filters_are_accepted_wrapped_or_plain_and_unknown_ones_rejected(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    await run_import(client)
    for filters, count in (
        ({"filters": {"hostname": "h-1"}}, 1),
        ({"hostname": "h-1"}, 1),
        ({"isKev": True}, 0),
        ({"severity": "KEV"}, 0),
        ({"severity": ["High", "Low"]}, 20),
    ):
        answer = await client.emit_with_ack("get-vulnerability-stats", filters)
        assert answer["data"]["totals"]["findings"] == count, filters
    refused = await client.emit_with_ack("get-vulnerability-stats", {"owner": "me"})
    assert (refused["code"], refused["fields"][0]["path"]) == ("VALIDATION_ERROR", "owner")
    client.emit("get-vulnerability-stats")
    client.emit("get-vulnerability-stats", {"owner": "me"})
    await flush_events(client)
    assert client.connected


async def test_s067_database_errors_are_hidden_from_clients(hub: HubHarness) -> None:
    client = await hub.client()
    with hub.application.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE kev_status RENAME TO gone")
    answer = await client.emit_with_ack("get-vulnerability-stats")
    assert (answer["success"], answer["code"]) == (False, "HANDLER_ERROR")
    assert "kev_status" not in str(answer)


async def test_s068_vulnerability_updated_reaches_authenticated_clients_only(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    unauthenticated = hub.server.open_connection()
    hub.application.services.vulnerabilities.updated(5, {"severity": "High", "internal": "x"})
    received = await receive_payload(client, "vulnerability-updated")
    assert received == {
        "id": 5,
        "data": {"severity": "High"},
        "timestamp": hub.clock.epoch_ms(),
    }
    assert unauthenticated.clients == {}


async def test_s069_import_sends_one_summary_and_one_batch(hub: HubHarness) -> None:
    """An import sends one summary and, for few rows, one batch."""
    client = await hub.client()
    await run_import(client)
    await hub.advance(1)
    await flush_events(client)
    assert received_names(client).count("vulnerability-change") == 1
    assert received_names(client).count("batch-updates") == 1
