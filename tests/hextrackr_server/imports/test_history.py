"""Tests of import scopes, the import summary and the stored history."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Table, select

from hextrackr_server.imports import summary as summary_module
from hextrackr_server.storage.finding_tables import vulnerability_snapshots
from hextrackr_server.storage.schema import vendor_daily_totals, vulnerability_daily_totals
from tests.hextrackr_server.support import Workbench

HEADER = ("hostname", "ip_address", "cve", "vendor", "severity", "vpr")
CISCO = ["sw-1", "10.0.0.1", "CVE-2024-1111", "CISCO", "Critical", "9.0"]
CISCO_2 = ["sw-2", "10.0.0.2", "CVE-2024-2222", "CISCO", "High", "7.0"]
PALO = ["fw-1", "10.0.0.3", "CVE-2024-3333", "Palo Alto", "Low", "2.0"]
ON_SW_1 = ["sw-1", "10.0.0.1", "CVE-2024-4444", "Other", "Medium", "5.0"]
ALL = [CISCO, CISCO_2, PALO, ON_SW_1]
NEW_ON_SW_1 = ["sw-1", "10.0.0.1", "CVE-2024-5555", "CISCO", "High", "8.0"]


def rows_of(bench: Workbench, table: Table) -> list[dict[str, Any]]:
    with bench.database.reading() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def open_cves(bench: Workbench) -> set[str]:
    return {each["cve"][-4:] for each in bench.findings() if each["lifecycle_state"] != "resolved"}


@pytest.mark.parametrize(
    ("scope", "still_open"),
    [
        ("vendor", {"3333", "4444", "5555"}),
        ("hosts", {"2222", "3333", "5555"}),
        ("full", {"5555"}),
        ("none", {"1111", "2222", "3333", "4444", "5555"}),
    ],
)
def test_import_resolves_findings_in_its_scope_only(
    workbench: Workbench, scope: str, still_open: set[str]
) -> None:
    workbench.import_rows(ALL, HEADER)
    workbench.import_rows([NEW_ON_SW_1], HEADER, scope=scope, confirm=True)
    assert open_cves(workbench) == still_open


def test_hosts_scope_includes_hosts_by_address(workbench: Workbench) -> None:
    workbench.import_rows([CISCO, CISCO_2], HEADER)
    nameless = ["", "10.0.0.1", "CVE-2024-5555", "CISCO", "High", "8.0"]
    workbench.import_rows([nameless], HEADER, scope="hosts", confirm=True)
    assert open_cves(workbench) == {"2222", "5555"}


# -- importSummary


def summary_of(result: dict[str, Any]) -> dict[str, Any]:
    summary = result["importSummary"]
    assert isinstance(summary, dict)
    return summary


def test_summary_of_a_first_import_lists_all_as_new(workbench: Workbench) -> None:
    summary = summary_of(workbench.import_rows(ALL, HEADER, session_id="import-1-x"))
    assert summary["sessionId"] == "import-1-x"
    metadata = summary["importMetadata"]
    assert (metadata["importId"], metadata["totalRows"], metadata["scanDate"]) == (
        1,
        4,
        "2025-09-30",
    )
    assert isinstance(metadata["processingTime"], int)
    discovery = summary["cveDiscovery"]
    assert discovery["newCves"][0] == {
        "cve": "CVE-2024-1111",
        "severity": "Critical",
        "hostCount": 1,
        "totalVpr": 9.0,
        "firstSeen": "2025-09-30",
    }
    assert (discovery["totalNewCves"], discovery["totalNewVulnerabilities"]) == (4, 4)
    assert discovery["totalNewVpr"] == 23.0
    assert (discovery["resolvedCves"], discovery["truncated"]) == ([], False)
    assert summary["hostImpact"] == {
        "totalUniqueHosts": 3,
        "newHostsAffected": 3,
        "existingHostsUpdated": 0,
    }
    assert summary["comparison"]["percentageChange"] == 0.0


def test_summary_compares_with_the_state_before_the_import(workbench: Workbench) -> None:
    workbench.import_rows(ALL, HEADER)
    second = ["sw-9", "10.0.0.9", "CVE-2024-1111", "CISCO", "Critical", "9.0"]
    rows = [CISCO, second, NEW_ON_SW_1]
    summary = summary_of(workbench.import_rows(rows, HEADER, scope="vendor", confirm=True))
    discovery = summary["cveDiscovery"]
    assert [each["cve"] for each in discovery["newCves"]] == ["CVE-2024-5555"]
    assert discovery["totalNewVulnerabilities"] == 2
    assert discovery["resolvedCves"] == [
        {
            "cve": "CVE-2024-2222",
            "severity": "High",
            "hostCount": 1,
            "totalVpr": 7.0,
            "lastSeen": "2025-09-30",
        }
    ]
    assert summary["severityImpact"]["critical"] == {
        "current": 2,
        "previous": 1,
        "netChange": 1,
        "vprChange": 9.0,
    }
    assert set(summary["severityImpact"]) == {"critical", "high", "medium", "low"}
    assert summary["hostImpact"] == {
        "totalUniqueHosts": 2,
        "newHostsAffected": 1,
        "existingHostsUpdated": 1,
    }
    assert summary["comparison"] == {
        "previousTotal": 4,
        "currentTotal": 5,
        "netChange": 1,
        "percentageChange": 25.0,
        "significantChange": False,
        "changeThreshold": 25,
        "resolvedCount": 1,
        "reopenedCount": 0,
    }


def test_summary_lists_a_reopened_finding_as_new(workbench: Workbench) -> None:
    for rows in ([CISCO, CISCO_2], [CISCO_2], [CISCO, CISCO_2]):
        summary = summary_of(workbench.import_rows(rows, HEADER, scope="vendor", confirm=True))
    assert [each["cve"] for each in summary["cveDiscovery"]["newCves"]] == ["CVE-2024-1111"]
    assert summary["comparison"]["reopenedCount"] == 1


def test_new_finding_that_is_already_fixed_changes_nothing(workbench: Workbench) -> None:
    header = (*HEADER, "state")
    summary = summary_of(workbench.import_rows([[*CISCO, "Fixed"], [*PALO, "Open"]], header))
    assert summary["cveDiscovery"]["totalResolvedVulnerabilities"] == 0
    assert summary["cveDiscovery"]["totalNewCves"] == 1


def test_long_lists_are_truncated_and_marked(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary_module, "MAXIMUM_CVES", 2)
    discovery = summary_of(workbench.import_rows(ALL, HEADER))["cveDiscovery"]
    assert [each["totalVpr"] for each in discovery["newCves"]] == [9.0, 7.0]
    assert (discovery["totalNewCves"], discovery["truncated"]) == (4, True)


def test_unknown_severity_is_reported_as_unknown(workbench: Workbench) -> None:
    rows = [["h", "", "CVE-2024-1111", "", "<script>", ""]]
    discovery = summary_of(workbench.import_rows(rows, HEADER))["cveDiscovery"]
    assert discovery["newCves"][0]["severity"] == "Unknown"


# -- snapshots and daily totals


def test_snapshot_keeps_the_findings_of_each_scan(workbench: Workbench) -> None:
    workbench.import_rows([CISCO], HEADER)
    workbench.import_rows([CISCO_2], HEADER, scan_date="2025-10-07")
    kept = rows_of(workbench, vulnerability_snapshots)
    assert [(each["scan_date"], each["cve"]) for each in kept] == [
        ("2025-09-30", "CVE-2024-1111"),
        ("2025-10-07", "CVE-2024-2222"),
    ]


def test_snapshots_of_the_last_three_scan_days_are_kept(workbench: Workbench) -> None:
    for day in ("2025-09-01", "2025-09-08", "2025-09-15", "2025-09-22"):
        workbench.import_rows([CISCO, PALO], HEADER, scan_date=day)
    workbench.import_rows([CISCO_2], HEADER, scan_date="2025-01-01")
    kept = rows_of(workbench, vulnerability_snapshots)
    assert {each["scan_date"] for each in kept} == {"2025-09-08", "2025-09-15", "2025-09-22"}
    assert len(kept) == 6


def test_repeated_scan_updates_its_snapshot(workbench: Workbench) -> None:
    workbench.import_rows([CISCO, PALO], HEADER)
    workbench.import_rows([CISCO], HEADER)
    kept = rows_of(workbench, vulnerability_snapshots)
    assert sorted((each["cve"], each["import_id"]) for each in kept) == [
        ("CVE-2024-1111", 2),
        ("CVE-2024-3333", 1),
    ]


def test_each_vendor_has_its_own_daily_totals(workbench: Workbench) -> None:
    workbench.import_rows(ALL, HEADER)
    workbench.import_rows([CISCO], HEADER, scan_date="2025-10-07", scope="vendor", confirm=True)
    totals = {
        (each["scan_date"], each["vendor"]): each
        for each in rows_of(workbench, vendor_daily_totals)
    }
    assert len(totals) == 6
    cisco = totals["2025-10-07", "CISCO"]
    assert (cisco["critical_count"], cisco["high_count"], cisco["resolved_count"]) == (1, 0, 1)
    assert cisco["total_vpr"] == 9.0
    assert totals["2025-10-07", "Palo Alto"]["resolved_count"] == 0


def test_resolved_counts_of_one_day_add_up(workbench: Workbench) -> None:
    workbench.import_rows([CISCO, CISCO_2], HEADER, scan_date="2025-09-30")
    workbench.import_rows([PALO, [*PALO[:2], "CVE-2024-7777", *PALO[3:]]], HEADER)
    for row in (CISCO, PALO):
        workbench.import_rows([row], HEADER, scan_date="2025-10-07", scope="vendor", confirm=True)
    (day,) = [
        each
        for each in rows_of(workbench, vulnerability_daily_totals)
        if each["scan_date"] == "2025-10-07"
    ]
    assert (day["resolved_count"], day["total_vulnerabilities"]) == (2, 2)


def test_interrupted_import_leaves_the_history_unchanged(workbench: Workbench) -> None:
    workbench.import_rows(ALL, HEADER)
    before = [
        rows_of(workbench, table)
        for table in (vulnerability_snapshots, vulnerability_daily_totals, vendor_daily_totals)
    ]
    workbench.progress.clear()
    with pytest.raises(Exception, match="interrupted before its end"):
        workbench.run(
            ",".join(HEADER) + "\n" + ",".join(CISCO),
            stopping=lambda: any(each.overall >= 98 for each in workbench.progress),
            scan_date="2025-10-07",
        )
    after = [
        rows_of(workbench, table)
        for table in (vulnerability_snapshots, vulnerability_daily_totals, vendor_daily_totals)
    ]
    assert after == before
