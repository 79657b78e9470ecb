"""Vulnerability changes and KEV synchronization: rows S121 to S124."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.errors import ServiceError
from hextrackr_server.findings.events import Change
from tests.contract.imports import flush_events, receive_payload, received_names, run_import
from tests.contract.support import HubHarness
from tests.hextrackr_server.kev_support import feed, item, many
from tests.hextrackr_server.support import csv_text, finding_row


def admin_headers(hub: HubHarness) -> dict[str, str]:
    return {"authorization": f"Bearer {hub.token('1', 'admin')}"}


async def test_s121_change_contains_public_columns_only(hub: HubHarness) -> None:
    client = await hub.client()
    change = Change("created", {"id": 1, "cve": "CVE-2024-1", "password_hash": "x"})
    hub.application.services.vulnerabilities.publish([change])
    assert await receive_payload(client, "vulnerability-change") == {
        "type": "created",
        "data": {"id": 1, "cve": "CVE-2024-1"},
        "timestamp": hub.clock.epoch_ms(),
    }


async def test_s121_many_changes_are_sent_as_one_summary(hub: HubHarness) -> None:
    client = await hub.client()
    hub.application.services.vulnerabilities.publish(
        [Change("created", {"id": n}) for n in range(51)]
    )
    await hub.advance(1)
    await flush_events(client)
    assert received_names(client) == ["vulnerability-change", "batch-updates"]
    assert (await receive_payload(client, "vulnerability-change"))["data"]["created"] == 51


async def test_s122_unknown_change_type_is_rejected(hub: HubHarness) -> None:
    client = await hub.client()
    publish = hub.application.services.vulnerabilities.publish
    for kind in ("created", "updated", "deleted", "status_changed"):
        publish([Change(kind, {"id": 1, "cve": "CVE-2024-1"})])
        received = await receive_payload(client, "vulnerability-change")
        assert received["type"] == kind
        assert (set(received["data"]) == {"id"}) is (kind == "deleted")
    with pytest.raises(ServiceError):
        publish([Change("exploded", {"id": 1})])


async def test_s123_affected_users_receive_one_personal_notification(hub: HubHarness) -> None:
    affected, second_socket, other = [await hub.client(user) for user in ("7", "7", "8")]
    hub.application.services.vulnerabilities.publish(
        [Change("created", {"id": 1}, ("7", "9", "7"))]
    )
    for client in (affected, second_socket):
        received = await receive_payload(client, "vulnerability-notification")
        assert (received["type"], received["data"], received["personalized"]) == (
            "created",
            {"id": 1},
            True,
        )
        await flush_events(client)
        assert "vulnerability-notification" not in received_names(client)
    await flush_events(other)
    assert received_names(other) == ["vulnerability-change"]


async def test_s124_kev_synchronization_reports_each_stage(hub: HubHarness) -> None:
    client = await hub.client()
    answer = await hub.request("POST", "/api/kev/sync", admin_headers(hub), feed(*many(300)))
    assert answer.json()["newEntries"] == 300
    received = [(await receive_payload(client, "kev-sync-update")) for _ in range(4)]
    assert [each["status"] for each in received] == [
        "started",
        "processing",
        "processing",
        "completed",
    ]
    assert received[-1] == {
        "status": "completed",
        "processedCount": 300,
        "newEntries": 300,
        "timestamp": hub.clock.epoch_ms(),
        "total": 300,
        "matchedCount": 0,
        "catalogVersion": "2025.09.30",
    }


async def test_s124_catalog_is_parsed_in_a_process_of_its_own(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules: list[str] = []
    start = subprocess.Popen

    def noting(command: list[str], **options: Any) -> Any:
        modules.append(command[-1])
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", noting)
    answer = await hub.request("POST", "/api/kev/sync", admin_headers(hub), feed(item()))
    assert answer.json()["totalKevs"] == 1
    assert modules == ["hextrackr_server.kev.parsing_process"]


async def test_s124_newly_exploited_findings_are_reported(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    await run_import(client)
    await receive_payload(client, "vulnerability-change")
    catalog = feed(item("CVE-2024-1000", knownRansomwareCampaignUse="Known"))
    await hub.request("POST", "/api/kev/sync", admin_headers(hub), catalog)
    change = await receive_payload(client, "vulnerability-change")
    assert change["type"] == "status_changed"
    assert change["data"] == {
        "cve": "CVE-2024-1000",
        "isKev": True,
        "dueDate": "2025-01-23",
        "knownRansomwareCampaignUse": True,
        "hosts": 20,
    }
    assert (await receive_payload(client, "vulnerability-notification"))["personalized"]
    assert "vulnerability-notification" not in received_names(other)
    statistics = await client.emit_with_ack("get-vulnerability-stats", {"isKev": True})
    assert statistics["data"]["totals"]["findings"] == 20
    assert statistics["data"]["kev"]["matched_kevs"] == 1


async def test_s124_failed_synchronization_is_reported_and_changes_no_data(hub: HubHarness) -> None:
    client = await hub.client()
    headers = admin_headers(hub)
    await hub.request("POST", "/api/kev/sync", headers, feed(*many(10)))
    for body, reason in ((b"<html>", "CISA's format"), (feed(*many(5)), "lost 5 of 10")):
        answer = await hub.request("POST", "/api/kev/sync", headers, body)
        assert (answer.status, answer.json()["code"]) == (400, "VALIDATION_ERROR")
        assert reason in answer.json()["error"]
    await flush_events(client)
    failed = [a[0] for a in client.events("kev-sync-update") if a[0]["status"] == "failed"]
    assert ["lost 5 of 10" in each["error"] for each in failed] == [False, True]
    status = (await hub.request("GET", "/api/kev/status", headers)).json()
    assert (status["totalKevs"], status["syncInProgress"]) == (10, False)
    forced = await hub.request("POST", "/api/kev/sync?force=true", headers, feed(*many(5)))
    assert forced.json()["removedEntries"] == 5


@pytest.mark.parametrize(
    ("user", "status"), [({"user": "7"}, 403), ({"user": "7", "role": "superadmin"}, 200)]
)
async def test_s124_synchronization_requires_an_admin(
    hub: HubHarness, user: Any, status: int
) -> None:
    headers = {"authorization": f"Bearer {hub.token(**user)}"}
    assert (await hub.request("POST", "/api/kev/sync", headers, feed(item()))).status == status
    assert (await hub.request("POST", "/api/kev/sync", {}, feed(item()))).status == 401


async def test_s124_kev_data_of_a_cve_is_readable(hub: HubHarness) -> None:
    await hub.request("POST", "/api/kev/sync", admin_headers(hub), feed(item("CVE-2024-1000")))
    headers = {"authorization": f"Bearer {hub.token()}"}
    known = (await hub.request("GET", "/api/kev/CVE-2024-1000", headers)).json()
    assert known["data"]["due_date"] == "2025-01-23"
    assert (await hub.request("GET", "/api/kev/CVE-1999-1", headers)).status == 404
    statistics = (await hub.request("GET", "/api/kev/stats", headers)).json()
    assert statistics["total_kevs"] == 1


async def test_s121_import_sends_changed_findings_with_ids_up_to_the_limit(tmp_path: Path) -> None:
    severities = ["Low"] * 4 + ["Critical"] * 2 + ["High"] * 54
    rows = [finding_row(host=f"h-{n}", severity=name) for n, name in enumerate(severities)]
    async with HubHarness(tmp_path, changes_per_import=58) as hub:
        client, other = await hub.client(), await hub.client("8")
        await run_import(client, csv_text(rows))
        await hub.advance(1)
        for each in (client, other):
            await flush_events(each)
            updates = [args[0] for args in each.events("vulnerability-updated")]
            (batch,) = [args[0] for args in each.events("batch-updates")]
            assert (len(updates), len(batch["vulnerability-updated"])) == (50, 8)
            found = [*updates, *batch["vulnerability-updated"]]
            assert len({update["id"] for update in found}) == 58
            assert all(update["data"]["id"] == update["id"] for update in found)
            named = [update["data"]["severity"] for update in found]
            assert named == ["Critical"] * 2 + ["High"] * 54 + ["Low"] * 2
            (summary,) = [args[0] for args in each.events("vulnerability-change")]
            assert summary["data"]["changes"] == {"sent": 58, "more": 2}


async def test_s124_kev_synchronization_sends_the_open_findings_of_new_cves(
    hub: HubHarness,
) -> None:
    client = await hub.client()
    rows = [finding_row(host=f"h-{n}", cve=f"CVE-2024-{1000 + n % 2}") for n in range(6)]
    await run_import(client, csv_text(rows))
    await hub.advance(1)
    await flush_events(client)
    client.received.clear()
    await hub.request("POST", "/api/kev/sync", admin_headers(hub), feed(item("CVE-2024-1000")))
    await flush_events(client)
    updates = [args[0] for args in client.events("vulnerability-updated")]
    assert len({update["id"] for update in updates}) == 3
    assert {(each["data"]["cve"], each["data"]["isKev"]) for each in updates} == {
        ("CVE-2024-1000", True)
    }
    completed = [args[0] for args in client.events("kev-sync-update")][-1]
    assert completed["changes"] == {"sent": 3, "more": 0}
