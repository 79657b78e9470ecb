"""Migrations of older databases, one function per schema version.

A migration creates the objects of its version by name, since later versions may change them.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from hextrackr_server.storage import schema

Migration = Callable[[Connection], None]


def add_history_and_kev(connection: Connection) -> None:
    """Add snapshots, vendor totals, KEV tables and the last import of a finding (version 2)."""
    connection.execute(
        text("ALTER TABLE vulnerabilities_current ADD COLUMN changed_import_id INTEGER")
    )
    for index in schema.vulnerabilities_current.indexes:
        index.create(connection, checkfirst=True)
    tables = (
        schema.vulnerability_snapshots,
        schema.vendor_daily_totals,
        schema.kev_status,
        schema.kev_history,
        schema.sync_metadata,
        schema.tickets,
    )
    schema.metadata.create_all(connection, tables=tables)


def add_maintenance_and_notifications(connection: Connection) -> None:
    """Add stored maintenance windows and notifications (version 3)."""
    tables = (schema.maintenance_windows, schema.user_notifications)
    schema.metadata.create_all(connection, tables=tables)


def add_rejections(connection: Connection) -> None:
    """Add the rejected values of imports (version 4)."""
    schema.import_rejections.create(connection, checkfirst=True)


#: Migration n upgrades from version n + 1 to n + 2; a new database has the newest version.
MIGRATIONS: tuple[Migration, ...] = (
    add_history_and_kev,
    add_maintenance_and_notifications,
    add_rejections,
)
