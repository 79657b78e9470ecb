"""Tests of the statistics and their filters."""

from __future__ import annotations

from typing import Any

import pytest

from hextrackr_server.errors import ServiceError
from hextrackr_server.findings.filters import parse_filters
from hextrackr_server.findings.store import VulnerabilityStore
from tests.hextrackr_server.support import Workbench

HEADER = ("hostname", "cve", "plugin_id", "vendor", "severity", "vpr", "first_seen", "last_seen")
ROWS = [
    [
        "sw-1",
        "CVE-2024-1111,CVE-2024-2222",
        "10",
        "CISCO",
        "Critical",
        "9.5",
        "2025-01-01",
        "2025-09-30",
    ],
    ["sw-2", "CVE-2024-1111", "10", "CISCO", "Critical", "9.1", "2025-02-01", "2025-09-29"],
    ["sw-2", "CVE-2024-3333", "11", "CISCO", "Low", "", "2025-03-01", "2025-09-28"],
    ["db-1", "CVE-2024-4444", "12", "Oracle", "High", "7.0", "2025-04-01", "2025-09-27"],
]


@pytest.fixture
def store(workbench: Workbench) -> VulnerabilityStore:
    workbench.import_rows(ROWS, HEADER)
    return VulnerabilityStore(workbench.database)


def filtered(store: VulnerabilityStore, **filters: Any) -> dict[str, Any]:
    return store.statistics(parse_filters(filters))


def test_statistics_contain_all_keys_with_zeros_when_the_database_is_empty(
    workbench: Workbench,
) -> None:
    data = VulnerabilityStore(workbench.database).statistics()
    zero = {"count": 0, "total_vpr": 0.0, "avg_vpr": 0.0, "earliest": None, "latest": None}
    names = ("critical", "high", "medium", "low", "info", "unknown")
    assert data["bySeverity"] == dict.fromkeys(names, zero)
    assert data["totals"] == {
        "vulnerabilities": 0,
        "findings": 0,
        "total_vpr": 0.0,
        "devices": 0,
        "cves": 0,
    }
    assert data["trend"]["Critical"] == {"count_change": 0, "vpr_change": 0}
    assert (data["vendors"], data["lastImport"]) == ([], None)
    assert set(data["kev"].values()) == {0}


def test_severities_count_each_plugin_per_host_with_its_highest_vpr(
    store: VulnerabilityStore,
) -> None:
    assert store.statistics()["bySeverity"]["critical"] == {
        "count": 2,
        "total_vpr": 18.6,
        "avg_vpr": 9.3,
        "earliest": "2025-01-01",
        "latest": "2025-09-30",
    }


def test_totals_contain_vulnerabilities_findings_devices_and_cves(
    store: VulnerabilityStore,
) -> None:
    assert store.statistics()["totals"] == {
        "vulnerabilities": 4,
        "findings": 5,
        "total_vpr": 25.6,
        "devices": 3,
        "cves": 4,
    }


def test_vendors_are_sorted_by_count(store: VulnerabilityStore) -> None:
    assert store.statistics()["vendors"] == [
        {"vendor": "CISCO", "count": 3, "avgVpr": 9.3, "maxVpr": 9.5, "affectedDevices": 2},
        {"vendor": "Other", "count": 1, "avgVpr": 7.0, "maxVpr": 7.0, "affectedDevices": 1},
    ]


def test_statistics_name_the_last_import(store: VulnerabilityStore, workbench: Workbench) -> None:
    assert store.statistics()["lastImport"] == {
        "importId": 1,
        "filename": "export.csv",
        "vendor": "CISCO, Other",
        "scanDate": "2025-09-30",
        "rowCount": 4,
    }


def test_resolved_findings_are_not_counted(store: VulnerabilityStore, workbench: Workbench) -> None:
    workbench.import_rows(ROWS[2:], HEADER, scan_date="2025-10-07", scope="vendor", confirm=True)
    data = store.statistics()
    assert data["totals"]["findings"] == 2
    assert data["bySeverity"]["critical"]["count"] == 0


def test_trend_compares_the_last_two_scan_days(
    store: VulnerabilityStore, workbench: Workbench
) -> None:
    workbench.import_rows(ROWS[1:], HEADER, scan_date="2025-10-07", scope="vendor", confirm=True)
    trend = store.statistics()["trend"]
    assert trend["Critical"] == {"count_change": -1, "vpr_change": -9.5}
    assert trend["High"] == {"count_change": 0, "vpr_change": 0.0}


@pytest.mark.parametrize(
    ("filters", "findings"),
    [
        ({"vendor": "CISCO"}, 4),
        ({"vendor": "cisco"}, 0),
        ({"severity": "critical"}, 3),
        ({"severity": ["LOW", "High"]}, 2),
        ({"hostname": "SW-2"}, 2),
        ({"search": "2024-1111"}, 2),
        ({"search": "%"}, 0),
        ({"search": "_"}, 0),
        ({"scanDate": "2025-09-30"}, 5),
        ({"scanDate": "2025-09-29"}, 0),
        ({"since": "2025-09-29"}, 3),
        ({"vendor": "CISCO", "severity": "low"}, 1),
        ({"vendor": None, "search": ""}, 5),
    ],
)
def test_filters_restrict_the_counted_findings(
    store: VulnerabilityStore, filters: dict[str, Any], findings: int
) -> None:
    assert filtered(store, **filters)["totals"]["findings"] == findings


def test_trend_is_missing_when_filters_are_set(store: VulnerabilityStore) -> None:
    assert filtered(store, vendor="CISCO")["trend"] is None


def test_filters_are_parsed_when_wrapped_plain_or_missing() -> None:
    assert parse_filters({"filters": {"vendor": "X"}}) == parse_filters({"vendor": "X"})
    assert parse_filters(None) == parse_filters({}) == parse_filters({"filters": {}}) == ()


def test_parsed_filters_do_not_depend_on_order() -> None:
    one = parse_filters({"severity": ["High", "low"], "vendor": "X"})
    assert one == parse_filters({"vendor": "X", "severity": ["LOW", "high", "low"]})


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"owner": 1}, "owner"),
        ({"vendor": 5}, "vendor"),
        ({"vendor": {"$ne": 1}}, "vendor"),
        ({"search": "x" * 101}, "search"),
        ({"severity": "severe"}, "severity"),
        ({"severity": [["High"]]}, "severity"),
        ({"since": "yesterday"}, "since"),
        ({"filters": {"scanDate": 5}}, "scanDate"),
        ([1], "filters"),
        ("vendor", "filters"),
    ],
)
def test_invalid_filter_is_refused_with_its_name(given: Any, path: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        parse_filters(given)
    assert refusal.value.fields is not None
    assert [each["path"] for each in refusal.value.fields] == [path]


def test_search_text_is_not_interpreted_as_sql(store: VulnerabilityStore) -> None:
    assert (
        filtered(store, search="'; DROP TABLE vulnerabilities_current; --")["totals"]["findings"]
        == 0
    )
    assert store.statistics()["totals"]["findings"] == 5
