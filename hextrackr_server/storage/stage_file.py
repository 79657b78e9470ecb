"""The tables of a staged import: a private SQLite file, which a merge reads next to the database.

`imports.staging` fills the file, in another process. The merge attaches it to SQLite, or copies it
into temporary tables of PostgreSQL; in both cases its statements name the tables without a schema.
Staging outside the database keeps the database small: deleted rows would leave free pages.

unsorted               the findings as the file reports them; `staging` drops the table at the end
staged                 one row per distinct finding, in the order of `key`: the number of its host
                       and the number of its identity
staged_batches         the first key of each batch of staged rows
staged_hosts           the hosts that the file names; `id` is their ID in the database
staged_identities      dictionaries of the staged rows, by the numbers of the file
staged_groups
staged_assets
staged_definitions
staged_values          states, severities and scores
staged_mentions        values of rows without a finding, whose findings stay unchanged
staged_known           the findings of the current batch that the database has

`is_new` marks entries that no earlier import has stored, so no finding can have them. The module
imports no database library but SQLite's driver, because the process that reads files uses it.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

#: The bits of `staged.key` that hold the number of the identity; the number of the host is above.
IDENTITY_BITS: Final = 32
IDENTITY_MASK: Final = (1 << IDENTITY_BITS) - 1

#: Findings that a merge takes at once; an import can be interrupted between two batches.
BATCH: Final = 20_000

_ROW: Final = """asset INTEGER NOT NULL, definition INTEGER NOT NULL,
        group_number INTEGER NOT NULL, value INTEGER NOT NULL, first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL"""
#: The columns of each table, for both databases: {blob} is the type of bytes, {number} and {key}
#: are the types of a primary key.
STAGE_TABLES: Final = {
    "staged": f"key {{key}}, {_ROW}",
    "staged_batches": "first {key}",
    "staged_hosts": """
        number {key}, host_key TEXT NOT NULL, id INTEGER, is_new INTEGER NOT NULL DEFAULT 1""",
    "staged_identities": """
        number {key}, identity TEXT NOT NULL, cve TEXT NOT NULL, id INTEGER,
        is_new INTEGER NOT NULL DEFAULT 1""",
    "staged_groups": "number {number}, name TEXT NOT NULL, id INTEGER",
    "staged_assets": """
        number {number}, digest {blob} NOT NULL, hostname TEXT NOT NULL,
        ip_address TEXT NOT NULL, operating_system TEXT NOT NULL, id INTEGER""",
    "staged_definitions": """
        number {number}, digest {blob} NOT NULL, plugin_id TEXT NOT NULL,
        plugin_name TEXT NOT NULL, vendor TEXT NOT NULL, vulnerability_date TEXT,
        description TEXT NOT NULL, solution TEXT NOT NULL, id INTEGER""",
    "staged_values": """
        number {number}, closed_as TEXT, severity SMALLINT NOT NULL, cvss_score DOUBLE PRECISION,
        vpr_score DOUBLE PRECISION, state TEXT NOT NULL""",
    "staged_mentions": "kind TEXT, value TEXT, PRIMARY KEY (kind, value)",
    "staged_known": "key {key}, finding_id INTEGER NOT NULL",
}
_UNSORTED: Final = f"number INTEGER PRIMARY KEY, key INTEGER NOT NULL, {_ROW}"
_SQLITE_TYPES: Final = {
    "blob": "BLOB",
    "number": "INTEGER PRIMARY KEY",
    "key": "INTEGER PRIMARY KEY",
}
#: Memory for pages of the stage file, in KiB.
STAGE_CACHE_KIB: Final = 4 * 1024


def create_stage(path: Path) -> sqlite3.Connection:
    """Create an empty stage file that other users cannot read, and return its open transaction."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, isolation_level=None)
    # The file is useless after a crash, so nothing protects it against one.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute(f"PRAGMA cache_size = {-STAGE_CACHE_KIB}")
    connection.execute("BEGIN")
    for name, columns in STAGE_TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns.format_map(_SQLITE_TYPES)})")
    connection.execute(f"CREATE TABLE unsorted ({_UNSORTED})")
    return connection
