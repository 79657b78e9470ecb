"""Backups of a database, and restores of a database that no server uses."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from hextrackr_server.backup.archive import read_manifest, write_backup
from hextrackr_server.backup.errors import BackupError
from hextrackr_server.backup.manifest import NEWEST_SCHEMA
from hextrackr_server.backup.restoring import restore_backup
from hextrackr_server.errors import DatabaseInUseError
from hextrackr_server.storage import active_server
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.schema import import_jobs, kev_status, tickets, user_notifications
from tests.hextrackr_server.backup.support import contents, contents_of
from tests.hextrackr_server.support import Workbench, finding_row

ROWS = [finding_row(host=f"h-{number}") for number in range(20)]
SECOND = [finding_row(host=f"new-{number}", cve="CVE-2025-2000") for number in range(5)]


@pytest.fixture
def source(workbench: Workbench) -> Path | str:
    """Return the database of the workbench as the functions of backups take it."""
    database = workbench.database
    url = database._engine.url
    return (
        Path(str(url.database))
        if database._engine.dialect.name == "sqlite"
        else url.render_as_string(hide_password=False).replace("+psycopg", "")
    )


def fill(bench: Workbench) -> None:
    """Store rows in tables that imports do not write."""
    ticket = {"id": "t-1", "location": "Amsterdam \\ Berlin\t\u20ac\n", "notes": None}
    kev = {column.name: "x" for column in kev_status.c} | {
        "known_ransomware_use": 1,
        "last_synced": 1 << 40,
    }
    notice = {"id": "n-1", "user_id": "7", "payload": "{}", "created_at": 1}
    with bench.database.writing() as connection:
        connection.execute(insert(tickets).values(**ticket))
        connection.execute(insert(kev_status).values(**kev))
        connection.execute(insert(user_notifications).values(**notice))


def last_import(bench: Workbench) -> int:
    with bench.database.reading() as connection:
        return int(connection.scalar(select(func.max(import_jobs.c.import_id))) or 0)


def test_restored_database_has_all_rows_of_the_backup(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    workbench.import_rows(ROWS)
    workbench.import_rows(ROWS[:-3], scan_date="2025-10-01")
    fill(workbench)
    expected = contents(workbench.database)
    path, manifest = write_backup(source, tmp_path / "b.zip")
    workbench.import_rows(SECOND)
    workbench.database.close()
    _, rows = restore_backup(path, source, tmp_path / "work", replace=True)
    workbench.database = Database(source)
    assert contents(workbench.database) == expected
    assert rows["findings"] == manifest.rows["findings"] == len(ROWS)
    assert not (tmp_path / "work").exists()


def test_backup_is_restored_into_a_new_file(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    workbench.import_rows(ROWS)
    fill(workbench)
    active_server.publish(workbench.database, "10.0.0.5", 8090)
    path, _ = write_backup(source, tmp_path / "b.zip")
    restore_backup(path, tmp_path / "new.db", tmp_path / "work")
    expected = contents(workbench.database, "meta")
    assert contents_of(tmp_path / "new.db", "meta") == expected
    new = Database(tmp_path / "new.db")
    with new.reading() as connection:
        names = dict(connection.exec_driver_sql("SELECT name, value FROM meta").all())
    # The address of a server is not part of the data.
    assert names == {"schema_version": str(NEWEST_SCHEMA)}
    new.close()


def test_restored_database_accepts_imports_and_assigns_no_id_twice(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    workbench.import_rows(ROWS)
    first = last_import(workbench)
    path, _ = write_backup(source, tmp_path / "b.zip")
    workbench.import_rows(SECOND, scan_date="2025-10-01")
    second = last_import(workbench)
    former = {row["id"] for row in workbench.findings()}
    workbench.database.close()
    restore_backup(path, source, tmp_path / "work", replace=True)
    again = Workbench(tmp_path, None if isinstance(source, Path) else source)
    workbench.database = again.database
    again.import_rows(SECOND, scan_date="2025-10-01")
    assert first < second < last_import(again)
    new = {row["id"] for row in again.findings() if row["cve"] == "CVE-2025-2000"}
    assert len(new) == len(SECOND)
    assert not new & former


def test_backup_has_the_state_of_its_begin_when_imports_end_meanwhile(
    workbench: Workbench, source: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hextrackr_server.backup.snapshot.PAGES_PER_STEP", 4)
    workbench.import_rows(ROWS)
    expected = contents(workbench.database)
    steps: list[int] = []

    def step(copied: int, _: int) -> None:
        if not steps:
            workbench.import_rows(SECOND)
        assert not steps or copied > steps[-1], "the copy began again"
        steps.append(copied)

    path, _ = write_backup(source, tmp_path / "b.zip", on_step=step)
    assert len(workbench.findings()) == len(ROWS) + len(SECOND)
    restore_backup(path, tmp_path / "new.db", tmp_path / "work")
    assert contents_of(tmp_path / "new.db", "meta") == {
        name: rows for name, rows in expected.items() if name != "meta"
    }


def test_backup_contains_nothing_of_an_uncommitted_import(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    workbench.import_rows(ROWS)
    with workbench.database.writing() as connection:
        connection.execute(insert(tickets).values(id="t-1", location="x"))
        _, manifest = write_backup(source, tmp_path / "b.zip")
    assert manifest.rows["tickets"] == 0


def test_import_that_ran_during_the_backup_is_interrupted_in_the_restored_data(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    job = workbench.job()
    path, _ = write_backup(source, tmp_path / "b.zip")
    restore_backup(path, tmp_path / "new.db", tmp_path / "work")
    new = Database(tmp_path / "new.db")
    with new.reading() as connection:
        found = connection.execute(select(import_jobs)).mappings().one()
    assert (found["import_id"], found["status"]) == (job.import_id, "failed")
    assert found["error_code"] == "INTERRUPTED"
    new.close()


def test_database_with_imports_is_replaced_on_request_only(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    workbench.import_rows(ROWS)
    path, _ = write_backup(source, tmp_path / "b.zip")
    workbench.import_rows(SECOND)
    expected = contents(workbench.database)
    workbench.database.close()
    with pytest.raises(BackupError, match=r"the database has 2 imports, .*restore with --yes"):
        restore_backup(path, source, tmp_path / "work")
    workbench.database = Database(source)
    assert contents(workbench.database) == expected


def test_restore_is_refused_when_a_server_uses_the_database(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    workbench.import_rows(ROWS)
    path, _ = write_backup(source, tmp_path / "b.zip")
    with pytest.raises(DatabaseInUseError):
        restore_backup(path, source, tmp_path / "work", replace=True)
    assert not (tmp_path / "work").exists()


def test_refused_restore_keeps_the_files_of_a_running_one(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    path, _ = write_backup(source, tmp_path / "b.zip")
    (tmp_path / "work").mkdir()
    with pytest.raises(DatabaseInUseError):
        restore_backup(path, source, tmp_path / "work")
    assert (tmp_path / "work").exists()


def test_failed_restore_leaves_no_new_file(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(b"damaged")
    with pytest.raises(BackupError, match="is not a complete backup"):
        restore_backup(tmp_path / "b.zip", tmp_path / "new.db", tmp_path / "work")
    assert {each.name for each in tmp_path.iterdir()} <= {"b.zip", "new.db.lock"}


def test_failed_restore_leaves_the_former_data(
    workbench: Workbench, source: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench.import_rows(ROWS)
    path, _ = write_backup(source, tmp_path / "b.zip")
    workbench.import_rows(SECOND)
    expected = contents(workbench.database)
    workbench.database.close()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hextrackr_server.backup.replacing._raise_ids", fail)
    with pytest.raises(BackupError, match="is full"):
        restore_backup(path, source, tmp_path / "work", replace=True)
    workbench.database = Database(source)
    assert contents(workbench.database) == expected


def test_backup_is_readable_by_its_owner_only(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    umask = os.umask(0)
    try:
        path, manifest = write_backup(source, folder)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == [path]
    assert path.name == f"hextrackr-{manifest.created:%Y%m%dT%H%M%SZ}.zip"
    assert read_manifest(path) == manifest


def test_unfinished_backup_of_a_killed_command_is_used_with_the_mode_of_a_new_one(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    path = tmp_path / "b.zip"
    part = tmp_path / ".b.zip.part"
    part.write_bytes(b"x" * 10_000_000)
    part.chmod(0o644)
    write_backup(source, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size < 10_000_000
    assert not part.exists()


def test_backup_is_not_written_through_a_link(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("kept")
    (tmp_path / ".b.zip.part").symlink_to(other)
    with pytest.raises((BackupError, OSError)):
        write_backup(source, tmp_path / "b.zip")
    assert other.read_text() == "kept"
    assert not (tmp_path / "b.zip").exists()


def test_second_backup_to_a_file_is_refused_while_one_runs(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    part = tmp_path / ".b.zip.part"
    with part.open("wb") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="is running: wait for its end"):
            write_backup(source, tmp_path / "b.zip")
    assert part.exists(), "the file of the running backup stays"
    write_backup(source, tmp_path / "b.zip")
    assert not part.exists()


def test_existing_file_is_replaced_on_request_only(
    workbench: Workbench, source: Path | str, tmp_path: Path
) -> None:
    target = tmp_path / "b.zip"
    target.write_text("former")
    with pytest.raises(BackupError, match="exists: choose another name, or replace it"):
        write_backup(source, target)
    assert target.read_text() == "former"
    write_backup(source, target, replace=True)
    assert read_manifest(target).schema_version == NEWEST_SCHEMA
