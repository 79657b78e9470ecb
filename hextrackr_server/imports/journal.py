"""Stores the progress of imports that producers run, and restores it when the server starts.

The imports of this server are in `import_jobs`; the other imports would be lost with the process.
A kill loses at most the progress of the last second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import delete, select

from hextrackr_server.clock import Clock, Timer
from hextrackr_server.imports.progress_record import FINAL, ImportStatus, Record
from hextrackr_server.storage.database import Database, upsert
from hextrackr_server.storage.schema import external_imports as table

FLUSH_SECONDS = 1.0
_PLAIN = (
    "session_id", "import_id", "has_text_id", "user_id", "filename", "vendor", "processed", "total",
    "percentage", "overall", "message", "metadata", "result",
)  # fmt: skip

#: Runs a call in the background: `BackgroundWriter.soon`.
Soon = Callable[..., None]


class JournalStore:
    """Database access of the journal; every method is one blocking transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, rows: Sequence[dict[str, Any]], forgotten: Collection[str]) -> None:
        """Insert or replace rows, and delete the rows of forgotten sessions."""
        with self._database.writing() as connection:
            if rows:
                insert = upsert(connection, table)
                replaced = {name: insert.excluded[name] for name in ("finished_at", "state")}
                statement = insert.on_conflict_do_update(
                    index_elements=["session_id"], set_=replaced
                )
                connection.execute(statement, list(rows))
            if forgotten:
                connection.execute(delete(table).where(table.c.session_id.in_(forgotten)))

    def load(self, since_ms: int) -> list[dict[str, Any]]:
        """Delete the imports that ended before a time, and return the others, the oldest first."""
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.finished_at < since_ms))
            states = connection.scalars(select(table.c.state).order_by(table.c.session_id))
            return sorted(map(json.loads, states), key=lambda state: state["started_at"] or 0)


class ImportJournal:
    """Write-behind copy of the records of producers' imports; used on the event loop's thread."""

    def __init__(self, store: JournalStore, soon: Soon, clock: Clock) -> None:
        self._store = store
        self._soon = soon
        self._clock = clock
        self._stored: set[str] = set()
        self._changed: dict[str, Record] = {}
        self._forgotten: set[str] = set()
        self._timer: Timer | None = None

    def note(self, record: Record) -> None:
        """Store a changed record: its start and its end now, its progress within a second."""
        if not record.is_reported:
            return
        self._changed[record.session_id] = record
        self._forgotten.discard(record.session_id)
        if record.status in FINAL or record.session_id not in self._stored:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.call_later(FLUSH_SECONDS, self.flush)

    def forget(self, record: Record) -> None:
        """Delete a record that the tracker no longer has."""
        self._changed.pop(record.session_id, None)
        if record.session_id in self._stored:
            self._stored.discard(record.session_id)
            self._forgotten.add(record.session_id)
            if self._timer is None:
                self._timer = self._clock.call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write all changes in the background."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._changed and not self._forgotten:
            return
        now, epoch_ms = self._clock.monotonic(), self._clock.epoch_ms()
        rows = [_row_of(record, now, epoch_ms) for record in self._changed.values()]
        self._stored.update(self._changed)
        self._soon(self._store.save, rows, self._forgotten)
        self._changed, self._forgotten = {}, set()

    def restore(self, state: dict[str, Any]) -> Record:
        """Return the record of a stored state."""
        now, epoch_ms = self._clock.monotonic(), self._clock.epoch_ms()
        record = Record(state["session_id"], state["import_id"], state["user_id"])
        for name in _PLAIN:
            setattr(record, name, state[name])
        record.status = ImportStatus(state["status"])
        record.followers = set(state["followers"])
        for name in ("started_at", "finished_at"):
            if state[name] is not None:
                setattr(record, name, now - (epoch_ms - state[name]) / 1000)
        self._stored.add(record.session_id)
        return record


def _row_of(record: Record, now: float, epoch_ms: int) -> dict[str, Any]:
    """Return the row of a record; its times are in milliseconds since 1970.

    The state is JSON in ASCII: texts of producers may contain NUL, which PostgreSQL rejects.
    """
    state = {name: getattr(record, name) for name in _PLAIN}
    state |= {"status": str(record.status), "followers": sorted(record.followers)}
    for name in ("started_at", "finished_at"):
        moment = getattr(record, name)
        state[name] = None if moment is None else epoch_ms - round((now - moment) * 1000)
    return {
        "session_id": record.session_id,
        "finished_at": state["finished_at"],
        "state": json.dumps(state),
    }
