"""Makes the tables of a stage file readable in a transaction of the database.

SQLite attaches the file. PostgreSQL receives its rows in temporary tables. Statements name the
tables without a schema, so they are the same for both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, text

from hextrackr_server.storage.stage_file import STAGE_CACHE_KIB, STAGE_TABLES

# Columns that the merge fills.
_LATER: Final = frozenset({"id", "is_new"})
_COPIED_ROWS: Final = 1000
# Memory for pages of the database during a merge, in KiB: with less, SQLite writes pages of indexes
# several times. Each sort may use as much again.
_CACHE_KIB: Final = 8 * 1024
_DEFAULT_CACHE_KIB: Final = 2000
# Without primary keys: joins of the merge read whole tables, and indexes would delay the copy.
_POSTGRES_TYPES: Final = {
    "blob": "BYTEA",
    "number": "INTEGER NOT NULL",
    "key": "BIGINT NOT NULL",
}
# Memory of PostgreSQL for one sort or join of a merge, in KiB.
_WORK_KIB: Final = 32 * 1024


@contextmanager
def attached_stage(connection: Connection, path: Path) -> Iterator[None]:
    """Attach a stage file to a SQLite connection outside a transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute("ATTACH DATABASE ? AS stage", (str(path),))
    try:
        driver.execute("PRAGMA stage.journal_mode = OFF")
        driver.execute("PRAGMA stage.synchronous = OFF")
        driver.execute(f"PRAGMA stage.cache_size = {-STAGE_CACHE_KIB}")
        driver.execute(f"PRAGMA main.cache_size = {-_CACHE_KIB}")
        yield
    finally:
        driver.execute("DETACH DATABASE stage")
        driver.execute(f"PRAGMA main.cache_size = {-_DEFAULT_CACHE_KIB}")
        driver.execute("PRAGMA shrink_memory")


@contextmanager
def attached_copy(connection: Connection, path: Path) -> Iterator[None]:
    """Attach a copy of a database as `restored` to a SQLite connection outside a transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute("ATTACH DATABASE ? AS restored", (str(path),))
    try:
        driver.execute(f"PRAGMA main.cache_size = {-_CACHE_KIB}")
        yield
    finally:
        driver.execute("DETACH DATABASE restored")
        driver.execute(f"PRAGMA main.cache_size = {-_DEFAULT_CACHE_KIB}")
        driver.execute("PRAGMA shrink_memory")


def copy_stage(connection: Connection, path: Path) -> None:
    """Copy a stage file into temporary tables of PostgreSQL, which end with the transaction."""
    # The statements of a merge sort and join all rows, but each of them runs for less time than its
    # compilation takes.
    connection.execute(text("SET LOCAL jit = off"))
    # A plan for unknown values expects few rows: with it, a batch takes minutes.
    connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    connection.execute(text(f"SET LOCAL work_mem = {_WORK_KIB}"))
    # Of temporary tables the planner needs the numbers of rows and of distinct values only.
    connection.execute(text("SET LOCAL default_statistics_target = 10"))
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as stage:
        for name, columns in STAGE_TABLES.items():
            definition = columns.format_map(_POSTGRES_TYPES)
            connection.execute(text(f"CREATE TEMP TABLE {name} ({definition}) ON COMMIT DROP"))
            _copy_table(connection, stage, name)
    connection.execute(text("CREATE UNIQUE INDEX ON staged (key)"))
    for name in ("staged", "staged_values"):
        connection.execute(text(f"ANALYZE {name}"))


def _copy_table(connection: Connection, stage: sqlite3.Connection, name: str) -> None:
    query = f"""SELECT name, type, "notnull" OR pk FROM pragma_table_info('{name}')"""
    columns = [each for each in stage.execute(query) if each[0] not in _LATER]
    # SQLite formats the rows as PostgreSQL's COPY reads them: Python takes longer, and so do
    # concatenations in SQLite.
    formats = ["%d" if _is_whole(kind, filled) else "%s" for _, kind, filled in columns]
    row = "\t".join(formats) + "\n"
    values = ", ".join(_copied(*column) for column in columns)
    rows = stage.execute(f"SELECT printf('{row}', {values}) FROM {name}")
    driver: Any = connection.connection.driver_connection
    names = ", ".join(column for column, _, _ in columns)
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} ({names}) FROM STDIN") as copy:
        while chunk := rows.fetchmany(_COPIED_ROWS):
            copy.write("".join(line for (line,) in chunk))


def _is_whole(kind: str, filled: int) -> bool:
    """Return whether a column has whole numbers only, and no NULL."""
    return bool(filled) and kind in {"INTEGER", "SMALLINT"}


def _copied(column: str, kind: str, filled: int) -> str:
    """Return the SQL of a value in PostgreSQL's text format."""
    if _is_whole(kind, filled):
        return column
    if kind == "BLOB":
        return rf"'\\x' || hex({column})"
    if kind != "TEXT":
        return rf"coalesce({column}, '\N')"
    escaped = rf"replace({column}, '\', '\\')"
    for number, letter in ((9, "t"), (10, "n"), (13, "r")):
        escaped = rf"replace({escaped}, char({number}), '\{letter}')"
    # Few texts have such characters, and one search takes less time than four replacements.
    is_escaped = rf"{column} GLOB '*[\' || char(9, 10, 13) || ']*'"
    return rf"CASE WHEN {is_escaped} THEN {escaped} ELSE coalesce({column}, '\N') END"
