"""Questions with acks, and news of vulnerabilities: rows S66 to S69."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.imports import finished, names, payload, reached
from tests.contract.support import Stage


@pytest.mark.parametrize("given", [None, {}, {"filters": {}}, {"filters": {"severity": "High"}}])
async def test_s066_statistics_are_answered_with_success_and_data(stage: Stage, given: Any) -> None:
    client = await stage.client()
    await finished(client)
    answer = await client.emit_with_ack("get-vulnerability-stats", given)
    assert answer["success"] is True
    assert "error" not in answer
    expected = {"bySeverity", "totals", "trend", "kev", "vendors", "lastImport", "generatedAt"}
    assert expected == set(answer["data"])
    assert answer["data"]["totals"]["findings"] == 20


async def test_s067_filters_come_wrapped_or_plain_and_others_are_refused_by_name(
    stage: Stage,
) -> None:
    client = await stage.client()
    await finished(client)
    for given, count in (
        ({"filters": {"hostname": "h-1"}}, 1),
        ({"hostname": "h-1"}, 1),
        ({"isKev": True}, 0),
        ({"severity": "KEV"}, 0),
        ({"severity": ["High", "Low"]}, 20),
    ):
        answer = await client.emit_with_ack("get-vulnerability-stats", given)
        assert answer["data"]["totals"]["findings"] == count, given
    refused = await client.emit_with_ack("get-vulnerability-stats", {"owner": "me"})
    assert (refused["code"], refused["fields"][0]["path"]) == ("VALIDATION_ERROR", "owner")
    client.emit("get-vulnerability-stats")
    client.emit("get-vulnerability-stats", {"owner": "me"})
    await reached(stage, client)
    assert client.connected


async def test_s067_no_error_of_the_database_reaches_a_client(stage: Stage) -> None:
    client = await stage.client()
    with stage.application.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE kev_status RENAME TO gone")
    answer = await client.emit_with_ack("get-vulnerability-stats")
    assert (answer["success"], answer["code"]) == (False, "HANDLER_ERROR")
    assert "kev_status" not in str(answer)


async def test_s068_vulnerability_updated_reaches_who_is_logged_in_and_nobody_else(
    stage: Stage,
) -> None:
    client = await stage.client()
    lurker = stage.server.open_connection()
    stage.application.services.vulnerabilities.updated(5, {"severity": "High", "internal": "x"})
    told = await payload(client, "vulnerability-updated")
    assert told == {
        "id": 5,
        "data": {"severity": "High"},
        "timestamp": stage.clock.epoch_ms(),
    }
    assert lurker.clients == {}


async def test_s069_an_import_is_one_change_for_a_client_to_react_to(stage: Stage) -> None:
    """No event per row: one summary, and one batch of the rows where they are few."""
    client = await stage.client()
    await finished(client)
    await stage.advance(1)
    await reached(stage, client)
    assert names(client).count("vulnerability-change") == 1
    assert names(client).count("batch-updates") == 1
    assert "vulnerability-updated" not in names(client)
