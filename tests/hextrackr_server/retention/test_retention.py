"""Deletion of snapshots, totals and imports that the rules do not keep."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select, update

from hextrackr_server.errors import ServiceError
from hextrackr_server.imports.pipeline import Importer
from hextrackr_server.retention import store
from hextrackr_server.retention.rules import RetentionRules, count_expired, find_expired
from hextrackr_server.retention.service import FIRST_SECONDS, INTERVAL_SECONDS, RetentionService
from hextrackr_server.retention.store import RetentionStore
from hextrackr_server.storage.finding_tables import finding_snapshots
from hextrackr_server.storage.schema import (
    import_jobs,
    vendor_daily_totals,
    vulnerability_daily_totals,
)
from tests.hextrackr_server.support import FakeClock, Workbench, finding_row

ROWS = [finding_row(host=f"h-{number}") for number in range(5)]
#: 2025-10-10.
NOW_MS = round(datetime(2025, 10, 10, 12, tzinfo=UTC).timestamp() * 1000)


def scan(bench: Workbench, day: int, rows: Any = ROWS) -> None:
    """Import a scan of a day of October 2025, which ends on that day."""
    bench.importer = Importer(bench.database, kept_scans=100)
    bench.import_rows(rows, scan_date=f"2025-10-{day:02}")
    ended = round(datetime(2025, 10, day, tzinfo=UTC).timestamp() * 1000)
    with bench.database.writing() as connection:
        newest = select(func.max(import_jobs.c.import_id)).scalar_subquery()
        statement = update(import_jobs).where(import_jobs.c.import_id == newest)
        connection.execute(statement.values(finished_at=ended))


def delete_expired(bench: Workbench, **rules: int) -> dict[str, int]:
    """Delete what the rules do not keep; the numbers must be those of the forecast."""
    kept = RetentionRules(**({"snapshots": 0} | rules))
    with bench.database.reading() as connection:
        expected = count_expired(connection, find_expired(connection, kept, NOW_MS))
    deleted = RetentionStore(bench.database, kept).delete_expired(NOW_MS, lambda: False)
    assert deleted == expected
    return deleted


def days(bench: Workbench) -> list[int]:
    with bench.database.reading() as connection:
        column = finding_snapshots.c.scan_date
        return list(connection.scalars(select(column).distinct().order_by(column)))


def imports(bench: Workbench) -> list[int]:
    with bench.database.reading() as connection:
        return list(connection.scalars(select(import_jobs.c.import_id).order_by("import_id")))


def test_default_rules_delete_nothing_after_imports(workbench: Workbench) -> None:
    for day in range(1, 6):
        workbench.import_rows(ROWS, scan_date=f"2025-10-{day:02}")
    kept = RetentionStore(workbench.database, RetentionRules())
    assert not any(kept.delete_expired(NOW_MS, lambda: False).values())
    assert days(workbench) == [20251003, 20251004, 20251005]


def test_snapshots_are_kept_by_the_number_of_scan_days(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BATCH", 2)
    for day in range(1, 6):
        scan(workbench, day)
    assert delete_expired(workbench, snapshots=2) == {"snapshots": 15, "totals": 0, "imports": 0}
    assert days(workbench) == [20251004, 20251005]
    assert not any(delete_expired(workbench, snapshots=2).values())


def test_snapshots_are_kept_by_their_age(workbench: Workbench) -> None:
    for day in (1, 7, 8, 9):
        scan(workbench, day)
    delete_expired(workbench, snapshot_days=2)
    assert days(workbench) == [20251008, 20251009]


def test_newest_snapshot_is_kept_whatever_its_age(workbench: Workbench) -> None:
    for day in (1, 2):
        scan(workbench, day)
    assert delete_expired(workbench, snapshot_days=1)["snapshots"] == len(ROWS)
    assert days(workbench) == [20251002]


@pytest.mark.parametrize(("scans", "kept"), [((1, 2, 3), (3,)), ((6, 7, 8), (7, 8))])
def test_totals_are_kept_by_their_age_except_the_newest(
    workbench: Workbench, scans: tuple[int, ...], kept: tuple[int, ...]
) -> None:
    for day in scans:
        scan(workbench, day)
    assert delete_expired(workbench, history_days=3)["totals"] == 2 * (len(scans) - len(kept))
    with workbench.database.reading() as connection:
        for table in (vulnerability_daily_totals, vendor_daily_totals):
            found = connection.scalars(select(table.c.scan_date).order_by("scan_date")).all()
            assert found == [f"2025-10-{day:02}" for day in kept]


@pytest.mark.parametrize(("number", "kept"), [(1, [3, 4]), (2, [3, 4]), (3, [2, 3, 4])])
def test_imports_that_nothing_refers_to_are_kept_by_their_number(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch, number: int, kept: list[int]
) -> None:
    monkeypatch.setattr(store, "BATCH", 1)
    for day in (1, 2, 3, 4):
        scan(workbench, day)
    # The undo of import 4 restores references to import 3.
    assert delete_expired(workbench, imports=number)["imports"] == 4 - len(kept)
    assert imports(workbench) == kept
    workbench.importer.history.undo(4, NOW_MS)
    assert {each["import_id"] for each in workbench.findings()} == {3}


def test_imports_are_kept_by_their_age(workbench: Workbench) -> None:
    for day in (1, 2, 7, 8, 9):
        scan(workbench, day)
    delete_expired(workbench, import_days=4)
    assert imports(workbench) == [3, 4, 5]


def test_import_that_can_be_undone_is_kept_without_other_references(workbench: Workbench) -> None:
    nessus = ("Plugin ID", "CVE", "Risk", "Host", "Name", "Protocol", "Port", "Synopsis")
    row = ["1001", "CVE-2024-1000", "High", "192.0.2.1", "P", "tcp", "0", "text"]
    workbench.import_rows([row], nessus)
    for _ in range(3):
        workbench.import_rows([["web-1", "192.0.2.1", "1001", "CVE-2024-1000", "High"]])
    (finding,) = workbench.findings()
    assert finding["import_id"] == 4, "all imports report one finding"
    delete_expired(workbench, imports=1)
    # The last imports of both sources are 1 and 4; the undo of import 4 refers to import 3.
    assert imports(workbench) == [1, 3, 4]


def test_import_of_a_current_finding_is_kept(workbench: Workbench) -> None:
    scan(workbench, 1, [finding_row(host="old", cve="CVE-2020-1000")])
    for day in (2, 3, 4):
        scan(workbench, day)
    delete_expired(workbench, imports=1)
    # Import 1 is the last one that has reported its finding.
    assert imports(workbench) == [1, 3, 4]


def test_rejected_imports_are_deleted_and_unfinished_ones_are_kept(workbench: Workbench) -> None:
    running = workbench.job().import_id
    with pytest.raises(ServiceError):
        workbench.run("Location,Devices\n1,2\n")
    rejected = imports(workbench)[-1]
    workbench.store.end_job(rejected, {"code": "VALIDATION_ERROR", "message": "x"})
    for day in (8, 9):
        scan(workbench, day)
    with workbench.database.writing() as connection:
        ended = import_jobs.c.import_id == rejected
        connection.execute(update(import_jobs).where(ended).values(finished_at=1))
    delete_expired(workbench, import_days=1000, imports=2)
    assert imports(workbench)[0] == running
    assert rejected not in imports(workbench)


def test_deletion_stops_between_two_transactions(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BATCH", 2)
    for day in (1, 2):
        scan(workbench, day)
    kept = RetentionStore(workbench.database, RetentionRules(snapshots=1))
    assert kept.delete_expired(NOW_MS, lambda: True)["snapshots"] == 2
    assert kept.delete_expired(NOW_MS, lambda: False)["snapshots"] == 3


async def test_service_deletes_after_the_start_and_every_hour(
    workbench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clock = FakeClock()
    service = RetentionService(
        RetentionStore(workbench.database, RetentionRules(snapshots=1)), clock
    )

    async def run(seconds: float, runs: int) -> None:
        clock.advance(seconds)
        while service.runs < runs:  # noqa: ASYNC110 - the counter is the result
            await asyncio.sleep(0.005)

    for day in (1, 2):
        await asyncio.to_thread(scan, workbench, day)
    service.start()
    await run(FIRST_SECONDS, 1)
    assert service.deleted == {"snapshots": 5, "totals": 0, "imports": 0}
    assert "retention: rows deleted" in caplog.text
    await asyncio.to_thread(scan, workbench, 3)
    await run(INTERVAL_SECONDS, 2)
    assert service.deleted["snapshots"] == 10
    await service.stop()
