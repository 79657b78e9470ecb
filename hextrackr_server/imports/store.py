"""Stores import jobs.

Staging and merging findings belong to `staging` and `merge`, threads and progress to `service`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import ErrorCode
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.schema import import_jobs

jobs = import_jobs

#: Kinds of notes about changes whose events are not sent; the keys are IDs of imports.
NOTED_IMPORT = "import"
NOTED_UNDO = "undo"

_TERMINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One import as stored in the database."""

    import_id: int
    session_id: str
    user_id: str
    filename: str
    vendor: str | None
    scan_date: str
    scope: str
    status: str
    total: int | None
    processed: int
    errors: int
    error_code: str | None
    error_message: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    result: dict[str, Any] | None
    undone_at: int | None


class ImportStore:
    """Database access of imports; every method is one blocking transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_job(self, **values: Any) -> ImportJob:
        """Insert a job in state `queued`; raise IntegrityError if its session ID exists."""
        with self._database.writing() as connection:
            row = {"status": "queued", "scope": "auto"} | values
            result = connection.execute(insert(jobs).values(**row))
            key = result.inserted_primary_key
            assert key is not None
            return _job(connection, key[0])

    def job(self, import_id: int) -> ImportJob | None:
        """Return the job of an import ID, or None."""
        with self._database.reading() as connection:
            found = connection.execute(select(jobs).where(jobs.c.import_id == import_id)).first()
            return None if found is None else _job_of(found._mapping)

    def job_of_session(self, session_id: str) -> ImportJob | None:
        """Return the job of a session ID, or None."""
        with self._database.reading() as connection:
            found = connection.execute(select(jobs).where(jobs.c.session_id == session_id)).first()
            return None if found is None else _job_of(found._mapping)

    def update_job(self, import_id: int, **values: Any) -> None:
        """Update columns of a job."""
        with self._database.writing() as connection:
            set_job(connection, import_id, **values)

    def end_job(self, import_id: int, failure: Mapping[str, Any]) -> dict[str, Any] | None:
        """Store the code and message of a job that ended before its work was done.

        A completed job stays completed: the error came after the commit of its findings, or the
        connection was lost during the commit. The method returns its result then, else None.
        """
        cancelled = failure["code"] == ErrorCode.CANCELLED
        with self._database.writing() as connection:
            job = _job(connection, import_id)
            if job.status == "completed":
                return job.result
            set_job(
                connection,
                import_id,
                status="cancelled" if cancelled else "failed",
                error_code=failure["code"],
                error_message=failure["message"],
                finished_at=epoch_ms(),
                result=failure,
            )
        return None

    def recover(self, now_ms: int) -> list[int]:
        """Mark the jobs that a previous server left unfinished as failed; return their IDs."""
        with self._database.writing() as connection:
            unfinished = jobs.c.status.not_in(_TERMINAL)
            found = connection.scalars(select(jobs.c.import_id).where(unfinished)).all()
            connection.execute(
                update(jobs)
                .where(unfinished)
                .values(
                    status="failed",
                    error_code=str(ErrorCode.INTERRUPTED),
                    error_message="The server stopped before the import was done",
                    finished_at=now_ms,
                )
            )
            return list(found)

    def ended_since(self, since_ms: int, limit: int) -> list[ImportJob]:
        """Return the jobs that ended since a time, the newest first."""
        with self._database.reading() as connection:
            query = select(jobs).where(jobs.c.finished_at >= since_ms)
            query = query.order_by(jobs.c.finished_at.desc()).limit(limit)
            return [_job_of(row._mapping) for row in connection.execute(query)]


def set_job(connection: Connection, import_id: int, **values: Any) -> None:
    """Update a job within a transaction; `result` may be any JSON value."""
    if "result" in values:
        values["result"] = json.dumps(values["result"], allow_nan=False)
    connection.execute(update(jobs).where(jobs.c.import_id == import_id).values(**values))


def _job(connection: Connection, import_id: int) -> ImportJob:
    row = connection.execute(select(jobs).where(jobs.c.import_id == import_id)).one()
    return _job_of(row._mapping)


def _job_of(row: Any) -> ImportJob:
    values = {name: row[name] for name in ImportJob.__slots__}
    if values["result"] is not None:
        values["result"] = json.loads(values["result"])
    return ImportJob(**values)
