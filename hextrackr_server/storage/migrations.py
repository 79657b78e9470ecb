"""How an older database becomes one of today.

Knows: what each version of the schema added.  Does not know: when migrations run, transactions.
A step adds what its version brought, by name: later versions may have changed it again.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from hextrackr_server.storage import schema

Migration = Callable[[Connection], None]


def add_history_and_kev(connection: Connection) -> None:
    """Version 2: snapshots, totals of vendors, exploited CVEs, who changed a finding."""
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
    """Version 3: maintenances and notifications that outlive the server."""
    tables = (schema.maintenance_windows, schema.user_notifications)
    schema.metadata.create_all(connection, tables=tables)


def add_rejections(connection: Connection) -> None:
    """Version 4: what rejected rows may have meant."""
    schema.import_rejections.create(connection, checkfirst=True)


#: Step n brings a database of version n + 1 to version n + 2; a new one starts at the newest.
MIGRATIONS: tuple[Migration, ...] = (
    add_history_and_kev,
    add_maintenance_and_notifications,
    add_rejections,
)
