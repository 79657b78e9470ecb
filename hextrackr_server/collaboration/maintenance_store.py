"""Stores planned and active maintenance windows for the next start of the server.

All functions block.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, insert, select

from hextrackr_server.storage.database import Database
from hextrackr_server.storage.schema import maintenance_windows as windows


class Planned(NamedTuple):
    """One maintenance window; times are milliseconds since 1970."""

    id: str
    start_ms: int
    duration_ms: int
    message: str | None
    scheduled_by: str


class MaintenanceStore:
    """Database access of maintenance windows; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, planned: Planned) -> None:
        """Store a window until it is removed."""
        with self._database.writing() as connection:
            connection.execute(insert(windows).values(**planned._asdict()))

    def remove(self, window_id: str) -> None:
        """Delete a stored window, if it exists."""
        with self._database.writing() as connection:
            connection.execute(delete(windows).where(windows.c.id == window_id))

    def load(self, now_ms: int) -> list[Planned]:
        """Return the windows that have not ended, in order of their start; delete ended ones."""
        with self._database.writing() as connection:
            ended = windows.c.start_ms + windows.c.duration_ms <= now_ms
            connection.execute(delete(windows).where(ended))
            query = select(*(windows.c[name] for name in Planned._fields))
            rows = connection.execute(query.order_by(windows.c.start_ms, windows.c.id)).all()
        return [Planned(*row) for row in rows]
