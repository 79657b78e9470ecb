"""The tables, in SQLAlchemy's words.

Knows: names and columns; those that HexTrackr has too are named as it names them.
Does not know: queries, connections, which database it is.

    meta                          the version of this schema
    import_jobs                   one row for each import, kept for good
    vulnerability_staging         the findings of the running import
    vulnerabilities_current       every finding once, with its life: active, resolved, reopened
    vulnerability_daily_totals    what was open on the day of a scan
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

import_jobs = Table(
    "import_jobs",
    metadata,
    Column("import_id", Integer, primary_key=True, autoincrement=True),
    Column("session_id", String(128), nullable=False, unique=True),
    Column("user_id", String(128), nullable=False),
    Column("filename", String(255), nullable=False),
    Column("vendor", String(255)),
    Column("scan_date", String(10), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("total", Integer),
    Column("processed", Integer, nullable=False, default=0),
    Column("errors", Integer, nullable=False, default=0),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("result", Text),
    # Without it SQLite gives the id of a deleted last row to the next one.
    sqlite_autoincrement=True,
)


def _finding_columns() -> list[Column[Any]]:
    """What a finding is, the same in staging and afterwards."""
    return [
        Column("hostname", String(255), nullable=False),
        Column("ip_address", String(64), nullable=False),
        Column("cve", String(128), nullable=False),
        Column("severity", String(16), nullable=False),
        Column("vpr_score", Float),
        Column("cvss_score", Float),
        Column("plugin_id", String(255), nullable=False),
        Column("plugin_name", String(500), nullable=False),
        Column("description", Text, nullable=False),
        Column("solution", Text, nullable=False),
        Column("vendor", String(32), nullable=False),
        Column("vulnerability_date", String(10)),
        Column("first_seen", String(10), nullable=False),
        Column("last_seen", String(10), nullable=False),
        Column("state", String(64), nullable=False),
        Column("operating_system", String(255), nullable=False),
        Column("unique_key", String(600), nullable=False),
        Column("dedup_tier", Integer, nullable=False),
        Column("confidence_score", Integer, nullable=False),
        Column("lifecycle_state", String(16), nullable=False),
    ]


vulnerability_staging = Table(
    "vulnerability_staging",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("import_id", Integer, ForeignKey("import_jobs.import_id"), nullable=False),
    Column("row_number", Integer, nullable=False),
    Column("weight", Integer, nullable=False),
    *_finding_columns(),
    Index("ix_staging_key", "import_id", "unique_key", unique=True),
)

vulnerabilities_current = Table(
    "vulnerabilities_current",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("import_id", Integer, ForeignKey("import_jobs.import_id"), nullable=False),
    Column("scan_date", String(10), nullable=False),
    *_finding_columns(),
    Column("resolved_date", String(10)),
    Column("resolution_reason", String(64)),
    Index("ix_current_key", "unique_key", unique=True),
    Index("ix_current_vendor", "vendor", "lifecycle_state"),
)

FINDING_COLUMNS = tuple(column.name for column in _finding_columns())

vulnerability_daily_totals = Table(
    "vulnerability_daily_totals",
    metadata,
    Column("scan_date", String(10), primary_key=True),
    Column("critical_count", Integer, nullable=False),
    Column("critical_total_vpr", Float, nullable=False),
    Column("high_count", Integer, nullable=False),
    Column("high_total_vpr", Float, nullable=False),
    Column("medium_count", Integer, nullable=False),
    Column("medium_total_vpr", Float, nullable=False),
    Column("low_count", Integer, nullable=False),
    Column("low_total_vpr", Float, nullable=False),
    Column("total_vulnerabilities", Integer, nullable=False),
    Column("total_vpr", Float, nullable=False),
    Column("resolved_count", Integer, nullable=False),
    Column("reopened_count", Integer, nullable=False),
)
