"""Undoes the last import of a source: the findings are as they were before it.

The journal holds the former row of each finding that the import changed; findings that it created
are deleted. An import is not undone once a later import changed one of its findings: undo the later
one first. Daily totals of the scan's day become the former ones, or, if a later import has the same
day, the present ones. Snapshots of scan days that the import displaced are not restored.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, text

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.findings import history, totals
from hextrackr_server.imports.merge import drop_unused_entries
from hextrackr_server.imports.store import NOTED_IMPORT, NOTED_UNDO, set_job
from hextrackr_server.storage import unannounced
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.encoding import day_number
from hextrackr_server.storage.finding_tables import (
    STATE_COLUMNS,
    finding_journal,
    finding_snapshots,
    findings,
    undoable_imports,
)
from hextrackr_server.storage.schema import UNSOURCED, import_jobs, meta

jobs, journal = import_jobs, finding_journal

_RESTORED = ", ".join(f"{name} = former.{name}" for name in STATE_COLUMNS)
_RESTORE = f"""
    UPDATE findings SET import_id = former.former_import_id, {_RESTORED}
    FROM finding_journal AS former
    WHERE former.import_id = :import_id AND findings.id = former.finding_id"""
_SNAPSHOT = """
    INSERT INTO finding_snapshots (scan_date, finding_id, import_id, severity, vpr_score,
        cvss_score, last_seen, state)
    SELECT f.scan_date, f.id, f.import_id, f.severity, f.vpr_score, f.cvss_score, f.last_seen,
        f.state
    FROM finding_journal j JOIN findings f ON f.id = j.finding_id
    WHERE j.import_id = :import_id AND f.scan_date = :day
    ON CONFLICT (scan_date, finding_id) DO NOTHING"""


class Undone(NamedTuple):
    """The findings that an undo deleted, because the import created them, and restored."""

    deleted: int
    restored: int


class ImportUndo:
    """Access to the imports that can be undone; every method is one blocking transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def undoable(self) -> list[dict[str, Any]]:
        """Return the last import of each source, the newest first."""
        names = ("import_id", "session_id", "user_id", "filename", "scan_date", "finished_at")
        query = (
            select(undoable_imports.c.source, *(jobs.c[name] for name in names))
            .join(jobs, jobs.c.import_id == undoable_imports.c.import_id)
            .order_by(jobs.c.import_id.desc())
        )
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def undo(self, import_id: int, now_ms: int) -> Undone:
        """Undo an import.

        Raises ServiceError NOT_FOUND for an unknown import, and CONFLICT if it is not the last
        import of its source or if later imports changed its findings.
        """
        with self._database.writing() as connection:
            scan_date = _check(connection, import_id)
            former = connection.scalar(
                select(undoable_imports.c.former_totals).where(
                    undoable_imports.c.import_id == import_id
                )
            )
            undone = _restore_findings(connection, import_id)
            totals.refresh(connection)
            _restore_history(connection, import_id, scan_date, json.loads(former or "[]"))
            connection.execute(delete(journal).where(journal.c.import_id == import_id))
            connection.execute(
                delete(undoable_imports).where(undoable_imports.c.import_id == import_id)
            )
            drop_unused_entries(connection)
            _mark_unsourced(connection)
            set_job(connection, import_id, undone_at=now_ms)
            unannounced.forget(connection, NOTED_IMPORT, import_id)
            unannounced.note(connection, NOTED_UNDO, import_id, undone._asdict())
        return undone


def _check(connection: Connection, import_id: int) -> str:
    """Return the scan date of an import that can be undone, or raise ServiceError."""
    job = connection.execute(select(jobs).where(jobs.c.import_id == import_id)).mappings().first()
    if job is None:
        raise ServiceError(ErrorCode.NOT_FOUND, "There is no such import")
    if job["undone_at"] is not None:
        raise ServiceError(ErrorCode.CONFLICT, "The import is already undone")
    if job["status"] != "completed":
        message = f"The import is {job['status']}: only a completed import can be undone"
        raise ServiceError(ErrorCode.CONFLICT, message)
    last = select(undoable_imports.c.import_id).where(undoable_imports.c.import_id == import_id)
    if connection.scalar(last) is None:
        message = (
            "Only the last import of a source can be undone: this import is older, or an earlier "
            "version of the server wrote it"
        )
        raise ServiceError(ErrorCode.CONFLICT, message)
    later = _later_imports(connection, import_id)
    if later:
        numbers = ", ".join(map(str, later))
        message = (
            f"Later imports changed findings of this import: undo the imports {numbers} first, "
            "the last one first"
        )
        raise ServiceError(ErrorCode.CONFLICT, message)
    return str(job["scan_date"])


def _later_imports(connection: Connection, import_id: int) -> list[int]:
    """Return the later imports that reported or changed findings of an import."""
    mine = or_(
        findings.c.created_import_id == import_id,
        findings.c.id.in_(select(journal.c.finding_id).where(journal.c.import_id == import_id)),
    )
    found: set[int] = set()
    for column in (findings.c.import_id, findings.c.changed_import_id):
        query = select(column).where(mine, column > import_id).distinct()
        found.update(connection.scalars(query))
    # A later import may have changed a finding without reporting it, as `_drop_source` does.
    touched = select(journal.c.import_id).where(
        journal.c.import_id > import_id,
        journal.c.finding_id.in_(select(findings.c.id).where(mine)),
    )
    found.update(connection.scalars(touched.distinct()))
    return sorted(found, reverse=True)


def _restore_findings(connection: Connection, import_id: int) -> Undone:
    created: ColumnElement[bool] = findings.c.created_import_id == import_id
    snapshots = finding_snapshots
    connection.execute(
        delete(snapshots).where(snapshots.c.finding_id.in_(select(findings.c.id).where(created)))
    )
    deleted = connection.execute(delete(findings).where(created)).rowcount
    restored = connection.execute(text(_RESTORE), {"import_id": import_id}).rowcount
    return Undone(deleted, restored)


def _restore_history(
    connection: Connection, import_id: int, scan_date: str, former: list[dict[str, Any]]
) -> None:
    """Restore the snapshot and the totals of the scan's day."""
    snapshots = finding_snapshots
    connection.execute(delete(snapshots).where(snapshots.c.import_id == import_id))
    values = {"import_id": import_id, "day": day_number(scan_date)}
    connection.execute(text(_SNAPSHOT), values)
    later = select(func.count()).where(
        and_(
            jobs.c.scan_date == scan_date,
            jobs.c.import_id > import_id,
            jobs.c.status == "completed",
            jobs.c.undone_at.is_(None),
        )
    )
    if not connection.scalar(later):
        history.restore_totals(connection, scan_date, former)
    else:
        present = totals.open_totals(connection)
        history.write_daily_totals(connection, scan_date, present, resolved={}, reopened={})


def _mark_unsourced(connection: Connection) -> None:
    """Set the mark for findings of 0.1.0 if the undo made some of them."""
    is_marked = select(meta.c.value).where(meta.c.name == UNSOURCED)
    count = select(func.count()).select_from(findings).where(findings.c.source.is_(None))
    if connection.scalar(is_marked) is None and (left := connection.scalar(count)):
        connection.execute(insert(meta).values(name=UNSOURCED, value=str(left)))
