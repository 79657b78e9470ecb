"""Kills of the server (SIGKILL) in each phase of an import and of an undo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from hextrackr_server.errors import DatabaseInUseError
from hextrackr_server.findings.totals import open_totals, refresh
from hextrackr_server.storage.encoding import RESOLVED
from hextrackr_server.storage.finding_tables import vulnerabilities_current, vulnerability_snapshots
from hextrackr_server.storage.group_table import count_open_groups, open_groups
from hextrackr_server.storage.schema import (
    UNSOURCED,
    vendor_daily_totals,
    vulnerability_daily_totals,
)
from tests.hextrackr_server.imports.killed_process import Killer, Work, running_killer
from tests.hextrackr_server.support import Workbench, csv_text

HEADER = ("hostname", "ip_address", "cve", "plugin_id", "vendor", "severity", "state", "vpr",
          "last_seen")  # fmt: skip
HOSTS = 12
PLUGINS = 15
#: Tables that the import of `LATER` writes, and the undo of it.
WRITTEN = {
    "INSERT INTO finding_hosts", "INSERT INTO finding_identities", "INSERT INTO finding_groups",
    "INSERT INTO finding_assets", "INSERT INTO finding_definitions", "INSERT INTO findings",
    "INSERT INTO finding_journal", "INSERT INTO finding_snapshots", "INSERT INTO open_groups",
    "INSERT INTO undoable_imports", "INSERT INTO vulnerability_daily_totals",
    "INSERT INTO vendor_daily_totals", "INSERT INTO staged_known", "UPDATE findings SET",
    "UPDATE import_jobs SET", "DELETE FROM open_groups", "DELETE FROM finding_journal",
    "DELETE FROM finding_snapshots", "DELETE FROM finding_assets",
    "DELETE FROM finding_definitions",
}  # fmt: skip
UNDONE = {
    "UPDATE findings SET", "DELETE FROM findings", "DELETE FROM finding_journal",
    "DELETE FROM finding_snapshots", "INSERT INTO finding_snapshots", "INSERT INTO open_groups",
    "DELETE FROM vulnerability_daily_totals", "DELETE FROM undoable_imports",
    "DELETE FROM finding_assets", "DELETE FROM finding_definitions", "UPDATE import_jobs SET",
}  # fmt: skip
PHASES = {"parsing: Reading the file", "staging", "processing", "finalizing"}


def row(host: int, plugin: int, **values: str) -> list[str]:
    found = {
        "hostname": f"h-{host}",
        "ip_address": f"192.0.2.{host}",
        "cve": f"CVE-2030-{1000 + plugin}",
        "plugin_id": str(plugin),
        "vendor": "CISCO",
        "severity": "High",
        "state": "Open",
        "vpr": "7.5",
        "last_seen": "2030-05-01",
    }
    return [(found | values)[name] for name in HEADER]


def earlier(day: int) -> str:
    """Return a file that reports all plugins on all hosts."""
    rows = [row(h, p, severity="Low" if p == day else "High")
            for h in range(1, HOSTS) for p in range(1, PLUGINS)]  # fmt: skip
    return csv_text(rows, HEADER)


def later() -> str:
    """Return a file that has a finding for each step of a merge."""
    rows = [
        *(row(h, p, hostname=f"new-{h}", severity="Critical")
          for h in range(1, HOSTS) for p in range(3, PLUGINS)),
        *(row(h, 1, state="Fixed") for h in range(1, HOSTS)),
        *(row(99, p, vendor="Other") for p in range(100, 140)),
        row(1, 2, severity="", cve="not a CVE"),
    ]  # fmt: skip
    return csv_text(rows, HEADER)


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with running_killer() as process:
        yield process


@contextmanager
def opened(target: str, directory: Path) -> Iterator[Workbench]:
    """Open the database after a kill: PostgreSQL ends the session of a killed process soon."""
    end = time.monotonic() + 300
    while True:
        try:
            bench = Workbench(directory, target if "://" in target else None)
            break
        except DatabaseInUseError:
            assert time.monotonic() < end, "the lock of the killed process stays"
    try:
        yield bench
    finally:
        bench.database.close()


def contents(bench: Workbench) -> dict[str, Any]:
    """Return everything that an import changes, without the IDs, which a failed import uses up."""
    ids = {"id", "import_id", "changed_import_id"}

    def rows(query: Any) -> list[str]:
        found = connection.execute(query).mappings()
        return sorted(repr({key: each[key] for key in each if key not in ids}) for each in found)

    with bench.database.reading() as connection:
        stored = connection.execute(select(open_groups)).all()
        assert set(map(tuple, stored)) == set(count_open_groups(connection))
        return {
            "findings": rows(select(vulnerabilities_current)),
            "snapshots": rows(select(vulnerability_snapshots)),
            "totals": rows(select(vulnerability_daily_totals)),
            "vendor totals": rows(select(vendor_daily_totals)),
            "open": sorted(map(repr, open_totals(connection))),
            "journal": rows(text("SELECT * FROM finding_journal")),
            "undoable": rows(text("SELECT source, former_totals FROM undoable_imports")),
        }


def prepare(bench: Workbench) -> None:
    """Import four earlier scans; give one finding the key and the source of version 0.1.0."""
    for day in range(1, 5):
        bench.run(earlier(day), scan_date=f"2030-05-0{day}", scope="none")
    with bench.database.writing() as connection:
        connection.execute(text("INSERT INTO finding_hosts (host_key) VALUES ('h-5')"))
        connection.execute(
            text(
                "UPDATE findings SET source = NULL, "
                "host_id = (SELECT id FROM finding_hosts WHERE host_key = 'h-5') "
                "WHERE host_id = (SELECT id FROM finding_hosts WHERE host_key = '192.0.2.5') "
                "AND identity_id = "
                "(SELECT id FROM finding_identities WHERE cve = 'CVE-2030-1002')"
            )
        )
        connection.execute(
            text("INSERT INTO meta (name, value) VALUES (:name, '1')"), {"name": UNSOURCED}
        )
        connection.execute(
            text(
                f"UPDATE findings SET lifecycle = {RESOLVED}, resolved_date = 20300504 "
                "WHERE identity_id = "
                "(SELECT id FROM finding_identities WHERE cve = 'CVE-2030-1003')"
            )
        )
        refresh(connection)


def new_import(bench: Workbench) -> int:
    return bench.job(scan_date="2030-05-05", scope="hosts").import_id


def status(bench: Workbench, import_id: int) -> str:
    job = bench.store.job(import_id)
    assert job is not None
    return job.status


def kinds(points: list[str]) -> set[str]:
    return {kind for kind in WRITTEN | UNDONE | PHASES for name in points if name.startswith(kind)}


def upload(directory: Path) -> Path:
    """Write the file of `later` to a path of its own, as each upload has one."""
    path = directory / f"upload-{len(list(directory.glob('upload-*')))}"
    path.write_text(later())
    return path


def import_later(bench: Workbench, directory: Path) -> int:
    """Import the file of `later`, and return the number of the import."""
    values = {"scan_date": "2030-05-05", "scope": "hosts", "confirm": True}
    bench.run_file(upload(directory), **values)
    return int(bench.importer.history.undoable()[0]["import_id"])


def test_killed_import_changes_nothing_and_the_next_one_is_complete(
    target: str, empty: Callable[[], None], tmp_path: Path, killer: Killer
) -> None:
    with opened(target, tmp_path) as bench:
        prepare(bench)
        import_later(bench, tmp_path)
        expected = contents(bench)
    empty()
    with opened(target, tmp_path) as bench:
        prepare(bench)
        before = contents(bench)
        number = new_import(bench)
    assert before != expected
    points: list[str] = []
    completed = False
    while not completed:
        points = killer.do(Work(target, number, str(upload(tmp_path)), kill_at=len(points)))
        with opened(target, tmp_path) as bench:
            completed = status(bench, number) == "completed"
            assert bench.store.recover(5) == ([] if completed else [number])
            assert contents(bench) == (expected if completed else before), points[-1]
            if not completed:
                number = new_import(bench)
    assert points[-1] == "end"
    assert kinds(points) >= WRITTEN | PHASES
    with opened(target, tmp_path) as bench:
        bench.importer.history.undo(number, 5)
        import_later(bench, tmp_path)
        assert contents(bench) == expected


def test_import_is_complete_after_a_kill_while_a_process_reads_the_file(
    target: str, empty: Callable[[], None], tmp_path: Path, killer: Killer
) -> None:
    with opened(target, tmp_path) as bench:
        prepare(bench)
        before = contents(bench)
        number = new_import(bench)
    opens = "parsing: The format is"
    work = Work(target, number, str(upload(tmp_path)), opens, in_process=True)
    assert killer.do(work)[-1].startswith(opens)
    with opened(target, tmp_path) as bench:
        assert bench.store.recover(5) == [number]
        assert contents(bench) == before
        import_later(bench, tmp_path)
        expected = contents(bench)
    empty()
    with opened(target, tmp_path) as bench:
        prepare(bench)
        import_later(bench, tmp_path)
        assert contents(bench) == expected


def test_killed_undo_changes_nothing_and_the_next_one_is_complete(
    target: str, tmp_path: Path, killer: Killer
) -> None:
    with opened(target, tmp_path) as bench:
        prepare(bench)
        number = import_later(bench, tmp_path)
        imported = contents(bench)
        bench.importer.history.undo(number, 5)
        before = contents(bench)
        number = import_later(bench, tmp_path)
        assert contents(bench) == imported
    points: list[str] = []
    is_undone = False
    while not is_undone:
        points = killer.do(Work(target, number, kill_at=len(points)))
        with opened(target, tmp_path) as bench:
            is_undone = not bench.importer.history.undoable()
            assert contents(bench) == (before if is_undone else imported), points[-1]
    assert points[-1] == "end"
    assert kinds(points) >= UNDONE
    with opened(target, tmp_path) as bench:
        import_later(bench, tmp_path)
        assert contents(bench) == imported
