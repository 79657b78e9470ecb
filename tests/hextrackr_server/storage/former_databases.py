"""SQLite databases as earlier versions wrote them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

FOLDER = Path(__file__).parent
#: Written by the importer of version 0.1.0 (schema 4), as SQL.
VERSION_4 = FOLDER.parent / "imports" / "version_0_1_0.sql"
#: Written by four imports with schema 6: states, two sources, and findings of all identities.
VERSION_6 = FOLDER / "version_6.sql"


def load_version_4(path: Path) -> None:
    """Write a database of version 0.1.0."""
    _load(path, VERSION_4.read_text())


def load_version_6(path: Path) -> None:
    """Write a database of schema 6."""
    _load(path, VERSION_6.read_text())


def load_version_1(path: Path) -> None:
    """Write a database of schema 1: that of version 0.1.0 without later tables and columns."""
    later = (
        "vulnerability_snapshots", "vendor_daily_totals", "kev_status", "kev_history",
        "sync_metadata", "tickets", "maintenance_windows", "user_notifications",
        "import_rejections",
    )  # fmt: skip
    steps = [
        *(f"DROP TABLE {table};" for table in later),
        "DROP INDEX ix_current_cve; DROP INDEX ix_current_hostname;",
        "ALTER TABLE vulnerabilities_current DROP COLUMN changed_import_id;",
        "UPDATE meta SET value = '1' WHERE name = 'schema_version';",
    ]
    _load(path, VERSION_4.read_text() + "\n".join(steps))


def _load(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
