"""Tests of the SQLite database: schema, migrations, locking and transactions."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from hextrackr_server.errors import DatabaseBusyError, SettingsError
from hextrackr_server.storage import backends
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.finding_tables import (
    undoable_imports,
    vulnerabilities_current,
    vulnerability_snapshots,
)
from hextrackr_server.storage.migrations import MIGRATIONS
from hextrackr_server.storage.schema import meta
from tests.hextrackr_server.storage.former_databases import (
    load_version_1,
    load_version_4,
    load_version_6,
)


def version_of(database: Database) -> str:
    with database.reading() as connection:
        return str(connection.scalar(select(meta.c.value).where(meta.c.name == "schema_version")))


def test_new_file_has_the_newest_schema(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")
    assert version_of(database) == str(1 + len(MIGRATIONS))
    database.close()


def test_new_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        database = Database(tmp_path / "x.db")
    finally:
        os.umask(umask)
    found = {each.name: each.stat().st_mode & 0o077 for each in tmp_path.glob("x.db*")}
    assert found == dict.fromkeys(("x.db", "x.db-wal", "x.db-shm", "x.db.lock"), 0)
    database.close()


def shape(database: Database) -> dict[str, set[str]]:
    """Return the columns and indexes of all tables and views."""
    with database.reading() as connection:
        inspector = inspect(connection)
        return {
            name: {column["name"] for column in inspector.get_columns(name)}
            | {str(index["name"]) for index in inspector.get_indexes(name)}
            for name in inspector.get_table_names() + inspector.get_view_names()
        }


@pytest.mark.parametrize("load", [load_version_1, load_version_4, load_version_6])
def test_file_of_an_earlier_version_is_migrated_to_the_current_schema(
    tmp_path: Path, load: Callable[[Path], None]
) -> None:
    new = Database(tmp_path / "new.db")
    load(tmp_path / "old.db")
    old = Database(tmp_path / "old.db")
    assert shape(old) == shape(new)
    assert version_of(old) == version_of(new)
    new.close()
    old.close()


def test_file_of_version_8_gets_the_columns_of_undo(tmp_path: Path) -> None:
    Database(tmp_path / "new.db").close()
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        connection.executescript(
            "ALTER TABLE import_jobs DROP COLUMN undone_at;"
            "ALTER TABLE undoable_imports DROP COLUMN former_totals;"
            "UPDATE meta SET value = '8' WHERE name = 'schema_version';"
        )
    new, old = Database(tmp_path / "other.db"), Database(tmp_path / "new.db")
    assert shape(old) == shape(new)
    new.close()
    old.close()


def test_migrated_findings_and_snapshots_have_their_former_values(tmp_path: Path) -> None:
    load_version_6(tmp_path / "old.db")

    def rows_of(connection: sqlite3.Connection, table: str, names: str, order: str) -> list[Any]:
        return connection.execute(f"SELECT {names} FROM {table} ORDER BY {order}").fetchall()

    found = ", ".join(column.name for column in vulnerabilities_current.c)
    stored = ", ".join(column.name for column in vulnerability_snapshots.c)
    results = []
    for _ in range(2):
        with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
            results.append(
                (
                    rows_of(connection, "vulnerabilities_current", found, "id"),
                    rows_of(connection, "vulnerability_snapshots", stored, "scan_date, unique_key"),
                )
            )
        Database(tmp_path / "old.db").close()
    (former, former_snapshots), (findings, snapshots) = results
    assert len(former) == 5
    assert findings == former
    # The dictionaries describe a finding as its last import does.
    names = stored.split(", ")
    kept = [names.index(name) for name in ("scan_date", "import_id", "severity", "unique_key")]
    assert [[row[n] for n in kept] for row in snapshots] == [
        [row[n] for n in kept] for row in former_snapshots
    ]


def test_older_file_is_migrated_step_by_step_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hextrackr_server")
    Database(tmp_path / "x.db", migrations=()).close()
    done: list[int] = []

    def second(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE second (id INTEGER)"))
        done.append(2)

    def third(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE third (id INTEGER)"))
        done.append(3)

    for _ in range(2):
        database = Database(tmp_path / "x.db", migrations=(second, third))
        assert version_of(database) == "3"
        database.close()
    assert done == [2, 3]
    begun, ended = caplog.messages
    assert begun.startswith("migrating the database from schema 1 to 3: allow 30 seconds")
    assert ended == "the tables of the database have schema 3"


def test_failed_migration_leaves_the_file_unchanged(tmp_path: Path) -> None:
    Database(tmp_path / "x.db", migrations=()).close()

    def broken(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        Database(tmp_path / "x.db", migrations=(broken,))
    database = Database(tmp_path / "x.db", migrations=())
    assert version_of(database) == "1"
    with database.reading() as connection:
        assert not connection.dialect.has_table(connection, "half")
    database.close()


def test_file_of_a_newer_server_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")
    with database.writing() as connection:
        connection.execute(update(meta).values(value="99"))
    database.close()
    with pytest.raises(SettingsError, match="newer server"):
        Database(tmp_path / "x.db")


def test_second_server_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    first = Database(tmp_path / "x.db")
    with pytest.raises(SettingsError, match="in use by another server"):
        Database(tmp_path / "x.db")
    first.close()
    Database(tmp_path / "x.db").close()


def test_impossible_path_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be opened"):
        Database(tmp_path / "file" / "x.db")


def test_transaction_is_rolled_back_when_its_block_raises(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")

    def write_half() -> None:
        with database.writing() as connection:
            connection.execute(insert(meta).values(name="a", value="b"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    with database.reading() as connection:
        assert connection.scalar(select(meta.c.value).where(meta.c.name == "a")) is None
    database.close()


def test_foreign_keys_are_enforced_on_insert(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")
    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(insert(undoable_imports).values(source="nessus", import_id=1))
    database.close()


def test_reader_sees_one_state_while_a_writer_writes(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")
    query = select(meta.c.value).where(meta.c.name == "a")
    with database.writing() as writer:
        writer.execute(insert(meta).values(name="a", value="b"))
        with database.reading() as reader:
            assert reader.scalar(query) is None
    with database.reading() as reader:
        assert reader.scalar(query) == "b"
    database.close()


def test_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")
    order: list[str] = []

    def write() -> None:
        with database.writing():
            order.append("second")

    with database.writing():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.03)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    database.close()


def test_writer_waits_longer_for_another_thread_than_for_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "FOREIGN_LOCK_MS", 20)
    database = Database(tmp_path / "x.db")
    written = threading.Event()

    def write() -> None:
        with database.writing():
            written.set()

    with database.writing():
        thread = threading.Thread(target=write)
        thread.start()
        assert not written.wait(0.2)  # ten times the limit for other programs
    thread.join()
    assert written.is_set()
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked"), database.writing():
            pass
    database.close()


def test_writer_fails_when_another_write_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path / "x.db")
    monkeypatch.setattr(backends, "BUSY_TIMEOUT_MS", 20)
    failures: list[Exception] = []

    def write() -> None:
        try:
            with database.writing():
                pass
        except DatabaseBusyError as error:
            failures.append(error)

    with database.writing():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert len(failures) == 1
    with database.writing():
        pass
    database.close()


def test_file_that_is_not_a_database_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text("asset.name,definition.cve\n")
    with pytest.raises(SettingsError, match="file is not a database; choose another one"):
        Database(file)
    assert file.read_text() == "asset.name,definition.cve\n"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (".", "must be a file, got the folder .: use for example hextrackr.db"),
        ("folder", "must be a file, got the folder folder: use for example folder/hextrackr.db"),
        ("missing/hub.db", "the folder missing of the database does not exist: create it"),
    ],
)
def test_path_that_cannot_be_a_database_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError, match=re.escape(words)):
        Database(Path(path))
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_default_folder_of_the_database_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Database(Path("data/hub.db")).close()
    assert (tmp_path / "data" / "hub.db").is_file()
