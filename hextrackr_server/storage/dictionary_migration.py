"""Migration of findings to dictionaries (version 7): each distinct value is stored once.

Findings keep their IDs. The key of a finding is split into its host and its identity on the host;
keys of version 0.1.0, whose host is only the first label of a name, are kept whole as identities
until an import adopts their findings. Snapshots of findings whose key has changed since are
dropped, because they match no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text

from hextrackr_server.storage import former_tables
from hextrackr_server.storage.encoding import (
    LIFECYCLE_STATES,
    RANKED_SEVERITIES,
    day_number,
    digest,
)
from hextrackr_server.storage.finding_tables import (
    FINDING_TABLES,
    create_views,
    finding_assets,
    finding_definitions,
    finding_groups,
    finding_hosts,
    finding_identities,
    finding_snapshots,
    findings,
)
from hextrackr_server.storage.metadata import metadata

_FORMER = "findings_before_dictionaries"
_CHUNK = 2000
_SEVERITY = {name: number for number, name in enumerate(RANKED_SEVERITIES)}
_LIFECYCLE = {name: number for number, name in enumerate(LIFECYCLE_STATES)}
_COPIED = (
    "id", "import_id", "vpr_score", "cvss_score", "state", "resolution_reason",
    "changed_import_id", "source",
)  # fmt: skip
_DAYS = ("scan_date", "first_seen", "last_seen", "resolved_date")


def use_dictionaries(connection: Connection) -> None:
    """Replace the findings and their snapshots by narrow rows and dictionaries (version 7)."""
    for table in ("vulnerability_staging", "import_rejections"):
        connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    old, snapshots = former_tables.vulnerabilities_current, former_tables.vulnerability_snapshots
    connection.execute(text(f"ALTER TABLE {old.name} RENAME TO {_FORMER}"))
    connection.execute(text(f"ALTER TABLE {snapshots.name} RENAME TO snapshots_{_FORMER}"))
    metadata.create_all(connection, tables=FINDING_TABLES)
    _copy_findings(connection)
    _copy_snapshots(connection)
    connection.execute(text(f"DROP TABLE snapshots_{_FORMER}"))
    connection.execute(text(f"DROP TABLE {_FORMER}"))
    if connection.dialect.name == "postgresql":
        last = connection.scalar(select(func.max(findings.c.id)))
        if last is not None:
            sequence = func.pg_get_serial_sequence("findings", "id")
            connection.execute(select(func.setval(sequence, last)))
    create_views(connection)


class _Entries:
    """The entries of a dictionary and their IDs, by a short key."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self._connection = connection
        self._table = table
        self._ids: dict[Hashable, int] = {}
        self._new: list[dict[str, Any]] = []

    def id_of(self, key: Hashable, values: Callable[[], dict[str, Any]]) -> int:
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self._ids) + 1
            self._new.append(values() | {"id": found})
        return found

    def flush(self) -> None:
        if self._new:
            self._connection.execute(insert(self._table), self._new)
            self._new = []

    def finish(self) -> None:
        if self._ids and self._connection.dialect.name == "postgresql":
            sequence = func.pg_get_serial_sequence(self._table.name, "id")
            self._connection.execute(select(func.setval(sequence, len(self._ids))))


class _Converter:
    """A converter of former rows, with the dictionaries that it fills."""

    def __init__(self, connection: Connection) -> None:
        self.hosts = _Entries(connection, finding_hosts)
        self.identities = _Entries(connection, finding_identities)
        self.groups = _Entries(connection, finding_groups)
        self.assets = _Entries(connection, finding_assets)
        self.definitions = _Entries(connection, finding_definitions)
        self.all = (self.hosts, self.identities, self.groups, self.assets, self.definitions)

    def row(self, old: Any) -> dict[str, Any]:
        """Return the row of a finding, and note the new entries of dictionaries."""
        host_key, cve = old["host_key"] or old["ip_address"] or old["hostname"], old["cve"]
        identity = old["unique_key"].removesuffix(f"|host:{host_key}")
        group = old["plugin_id"] or cve or old["plugin_name"]
        asset = (old["hostname"], old["ip_address"], old["operating_system"])
        definition = tuple(old[name] for name in _DEFINITION)
        by_asset, by_definition = digest(asset), digest(definition)
        days = {name: old[name] and day_number(old[name]) for name in _DAYS}
        return (
            days
            | {name: old[name] for name in _COPIED}
            | {
                "host_id": self.hosts.id_of(host_key, lambda: {"host_key": host_key}),
                "identity_id": self.identities.id_of(
                    identity, lambda: {"identity": identity, "cve": cve}
                ),
                "group_id": self.groups.id_of(group, lambda: {"name": group}),
                "asset_id": self.assets.id_of(
                    by_asset,
                    lambda: {"digest": by_asset} | dict(zip(_ASSET, asset, strict=True)),
                ),
                "definition_id": self.definitions.id_of(
                    by_definition,
                    lambda: (
                        {"digest": by_definition} | dict(zip(_DEFINITION, definition, strict=True))
                    ),
                ),
                "severity": _SEVERITY.get(old["severity"], 0),
                "lifecycle": _LIFECYCLE[old["lifecycle_state"]],
            }
        )


_ASSET = ("hostname", "ip_address", "operating_system")
_DEFINITION = (
    "plugin_id", "plugin_name", "vendor", "vulnerability_date", "description", "solution",
)  # fmt: skip


def _copy_findings(connection: Connection) -> None:
    old = former_tables.vulnerabilities_current.to_metadata(former_tables.former, name=_FORMER)
    converter = _Converter(connection)
    last = 0
    while True:
        query = select(old).where(old.c.id > last).order_by(old.c.id).limit(_CHUNK)
        rows = [converter.row(row) for row in connection.execute(query).mappings()]
        if not rows:
            break
        for entries in converter.all:
            entries.flush()
        connection.execute(insert(findings), rows)
        last = rows[-1]["id"]
    for entries in converter.all:
        entries.finish()
    former_tables.former.remove(old)


def _copy_snapshots(connection: Connection) -> None:
    severity = "CASE s.severity " + "".join(
        f"WHEN '{name}' THEN {number} " for name, number in _SEVERITY.items()
    )
    columns = ", ".join(column.name for column in finding_snapshots.c)
    connection.execute(
        text(
            f"INSERT INTO finding_snapshots ({columns}) "
            f"SELECT {_day('s.scan_date')}, f.id, s.import_id, {severity} ELSE 0 END, "
            f"s.vpr_score, s.cvss_score, {_day('s.last_seen')}, s.state "
            f"FROM snapshots_{_FORMER} s JOIN {_FORMER} f ON f.unique_key = s.unique_key"
        )
    )


def _day(column: str) -> str:
    return f"CAST(replace({column}, '-', '') AS INTEGER)"
