"""Replaces the data of a database by that of a prepared copy, in one transaction.

Readers see the former data until the commit; an interruption at any time leaves the former data.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, select, text, update

from hextrackr_server.backup.errors import writing_to
from hextrackr_server.errors import ErrorCode
from hextrackr_server.storage import unannounced
from hextrackr_server.storage.active_server import NAME as ACTIVE_SERVER
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.finding_tables import DEFERRED_INDEXES, findings
from hextrackr_server.storage.metadata import metadata
from hextrackr_server.storage.schema import (
    external_imports,
    import_jobs,
    maintenance_windows,
    meta,
    user_notifications,
)

#: Tables of the present: a running server keeps its own rows in them.
LIVE_TABLES: Final = frozenset(
    {external_imports.name, maintenance_windows.name, user_notifications.name}
)
#: Names in `meta` that describe the database itself.
_OWN_NAMES: Final = ("schema_version", ACTIVE_SERVER)
#: The kind of the note about a restore whose event is not sent; its value is `announced`.
NOTED_RESTORE: Final = "restore"
_UNFINISHED: Final = ("queued", "running")
_ROWS: Final = 1000


def replace_data(
    database: Database,
    copy: Path,
    now_ms: int,
    keep: Collection[str] = (),
    announced: int | None = None,
) -> dict[str, int]:
    """Replace all tables except `keep` by those of a copy with the current schema.

    Returns the number of rows of each replaced table. Imports that had not ended at the time of
    the backup end as interrupted. `announced` is the time of the backup, in ms since 1970, if a
    running server sends an event about it. IDs of deleted rows are not used again. Raises
    BackupError; the data are unchanged then.
    """
    tables = [table for table in metadata.sorted_tables if table.name not in keep]
    with writing_to(copy.parent), database.replacing(copy) as connection:
        last_ids = _last_ids(connection, tables)
        for table in reversed(tables):
            statement = delete(table)
            if table is meta:
                statement = statement.where(meta.c.name.not_in(_OWN_NAMES))
            connection.execute(statement)
        if connection.dialect.name == "postgresql":
            rows = _copy_to_postgres(connection, copy, tables)
        else:
            rows = {table.name: _copy_attached(connection, table) for table in tables}
        _raise_ids(connection, last_ids, copy)
        unannounced.forget_all(connection)
        if announced is not None:
            unannounced.note(connection, NOTED_RESTORE, "", announced)
        connection.execute(
            update(import_jobs)
            .where(import_jobs.c.status.in_(_UNFINISHED))
            .values(
                status="failed",
                error_code=str(ErrorCode.INTERRUPTED),
                error_message="The data were restored from a backup taken during the import",
                finished_at=now_ms,
            )
        )
    return rows


def _columns(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.c)


def _source(table: Table) -> str:
    """Return the condition that selects the rows to copy."""
    if table is not meta:
        return ""
    names = ", ".join(f"'{name}'" for name in _OWN_NAMES)
    return f" WHERE name NOT IN ({names})"


def _copy_attached(connection: Connection, table: Table) -> int:
    columns = _columns(table)
    return connection.execute(
        text(
            f"INSERT INTO main.{table.name} ({columns}) "
            f"SELECT {columns} FROM restored.{table.name}{_source(table)}"
        )
    ).rowcount


def _copy_to_postgres(connection: Connection, copy: Path, tables: list[Table]) -> dict[str, int]:
    driver: Any = connection.connection.driver_connection
    counts = {}
    with closing(sqlite3.connect(copy)) as source:
        for table in tables:
            columns, number = _columns(table), 0
            rows = source.execute(f"SELECT {columns} FROM {table.name}{_source(table)}")
            with (
                driver.cursor() as cursor,
                cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as stream,
            ):
                while chunk := rows.fetchmany(_ROWS):
                    number += len(chunk)
                    for row in chunk:
                        stream.write_row(row)
            counts[table.name] = number
    if counts.get(findings.name):
        # A new database has these indexes after its first findings only.
        for index in DEFERRED_INDEXES["postgresql"]:
            index.create(connection, checkfirst=True)
    for table in tables:
        connection.execute(text(f"ANALYZE {table.name}"))
    return counts


def _last_ids(connection: Connection, tables: list[Table]) -> dict[str, int]:
    """Return the last assigned ID of each table that must not assign an ID twice."""
    if connection.dialect.name == "sqlite":
        numbered = [each for each in tables if each.dialect_options["sqlite"]["autoincrement"]]
        stored = connection.execute(text("SELECT name, seq FROM main.sqlite_sequence")).all()
        known = {str(name): int(number) for name, number in stored}
        return {table.name: known.get(table.name, 0) for table in numbered}
    found = {}
    for table in tables:
        if table.autoincrement_column is None:
            continue
        sequence = _sequence(connection, table)
        last, called = connection.execute(
            text(f"SELECT last_value, is_called FROM {sequence}")
        ).one()
        found[table.name] = int(last) if called else 0
    return found


def _raise_ids(connection: Connection, former: dict[str, int], copy: Path) -> None:
    """Continue after the last IDs of both the former and the restored data."""
    with closing(sqlite3.connect(copy)) as source:
        restored = dict(source.execute("SELECT name, seq FROM sqlite_sequence"))
    for name, number in former.items():
        table = metadata.tables[name]
        last = max(number, int(restored.get(name, 0)))
        if connection.dialect.name == "sqlite":
            values = {"name": name, "last": last}
            connection.execute(text("DELETE FROM main.sqlite_sequence WHERE name = :name"), values)
            connection.execute(
                text("INSERT INTO main.sqlite_sequence (name, seq) VALUES (:name, :last)"), values
            )
            continue
        column = next(iter(table.primary_key))
        last = max(last, int(connection.scalar(select(func.max(column))) or 0))
        if last:
            connection.execute(select(func.setval(_sequence(connection, table), last)))


def _sequence(connection: Connection, table: Table) -> str:
    column = next(iter(table.primary_key))
    return str(connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name))))
