"""Findings of a database that version 0.1.0 wrote: migrated, adopted or reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from hextrackr_server.storage.schema import UNSOURCED, meta
from tests.hextrackr_server.storage.former_databases import load_version_4
from tests.hextrackr_server.support import Workbench

HEADER = ("asset.name", "asset.display_ipv4_address", "definition.id", "definition.name",
          "definition.cve", "definition.family", "severity", "state")  # fmt: skip
FLAW = ["900001", "Example flaw", "CVE-2030-1001", "General", "High", "ACTIVE"]
OTHER = ["900002", "Example other flaw", "CVE-2030-1002", "General", "High", "ACTIVE"]
SERVICE = ["900003", "Example service", "", "General", "Info", "ACTIVE"]
SYSTEM = ["900004", "Example system", "", "CISCO", "Low", "ACTIVE"]
NAMED = ["", "Example named check", "", "General", "Low", "ACTIVE"]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Workbench]:
    load_version_4(tmp_path / "test.db")
    bench = Workbench(tmp_path)
    yield bench
    bench.database.close()


def states(bench: Workbench) -> dict[str, tuple[str | None, str]]:
    return {
        each["unique_key"]: (each["source"], each["lifecycle_state"]) for each in bench.findings()
    }


def test_migration_keeps_findings_and_gives_them_the_key_of_their_host(old: Workbench) -> None:
    found = {each["unique_key"]: each for each in old.findings()}
    assert len(found) == 8
    assert {each["source"] for each in found.values()} == {None}
    assert found["cve:CVE-2030-1001|host:192.0.2.10"]["host_key"] == "192.0.2.10"
    assert found["cve:CVE-2030-1001|host:web-1"]["host_key"] == "web-1"


def test_finding_of_a_host_with_an_address_matches_by_its_key(old: Workbench) -> None:
    result = old.import_rows([["db-1.example.test", "192.0.2.10", *FLAW]], HEADER)
    summary = result["summary"]
    assert (summary["inserted"], summary["updated"], summary["adopted"]) == (0, 1, 0)
    assert states(old)["cve:CVE-2030-1001|host:192.0.2.10"] == ("tenable_vm", "active")
    assert summary["withoutSource"] == 6


def test_findings_are_adopted_by_whole_name_plugin_asset_and_plugin_name(old: Workbench) -> None:
    rows = [
        ["web-1.ams.example.test", "", *FLAW],
        ["db-1.example.test", "192.0.2.10", *SERVICE],
        ["db-2.example.test", "192.0.2.11", *SYSTEM],
        ["old-1", "192.0.2.12", *NAMED],
    ]
    summary = old.import_rows(rows, HEADER)["summary"]
    assert (summary["adopted"], summary["inserted"], summary["updated"]) == (4, 0, 4)
    found = states(old)
    for key in (
        "cve:CVE-2030-1001|host:web-1.ams.example.test",
        "plugin:tenable:900003|host:192.0.2.10",
        "plugin:tenable:900004|host:192.0.2.11",
    ):
        assert found[key] == ("tenable_vm", "active")
    assert summary["withoutSource"] == 3
    assert len(found) == 8


def test_finding_is_not_adopted_when_two_hosts_claim_it(old: Workbench) -> None:
    rows = [["fw1.ams.example.test", "", *OTHER], ["fw1.ber.example.test", "", *OTHER]]
    summary = old.import_rows(rows, HEADER)["summary"]
    assert (summary["adopted"], summary["inserted"], summary["withoutSource"]) == (0, 2, 7)
    assert states(old)["cve:CVE-2030-1002|host:fw1"] == (None, "active")


def test_finding_is_not_adopted_by_the_plugin_id_of_another_tool(old: Workbench) -> None:
    header = ("IP", "DNS", "QID", "Title", "Severity")
    rows = [["192.0.2.10", "db-1.example.test", "900003", "Example service", "1", ""]]
    summary = old.import_rows(rows, (*header, "IP Status"))["summary"]
    assert (summary["profile"], summary["adopted"], summary["inserted"]) == ("qualys_vm", 0, 1)


@pytest.mark.parametrize("scope", ["auto", "hosts", "vendor", "full"])
def test_finding_without_a_source_is_never_resolved_by_absence(old: Workbench, scope: str) -> None:
    rows = [["db-1.example.test", "192.0.2.10", "900077", "New", "", "General", "Low", "ACTIVE"]]
    summary = old.import_rows(rows, HEADER, scope=scope, confirm=True)["summary"]
    assert (summary["resolved"], summary["withoutSource"]) == (0, 7)


def test_finding_without_a_source_is_resolved_by_a_row_that_names_it(old: Workbench) -> None:
    rows = [["db-1.example.test", "192.0.2.10", *SERVICE[:-1], "FIXED"]]
    summary = old.import_rows(rows, HEADER)["summary"]
    assert (summary["adopted"], summary["resolved"]) == (1, 1)
    assert states(old)["plugin:tenable:900003|host:192.0.2.10"] == ("tenable_vm", "resolved")


def test_mark_is_removed_when_every_finding_has_a_source(old: Workbench) -> None:
    def is_marked() -> bool:
        with old.database.reading() as connection:
            query = select(meta.c.value).where(meta.c.name == UNSOURCED)
            return connection.scalar(query) is not None

    gone = ["900009", "Example retired check", "", "General", "Low", "ACTIVE"]
    fixed = ["900010", "Example fixed check", "CVE-2030-1009", "General", "Low", "FIXED"]
    rows = [
        ["web-1.ams.example.test", "", *FLAW],
        ["fw1.ams.example.test", "", *OTHER],
        ["db-1.example.test", "192.0.2.10", *SERVICE],
        ["db-1.example.test", "192.0.2.10", *FLAW],
        ["db-2.example.test", "192.0.2.11", *SYSTEM],
        ["old-1", "192.0.2.12", *NAMED],
        ["gone-1", "", *gone],
    ]
    old.import_rows(rows, HEADER)
    assert is_marked()
    assert old.import_rows([["gone-2", "", *fixed]], HEADER)["summary"]["withoutSource"] == 0
    assert not is_marked()
    assert len(old.findings()) == 8
    last = old.importer.history.undoable()[0]["import_id"]
    old.importer.history.undo(last, 0)
    assert is_marked(), "the undo made a finding without a source again"
