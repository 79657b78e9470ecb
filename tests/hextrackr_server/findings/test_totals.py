"""The maintained table of open vulnerabilities equals a count of all findings.

Statistics and lists, which read the table, equal the same values computed in Python.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from hextrackr_server.findings import totals
from hextrackr_server.findings.filters import parse_filters
from hextrackr_server.findings.pages import PageRequest
from hextrackr_server.findings.query_store import QueryStore
from hextrackr_server.findings.store import VulnerabilityStore
from hextrackr_server.kev.catalog import parse_catalog
from hextrackr_server.kev.store import KevStore
from hextrackr_server.storage.group_table import count_open_groups, open_groups
from hextrackr_server.storage.metadata import metadata
from tests.hextrackr_server.kev_support import feed, item
from tests.hextrackr_server.support import Workbench

HEADER = (
    "asset.name", "asset.display_ipv4_address", "definition.id", "definition.name",
    "definition.family", "definition.cve", "definition.vpr.score", "severity", "state",
    "first_seen", "last_seen",
)  # fmt: skip
NESSUS = ("Plugin ID", "CVE", "Risk", "Host", "Protocol", "Port", "Name")
CVES = tuple(f"CVE-2024-100{number}" for number in range(4))
DAYS = ("2025-07-01", "2025-08-15", "2025-09-30")
SCOPES = ("auto", "hosts", "vendor", "full", "none")
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"severity": ["Critical"]},
    {"severity": ["High", "KEV"]},
    {"severity": ["KEV"]},
    {"severity": ["KEV", "Low"], "isKev": False},
    {"severity": ["KEV", "Low"], "isKev": True},
    {"isKev": True},
    {"isKev": False},
    {"isKev": False, "vendor": "CISCO", "severity": ["Critical", "High"]},
    {"vendor": "CISCO"},
    {"vendor": "Other", "since": "2025-08-15"},
    {"hostname": "sw-1"},
    {"scanDate": "2025-08-15"},
    {"since": "2025-08-15"},
    {"since": "2025-09-01", "isKev": True},
    {"search": "1002"},
    {"cve": "cve-2024-1001"},
    {"source": "nessus", "severity": ["Critical", "KEV"]},
    {"source": "tenable_vm"},
    {"host": "192.0.2.1"},
    {"host": "SW-1"},
    {"host": "sw-*", "since": "2025-08-15"},
    {"host": "*.2"},
)

Empty = Callable[[], Workbench]


@pytest.fixture
def empty(workbench: Workbench) -> Empty:
    """Return a function that deletes all rows; one database serves all examples."""

    def delete_all() -> Workbench:
        with workbench.database.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                if table.name != "meta":
                    connection.execute(delete(table))
        return workbench

    return delete_all


def rows_of_scanner() -> st.SearchStrategy[list[list[str]]]:
    row = st.tuples(
        st.sampled_from([("sw-1", "192.0.2.1"), ("sw-9", "192.0.2.1"), ("sw-2", "192.0.2.2")]),
        st.sampled_from([("10", "Cisco IOS"), ("11", "Cisco IOS"), ("10", "General")]),
        st.lists(st.sampled_from(CVES), max_size=3, unique=True),
        st.sampled_from(["", "2.5", "9.5"]),
        st.sampled_from(["Critical", "High", "Low"]),
        st.sampled_from(["ACTIVE", "ACTIVE", "FIXED"]),
        st.sampled_from(DAYS),
        st.sampled_from(DAYS),
    )

    def cells(row: Any) -> list[str]:
        (name, address), (plugin, family), cves, vpr, severity, state, first, last = row
        first, last = sorted((first, last))
        return [
            name, address, plugin, f"Plugin {plugin}", family, ",".join(cves), vpr, severity,
            state, first, last,
        ]  # fmt: skip

    return st.lists(row.map(cells), min_size=1, max_size=8)


def rows_of_nessus() -> st.SearchStrategy[list[list[str]]]:
    row = st.tuples(
        st.sampled_from(["192.0.2.1", "192.0.2.3"]),
        st.sampled_from(["10", "12"]),
        st.sampled_from(["", *CVES]),
        st.sampled_from(["Critical", "Low"]),
    )

    def cells(row: Any) -> list[str]:
        host, plugin, cve, risk = row
        return [plugin, cve, risk, host, "tcp", "443", f"Plugin {plugin}"]

    complete = [["19", "", "None", host, "tcp", "0", "Scan"] for host in ("192.0.2.1", "192.0.2.3")]
    return st.lists(row.map(cells), max_size=6).map(lambda rows: [*complete, *rows])


imports = st.tuples(
    st.one_of(
        st.tuples(st.just(HEADER), rows_of_scanner()),
        st.tuples(st.just(NESSUS), rows_of_nessus()),
    ),
    st.sampled_from(SCOPES),
    st.sampled_from(DAYS),
    st.booleans(),
)
catalogs = st.sets(st.sampled_from(CVES))
UNDO = "undo"
steps = st.lists(st.one_of(imports, imports, catalogs, st.just(UNDO)), min_size=1, max_size=6)
# Without shrinking, which would take minutes with a database.
many_examples = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def run(bench: Workbench, step: Any) -> None:
    if step == UNDO:
        undoable = bench.importer.history.undoable()
        if undoable:
            # The newest import of all sources can always be undone.
            bench.importer.history.undo(undoable[0]["import_id"], 0)
        return
    if isinstance(step, (set, frozenset)):
        catalog = parse_catalog(feed(*map(item, sorted(step)))) if step else None
        if catalog is not None:
            KevStore(bench.database).apply(catalog, 0, force=True)
        return
    (header, rows), scope, day, confirm = step
    bench.import_rows(rows, header, scope=scope, scan_date=day, confirm=confirm, is_dated=True)


def stored(bench: Workbench) -> list[tuple[Any, ...]]:
    with bench.database.reading() as connection:
        query = select(open_groups).order_by(*open_groups.primary_key)
        return [tuple(row) for row in connection.execute(query)]


def counted(bench: Workbench) -> list[tuple[Any, ...]]:
    with bench.database.reading() as connection:
        return count_open_groups(connection)


@many_examples
@given(steps)
def test_table_equals_a_count_of_all_findings_after_any_sequence(
    empty: Empty, sequence: list[Any]
) -> None:
    bench = empty()
    for step in sequence:
        run(bench, step)
        assert stored(bench) == counted(bench)


@many_examples
@given(steps)
def test_statistics_equal_the_values_of_all_findings(empty: Empty, sequence: list[Any]) -> None:
    bench = empty()
    for step in sequence:
        run(bench, step)
    exploited = exploited_cves(bench)
    for filters in FILTERS:
        expected = [each for each in bench.findings() if matches(each, filters, exploited)]
        parsed = parse_filters(filters)
        data = VulnerabilityStore(bench.database).statistics(parsed)
        assert summary_of(data) == summary(expected), filters
        page = QueryStore(bench.database).page(PageRequest("vulnerabilities", parsed, limit=500))
        assert {row["id"] for row in page.rows} == {each["id"] for each in expected}
        assert page.total == len(expected)
        page = QueryStore(bench.database).page(PageRequest("devices", parsed, limit=500))
        assert {row["hostKey"]: device_of(row) for row in page.rows} == devices(expected, exploited)
        names = {(each["host_key"], each["hostname"]) for each in expected}
        assert {(row["hostKey"], row["hostname"]) for row in page.rows} <= names


def exploited_cves(bench: Workbench) -> set[str]:
    page = QueryStore(bench.database).page(PageRequest("kev", limit=500))
    return {row["cve_id"] for row in page.rows}


def matches(finding: dict[str, Any], filters: dict[str, Any], exploited: set[str]) -> bool:
    is_kev = finding["cve"] in exploited
    checks = {
        "severity": lambda wanted: finding["severity"] in wanted or ("KEV" in wanted and is_kev),
        "isKev": lambda wanted: is_kev is wanted,
        "vendor": lambda wanted: finding["vendor"] == wanted,
        "hostname": lambda wanted: finding["hostname"] == wanted,
        "host": lambda wanted: any(
            fnmatchcase(finding[name], wanted.lower())
            for name in ("hostname", "ip_address", "host_key")
        ),
        "cve": lambda wanted: finding["cve"] == wanted.upper(),
        "source": lambda wanted: wanted in finding["source"].split(","),
        "scanDate": lambda wanted: finding["scan_date"] == wanted,
        "since": lambda wanted: finding["last_seen"] >= wanted,
        "search": lambda wanted: any(
            wanted in finding[name]
            for name in ("hostname", "ip_address", "cve", "plugin_name", "description")
        ),
    }
    is_open = finding["lifecycle_state"] != "resolved"
    return is_open and all(checks[name](wanted) for name, wanted in filters.items())


Group = tuple[str, str, str, str]


def groups_of(findings: Iterable[dict[str, Any]]) -> dict[Group, list[dict[str, Any]]]:
    groups = defaultdict(list)
    for each in findings:
        plugin = each["plugin_id"] or each["cve"] or each["plugin_name"]
        groups[each["severity"], each["vendor"], each["host_key"], plugin].append(each)
    return groups


def vpr(findings: Sequence[dict[str, Any]]) -> float:
    return max((each["vpr_score"] or 0.0 for each in findings), default=0.0)


def summary(findings: list[dict[str, Any]]) -> dict[str, Any]:
    groups = groups_of(findings)
    severities = {}
    for name in {key[0] for key in groups}:
        mine = [each for each in findings if each["severity"] == name]
        severities[name.lower()] = (
            sum(key[0] == name for key in groups),
            round(sum(vpr(each) for key, each in groups.items() if key[0] == name), 1),
            min(each["first_seen"] for each in mine),
            max(each["last_seen"] for each in mine),
        )
    vendors = {}
    for name in {key[1] for key in groups}:
        mine = [each for each in findings if each["vendor"] == name]
        number = sum(key[1] == name for key in groups)
        vendors[name] = (number, vpr(mine), len({each["host_key"] for each in mine}))
    return {
        "severities": severities,
        "vendors": vendors,
        "findings": len(findings),
        "vulnerabilities": len(groups),
        "devices": len({each["host_key"] for each in findings}),
        "cves": len({each["cve"] for each in findings} - {""}),
    }


def summary_of(data: dict[str, Any]) -> dict[str, Any]:
    found = {name: each for name, each in data["bySeverity"].items() if each["count"]}
    names = ("count", "total_vpr", "earliest", "latest")
    totals = {name: value for name, value in data["totals"].items() if name != "total_vpr"}
    return totals | {
        "severities": {name: tuple(each[key] for key in names) for name, each in found.items()},
        "vendors": {
            each["vendor"]: (each["count"], each["maxVpr"], each["affectedDevices"])
            for each in data["vendors"]
        },
    }


def devices(findings: list[dict[str, Any]], exploited: set[str]) -> dict[str, Any]:
    by_host = defaultdict(list)
    for each in findings:
        by_host[each["host_key"]].append(each)
    found = {}
    for key, mine in by_host.items():
        groups = groups_of(mine)
        total = round(sum(map(vpr, groups.values())), 1)
        has_kev = any(each["cve"] in exploited for each in mine)
        critical = sum(group[0] == "Critical" for group in groups)
        found[key] = (len(groups), total, critical, has_kev)
    return found


def device_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["totalCount"], row["totalVPR"], row["criticalCount"], row["hasKev"])


def test_refresh_of_few_hosts_changes_only_their_rows(workbench: Workbench) -> None:
    rows = [["", f"192.0.2.{host}", "10", "Plugin", "General", CVES[0], "5.0", "High", "ACTIVE",
             DAYS[0], DAYS[1]] for host in (1, 2)]  # fmt: skip
    workbench.import_rows(rows, HEADER)
    with workbench.database.writing() as connection:
        connection.execute(open_groups.update().values(findings=9))
        (changed, _) = connection.scalars(
            select(open_groups.c.host_id).order_by(open_groups.c.host_id)
        )
        totals.refresh(connection, [changed])
    column = list(open_groups.columns.keys()).index("findings")
    assert [row[column] for row in stored(workbench)] == [1, 9]
