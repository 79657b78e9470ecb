"""Migrations of older databases, one function per schema version.

A migration creates the objects of its version by name, since later versions may change them.
Tables that a later version replaces are in `former_tables`.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, insert, inspect, text

from hextrackr_server.storage import former_tables, schema
from hextrackr_server.storage.dictionary_migration import use_dictionaries
from hextrackr_server.storage.finding_tables import undoable_imports
from hextrackr_server.storage.group_table import insert_open_groups, open_groups
from hextrackr_server.storage.metadata import metadata

Migration = Callable[[Connection], None]


def add_history_and_kev(connection: Connection) -> None:
    """Add snapshots, vendor totals, KEV tables and the last import of a finding (version 2)."""
    connection.execute(
        text("ALTER TABLE vulnerabilities_current ADD COLUMN changed_import_id INTEGER")
    )
    for index in former_tables.vulnerabilities_current.indexes:
        index.create(connection, checkfirst=True)
    former_tables.vulnerability_snapshots.create(connection, checkfirst=True)
    tables = (
        schema.vendor_daily_totals,
        schema.kev_status,
        schema.kev_history,
        schema.sync_metadata,
        schema.tickets,
    )
    metadata.create_all(connection, tables=tables)


def add_maintenance_and_notifications(connection: Connection) -> None:
    """Add stored maintenance windows and notifications (version 3)."""
    tables = (schema.maintenance_windows, schema.user_notifications)
    metadata.create_all(connection, tables=tables)


def add_rejections(_: Connection) -> None:
    """Add the rejected values of imports (version 4), which version 7 drops."""


def add_sources(connection: Connection) -> None:
    """Add the source and the host key of findings (version 5)."""
    for column in ("source TEXT", "host_key VARCHAR(255)"):
        connection.execute(text(f"ALTER TABLE vulnerabilities_current ADD COLUMN {column}"))
    found = connection.execute(
        text(
            "UPDATE vulnerabilities_current SET host_key = "
            "CASE WHEN ip_address <> '' THEN ip_address ELSE hostname END"
        )
    ).rowcount
    if found:
        connection.execute(insert(schema.meta).values(name=schema.UNSOURCED, value=str(found)))


def add_external_imports(connection: Connection) -> None:
    """Add the progress of imports that producers run (version 6)."""
    schema.external_imports.create(connection, checkfirst=True)


def add_open_groups(connection: Connection) -> None:
    """Add the table of open vulnerabilities (version 8)."""
    open_groups.create(connection, checkfirst=True)
    insert_open_groups(connection)


def add_undo(connection: Connection) -> None:
    """Add the time of the undo of an import, and the totals that it restores (version 9)."""
    connection.execute(text("ALTER TABLE import_jobs ADD COLUMN undone_at BIGINT"))
    known = inspect(connection).get_columns(undoable_imports.name)
    # Version 7 creates the table with the columns of the newest version.
    if all(column["name"] != "former_totals" for column in known):
        connection.execute(
            text("ALTER TABLE undoable_imports ADD COLUMN former_totals TEXT NOT NULL DEFAULT '[]'")
        )


#: Migration n upgrades from version n + 1 to n + 2; a new database has the newest version.
MIGRATIONS: tuple[Migration, ...] = (
    add_history_and_kev,
    add_maintenance_and_notifications,
    add_rejections,
    add_sources,
    add_external_imports,
    use_dictionaries,
    add_open_groups,
    add_undo,
)
