"""The findings that an import resolves because its file does not contain them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, literal, select, update

from hextrackr_server.findings.store import VulnerabilityStore
from hextrackr_server.storage import finding_tables as tables
from hextrackr_server.storage.schema import UNSOURCED, meta
from tests.hextrackr_server.support import Workbench

NESSUS = ("Plugin ID", "CVE", "Risk", "Host", "Protocol", "Port", "Name")
FIELD = Path(__file__).parent / "formats" / "field"


def nessus_row(host: str, plugin: str, cve: str = "", risk: str = "High") -> list[str]:
    return [plugin, cve, risk, host, "tcp", "443", f"Plugin {plugin}"]


def info_row(host: str) -> list[str]:
    """Return a row that each complete scan has: without any, the file looks filtered."""
    return nessus_row(host, "10", risk="None")


def host_rows(host: str, *plugins: int) -> list[list[str]]:
    return [info_row(host), *(nessus_row(host, str(plugin)) for plugin in plugins)]


def scan(bench: Workbench, rows: list[list[str]], **options: Any) -> dict[str, Any]:
    summary = bench.import_rows(rows, NESSUS, **options)["summary"]
    assert isinstance(summary, dict)
    return summary


def open_plugins(bench: Workbench, host: str) -> set[str]:
    return {
        each["plugin_id"]
        for each in bench.findings()
        if each["host_key"] == host and each["lifecycle_state"] != "resolved"
    }


MANY = range(100, 120)
EVERYTHING = [*host_rows("192.0.2.1", *MANY), *host_rows("192.0.2.2", *MANY)]


def test_complete_scan_resolves_missing_findings_of_its_hosts(workbench: Workbench) -> None:
    scan(workbench, EVERYTHING)
    summary = scan(workbench, host_rows("192.0.2.1", *MANY[:-2]), scan_date="2025-10-07")
    assert (summary["scope"], summary["absence"]["scope"]) == ("auto", "auto")
    assert summary["resolved"] == 2
    assert summary["notices"] == []
    assert open_plugins(workbench, "192.0.2.1") == {"10", *map(str, MANY[:-2])}
    assert len(open_plugins(workbench, "192.0.2.2")) == 21


def test_hosts_with_one_short_name_are_two_hosts(workbench: Workbench) -> None:
    rows = [*host_rows("fw1.ams.example.test", *MANY), *host_rows("fw1.ber.example.test", *MANY)]
    scan(workbench, rows)
    assert VulnerabilityStore(workbench.database).statistics()["totals"]["devices"] == 2
    scan(workbench, host_rows("fw1.ams.example.test", *MANY[:-1]))
    assert len(open_plugins(workbench, "fw1.ams.example.test")) == 20
    assert len(open_plugins(workbench, "fw1.ber.example.test")) == 21


def test_findings_of_another_format_stay_open(workbench: Workbench) -> None:
    greenbone = ("IP", "Hostname", "NVT Name", "NVT OID", "CVEs", "Severity")
    workbench.import_rows([["192.0.2.1", "", "Other check", "1.3.6", "", "High"]], greenbone)
    scan(workbench, EVERYTHING)
    scan(workbench, host_rows("192.0.2.1", *MANY[:-1]))
    assert "1.3.6" in open_plugins(workbench, "192.0.2.1")


def test_finding_of_two_formats_is_resolved_when_both_lack_it(workbench: Workbench) -> None:
    greenbone = ("IP", "Hostname", "NVT Name", "NVT OID", "CVEs", "Severity")
    other = [
        ["192.0.2.1", "", "Log", "1.1", "", "Log"],
        ["192.0.2.1", "", "Flaw", "1.2", "", "Low"],
    ]
    shared = ["192.0.2.1", "", "Check", "1.3", "CVE-2030-1001", "High"]
    both = nessus_row("192.0.2.1", "50", "CVE-2030-1001")

    def finding() -> tuple[str, str]:
        found = workbench.finding("CVE-2030-1001")
        return found["source"], found["lifecycle_state"]

    scan(workbench, [*EVERYTHING, both])
    workbench.import_rows([*other, shared], greenbone)
    assert finding() == ("nessus,greenbone", "active")
    scan(workbench, EVERYTHING)
    assert finding() == ("greenbone", "active")
    workbench.import_rows(other, greenbone, confirm=True)
    assert finding() == ("greenbone", "resolved")
    scan(workbench, [*EVERYTHING, both])
    assert finding() == ("nessus", "reopened")


def test_findings_of_a_later_scan_stay_open(workbench: Workbench) -> None:
    scan(workbench, EVERYTHING, scan_date="2025-10-07")
    summary = scan(workbench, host_rows("192.0.2.1", *MANY[:-1]), scan_date="2025-10-06")
    assert summary["resolved"] == 0
    assert len(open_plugins(workbench, "192.0.2.1")) == 21


def test_file_that_looks_filtered_resolves_nothing(workbench: Workbench) -> None:
    scan(workbench, EVERYTHING)
    rows = [row for row in host_rows("192.0.2.1", *MANY[:-1]) if row[2] != "None"]
    summary = scan(workbench, rows, confirm=True)
    assert summary["resolved"] == 0
    assert "no Info finding" in summary["absence"]["reason"]


@pytest.mark.parametrize(
    ("kept", "reason"), [((0, 1), "all findings are High"), ((0, 2), "of one plugin")]
)
def test_file_of_one_severity_or_one_plugin_looks_filtered(
    workbench: Workbench, kept: tuple[int, int], reason: str
) -> None:
    header = ("Vulnerability Name", "IP", "Target Name", "Severity", "CVE")
    rows = [
        ["One", "192.0.2.1", "", "H", ""],
        ["Two", "192.0.2.1", "", "H", ""],
        ["One", "192.0.2.2", "", "L", ""],
        ["Three", "192.0.2.1", "", "M", ""],
    ]
    workbench.import_rows(rows, header)
    few = [rows[number] for number in kept]
    summary = workbench.import_rows(few, header, confirm=True)["summary"]
    assert summary["profile"] == "trustwave"
    assert summary["resolved"] == 0
    assert reason in summary["absence"]["reason"]
    assert workbench.import_rows(rows[:3], header, confirm=True)["summary"]["resolved"] == 1


def test_format_with_states_resolves_by_its_rows_only(workbench: Workbench) -> None:
    header = ("asset.name", "definition.id", "state")
    rows = [["h", str(plugin), "ACTIVE"] for plugin in MANY]
    workbench.import_rows(rows, header)
    rows[0][2] = "FIXED"
    result = workbench.import_rows(rows[:10], header, confirm=True)
    assert result["summary"]["resolved"] == 1
    assert [each["resolution_reason"] for each in workbench.findings()][:2] == [
        "reported_fixed",
        None,
    ]


def test_finding_without_a_source_is_adopted_and_counted(workbench: Workbench) -> None:
    scan(workbench, [*host_rows("192.0.2.1", 1, 2), nessus_row("h.example.test", "3")])
    with workbench.database.writing() as connection:
        connection.execute(insert(meta).values(name=UNSOURCED, value="4"))
        connection.execute(update(tables.findings).values(source=None))
        key = func.replace(tables.finding_identities.c.identity, ":nessus:", ":")
        key = key + literal("|host:h|vendor:Other")
        connection.execute(update(tables.finding_identities).values(identity=key))
    first = scan(workbench, [*host_rows("192.0.2.1", 1), nessus_row("h.example.test", "3")])
    assert (first["adopted"], first["inserted"], first["withoutSource"]) == (3, 0, 1)
    last = scan(workbench, host_rows("192.0.2.1", 1, 2))
    assert (last["adopted"], last["inserted"], last["withoutSource"]) == (1, 0, 0)
    with workbench.database.reading() as connection:
        assert connection.scalar(select(meta.c.value).where(meta.c.name == UNSOURCED)) is None
    assert len(workbench.findings()) == 4


# -- confirmation


def test_more_than_half_of_the_findings_of_the_hosts_need_a_confirmation(
    workbench: Workbench,
) -> None:
    others = [row for number in range(3, 9) for row in host_rows(f"192.0.2.{number}", *MANY)]
    scan(workbench, [*EVERYTHING, *others])
    rows = host_rows("192.0.2.1", *MANY[:9])
    summary = scan(workbench, rows)
    assert summary["resolved"] == 0
    assert summary["absence"] == {
        "scope": "auto",
        "reason": "",
        "missing": 11,
        "openInScope": 21,
        "openOfAll": 168,
        "namedHosts": 1,
        "confirmationRequired": True,
    }
    (notice,) = summary["notices"]
    assert "lacks 11 of 21 open findings on the 1 named hosts" in notice
    assert "168 open findings in all" in notice
    assert "--yes" in notice
    assert len(open_plugins(workbench, "192.0.2.1")) == 21
    confirmed = scan(workbench, rows, confirm=True)
    assert (confirmed["resolved"], confirmed["notices"]) == (11, [])
    assert len(open_plugins(workbench, "192.0.2.1")) == 10


def test_half_of_the_findings_of_the_hosts_need_no_confirmation(workbench: Workbench) -> None:
    others = [row for number in range(3, 9) for row in host_rows(f"192.0.2.{number}", *MANY)]
    scan(workbench, [*host_rows("192.0.2.1", *MANY[:19]), *others])
    assert scan(workbench, host_rows("192.0.2.1", *MANY[:9]))["resolved"] == 10


def test_more_than_a_fifth_of_all_findings_need_a_confirmation(workbench: Workbench) -> None:
    scan(workbench, EVERYTHING)
    fewer = [*host_rows("192.0.2.1", *MANY[:-4]), *host_rows("192.0.2.2", *MANY[:-4])]
    assert scan(workbench, fewer)["resolved"] == 8
    # 34 findings are left: 6 are less than a fifth of them, 7 are more.
    seven = [*host_rows("192.0.2.1", *MANY[:-8]), *host_rows("192.0.2.2", *MANY[:-7])]
    summary = scan(workbench, seven)
    assert (summary["resolved"], summary["absence"]["missing"]) == (0, 7)
    six = [*host_rows("192.0.2.1", *MANY[:-7]), *host_rows("192.0.2.2", *MANY[:-7])]
    assert scan(workbench, six)["resolved"] == 6


def test_one_of_three_findings_needs_a_confirmation(workbench: Workbench) -> None:
    scan(workbench, host_rows("192.0.2.1", 1, 2))
    assert scan(workbench, host_rows("192.0.2.1", 1))["absence"]["confirmationRequired"]
    assert scan(workbench, host_rows("192.0.2.1", 1), confirm=True)["resolved"] == 1


@pytest.mark.parametrize("scope", ["hosts", "vendor", "full"])
def test_every_scope_needs_a_confirmation(workbench: Workbench, scope: str) -> None:
    scan(workbench, EVERYTHING)
    rows = [nessus_row("192.0.2.1", "100")]
    assert scan(workbench, rows, scope=scope)["resolved"] == 0
    expected = {"hosts": 20, "vendor": 41, "full": 41}[scope]
    assert scan(workbench, rows, scope=scope, confirm=True)["resolved"] == expected


# -- incomplete files, and rows without a finding


def test_cut_file_is_refused_and_changes_nothing(workbench: Workbench) -> None:
    first, cut = FIELD / "f01a_full_2030-06-01.csv", FIELD / "f01b_cut_2030-06-02.csv"
    workbench.run_file(first)
    before = workbench.findings()
    with pytest.raises(Exception, match="the file is incomplete: the quote that opens in row"):
        workbench.run_file(cut, scan_date="2030-06-02")
    assert workbench.findings() == before
    assert workbench.staged() == 0


@pytest.mark.parametrize("scope", ["auto", "hosts", "vendor", "full", "none"])
def test_partial_import_resolves_nothing_in_any_scope(workbench: Workbench, scope: str) -> None:
    first, cut = FIELD / "f01a_full_2030-06-01.csv", FIELD / "f01b_cut_2030-06-02.csv"
    workbench.run_file(first)
    result = workbench.run_file(
        cut, scan_date="2030-06-02", scope=scope, confirm=True, allow_partial=True
    )
    summary = result["summary"]
    assert (summary["updated"], summary["resolved"]) == (100, 0)
    assert summary["notices"][0].startswith("the file is incomplete")
    assert {each["lifecycle_state"] for each in workbench.findings()} == {"active"}


NEXPOSE = """<?xml version="1.0"?>
<NexposeReport version="2.0"><nodes>
<node address="192.0.2.1"><tests>{tests}</tests></node></nodes>
<VulnerabilityDefinitions/></NexposeReport>"""


def nexpose(**states: str) -> str:
    tests = "".join(f'<test id="{name}" status="{state}"/>' for name, state in states.items())
    return NEXPOSE.format(tests=tests)


def test_check_that_was_not_run_keeps_its_finding_open(workbench: Workbench) -> None:
    names = [f"check-{number}" for number in range(20)]
    workbench.run(nexpose(**dict.fromkeys(names, "vulnerable-version")))
    changed = dict.fromkeys(names, "vulnerable-version")
    changed |= {"check-3": "error", "check-4": "skipped-dos", "check-5": "not-vulnerable"}
    summary = workbench.run(nexpose(**changed))["summary"]
    assert (summary["resolved"], summary["withheld"], summary["rowsSkipped"]) == (1, 2, 3)
    assert {"check-3", "check-4"} < open_plugins(workbench, "192.0.2.1")
    assert "check-5" not in open_plugins(workbench, "192.0.2.1")


def test_scan_without_a_finding_completes(workbench: Workbench) -> None:
    summary = workbench.run(nexpose(one="not-vulnerable"))["summary"]
    assert (summary["rows"], summary["findings"], summary["rowsSkipped"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("Fixed", "reported_fixed"),
        ("Suppressed", "accepted"),
        ("False Positive", "false_positive"),
    ],
)
def test_closed_finding_has_the_reason_of_its_row(
    workbench: Workbench, state: str, reason: str
) -> None:
    header = ("hostname", "cve", "state")
    for word in ("Open", state):
        workbench.import_rows([["h", "CVE-2030-1001", word]], header)
    finding = workbench.finding("CVE-2030-1001")
    assert (finding["lifecycle_state"], finding["resolution_reason"]) == ("resolved", reason)


QUALYS = ("IP", "IP Status", "QID", "Title", "Severity", "Type")


def qualys_row(host: str, plugin: int) -> list[str]:
    return [
        host,
        "host scanned, found vuln",
        str(plugin),
        f"T{plugin}",
        str(2 + plugin % 2),
        "Vuln",
    ]


@pytest.mark.parametrize(
    ("status", "remaining"),
    [("host scanned, no vuln", set()), ("host not alive", {"1"}), ("", {"1"})],
)
def test_host_that_was_scanned_without_a_finding_has_none_left(
    workbench: Workbench, status: str, remaining: set[str]
) -> None:
    many = [qualys_row("192.0.2.1", plugin) for plugin in MANY]
    workbench.import_rows([*many, qualys_row("192.0.2.2", 1)], QUALYS)
    row = ["192.0.2.2", status, "", "", "", ""]
    workbench.import_rows([*many, row], QUALYS, scan_date="2025-10-07")
    assert open_plugins(workbench, "192.0.2.2") == remaining
    assert len(open_plugins(workbench, "192.0.2.1")) == 20


@pytest.mark.parametrize("output", ["is considered as dead - not scanning", "is up"])
def test_host_that_did_not_respond_keeps_its_findings_open(
    workbench: Workbench, output: str
) -> None:
    header = (*NESSUS, "Plugin Output")
    rows = [*host_rows("192.0.2.1", *MANY), *host_rows("192.0.2.2", 1)]
    workbench.import_rows([[*row, ""] for row in rows], header)
    ping = [*nessus_row("192.0.2.2", "10180", risk="None"), f"The remote host {output}"]
    again = [[*row, ""] for row in host_rows("192.0.2.1", *MANY)]
    workbench.import_rows([*again, ping], header, scan_date="2025-10-07")
    is_dead = output.startswith("is considered")
    assert open_plugins(workbench, "192.0.2.2") == ({"10180", "1", "10"} if is_dead else {"10180"})


NESSUS_HEADER = ("Plugin ID", "CVE", "Risk", "Host", "Name", "Protocol", "Port", "Synopsis")


def nessus_scan(
    bench: Workbench, *found: tuple[str, str, str], more: Sequence[list[str]] = ()
) -> dict[str, Any]:
    """Import a scan of Nessus with these hosts, CVEs and risks, which lists all of each host."""
    rows = [
        [str(1000 + number), cve, risk, host, "P", "tcp", "0", "text"]
        for number, (host, cve, risk) in enumerate(found)
    ]
    hosts = sorted({host for host, _, _ in found})
    rows += [["1", "", "None", host, "Information", "tcp", "0", "text"] for host in hosts]
    return bench.import_rows([*rows, *more], NESSUS_HEADER, confirm=True)


def sources(bench: Workbench) -> dict[tuple[str, str], str]:
    found = [each for each in bench.findings() if each["cve"]]
    return {(each["ip_address"], each["cve"]): each["source"] for each in found}


def test_finding_loses_a_format_that_no_longer_reports_it_on_scanned_hosts_only(
    workbench: Workbench,
) -> None:
    first, second, other = "192.0.2.1", "192.0.2.2", "CVE-2030-2002"
    cve = "CVE-2030-1001"
    both = [(first, cve, "High"), (second, cve, "High")]
    nessus_scan(workbench, *both)
    workbench.import_rows([["web", host, "1001", cve, "High"] for host in (first, second)])
    before = sources(workbench)
    assert before == {(host, cve): "nessus,tenable_vm" for host in (first, second)}
    summary = nessus_scan(workbench, (first, other, "High"))["summary"]
    assert summary["resolved"] == 0
    assert sources(workbench) == before | {(first, cve): "tenable_vm", (first, other): "nessus"}
    workbench.importer.history.undo(3, 0)
    assert sources(workbench) == before
    # A row without a finding may refer to any finding of its host.
    rejected = ["", "pending", "High", first, "", "tcp", "0", "text"]
    assert nessus_scan(workbench, (first, other, "High"), more=[rejected])["errors"] == 1
    assert sources(workbench) == before | {(first, other): "nessus"}


@pytest.mark.parametrize("scope", ["auto", "hosts", "vendor", "full"])
@pytest.mark.parametrize("has_source", [True, False])
def test_finding_without_a_format_is_not_resolved_by_absence(
    workbench: Workbench, scope: str, has_source: bool
) -> None:
    scan(workbench, host_rows("192.0.2.1", 50, 51))
    if not has_source:
        with workbench.database.writing() as connection:
            connection.execute(update(tables.findings).values(source=None))
    summary = scan(workbench, host_rows("192.0.2.1", 50), scope=scope, confirm=True)
    assert summary["resolved"] == int(has_source)
