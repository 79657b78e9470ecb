"""What an import writes: its job, its staged findings, and their merge into the current ones.

Knows: the tables of imports and findings, the statements that move rows between them.
Does not know: CSV, threads, progress.  Set-based: a batch is one statement, however many rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, delete, func, insert, literal, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from hextrackr_server.csv_mapping import Finding
from hextrackr_server.database import Database
from hextrackr_server.errors import ErrorCode
from hextrackr_server.schema import (
    FINDING_COLUMNS,
    import_jobs,
    vulnerabilities_current,
    vulnerability_daily_totals,
    vulnerability_staging,
)
from hextrackr_server.vulnerability_store import open_groups

current, staging, jobs = vulnerabilities_current, vulnerability_staging, import_jobs

NOT_PRESENT = "not_present_in_scan"
REPORTED_FIXED = "reported_fixed"
_TERMINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One import as the database remembers it."""

    import_id: int
    session_id: str
    user_id: str
    filename: str
    vendor: str | None
    scan_date: str
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


class MergeCounts(NamedTuple):
    """What became of the staged findings of one batch."""

    inserted: int
    updated: int
    reopened: int
    resolved: int
    last_row_number: int


class ImportStore:
    """The import's side of the database; every method is one transaction, and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_job(self, **values: Any) -> ImportJob:
        """A new job in state `queued`; IntegrityError if its session id was used before."""
        with self._database.writing() as connection:
            statement = insert(jobs).values(status="queued", scope="vendor", **values)
            result = connection.execute(statement)
            key = result.inserted_primary_key
            assert key is not None
            return _job(connection, key[0])

    def job(self, import_id: int) -> ImportJob | None:
        """The job of an id, or None."""
        with self._database.reading() as connection:
            found = connection.execute(select(jobs).where(jobs.c.import_id == import_id)).first()
            return None if found is None else _job_of(found._mapping)

    def update_job(self, import_id: int, **values: Any) -> None:
        """Write down how far a job has come."""
        with self._database.writing() as connection:
            set_job(connection, import_id, **values)

    def recover(self, now_ms: int) -> list[int]:
        """Mark the jobs that a former server left unfinished; drop what they had staged."""
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
            connection.execute(delete(staging))
            return list(found)

    def stage(self, import_id: int, findings: Sequence[Finding]) -> None:
        """Add findings to the staged ones; of two with one key the graver stays."""
        statement = upsert(staging)
        statement = statement.on_conflict_do_update(
            index_elements=["import_id", "unique_key"],
            set_={name: statement.excluded[name] for name in ("weight", *FINDING_COLUMNS)},
            where=statement.excluded.weight > staging.c.weight,
        )
        with self._database.writing() as connection:
            connection.execute(statement, [{"import_id": import_id, **each} for each in findings])

    def drop_staged(self, import_id: int) -> None:
        """Forget the staged findings of an import."""
        with self._database.writing() as connection:
            delete_staged(connection, import_id)


def set_job(connection: Connection, import_id: int, **values: Any) -> None:
    """Update a job within a transaction; `result` is any JSON."""
    if "result" in values:
        values["result"] = json.dumps(values["result"], allow_nan=False)
    connection.execute(update(jobs).where(jobs.c.import_id == import_id).values(**values))


def delete_staged(connection: Connection, import_id: int) -> None:
    """Forget the staged findings of an import, within a transaction."""
    connection.execute(delete(staging).where(staging.c.import_id == import_id))


def staged_ids(connection: Connection, import_id: int) -> tuple[int, int, int]:
    """How many findings are staged, and their first and last id."""
    query = select(func.count(), func.min(staging.c.id), func.max(staging.c.id)).where(
        staging.c.import_id == import_id
    )
    count, first, last = connection.execute(query).one()
    return count, first or 0, last or -1


def staged_vendors(connection: Connection, import_id: int) -> list[str]:
    """The vendors that an import speaks of: the scope within which it may resolve."""
    query = select(staging.c.vendor).distinct().where(staging.c.import_id == import_id)
    return sorted(connection.scalars(query))


def merge_batch(
    connection: Connection, import_id: int, scan_date: str, first: int, last: int
) -> MergeCounts:
    """Merge the staged findings of an id range into the current ones."""
    in_batch = and_(staging.c.import_id == import_id, staging.c.id.between(first, last))
    counts = _count_batch(connection, in_batch)
    fixed = staging.c.lifecycle_state == "resolved"
    statement = upsert(current).from_select(
        ["import_id", "scan_date", "resolved_date", "resolution_reason", *FINDING_COLUMNS],
        select(
            staging.c.import_id,
            literal(scan_date),
            case((fixed, scan_date)),
            case((fixed, REPORTED_FIXED)),
            *(staging.c[name] for name in FINDING_COLUMNS),
        ).where(in_batch),
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["unique_key"], set_=_merged(statement.excluded)
        )
    )
    return counts


def _merged(new: Any) -> dict[str, Any]:
    """The columns of a finding that is seen again."""
    fixed, was_fixed = new.lifecycle_state == "resolved", current.c.lifecycle_state == "resolved"
    values = {name: new[name] for name in FINDING_COLUMNS}
    return values | {
        "import_id": new.import_id,
        "scan_date": new.scan_date,
        # An export without a score does not unmake the score that an earlier one had.
        "vpr_score": func.coalesce(new.vpr_score, current.c.vpr_score),
        "cvss_score": func.coalesce(new.cvss_score, current.c.cvss_score),
        "first_seen": func.min(new.first_seen, current.c.first_seen),
        "last_seen": func.max(new.last_seen, current.c.last_seen),
        "lifecycle_state": case(
            (fixed, "resolved"), (was_fixed, "reopened"), else_=current.c.lifecycle_state
        ),
        "resolved_date": case(
            (fixed, func.coalesce(current.c.resolved_date, new.resolved_date)), else_=None
        ),
        "resolution_reason": case(
            (fixed, func.coalesce(current.c.resolution_reason, new.resolution_reason)), else_=None
        ),
    }


def _count_batch(connection: Connection, in_batch: Any) -> MergeCounts:
    fixed, was_fixed = (
        staging.c.lifecycle_state == "resolved",
        current.c.lifecycle_state == "resolved",
    )
    known = current.c.id.is_not(None)
    query = (
        select(
            func.count(),
            func.count(current.c.id),
            func.count(case((and_(known, was_fixed, ~fixed), 1))),
            func.count(case((and_(known, fixed, ~was_fixed), 1))),
            func.max(staging.c.row_number),
        )
        .select_from(staging.outerjoin(current, current.c.unique_key == staging.c.unique_key))
        .where(in_batch)
    )
    staged, updated, reopened, resolved, last_row = connection.execute(query).one()
    return MergeCounts(staged - updated, updated, reopened, resolved, last_row or 0)


def resolve_absent(
    connection: Connection, import_id: int, scan_date: str, vendors: Sequence[str]
) -> int:
    """Resolve what an import of these vendors no longer reports; how many findings that is.

    A finding that a later scan has seen stays open: this import is older than that knowledge.
    """
    result = connection.execute(
        update(current)
        .where(
            current.c.vendor.in_(vendors),
            current.c.lifecycle_state.in_(("active", "reopened")),
            current.c.import_id != import_id,
            current.c.scan_date <= scan_date,
        )
        .values(lifecycle_state="resolved", resolved_date=scan_date, resolution_reason=NOT_PRESENT)
    )
    return result.rowcount


def write_daily_totals(
    connection: Connection, scan_date: str, *, resolved: int, reopened: int
) -> None:
    """What is open now becomes the totals of the day of the scan."""
    totals: dict[str, Any] = dict.fromkeys(
        (column.name for column in vulnerability_daily_totals.c), 0
    )
    groups = open_groups().subquery()
    query = select(
        groups.c.severity, func.count(), func.coalesce(func.sum(groups.c.vpr_score), 0.0)
    ).group_by(groups.c.severity)
    for severity, count, vpr in connection.execute(query):
        totals["total_vulnerabilities"] += count
        totals["total_vpr"] = round(totals["total_vpr"] + vpr, 1)
        if f"{severity.lower()}_count" in totals:
            totals[f"{severity.lower()}_count"] = count
            totals[f"{severity.lower()}_total_vpr"] = round(vpr, 1)
    totals |= {"scan_date": scan_date, "resolved_count": resolved, "reopened_count": reopened}
    same_day = vulnerability_daily_totals.c.scan_date == scan_date
    connection.execute(delete(vulnerability_daily_totals).where(same_day))
    connection.execute(insert(vulnerability_daily_totals).values(**totals))


def _job(connection: Connection, import_id: int) -> ImportJob:
    row = connection.execute(select(jobs).where(jobs.c.import_id == import_id)).one()
    return _job_of(row._mapping)


def _job_of(row: Any) -> ImportJob:
    values = {name: row[name] for name in ImportJob.__slots__}
    if values["result"] is not None:
        values["result"] = json.loads(values["result"])
    return ImportJob(**values)


__all__ = [
    "ImportJob",
    "ImportStore",
    "MergeCounts",
    "delete_staged",
    "merge_batch",
    "resolve_absent",
    "set_job",
    "staged_ids",
    "staged_vendors",
    "write_daily_totals",
]
