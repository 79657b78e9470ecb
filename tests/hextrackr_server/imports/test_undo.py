"""Tests of undoing the last import of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, func, select

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.findings.totals import open_totals
from hextrackr_server.imports.undo import Undone
from hextrackr_server.storage.finding_tables import (
    finding_assets,
    finding_definitions,
    finding_journal,
    findings,
    undoable_imports,
    vulnerability_snapshots,
)
from hextrackr_server.storage.group_table import open_groups
from hextrackr_server.storage.schema import (
    UNSOURCED,
    import_jobs,
    meta,
    vendor_daily_totals,
    vulnerability_daily_totals,
)
from tests.hextrackr_server.storage.former_databases import load_version_4
from tests.hextrackr_server.support import Workbench

HEADER = ("hostname", "ip_address", "cve", "plugin_id", "vendor", "severity", "state", "vpr",
          "last_seen")  # fmt: skip
A = ["web-1", "192.0.2.1", "CVE-2030-1001", "11", "CISCO", "High", "Open", "7.5", "2030-05-01"]
B = ["web-1", "192.0.2.1", "CVE-2030-1002", "12", "CISCO", "Low", "Open", "2.5", "2030-05-01"]
C = ["db-1", "192.0.2.2", "CVE-2030-1001", "11", "CISCO", "High", "Open", "7.5", "2030-05-01"]
D = ["db-1", "192.0.2.2", "", "14", "Other", "Info", "Fixed", "", "2030-05-01"]
NEW = [
    "new-1",
    "192.0.2.3",
    "CVE-2030-1009",
    "19",
    "Other",
    "Critical",
    "Open",
    "9.9",
    "2030-05-08",
]
RENAMED = ["renamed", "192.0.2.1", *B[2:5], "Critical", "Open", "", "2030-05-08"]
FIXED = [*A[:6], "Fixed", "7.0", "2030-05-08"]
REOPENED = [*D[:6], "Open", "1.0", "2030-05-08"]
OTHER_HEADER = ("Vulnerability Name", "IP", "Target Name", "Severity", "CVE")


def state(bench: Workbench) -> dict[str, list[dict[str, Any]]]:
    """Return everything that an undo restores."""
    tables: tuple[Table, ...] = (
        findings, vulnerability_daily_totals, vendor_daily_totals, vulnerability_snapshots,
        open_groups,
    )  # fmt: skip
    with bench.database.reading() as connection:
        found = {
            table.name: sorted(
                (dict(row) for row in connection.execute(select(table)).mappings()), key=repr
            )
            for table in tables
        }
        found["totals"] = sorted((each._asdict() for each in open_totals(connection)), key=repr)
    return found | {"view": bench.findings()}


def count(bench: Workbench, table: Table) -> int:
    with bench.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def undo(bench: Workbench, import_id: int) -> Undone:
    return bench.importer.history.undo(import_id, 5)


def refusal(bench: Workbench, import_id: int) -> ServiceError:
    before = state(bench)
    with pytest.raises(ServiceError) as refused:
        undo(bench, import_id)
    assert state(bench) == before
    return refused.value


def test_undone_first_import_leaves_no_finding(workbench: Workbench) -> None:
    before = state(workbench)
    workbench.import_rows([A, B, C, D], HEADER)
    assert undo(workbench, 1) == Undone(deleted=4, restored=0)
    assert state(workbench) == before
    assert [count(workbench, each) for each in (finding_assets, finding_definitions)] == [0, 0]
    job = workbench.store.job(1)
    assert job is not None
    assert (job.status, job.undone_at) == ("completed", 5)


@pytest.mark.parametrize("day", ["2030-05-01", "2030-05-08"])
@pytest.mark.parametrize("scope", ["none", "vendor", "hosts", "full"])
def test_undone_import_restores_every_value(workbench: Workbench, scope: str, day: str) -> None:
    workbench.import_rows([A, B, C, D], HEADER, scan_date="2030-05-01")
    before = state(workbench)
    rows = [FIXED, RENAMED, REOPENED, NEW]
    options = {"scan_date": day, "scope": scope, "confirm": True}
    summary = workbench.import_rows(rows, HEADER, **options)["summary"]
    assert (summary["inserted"], summary["updated"], summary["reopened"]) == (1, 3, 1)
    assert state(workbench) != before
    undone = undo(workbench, 2)
    assert undone == Undone(deleted=1, restored=3 + summary["resolved"] - 1)
    assert state(workbench) == before
    assert count(workbench, finding_journal) == 0


def test_undone_import_restores_findings_of_another_source(workbench: Workbench) -> None:
    header = ("Plugin ID", "CVE", "Risk", "Host", "Name", "Protocol", "Port", "Synopsis")
    nessus = [[str(plugin), "", risk, "192.0.2.1", f"P {plugin}", "tcp", "0", "text"]
              for plugin, risk in ((1, "None"), (2, "High"), (3, "Low"))]  # fmt: skip
    first = workbench.import_rows(nessus, header)["summary"]
    other = [["P 9", "192.0.2.1", "h", "H", ""], ["P 8", "192.0.2.1", "h", "L", ""]]
    second = workbench.import_rows(other, OTHER_HEADER)["summary"]
    assert (first["profile"], second["profile"]) == ("nessus", "trustwave")
    before = state(workbench)
    third = workbench.import_rows(nessus[:2], header, confirm=True)["summary"]
    assert third["resolved"] == 1
    undo(workbench, 3)
    assert state(workbench) == before


def test_only_the_last_import_of_a_source_can_be_undone(workbench: Workbench) -> None:
    workbench.import_rows([A, B], HEADER)
    workbench.import_rows([A, NEW], HEADER)
    error = refusal(workbench, 1)
    assert error.code is ErrorCode.CONFLICT
    assert "Only the last import of a source" in error.message
    assert [each["import_id"] for each in workbench.importer.history.undoable()] == [2]
    undo(workbench, 2)
    assert workbench.importer.history.undoable() == []
    assert "already undone" in refusal(workbench, 2).message
    assert "Only the last import of a source" in refusal(workbench, 1).message


def test_unknown_and_unfinished_imports_are_not_undone(workbench: Workbench) -> None:
    assert refusal(workbench, 7).code is ErrorCode.NOT_FOUND
    job = workbench.job()
    assert "only a completed import" in refusal(workbench, job.import_id).message


def test_import_is_undone_after_a_later_import_of_its_findings(
    workbench: Workbench,
) -> None:
    workbench.import_rows([A, B], HEADER)
    first = state(workbench)
    other = [["x", A[1], "web-1", "H", A[2]], ["y", "192.0.2.9", "z", "L", ""]]
    assert workbench.import_rows(other, OTHER_HEADER)["summary"]["updated"] == 1
    error = refusal(workbench, 1)
    assert error.code is ErrorCode.CONFLICT
    assert "undo the imports 2 first" in error.message
    undo(workbench, 2)
    assert state(workbench) == first
    assert undo(workbench, 1).deleted == 2


def test_import_is_undone_after_a_later_import_that_took_a_format_from_its_findings(
    workbench: Workbench,
) -> None:
    header = ("Plugin ID", "CVE", "Risk", "Host", "Name", "Protocol", "Port", "Synopsis")
    nessus = [["11", A[2], "High", A[1], "P", "tcp", "0", "text"],
              ["1", "", "None", A[1], "P 1", "tcp", "0", "text"]]  # fmt: skip
    workbench.import_rows(nessus, header)
    workbench.import_rows([A], HEADER)
    other = ["12", "CVE-2030-1009", *nessus[0][2:]]
    workbench.import_rows([other, nessus[1]], header, confirm=True)
    found = workbench.finding(A[2])
    assert (found["import_id"], found["source"]) == (2, "hub"), "import 3 does not report it"
    assert "undo the imports 3 first" in refusal(workbench, 2).message
    undo(workbench, 3)
    undo(workbench, 2)
    assert workbench.finding(A[2])["source"] == "nessus"


def test_undone_imports_of_one_day_leave_no_totals_of_that_day(workbench: Workbench) -> None:
    before = state(workbench)
    workbench.import_rows([A, B], HEADER, scan_date="2030-05-01")
    other = [["y", "192.0.2.9", "z", "L", ""]]
    workbench.import_rows(other, OTHER_HEADER, scan_date="2030-05-01")
    undo(workbench, 2)
    undo(workbench, 1)
    assert state(workbench) == before


def test_import_is_undone_before_a_later_import_of_other_findings(workbench: Workbench) -> None:
    workbench.import_rows([A, B], HEADER)
    rows = [["y", "192.0.2.9", "z", "L", ""]]
    workbench.import_rows(rows, OTHER_HEADER)
    assert undo(workbench, 1) == Undone(deleted=2, restored=0)
    assert [each["hostname"] for each in workbench.findings()] == ["z"]
    (day,) = state(workbench)["vulnerability_daily_totals"]
    assert (day["low_count"], day["total_vulnerabilities"]) == (1, 1)


def test_undone_adoption_restores_the_findings_of_the_first_version(tmp_path: Path) -> None:
    load_version_4(tmp_path / "test.db")
    bench = Workbench(tmp_path)
    before = bench.findings()
    header = ("asset.name", "asset.display_ipv4_address", "definition.id", "definition.name",
              "definition.cve", "definition.family", "severity", "state")  # fmt: skip
    rows = [["web-1.ams.example.test", "", "900001", "Example flaw", "CVE-2030-1001", "General",
             "High", "ACTIVE"]]  # fmt: skip
    assert bench.import_rows(rows, header)["summary"]["adopted"] == 1
    assert bench.findings() != before
    undo(bench, 2)
    assert bench.findings() == before
    with bench.database.reading() as connection:
        mark = connection.scalar(select(meta.c.value).where(meta.c.name == UNSOURCED))
    assert mark is not None
    bench.database.close()


def test_journal_keeps_the_last_import_of_each_source(workbench: Workbench) -> None:
    for _ in range(3):
        workbench.import_rows([A, B], HEADER)
        workbench.import_rows([["y", "192.0.2.9", "z", "L", ""]], OTHER_HEADER)
    assert count(workbench, finding_journal) == 3
    assert count(workbench, undoable_imports) == 2
    assert count(workbench, import_jobs) == 6


def test_ids_of_deleted_findings_are_not_used_again(workbench: Workbench) -> None:
    workbench.import_rows([A, B], HEADER)
    undo(workbench, 1)
    workbench.import_rows([A], HEADER)
    assert [each["id"] for each in workbench.findings()] == [3]
