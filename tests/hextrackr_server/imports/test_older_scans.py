"""An export that is older than the last scan of its findings."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from hextrackr_server.imports.result import _kept_notice
from hextrackr_server.imports.undo import ImportUndo
from hextrackr_server.storage.finding_tables import findings
from tests.hextrackr_server.imports.test_absence import (
    EVERYTHING,
    MANY,
    host_rows,
    nessus_row,
    open_plugins,
    scan,
)
from tests.hextrackr_server.support import Workbench

HEADER = (
    "asset.display_ipv4_address", "definition.id", "definition.name", "severity", "state",
    "definition.vpr.score", "first_observed", "last_seen",
)  # fmt: skip
OLD, BETWEEN, NEW = "2030-06-01", "2030-06-05", "2030-06-10"
STORED = (
    "lifecycle_state", "severity", "state", "plugin_name", "vpr_score", "first_seen", "last_seen",
    "scan_date", "resolved_date", "source",
)  # fmt: skip


def report(bench: Workbench, scan_date: str, **values: str) -> dict[str, Any]:
    """Import one finding of Tenable VM."""
    usual = {"address": "192.0.2.1", "id": "1", "name": "N", "severity": "High", "state": "ACTIVE",
             "vpr": "", "first": "2030-05-01", "last": scan_date}  # fmt: skip
    row = list((usual | values).values())
    return bench.import_rows([row], HEADER, scan_date=scan_date)


def stored(bench: Workbench) -> dict[str, Any]:
    (found,) = bench.findings()
    return {name: found[name] for name in STORED}


def test_older_export_does_not_change_the_state_of_a_finding_of_a_later_scan(
    workbench: Workbench,
) -> None:
    report(workbench, NEW, name="New", severity="Low", state="RESURFACED")
    result = report(workbench, OLD, name="Old", vpr="7.5", first="2030-04-01", last="2030-05-31")
    assert stored(workbench) == {
        "lifecycle_state": "active", "severity": "Low", "state": "RESURFACED",
        "plugin_name": "New", "vpr_score": 7.5, "first_seen": "2030-04-01", "last_seen": NEW,
        "scan_date": NEW, "resolved_date": None, "source": "tenable_vm",
    }  # fmt: skip
    summary = result["summary"]
    assert (summary["updated"], summary["resolved"], summary["reopened"]) == (1, 0, 0)
    assert summary["notices"] == [
        "1 finding keeps its state and its severity, because a scan later than 2030-06-01 "
        "reported or resolved it"
    ]


def test_older_export_adds_missing_scores_and_changes_no_others(workbench: Workbench) -> None:
    header = (*HEADER, "definition.cvss3.base_score")
    row = ["192.0.2.1", "1", "N", "High", "ACTIVE"]

    def scores() -> tuple[float | None, float | None]:
        (found,) = workbench.findings()
        return found["vpr_score"], found["cvss_score"]

    for scan_date, vpr, cvss, expected in (
        (NEW, "5.0", "", (5.0, None)),
        (OLD, "7.5", "9.8", (5.0, 9.8)),
        (BETWEEN, "8.5", "1.2", (5.0, 9.8)),
        (NEW, "6.0", "2.3", (6.0, 2.3)),
    ):
        reported = [*row, vpr, "2030-05-01", scan_date, cvss]
        workbench.import_rows([reported], header, scan_date=scan_date)
        assert scores() == expected


def test_notice_about_several_unchanged_findings_is_in_the_plural() -> None:
    assert _kept_notice(1200, OLD) == (
        "1,200 findings keep their state and their severity, because a scan later than "
        "2030-06-01 reported or resolved them"
    )


def test_closed_row_of_an_older_export_counts(workbench: Workbench) -> None:
    report(workbench, NEW)
    summary = report(workbench, OLD, state="FIXED")["summary"]
    assert (summary["resolved"], summary["notices"]) == (1, [])
    found = stored(workbench)
    assert (found["lifecycle_state"], found["scan_date"]) == ("resolved", NEW)
    assert report(workbench, BETWEEN)["summary"]["reopened"] == 0


def test_older_export_does_not_reopen_a_finding_that_a_later_scan_resolved(
    workbench: Workbench,
) -> None:
    report(workbench, OLD)
    report(workbench, NEW, state="FIXED")
    before = stored(workbench)
    assert before["lifecycle_state"] == "resolved"
    summary = report(workbench, BETWEEN)["summary"]
    assert stored(workbench) == before
    assert summary["reopened"] == 0


def test_export_of_the_same_day_counts(workbench: Workbench) -> None:
    report(workbench, OLD)
    assert report(workbench, OLD, state="FIXED")["summary"]["resolved"] == 1
    summary = report(workbench, OLD, severity="Low")["summary"]
    assert (summary["reopened"], summary["notices"]) == (1, [])
    assert stored(workbench)["severity"] == "Low"


def test_scan_between_two_others_resolves_no_finding_of_the_later_one(
    workbench: Workbench,
) -> None:
    scan(workbench, EVERYTHING, scan_date=NEW)
    scan(workbench, EVERYTHING, scan_date=OLD)
    summary = scan(workbench, host_rows("192.0.2.1", *MANY[:-1]), scan_date=BETWEEN)
    assert summary["resolved"] == 0
    assert len(open_plugins(workbench, "192.0.2.1")) == 21


def test_scan_does_not_reopen_a_finding_that_a_later_scan_lacks(workbench: Workbench) -> None:
    scan(workbench, EVERYTHING, scan_date=OLD)
    later = scan(workbench, host_rows("192.0.2.1", *MANY[:-1]), scan_date=NEW)
    assert later["resolved"] == 1
    assert scan(workbench, EVERYTHING, scan_date=BETWEEN)["reopened"] == 0
    assert str(MANY[-1]) not in open_plugins(workbench, "192.0.2.1")
    assert scan(workbench, EVERYTHING, scan_date="2030-06-11")["reopened"] == 1


def test_older_export_of_another_format_is_a_source_of_open_findings(workbench: Workbench) -> None:
    greenbone = ("IP", "Hostname", "NVT Name", "NVT OID", "CVEs", "Severity")
    shared = ["192.0.2.1", "", "Check", "1.3", "CVE-2030-1001", "High"]
    workbench.import_rows([shared], greenbone, scan_date=NEW)
    scan(workbench, [nessus_row("192.0.2.1", "50", "CVE-2030-1001")], scan_date=OLD)
    assert workbench.finding("CVE-2030-1001")["source"] == "greenbone,nessus"


@pytest.mark.parametrize("scan_date", [OLD, NEW])
def test_format_is_added_to_formats_with_longer_names(workbench: Workbench, scan_date: str) -> None:
    report(workbench, BETWEEN)
    former = "other_tenable_vm,tenable_vm_2"
    with workbench.database.writing() as connection:
        connection.execute(update(findings).values(source=former))
    for _ in range(2):
        report(workbench, scan_date)
        assert stored(workbench)["source"] == f"{former},tenable_vm"


def test_older_import_can_be_undone(workbench: Workbench) -> None:
    report(workbench, NEW, severity="Low")
    before = workbench.findings()
    report(workbench, OLD, vpr="7.5", first="2030-04-01")
    (changed,) = workbench.findings()
    assert [changed] != before
    assert ImportUndo(workbench.database).undo(changed["import_id"], 0) == (0, 1)
    assert workbench.findings() == before
