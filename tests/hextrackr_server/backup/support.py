"""Reads whole databases, for comparisons of their contents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from hextrackr_server.storage.database import Database
from hextrackr_server.storage.metadata import metadata


def contents(database: Database, *without: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables, sorted, except notes about changes to announce."""
    found = {}
    with database.reading() as connection:
        for table in metadata.sorted_tables:
            if table.name not in without:
                rows = [tuple(row) for row in connection.execute(select(table))]
                kept = [row for row in rows if not str(row[0]).startswith("unannounced:")]
                found[table.name] = sorted(kept, key=repr)
    return found


def contents_of(target: Path | str, *without: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables of a database that no server uses."""
    database = Database(target)
    try:
        return contents(database, *without)
    finally:
        database.close()
