"""Tables of the database. Tables and columns that HexTrackr also has use its names.

meta                          the version of this schema
import_jobs                   one row per import; `retention` may delete old ones
external_imports              the progress of the imports that producers run
findings                      all findings with their lifecycle: active, resolved, reopened
finding_*                     the values that findings share, see `finding_tables`
vulnerabilities_current       the same findings with all values, a view
vulnerability_snapshots       the findings of the last scans, a view
vulnerability_daily_totals    open findings on the day of each scan
vendor_daily_totals           open findings on the day of each scan, per vendor
kev_status                    the known exploited vulnerabilities (KEV)
kev_history                   additions, changes and removals in the KEV catalog
sync_metadata                 synchronizations of the KEV catalog, and the next one
tickets                       the tickets of HexTrackr, read only
maintenance_windows           planned and active maintenance windows
user_notifications            notifications that users have not acknowledged
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from hextrackr_server.storage.metadata import metadata

#: The name in `meta` that exists while findings of 0.1.0 may be without a source.
UNSOURCED = "unsourced_findings"

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
    Column("undone_at", BigInteger),
    # Without AUTOINCREMENT, SQLite assigns the ID of a deleted last row again.
    sqlite_autoincrement=True,
)

external_imports = Table(
    "external_imports",
    metadata,
    Column("session_id", String(128), primary_key=True),
    Column("finished_at", BigInteger),
    # JSON
    Column("state", Text, nullable=False),
)


def _total_columns() -> list[Column[Any]]:
    """Return the columns of the totals on the day of a scan."""
    counted: list[Column[Any]] = []
    for severity in ("critical", "high", "medium", "low"):
        counted.append(Column(f"{severity}_count", Integer, nullable=False))
        counted.append(Column(f"{severity}_total_vpr", Float, nullable=False))
    return [
        *counted,
        Column("total_vulnerabilities", Integer, nullable=False),
        Column("total_vpr", Float, nullable=False),
        Column("resolved_count", Integer, nullable=False),
        Column("reopened_count", Integer, nullable=False),
    ]


vulnerability_daily_totals = Table(
    "vulnerability_daily_totals",
    metadata,
    Column("scan_date", String(10), primary_key=True),
    *_total_columns(),
)

vendor_daily_totals = Table(
    "vendor_daily_totals",
    metadata,
    Column("scan_date", String(10), primary_key=True),
    Column("vendor", String(32), primary_key=True),
    *_total_columns(),
)

kev_status = Table(
    "kev_status",
    metadata,
    Column("cve_id", String(32), primary_key=True),
    Column("date_added", String(10), nullable=False),
    Column("vulnerability_name", Text, nullable=False),
    Column("vendor_project", Text, nullable=False),
    Column("product", Text, nullable=False),
    Column("short_description", Text, nullable=False),
    Column("required_action", Text, nullable=False),
    Column("due_date", String(10), nullable=False),
    Column("known_ransomware_use", Integer, nullable=False),
    Column("notes", Text, nullable=False),
    Column("cwes", Text, nullable=False),
    Column("last_synced", BigInteger, nullable=False),
)

kev_history = Table(
    "kev_history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("cve_id", String(32), nullable=False),
    Column("change", String(16), nullable=False),
    Column("catalog_version", String(64), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_kev_history_cve", "cve_id"),
)

sync_metadata = Table(
    "sync_metadata",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("sync_type", String(16), nullable=False),
    Column("sync_time", BigInteger, nullable=False),
    Column("version", String(64)),
    Column("record_count", Integer),
    Column("status", String(16), nullable=False),
    Column("error_message", Text),
    Column("next_sync_time", BigInteger),
    # Validators of the last response, for conditional requests.
    Column("etag", String(255)),
    Column("last_modified", String(64)),
    Index("ix_sync_metadata_type", "sync_type", "id"),
)

tickets = Table(
    "tickets",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("xt_number", String(16)),
    Column("date_submitted", String(32)),
    Column("date_due", String(32)),
    Column("hexagon_ticket", String(64)),
    Column("service_now_ticket", String(64)),
    Column("location", String(255), nullable=False),
    Column("devices", Text),
    Column("supervisor", String(255)),
    Column("tech", String(255)),
    Column("status", String(64)),
    Column("notes", Text),
    Column("site", String(255)),
    Column("job_type", String(64)),
    Column("deleted", Integer, nullable=False, default=0),
    Column("created_at", String(32)),
    Column("updated_at", String(32)),
)

maintenance_windows = Table(
    "maintenance_windows",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("start_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("message", Text),
    Column("scheduled_by", Text, nullable=False),
)

user_notifications = Table(
    "user_notifications",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("user_id", String(128), nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_user_notifications_user", "user_id", "number"),
    Index("ix_user_notifications_age", "created_at"),
    # Numbers are not reused: the difference of two numbers bounds the rows between them.
    sqlite_autoincrement=True,
)
