"""The maintenances that are planned or in force, for a server that starts again.

Knows: their table.  Does not know: clocks, who is told.  Everything here blocks.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, insert, select

from hextrackr_server.storage.database import Database
from hextrackr_server.storage.schema import maintenance_windows as windows


class Planned(NamedTuple):
    """One maintenance; times are ms since 1970."""

    id: str
    start_ms: int
    duration_ms: int
    message: str | None
    scheduled_by: str


class MaintenanceStore:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, planned: Planned) -> None:
        """Keep a maintenance until it is removed."""
        with self._database.writing() as connection:
            connection.execute(insert(windows).values(**planned._asdict()))

    def remove(self, window_id: str) -> None:
        """Forget a maintenance."""
        with self._database.writing() as connection:
            connection.execute(delete(windows).where(windows.c.id == window_id))

    def load(self, now_ms: int) -> list[Planned]:
        """Those that have not ended, the first first; those that have are forgotten."""
        with self._database.writing() as connection:
            ended = windows.c.start_ms + windows.c.duration_ms <= now_ms
            connection.execute(delete(windows).where(ended))
            query = select(*(windows.c[name] for name in Planned._fields))
            rows = connection.execute(query.order_by(windows.c.start_ms, windows.c.id)).all()
        return [Planned(*row) for row in rows]
