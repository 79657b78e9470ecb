"""Tables of earlier schema versions, as migrations create and read them.

Version 7 replaces them by `finding_tables`.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text

former = MetaData()

#: The columns of a finding in version 2 that a snapshot has.
_SNAPSHOT_COLUMNS = [
    "hostname",
    "ip_address",
    "cve",
    "severity",
    "vpr_score",
    "cvss_score",
    "plugin_id",
    "plugin_name",
    "vendor",
    "vulnerability_date",
    "first_seen",
    "last_seen",
    "state",
    "unique_key",
    "dedup_tier",
    "confidence_score",
]

vulnerabilities_current = Table(
    "vulnerabilities_current",
    former,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("import_id", Integer, nullable=False),
    Column("scan_date", String(10), nullable=False),
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
    Column("resolved_date", String(10)),
    Column("resolution_reason", String(64)),
    # Version 2.
    Column("changed_import_id", Integer),
    # Version 5.
    Column("source", Text),
    Column("host_key", String(255)),
    Index("ix_current_key", "unique_key", unique=True),
    Index("ix_current_vendor", "vendor", "lifecycle_state"),
    Index("ix_current_cve", "cve"),
    Index("ix_current_hostname", "hostname"),
)

vulnerability_snapshots = Table(
    "vulnerability_snapshots",
    former,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("import_id", Integer, nullable=False),
    Column("scan_date", String(10), nullable=False),
    *(
        Column(name, vulnerabilities_current.c[name].type, nullable=True)
        for name in _SNAPSHOT_COLUMNS
    ),
    Index("ix_snapshots_key", "scan_date", "unique_key", unique=True),
)
