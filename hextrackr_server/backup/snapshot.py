"""Copies the state of a database at one moment into a SQLite file, while a server uses it.

A SQLite database is copied page by page, whatever the version of its schema. The rows of a
PostgreSQL database are copied into the tables of the current schema, so that a backup of either
can be restored into both.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, func, insert, select

from hextrackr_server.backup.errors import BackupError
from hextrackr_server.backup.manifest import NEWEST_SCHEMA
from hextrackr_server.storage.active_server import NAME as ACTIVE_SERVER
from hextrackr_server.storage.backends import read_only_connection
from hextrackr_server.storage.finding_tables import create_views
from hextrackr_server.storage.metadata import metadata
from hextrackr_server.storage.schema import meta

#: Pages of 4 KiB that one step copies.
PAGES_PER_STEP: Final = 1024
#: The pause after a step, as a share of its duration: the server gets the disk in between.
PAUSE: Final = 0.25
#: Rows of PostgreSQL in memory.
_ROWS: Final = 2000

#: Called after each step with the copied and the total number of pages, or of tables.
OnStep = Callable[[int, int], None]


class Snapshot(NamedTuple):
    """The version of the schema of a copy, and the number of rows of each table."""

    schema_version: int
    rows: dict[str, int]


def copy_database(target: Path | str, file: Path, on_step: OnStep = lambda *_: None) -> Snapshot:
    """Copy a SQLite file or a PostgreSQL database, given by its URL, into a new file.

    The copy is verified. Raises BackupError, sqlite3.Error, DBAPIError and OSError.
    """
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if isinstance(target, Path):
        _copy_sqlite(target, file, on_step)
    else:
        _copy_postgres(target, file, on_step)
    return examine(file)


def examine(file: Path) -> Snapshot:
    """Verify a copy of a database and return its contents.

    Raises BackupError for a file that is damaged or not a database of the hub.
    """
    try:
        with closing(_open(file, "ro")) as connection:
            problem = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if problem == "ok" and connection.execute("PRAGMA foreign_key_check").fetchone():
                problem = "a row refers to a missing row"
            if problem != "ok":
                raise BackupError(f"the database is damaged: {problem}")
            version = connection.execute(
                "SELECT value FROM meta WHERE name = 'schema_version'"
            ).fetchone()
            names = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            rows = {name: _count(connection, name) for (name,) in sorted(names)}
    except sqlite3.DatabaseError as error:
        raise BackupError(f"not a database of the hub: {error}") from error
    if version is None:
        raise BackupError("not a database of the hub: it has no version of a schema")
    return Snapshot(int(version[0]), rows)


def _count(connection: sqlite3.Connection, name: str) -> int:
    quoted = name.replace('"', '""')
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])


def _open(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=60)


def _copy_sqlite(path: Path, file: Path, on_step: OnStep) -> None:
    if not path.is_file():
        raise BackupError(f"there is no database {path}: name it with --database")
    begun = time.monotonic()

    def step(_status: int, remaining: int, total: int) -> None:
        nonlocal begun
        on_step(total - remaining, total)
        time.sleep((time.monotonic() - begun) * PAUSE)
        begun = time.monotonic()

    # Writable, because the first connection to a database after a kill repairs its log.
    with closing(_open(path, "rw")) as source, closing(_open(file, "rw")) as copy:
        source.execute("PRAGMA query_only = ON")
        # With a transaction, all steps read the state of its begin. Without one, SQLite begins
        # again after each write of the server. Writers do not wait: the database has a log.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(copy, pages=PAGES_PER_STEP, progress=step)
        # One file, without a write-ahead log next to it.
        copy.execute("PRAGMA journal_mode = DELETE")


def _copy_postgres(url: str, file: Path, on_step: OnStep) -> None:
    engine = create_engine(f"sqlite:///{file}")
    try:
        with (
            read_only_connection(url) as source,
            engine.connect() as copy,
        ):
            assert source is not None
            # The transaction is a repeatable read: all tables are copied as of its begin.
            with source.begin(), copy.begin():
                _check_version(source)
                metadata.create_all(copy)
                create_views(copy)
                _copy_rows(source, copy, on_step)
    finally:
        engine.dispose()


def _check_version(source: Connection) -> None:
    if not source.dialect.has_table(source, meta.name):
        raise BackupError("the database has no tables of the hub: check DATABASE_URL")
    found = source.scalar(select(meta.c.value).where(meta.c.name == "schema_version"))
    if int(found or 0) != NEWEST_SCHEMA:
        raise BackupError(
            f"the database has schema {found}, this program has schema {NEWEST_SCHEMA}: use the "
            "program that wrote the database, or pg_dump"
        )


def _copy_rows(source: Connection, copy: Connection, on_step: OnStep) -> None:
    tables = metadata.sorted_tables
    for number, table in enumerate(tables, 1):
        query = select(table)
        if table is meta:
            query = query.where(meta.c.name != ACTIVE_SERVER)
        result = source.execution_options(yield_per=_ROWS).execute(query)
        for rows in result.mappings().partitions():
            copy.execute(insert(table), [dict(row) for row in rows])
        on_step(number, len(tables))
    # IDs of deleted rows must not be used again after a restore.
    for table in tables:
        if table.dialect_options["sqlite"]["autoincrement"]:
            _copy_last_id(source, copy, table.name, next(iter(table.primary_key)).name)


def _copy_last_id(source: Connection, copy: Connection, table: str, column: str) -> None:
    sequence = source.scalar(select(func.pg_get_serial_sequence(table, column)))
    last, called = source.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()
    values: Any = (table, int(last) if called else 0)
    copy.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
    copy.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", values)
