"""Tests of `get-data` requests."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from hextrackr_server.collaboration.presence import EditingSessions, resource_room
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.findings.filters import parse_filters
from hextrackr_server.findings.queries import QueryService
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.findings.query_store import QueryStore
from hextrackr_server.findings.store import VulnerabilityStore
from hextrackr_server.imports.progress_tracker import ProgressTracker
from hextrackr_server.imports.status import ImportView
from hextrackr_server.kev.catalog import parse_catalog
from hextrackr_server.kev.store import KevStore
from hextrackr_server.security.principal import Principal
from hextrackr_server.storage import backends as database_backends
from hextrackr_server.storage.schema import tickets
from tests.hextrackr_server.kev_support import feed, item
from tests.hextrackr_server.support import (
    ADMIN,
    ALICE,
    BOB,
    FakeClock,
    NullAnnouncer,
    Recorder,
    Workbench,
)

HEADER = ("hostname", "cve", "plugin_id", "vendor", "severity", "vpr", "solution")
ROWS = [
    ["sw-1", "CVE-2024-1111 CVE-2024-2222", "10", "CISCO", "Critical", "9.5", "Upgrade"],
    ["sw-2", "CVE-2024-1111", "10", "CISCO", "Critical", "9.1", ""],
    ["sw-2", "CVE-2024-3333", "11", "CISCO", "Low", "", ""],
    ["db-1", "CVE-2024-4444", "12", "Oracle", "High", "7.0", ""],
]


class QueryHarness:
    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.clock = FakeClock()
        self.tracker = ProgressTracker(Recorder(), self.clock)
        self.editing = self.editors()
        self.service = self.queries(self.editing)

    def editors(self, *, watchers_only: bool = False) -> EditingSessions:
        return EditingSessions(
            NullAnnouncer(),
            self.clock,
            idle_seconds=60,
            grace_seconds=0,
            watchers_only=watchers_only,
        )

    def queries(self, editing: EditingSessions) -> QueryService:
        view = ImportView(self.bench.store, self.tracker)
        store = QueryStore(self.bench.database)
        return QueryService(store, view, editing, QueryExecutor(), {"hub": "CSV of the hub"})

    async def get_data(
        self, resource: str, principal: Principal = ALICE, **more: Any
    ) -> dict[str, Any]:
        return await self.service.answer({"resource": resource} | more, principal)

    async def rows(self, resource: str, name: str, **more: Any) -> list[Any]:
        return [row[name] for row in (await self.get_data(resource, **more))["data"]]


@pytest.fixture
def harness(workbench: Workbench) -> QueryHarness:
    workbench.import_rows(ROWS, HEADER, user_id=ALICE.user_id)
    KevStore(workbench.database).apply(parse_catalog(feed(item("CVE-2024-1111"))), 0)
    return QueryHarness(workbench)


async def test_vulnerabilities_are_paged_and_sorted_by_vpr(harness: QueryHarness) -> None:
    answer = await harness.get_data("vulnerabilities", page=2, limit=2)
    assert answer["pagination"] == {"page": 2, "limit": 2, "total": 5, "pages": 3}
    assert [row["vpr_score"] for row in answer["data"]] == [9.1, 7.0]
    exploited = answer["data"][0]
    assert (exploited["isKev"], exploited["kev_due_date"]) == ("Yes", "2025-01-23")
    assert (exploited["known_ransomware_use"], answer["data"][1]["isKev"]) == (0, "No")
    assert "description" not in exploited


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"isKev": True}, 2),
        ({"isKev": False}, 3),
        ({"severity": "KEV"}, 2),
        ({"severity": ["kev", "High"]}, 3),
        ({"vendor": "CISCO", "search": "sw-2"}, 2),
        (None, 5),
    ],
)
async def test_vulnerabilities_and_statistics_apply_the_same_filters(
    harness: QueryHarness, filters: Any, count: int
) -> None:
    answer = await harness.get_data("vulnerabilities", filters=filters)
    assert answer["pagination"]["total"] == count
    statistics = VulnerabilityStore(harness.bench.database).statistics(parse_filters(filters))
    assert statistics["totals"]["findings"] == count


async def test_statistics_contain_the_kev_counts(harness: QueryHarness) -> None:
    assert VulnerabilityStore(harness.bench.database).statistics()["kev"] == {
        "total_kevs": 1,
        "ransomware_kevs": 0,
        "matched_kevs": 1,
        "overdue_kevs": 1,
    }


async def test_sort_accepts_known_columns_only(harness: QueryHarness) -> None:
    assert (
        await harness.rows("vulnerabilities", "cve", sort="cve", limit=2) == ["CVE-2024-1111"] * 2
    )
    severities = await harness.rows("vulnerabilities", "severity", sort="severity")
    assert severities == ["Low", "High", "Critical", "Critical", "Critical"]
    for sort in ("secret", "id; DROP TABLE x", "--id", "hostname,cve"):
        with pytest.raises(ServiceError) as refusal:
            await harness.get_data("vulnerabilities", sort=sort)
        assert refusal.value.fields is not None
        assert refusal.value.fields[0]["path"] == "sort"


async def test_single_vulnerability_contains_its_details(harness: QueryHarness) -> None:
    (first,) = (await harness.get_data("vulnerabilities", limit=1))["data"]
    found = (await harness.get_data("vulnerability", id=str(first["id"])))["data"]
    assert (found["cve"], found["solution"]) == (first["cve"], "Upgrade")
    with pytest.raises(ServiceError) as refusal:
        await harness.get_data("vulnerability", id=9999)
    assert refusal.value.code is ErrorCode.NOT_FOUND


async def test_devices_contain_totals_by_severity(harness: QueryHarness) -> None:
    devices = (await harness.get_data("devices"))["data"]
    assert [each["hostname"] for each in devices] == ["sw-1", "sw-2", "db-1"]
    assert devices[1] == {
        "hostname": "sw-2",
        "hostKey": "sw-2",
        "totalCount": 2,
        "totalVPR": 9.1,
        "criticalCount": 1,
        "criticalVPR": 9.1,
        "highCount": 0,
        "highVPR": 0.0,
        "mediumCount": 0,
        "mediumVPR": 0.0,
        "lowCount": 1,
        "lowVPR": 0.0,
        "hasKev": True,
    }
    assert await harness.rows("devices", "hostname", sort="hostname") == ["db-1", "sw-1", "sw-2"]


async def test_imports_are_visible_to_their_owner_and_administrators(harness: QueryHarness) -> None:
    assert await harness.rows("imports", "import_id") == [1]
    assert await harness.rows("imports", "import_id", principal=BOB) == []
    assert await harness.rows("imports", "import_id", principal=ADMIN) == [1]
    assert await harness.rows("imports", "status", filters={"status": "failed"}) == []
    assert (await harness.get_data("import", id=1))["data"]["status"] == "completed"
    with pytest.raises(ServiceError) as refusal:
        await harness.get_data("import", BOB, id=1)
    assert refusal.value.code is ErrorCode.NOT_FOUND


async def test_resolved_findings_are_a_separate_resource(harness: QueryHarness) -> None:
    harness.bench.import_rows(ROWS[3:], HEADER, scope="full", confirm=True, scan_date="2025-10-07")
    assert await harness.rows("vulnerabilities", "cve") == ["CVE-2024-4444"]
    assert len(await harness.rows("resolved", "cve")) == 4
    assert await harness.rows("resolved", "cve", filters={"hostname": "sw-1"}, sort="cve") == [
        "CVE-2024-1111",
        "CVE-2024-2222",
    ]


async def test_findings_are_selected_by_their_state(harness: QueryHarness) -> None:
    late = {"scope": "full", "confirm": True, "is_dated": True}
    harness.bench.import_rows(ROWS[3:], HEADER, **late, scan_date="2025-10-07")
    harness.bench.import_rows(ROWS[2:3], HEADER, scope="none", scan_date="2025-10-08")
    found = {
        state: await harness.rows("findings", "cve", filters={"state": state}, sort="cve")
        for state in ("open", "active", "reopened", "resolved", "all")
    }
    assert found["active"] == ["CVE-2024-4444"]
    assert found["reopened"] == ["CVE-2024-3333"]
    assert found["open"] == [*found["reopened"], *found["active"]]
    assert found["resolved"] == ["CVE-2024-1111", "CVE-2024-1111", "CVE-2024-2222"]
    assert found["all"] == [*found["resolved"], *found["open"]]
    assert await harness.rows("findings", "cve", sort="cve") == found["open"]
    filters = {"state": "resolved", "host": "sw-1"}
    answer = await harness.get_data("findings", filters=filters, limit=1)
    assert answer["pagination"]["total"] == 2
    (row,) = answer["data"]
    assert (row["host_key"], row["source"]) == ("sw-1", "hub")


async def test_asterisk_is_the_only_special_character_of_a_host_filter(
    harness: QueryHarness,
) -> None:
    harness.bench.import_rows([["a%b_c/d", "CVE-2024-5555", "1", "X", "Low", "", ""]], HEADER)
    for host, number in (("sw*", 4), ("*1", 3), ("a%b_c/*", 1), ("*b_c*", 1), ("*", 6), ("s_*", 0)):
        answer = await harness.get_data("findings", filters={"host": host})
        assert answer["pagination"]["total"] == number, host


async def test_sources_contain_formats_of_open_and_of_resolved_findings(
    harness: QueryHarness,
) -> None:
    nessus = ("Plugin ID", "CVE", "Risk", "Host", "Protocol", "Port", "Name")
    row = ["10", "CVE-2024-4444", "High", "db-1", "tcp", "443", "Check"]
    harness.bench.import_rows([row], nessus, scope="none")
    answer = await harness.get_data("sources")
    assert answer["data"] == [
        {"source": "hub", "title": "CSV of the hub", "findings": 5},
        {"source": "nessus", "title": "nessus", "findings": 1},
    ]
    assert await harness.rows("findings", "source", filters={"source": "nessus"}) == ["hub,nessus"]
    harness.bench.import_rows(ROWS[3:], HEADER, scope="full", confirm=True, scan_date="2025-10-07")
    assert await harness.rows("sources", "findings") == [1, 1]


async def test_imports_contain_the_numbers_of_their_results(harness: QueryHarness) -> None:
    harness.bench.job(session_id="waiting")
    harness.bench.store.end_job(2, {"code": "CANCELLED", "message": "cancelled"})
    cancelled, completed = (await harness.get_data("imports"))["data"]
    numbers = {
        "profile": "hub", "findings": 5, "inserted": 5, "updated": 0, "reopened": 0,
        "resolved": 0, "withheld": 0, "warnings": 0, "confirmation_required": False,
    }  # fmt: skip
    assert numbers.items() <= completed.items()
    assert (cancelled["status"], cancelled["error_message"]) == ("cancelled", "cancelled")
    assert {cancelled[name] for name in numbers} == {None}
    assert "result" not in completed
    data = (await harness.get_data("import", id=1))["data"]
    assert data["job"] == completed
    assert data["result"]["summary"]["inserted"] == 5


async def test_progress_contains_the_imports_that_a_user_may_see(harness: QueryHarness) -> None:
    tracker = harness.tracker
    tracker.queue(1, ALICE.user_id, "old.csv", None, session_id="one")
    tracker.cancel(1, {"code": "CANCELLED", "message": "cancelled"})
    tracker.queue(2, BOB.user_id, "bob.csv", "CISCO", session_id="two")
    tracker.queue(3, ALICE.user_id, "new.csv", None, session_id="three")
    tracker.open("four", ALICE.user_id, {"filename": "producer.csv"})
    tracker.open("five", None)
    names = "filename"
    assert await harness.rows("progress", names) == ["producer.csv", "new.csv", "old.csv"]
    assert await harness.rows("progress", names, filters={"ended": True}) == ["old.csv"]
    assert await harness.rows("progress", names, filters={"ended": False}, limit=1, page=2) == [
        "new.csv"
    ]
    assert await harness.rows("progress", names, principal=BOB) == ["bob.csv"]
    everything = (await harness.get_data("progress", ADMIN))["data"]
    assert [each["userId"] for each in everything] == [None, "7", "7", "8", "7"]
    assert [each["external"] for each in everything] == [True, True, False, False, False]
    assert everything[3]["vendor"] == "CISCO"
    with pytest.raises(ServiceError, match="Invalid sort"):
        await harness.get_data("progress", sort="filename")


async def test_trends_contain_days_overall_or_of_one_vendor(harness: QueryHarness) -> None:
    harness.bench.import_rows(
        ROWS[1:], HEADER, scan_date="2025-10-07", scope="vendor", confirm=True
    )
    days = (await harness.get_data("trends"))["data"]
    assert [day["date"] for day in days] == ["2025-09-30", "2025-10-07"]
    assert days[0]["Critical"] == {"count": 2, "total_vpr": 18.6}
    assert (days[1]["Critical"]["count"], days[1]["resolved"]) == (1, 2)
    later = {"vendor": "CISCO", "startDate": "2025-10-01", "endDate": "2025-10-31"}
    (day,) = (await harness.get_data("trends", filters=later))["data"]
    assert (day["High"]["count"], day["Low"]["count"]) == (0, 1)


async def test_kev_catalog_is_filtered_by_search_and_match(harness: QueryHarness) -> None:
    assert await harness.rows("kev", "matched") == [True]
    assert await harness.rows("kev", "cve_id", filters={"search": "acme", "matched": False}) == []
    assert await harness.rows("kev", "cve_id", filters={"search": "acme"}) == ["CVE-2024-1111"]


async def test_kev_entries_contain_their_open_findings(harness: QueryHarness) -> None:
    catalog = parse_catalog(feed(item("CVE-2024-1111"), item("CVE-2024-9999")))
    KevStore(harness.bench.database).apply(catalog, 0)
    rows = (await harness.get_data("kev", sort="cve_id"))["data"]
    numbers = [(row["open_findings"], row["hosts"], row["max_severity"]) for row in rows]
    assert numbers == [(2, 2, "Critical"), (0, 0, None)]


async def test_tickets_exclude_deleted_ones(harness: QueryHarness) -> None:
    with harness.bench.database.writing() as connection:
        for number, deleted in ((1, 0), (2, 1)):
            connection.execute(
                insert(tickets).values(
                    id=f"t-{number}", location="Berlin", status="Open", deleted=deleted
                )
            )
    assert await harness.rows("tickets", "id") == ["t-1"]
    assert await harness.rows("tickets", "id", filters={"search": "berl", "status": "Open"}) == [
        "t-1"
    ]
    assert await harness.rows("tickets", "id", filters={"status": "Closed"}) == []


async def test_editors_are_paged_once_per_user_without_socket_ids(harness: QueryHarness) -> None:
    harness.editing.start("a1", ALICE, "ticket", 5)
    harness.editing.start("a2", ALICE, "ticket", "5")
    harness.clock.advance(1)
    harness.editing.start("b1", BOB, "ticket", 5)
    harness.clock.advance(1)
    harness.editing.start("b1", BOB, "device", "web-1")
    now = harness.clock.epoch_ms()
    answer = await harness.get_data("editors", limit=2)
    assert answer == {
        "data": [
            {"resourceType": "device", "resourceId": "web-1"}
            | {"userId": "8", "username": "bob", "startTime": now},
            {"resourceType": "ticket", "resourceId": 5}
            | {"userId": "8", "username": "bob", "startTime": now - 1000},
        ],
        "pagination": {"page": 1, "limit": 2, "total": 3, "pages": 2},
    }
    assert await harness.rows("editors", "userId", limit=2, page=2) == ["7"]
    assert await harness.rows("editors", "userId", sort="userId") == ["7", "8", "8"]


async def test_editors_are_filtered_by_resource_type_and_id(harness: QueryHarness) -> None:
    harness.editing.start("a1", ALICE, "ticket", 5)
    harness.editing.start("b1", BOB, "device", 5)
    for number in (5, "5"):
        filters = {"resourceType": "ticket", "resourceId": number}
        assert await harness.rows("editors", "userId", filters=filters) == ["7"]
    assert await harness.rows("editors", "userId", filters={"resourceId": 5}, sort="userId") == [
        "7",
        "8",
    ]
    assert await harness.rows("editors", "userId", filters={"resourceId": 6}) == []


async def test_editors_are_visible_to_watchers_only_when_so_configured(
    harness: QueryHarness,
) -> None:
    editing = harness.editors(watchers_only=True)
    editing.start("a1", ALICE, "ticket", 5)
    editing.start("a1", ALICE, "ticket", 6)
    queries = harness.queries(editing)
    for principal in (BOB, ADMIN):
        answer = await queries.answer({"resource": "editors"}, principal, {"b1", "authenticated"})
        assert answer["data"] == []
    answer = await queries.answer({"resource": "editors"}, BOB, {resource_room("ticket", 6)})
    assert [each["resourceId"] for each in answer["data"]] == [6]


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (None, "resource"),
        ([], "resource"),
        ({}, "resource"),
        ({"resource": "users"}, "resource"),
        ({"resource": "kev", "page": 0}, "page"),
        ({"resource": "kev", "limit": 501}, "limit"),
        ({"resource": "kev", "limit": "all"}, "limit"),
        ({"resource": "kev", "sort": "x" * 65}, "sort"),
        ({"resource": "kev", "filters": []}, "filters"),
        ({"resource": "kev", "filters": {"owner": 1}}, "owner"),
        ({"resource": "kev", "filters": {"matched": 1}}, "matched"),
        ({"resource": "imports", "filters": {"user_id": "8"}}, "user_id"),
        ({"resource": "trends", "filters": {"startDate": "soon"}}, "startDate"),
        ({"resource": "vulnerabilities", "filters": {"isKev": "yes"}}, "isKev"),
        ({"resource": "vulnerabilities", "filters": {"state": "open"}}, "state"),
        ({"resource": "findings", "filters": {"state": "closed"}}, "state"),
        ({"resource": "findings", "filters": {"state": ["open"]}}, "state"),
        ({"resource": "findings", "filters": {"host": "a*b*c*d*e"}}, "host"),
        ({"resource": "findings", "filters": {"cve": 2024}}, "cve"),
        ({"resource": "findings", "filters": {"source": "x" * 101}}, "source"),
        ({"resource": "sources", "filters": {"source": "x"}}, "source"),
        ({"resource": "sources", "sort": "source"}, "sort"),
        ({"resource": "progress", "filters": {"ended": 1}}, "ended"),
        ({"resource": "vulnerability"}, "id"),
        ({"resource": "vulnerability", "id": "1 OR 1"}, "id"),
        ({"resource": "import", "id": {}}, "id"),
        ({"resource": "import", "id": 0}, "id"),
        ({"resource": "editors", "filters": {"resourceType": "user"}}, "resourceType"),
        ({"resource": "editors", "filters": {"resourceType": ["ticket"]}}, "resourceType"),
        ({"resource": "editors", "filters": {"resourceId": True}}, "resourceId"),
        ({"resource": "editors", "filters": {"userId": "7"}}, "userId"),
        ({"resource": "editors", "sort": "socketId"}, "sort"),
    ],
)
async def test_invalid_request_is_refused_with_its_field(
    harness: QueryHarness, payload: Any, path: str
) -> None:
    with pytest.raises(ServiceError) as refusal:
        await harness.service.answer(payload, ALICE)
    assert refusal.value.fields is not None
    assert refusal.value.fields[0]["path"] == path


async def test_query_times_out_when_it_takes_too_long(
    harness: QueryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The query is short, so the database must check the clock more often than usual.
    monkeypatch.setattr(database_backends, "_STEPS_BETWEEN_CHECKS", 1000)
    rows = [[f"h-{number}", "CVE-2024-5555", "13", "X", "Low", "1", ""] for number in range(3000)]
    harness.bench.import_rows(rows, HEADER)
    hurried = QueryStore(harness.bench.database, limit=0.0)
    harness.service._store = hurried
    with pytest.raises(ServiceError) as refusal:
        await harness.get_data("devices", filters={"search": "no such thing"})
    assert refusal.value.code is ErrorCode.TIMEOUT
    with pytest.raises(ServiceError, match="takes too long"):
        VulnerabilityStore(harness.bench.database, limit=0.0).statistics()
    assert VulnerabilityStore(harness.bench.database).statistics()["totals"]["devices"] > 3000
