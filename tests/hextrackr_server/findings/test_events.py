"""Tests of `vulnerability-*` events."""

from __future__ import annotations

from typing import Any

import pytest

from hextrackr_server.errors import ServiceError
from hextrackr_server.findings.batcher import UpdateBatcher
from hextrackr_server.findings.events import THRESHOLD, Change, VulnerabilityEvents
from tests.hextrackr_server.support import FakeClock, Recorder


class Bench:
    def __init__(self) -> None:
        self.clock, self.sent = FakeClock(), Recorder()
        batcher = UpdateBatcher(self.sent, self.clock)
        self.events = VulnerabilityEvents(self.sent, batcher, self.clock)

    def batched(self) -> list[dict[str, Any]]:
        self.clock.advance(1)
        return [
            each
            for payload in self.sent.payloads("batch-updates")
            for each in payload.get("vulnerability-change", ())
        ]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_change_is_sent_to_all_users_and_personally_to_affected_users(bench: Bench) -> None:
    bench.events.publish([Change("created", {"id": 5, "cve": "CVE-2024-1"}, ("7", "8", "7"))])
    payload = {
        "type": "created",
        "data": {"id": 5, "cve": "CVE-2024-1"},
        "timestamp": bench.clock.epoch_ms(),
    }
    assert bench.sent.sent == [
        ("authenticated", "vulnerability-change", payload),
        ("user-7+user-8", "vulnerability-notification", payload | {"personalized": True}),
    ]


@pytest.mark.parametrize("kind", ["updated", "status_changed"])
def test_changed_vulnerability_is_sent_with_its_current_properties(bench: Bench, kind: str) -> None:
    bench.events.publish([Change(kind, {"id": 5, "state": "FIXED"})])
    assert bench.sent.sent[-1] == (
        "authenticated",
        "vulnerability-updated",
        {"id": 5, "data": {"id": 5, "state": "FIXED"}, "timestamp": bench.clock.epoch_ms()},
    )


def test_change_contains_only_public_properties(bench: Bench) -> None:
    bench.events.publish([Change("created", {"id": 5, "raw_csv_row": "x", "__proto__": {}})])
    assert bench.sent.payloads("vulnerability-change")[0]["data"] == {"id": 5}


def test_deletion_contains_only_the_id(bench: Bench) -> None:
    bench.events.publish([Change("deleted", {"id": 5, "cve": "CVE-2024-1"})])
    assert bench.sent.payloads("vulnerability-change")[0]["data"] == {"id": 5}


def test_many_changes_are_sent_as_a_summary_and_a_batch(bench: Bench) -> None:
    changes = [Change("created", {"id": number}) for number in range(THRESHOLD)]
    bench.events.publish([*changes, Change("deleted", {"id": 99})])
    (summary,) = bench.sent.payloads("vulnerability-change")
    assert (summary["type"], summary["data"]) == (
        "updated",
        {"summary": True, "created": 50, "updated": 0, "deleted": 1, "status_changed": 0},
    )
    assert [each["data"]["id"] for each in bench.batched()] == [*range(THRESHOLD), 99]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (Change("exploded", {}), "changes[1].type"),
        (Change("deleted", {}), "changes[1].data.id"),
        (Change("created", {}, tuple(map(str, range(101)))), "changes[1].affectedUsers"),
    ],
)
def test_no_change_is_sent_when_one_is_malformed(bench: Bench, change: Change, path: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        bench.events.publish([Change("created", {"id": 1}), change])
    assert refusal.value.fields is not None
    assert refusal.value.fields[0]["path"] == path
    assert bench.sent.sent == []


SUMMARY = {"inserted": 1, "updated": 2, "resolved": 1, "reopened": 1}


def row(number: int, state: str) -> dict[str, Any]:
    return {"id": number, "lifecycle_state": state, "cve": "CVE-2024-1", "secret": "x"}


def test_import_with_few_changes_is_sent_as_a_summary_and_a_batch(bench: Bench) -> None:
    rows = [row(1, "active"), row(2, "resolved"), row(3, "reopened")]
    bench.events.import_committed(9, SUMMARY, {"total": 3, "rows": rows, "topCritical": rows[:1]})
    (summary,) = bench.sent.payloads("vulnerability-change")
    assert summary["data"] == {
        "summary": True,
        "importId": 9,
        "created": 1,
        "updated": 2,
        "resolved": 1,
        "reopened": 1,
        "topCritical": [{"id": 1, "lifecycle_state": "active", "cve": "CVE-2024-1"}],
        "changes": {"sent": 3, "more": 0},
    }
    assert [each["id"] for each in bench.sent.payloads("vulnerability-updated")] == [1, 2, 3]
    assert [(each["type"], each["data"]["id"]) for each in bench.batched()] == [
        ("created", 1),
        ("status_changed", 2),
        ("status_changed", 3),
    ]


def test_import_with_many_changes_sends_the_first_findings_as_events_and_the_others_in_a_batch(
    bench: Bench,
) -> None:
    rows = [row(number, "active") for number in range(THRESHOLD + 2)]
    bench.events.import_committed(9, SUMMARY, {"total": 90, "rows": rows, "topCritical": []})
    (summary,) = bench.sent.payloads("vulnerability-change")
    assert summary["data"]["changes"] == {"sent": THRESHOLD + 2, "more": 90 - THRESHOLD - 2}
    updates = bench.sent.payloads("vulnerability-updated")
    assert [each["id"] for each in updates] == list(range(THRESHOLD))
    assert updates[0]["data"] == {"id": 0, "lifecycle_state": "active", "cve": "CVE-2024-1"}
    assert bench.batched() == []
    (batch,) = bench.sent.payloads("batch-updates")
    assert [each["id"] for each in batch["vulnerability-updated"]] == [THRESHOLD, THRESHOLD + 1]
    assert set(batch["vulnerability-updated"][0]) == {"id", "data", "timestamp"}
