"""Tables of findings: one narrow row per finding, and dictionaries of the values that repeat.

findings               one row per finding, which refers to the dictionaries by number
finding_hosts          host keys: the address of a host, otherwise its whole name
finding_identities     identities of findings on their host: a CVE, a plugin ID or a plugin name
finding_groups         vulnerabilities of statistics: a plugin ID, otherwise a CVE or a plugin name
finding_assets         names, addresses and operating systems as exports spell them
finding_definitions    plugins with their texts
finding_snapshots      the findings of the last scan days
finding_journal        former rows of the findings that the last import of each source changed
undoable_imports       the last import of each source

Rows refer to dictionaries without foreign keys: SQLite would look up five more rows for each
inserted finding. Only a merge writes these tables, after it has stored the entries.

The views `vulnerabilities_current` and `vulnerability_snapshots` have the names and the columns of
HexTrackr. They join with LEFT JOIN, so that a database leaves out dictionaries whose columns a
query does not use.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    SmallInteger,
    String,
    Table,
    Text,
    case,
    cast,
    func,
    literal,
    select,
    text,
)

from hextrackr_server.storage.encoding import LIFECYCLE_STATES, RANKED_SEVERITIES
from hextrackr_server.storage.metadata import metadata

finding_hosts = Table(
    "finding_hosts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("host_key", String(255), nullable=False, unique=True),
)

finding_identities = Table(
    "finding_identities",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("identity", String(600), nullable=False, unique=True),
    # Empty for findings that are identified by their plugin.
    Column("cve", String(128), nullable=False),
    Index("ix_identities_cve", "cve"),
)

finding_groups = Table(
    "finding_groups",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(500), nullable=False, unique=True),
)

finding_assets = Table(
    "finding_assets",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    # Hash of the other columns: an index over them could exceed the limit of PostgreSQL.
    Column("digest", LargeBinary(16), nullable=False, unique=True),
    Column("hostname", String(255), nullable=False),
    Column("ip_address", String(64), nullable=False),
    Column("operating_system", String(255), nullable=False),
    Index("ix_assets_hostname", "hostname"),
)

finding_definitions = Table(
    "finding_definitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary(16), nullable=False, unique=True),
    Column("plugin_id", String(255), nullable=False),
    Column("plugin_name", String(500), nullable=False),
    Column("vendor", String(32), nullable=False),
    Column("vulnerability_date", String(10)),
    # Last, because SQLite reads a row up to the last column that a query uses.
    Column("description", Text, nullable=False),
    Column("solution", Text, nullable=False),
)


def _state_columns() -> list[Column[Any]]:
    """Return the columns that an import may change, which findings and the journal share."""
    return [
        Column("host_id", Integer, nullable=False),
        Column("identity_id", Integer, nullable=False),
        Column("asset_id", Integer, nullable=False),
        Column("definition_id", Integer, nullable=False),
        Column("group_id", Integer, nullable=False),
        # Positions in RANKED_SEVERITIES and in LIFECYCLE_STATES of `encoding`.
        Column("severity", SmallInteger, nullable=False),
        Column("lifecycle", SmallInteger, nullable=False),
        Column("vpr_score", Float),
        Column("cvss_score", Float),
        # Days as `day_number` encodes them.
        Column("first_seen", Integer, nullable=False),
        Column("last_seen", Integer, nullable=False),
        Column("scan_date", Integer, nullable=False),
        Column("state", String(64), nullable=False),
        # The formats that report the finding, separated by commas; NULL for findings of 0.1.0.
        Column("source", Text),
        # The last import that created, reopened or resolved the finding.
        Column("changed_import_id", Integer),
        Column("resolved_date", Integer),
        Column("resolution_reason", String(64)),
    ]


findings = Table(
    "findings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    # The import that reported the finding last.
    Column("import_id", Integer, nullable=False),
    # NULL for findings of databases before version 7 of the schema.
    Column("created_import_id", Integer),
    *_state_columns(),
    Index("ix_findings_key", "host_id", "identity_id", unique=True),
    Index("ix_findings_identity", "identity_id"),
    # Clients may keep the ID of a finding that an undone import had created.
    sqlite_autoincrement=True,
)

#: Indexes that an import fills at once, in their order, when it stores the first findings: single
#: insertions take three times as long. The other index of SQLite grows at its end.
DEFERRED_INDEXES = {
    "sqlite": [index for index in findings.indexes if not index.unique],
    "postgresql": sorted(findings.indexes, key=lambda index: str(index.name)),
}

STATE_COLUMNS = tuple(column.name for column in _state_columns())

finding_journal = Table(
    "finding_journal",
    metadata,
    Column("import_id", Integer, primary_key=True, autoincrement=False),
    Column("finding_id", Integer, primary_key=True, autoincrement=False),
    Column("former_import_id", Integer, nullable=False),
    *_state_columns(),
    sqlite_with_rowid=False,
)

undoable_imports = Table(
    "undoable_imports",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("import_id", Integer, ForeignKey("import_jobs.import_id"), nullable=False),
    # JSON: the daily totals of the scan's day before the import.
    Column("former_totals", Text, nullable=False),
)

finding_snapshots = Table(
    "finding_snapshots",
    metadata,
    Column("scan_date", Integer, primary_key=True, autoincrement=False),
    Column("finding_id", Integer, primary_key=True, autoincrement=False),
    Column("import_id", Integer, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("vpr_score", Float),
    Column("cvss_score", Float),
    Column("last_seen", Integer, nullable=False),
    Column("state", String(64), nullable=False),
    sqlite_with_rowid=False,
)

#: The tables of findings without the jobs of imports.
FINDING_TABLES = (
    finding_hosts,
    finding_identities,
    finding_groups,
    finding_assets,
    finding_definitions,
    findings,
    finding_journal,
    undoable_imports,
    finding_snapshots,
)

_views = MetaData()


def severity_word(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the name of a severity that is stored as a number, as an SQL expression."""
    return case(dict(enumerate(RANKED_SEVERITIES)), value=column)


def day_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return a day that is stored as a number as text, as an SQL expression."""
    digits = cast(column, String(8))
    parts = [func.substr(digits, start, length) for start, length in ((1, 4), (5, 2), (7, 2))]
    return parts[0] + literal("-") + parts[1] + literal("-") + parts[2]


def _described(key: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """Return the columns of the dictionaries, as the views name them."""
    by_cve, by_plugin = finding_identities.c.cve != "", finding_definitions.c.plugin_id != ""
    return [
        finding_assets.c.hostname,
        finding_assets.c.ip_address,
        finding_identities.c.cve,
        finding_definitions.c.plugin_id,
        finding_definitions.c.plugin_name,
        finding_definitions.c.vendor,
        finding_definitions.c.vulnerability_date,
        key.label("unique_key"),
        # How exactly the finding is identified: by its CVE, its plugin ID or its plugin name.
        case((by_cve, 2), (by_plugin, 3), else_=4).label("dedup_tier"),
        case((by_cve, 85), (by_plugin, 70), else_=50).label("confidence_score"),
    ]


def _current() -> Select[Any]:
    key = finding_identities.c.identity + literal("|host:") + finding_hosts.c.host_key
    lifecycle = case(dict(enumerate(LIFECYCLE_STATES)), value=findings.c.lifecycle)
    columns = [
        findings.c.id,
        findings.c.import_id,
        day_text(findings.c.scan_date).label("scan_date"),
        severity_word(findings.c.severity).label("severity"),
        findings.c.vpr_score,
        findings.c.cvss_score,
        *_described(key),
        finding_definitions.c.description,
        finding_definitions.c.solution,
        day_text(findings.c.first_seen).label("first_seen"),
        day_text(findings.c.last_seen).label("last_seen"),
        findings.c.state,
        finding_assets.c.operating_system,
        lifecycle.label("lifecycle_state"),
        findings.c.source,
        finding_hosts.c.host_key,
        day_text(findings.c.resolved_date).label("resolved_date"),
        findings.c.resolution_reason,
        findings.c.changed_import_id,
    ]
    return select(*columns).select_from(_joined(findings))


def _snapshots() -> Select[Any]:
    key = finding_identities.c.identity + literal("|host:") + finding_hosts.c.host_key
    columns = [
        finding_snapshots.c.import_id,
        day_text(finding_snapshots.c.scan_date).label("scan_date"),
        severity_word(finding_snapshots.c.severity).label("severity"),
        finding_snapshots.c.vpr_score,
        finding_snapshots.c.cvss_score,
        *_described(key),
        day_text(findings.c.first_seen).label("first_seen"),
        day_text(finding_snapshots.c.last_seen).label("last_seen"),
        finding_snapshots.c.state,
    ]
    joined = finding_snapshots.outerjoin(findings, findings.c.id == finding_snapshots.c.finding_id)
    return select(*columns).select_from(_joined(joined))


def _joined(source: Any) -> Any:
    """Join the dictionaries of findings."""
    for table, name in (
        (finding_assets, "asset_id"),
        (finding_definitions, "definition_id"),
        (finding_identities, "identity_id"),
        (finding_hosts, "host_id"),
    ):
        source = source.outerjoin(table, table.c.id == findings.c[name])
    return source


def _view(name: str, query: Select[Any]) -> Table:
    columns = [Column(each.name, each.type) for each in query.selected_columns]
    return Table(name, _views, *columns)


vulnerabilities_current = _view("vulnerabilities_current", _current())
vulnerability_snapshots = _view("vulnerability_snapshots", _snapshots())


def drop_deferred_indexes(connection: Connection) -> None:
    """Drop the indexes of a new database that its first import creates.

    PostgreSQL locks the table for readers when it drops an index, until the transaction ends, but
    not when it creates one.
    """
    if connection.dialect.name == "postgresql":
        for index in DEFERRED_INDEXES["postgresql"]:
            index.drop(connection)


def create_views(connection: Connection) -> None:
    """Create the views, whose tables must exist."""
    for view, query in (
        (vulnerabilities_current, _current()),
        (vulnerability_snapshots, _snapshots()),
    ):
        compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
        connection.execute(text(f"CREATE VIEW {view.name} AS {_escaped(str(compiled))}"))


def _escaped(statement: str) -> str:
    """Escape colons in literals, which `text` would read as parameters."""
    return statement.replace(":", r"\:")
