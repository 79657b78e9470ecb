"""Stores import jobs and staged findings, and merges staged findings into the current ones.

All statements are set-based: one statement merges a batch of any size. Reading files, threads and
progress belong to `pipeline` and `service`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import ErrorCode
from hextrackr_server.imports.csv_mapping import Finding, Mention
from hextrackr_server.storage.database import Database, upsert
from hextrackr_server.storage.schema import (
    FINDING_COLUMNS,
    OPEN_STATES,
    import_jobs,
    import_rejections,
    vulnerabilities_current,
    vulnerability_staging,
)

current, staging, jobs = vulnerabilities_current, vulnerability_staging, import_jobs
rejections = import_rejections

#: The mention of a rejected row that may refer to any finding.
ANYTHING: Mention = ("anything", "")
_MENTIONED = ("hostname", "ip_address", "cve", "plugin_id")

NOT_PRESENT = "not_present_in_scan"
REPORTED_FIXED = "reported_fixed"
_TERMINAL = ("completed", "failed", "cancelled")

#: The scopes of an import; findings that its rows report as fixed are resolved in all scopes.
SCOPES = ("vendor", "hosts", "full", "none")


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


class MergeCounts(NamedTuple):
    """The numbers of findings that a merge inserted, updated, reopened and resolved."""

    inserted: int
    updated: int
    reopened: int
    resolved: int
    last_row_number: int


class ImportStore:
    """Database access of imports; every method is one blocking transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_job(self, **values: Any) -> ImportJob:
        """Insert a job in state `queued`; raise IntegrityError if its session ID exists."""
        with self._database.writing() as connection:
            row = {"status": "queued", "scope": "vendor"} | values
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

    def end_job(self, import_id: int, failure: Mapping[str, Any]) -> None:
        """Store the code and message of a job that ended before its work was done."""
        cancelled = failure["code"] == ErrorCode.CANCELLED
        self.update_job(
            import_id,
            status="cancelled" if cancelled else "failed",
            error_code=failure["code"],
            error_message=failure["message"],
            finished_at=epoch_ms(),
            result=failure,
        )

    def recover(self, now_ms: int) -> list[int]:
        """Mark the jobs that a previous server left unfinished as failed; return their IDs.

        Staged findings are deleted.
        """
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
            connection.execute(delete(rejections))
            return list(found)

    def stage(self, import_id: int, findings: Sequence[Finding]) -> None:
        """Stage findings; of two with the same key, the one with the greater weight is kept."""
        with self._database.writing() as connection:
            statement = upsert(connection, staging)
            statement = statement.on_conflict_do_update(
                index_elements=["import_id", "unique_key"],
                set_={name: statement.excluded[name] for name in ("weight", *FINDING_COLUMNS)},
                where=statement.excluded.weight > staging.c.weight,
            )
            connection.execute(statement, [{"import_id": import_id, **each} for each in findings])

    def reject(self, import_id: int, mentions: Collection[Mention]) -> None:
        """Store the values that rejected rows contain."""
        rows = [{"import_id": import_id, "kind": kind, "value": value} for kind, value in mentions]
        with self._database.writing() as connection:
            connection.execute(upsert(connection, rejections).on_conflict_do_nothing(), rows)

    def drop_staged(self, import_id: int) -> None:
        """Delete the staged findings of an import."""
        with self._database.writing() as connection:
            delete_staged(connection, import_id)


def set_job(connection: Connection, import_id: int, **values: Any) -> None:
    """Update a job within a transaction; `result` may be any JSON value."""
    if "result" in values:
        values["result"] = json.dumps(values["result"], allow_nan=False)
    connection.execute(update(jobs).where(jobs.c.import_id == import_id).values(**values))


def delete_staged(connection: Connection, import_id: int) -> None:
    """Delete the staged findings of an import within a transaction."""
    connection.execute(delete(staging).where(staging.c.import_id == import_id))
    connection.execute(delete(rejections).where(rejections.c.import_id == import_id))


def staged_ids(connection: Connection, import_id: int) -> tuple[int, int, int]:
    """Return the number of staged findings, and the first and last of their IDs."""
    query = select(func.count(), func.min(staging.c.id), func.max(staging.c.id)).where(
        staging.c.import_id == import_id
    )
    count, first, last = connection.execute(query).one()
    return count, first or 0, last or -1


def staged_vendors(connection: Connection, import_id: int) -> list[str]:
    """Return the vendors of the staged findings, which bound the `vendor` scope."""
    query = select(staging.c.vendor).distinct().where(staging.c.import_id == import_id)
    return sorted(connection.scalars(query))


def merge_batch(
    connection: Connection, import_id: int, scan_date: str, first: int, last: int
) -> MergeCounts:
    """Merge the staged findings of an ID range into the current findings."""
    in_batch = and_(staging.c.import_id == import_id, staging.c.id.between(first, last))
    counts = _count_batch(connection, in_batch)
    fixed = staging.c.lifecycle_state == "resolved"
    values = {
        "import_id": staging.c.import_id,
        "scan_date": literal(scan_date),
        "resolved_date": case((fixed, scan_date)),
        "resolution_reason": case((fixed, REPORTED_FIXED)),
        # A finding that is new and already fixed changes nothing.
        "changed_import_id": case((~fixed, staging.c.import_id)),
        **{name: staging.c[name] for name in FINDING_COLUMNS},
    }
    rows = select(*values.values()).where(in_batch)
    statement = upsert(connection, current).from_select(list(values), rows)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["unique_key"], set_=_merged(statement.excluded)
        )
    )
    return counts


def _merged(new: Any) -> dict[str, Any]:
    """Return the column values of a finding that an import reports again."""
    fixed, was_fixed = new.lifecycle_state == "resolved", current.c.lifecycle_state == "resolved"
    values = {name: new[name] for name in FINDING_COLUMNS}
    return values | {
        "import_id": new.import_id,
        "scan_date": new.scan_date,
        # An export without a score keeps the score of an earlier export.
        "vpr_score": func.coalesce(new.vpr_score, current.c.vpr_score),
        "cvss_score": func.coalesce(new.cvss_score, current.c.cvss_score),
        "first_seen": _least(new.first_seen, current.c.first_seen),
        "last_seen": _greatest(new.last_seen, current.c.last_seen),
        "changed_import_id": case(
            (fixed != was_fixed, new.import_id), else_=current.c.changed_import_id
        ),
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


def _least(one: Any, other: Any) -> Any:
    return case((one < other, one), else_=other)


def _greatest(one: Any, other: Any) -> Any:
    return case((one > other, one), else_=other)


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


def resolve_absent(connection: Connection, job: ImportJob, vendors: Sequence[str]) -> int:
    """Resolve the findings in scope that an import no longer reports; return their number.

    A finding stays open if a later scan reported it, because that scan is more recent than this
    import, or if a rejected row may refer to it; `count_absent` then returns the number of the
    latter findings.
    """
    result = connection.execute(
        update(current)
        .where(_absent(job, vendors), ~_meant_by_rejected(job))
        .values(
            lifecycle_state="resolved",
            resolved_date=job.scan_date,
            resolution_reason=NOT_PRESENT,
            changed_import_id=job.import_id,
        )
    )
    return result.rowcount


def count_absent(connection: Connection, job: ImportJob, vendors: Sequence[str]) -> int:
    """Return the number of open findings in scope that an import does not report."""
    query = select(func.count()).select_from(current).where(_absent(job, vendors))
    return connection.scalar(query) or 0


def _absent(job: ImportJob, vendors: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition for open findings in scope that an import does not report."""
    return and_(
        _in_scope(job, vendors),
        current.c.lifecycle_state.in_(OPEN_STATES),
        current.c.import_id != job.import_id,
        current.c.scan_date <= job.scan_date,
    )


def _meant_by_rejected(job: ImportJob) -> ColumnElement[bool]:
    """Return the condition for findings that a rejected row may refer to."""

    def values(kind: str) -> Select[Any]:
        mine = (rejections.c.import_id == job.import_id, rejections.c.kind == kind)
        return select(rejections.c.value).where(*mine)

    return or_(
        values(ANYTHING[0]).exists(),
        *(current.c[kind].in_(values(kind)) for kind in _MENTIONED),
    )


def _in_scope(job: ImportJob, vendors: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition for findings within the scope of an import."""
    match job.scope:
        case "none":
            return false()
        case "vendor":
            return current.c.vendor.in_(vendors)
        case "hosts":
            mine = staging.c.import_id == job.import_id
            addresses = select(staging.c.ip_address).where(mine, staging.c.ip_address != "")
            return or_(
                current.c.hostname.in_(select(staging.c.hostname).where(mine)),
                current.c.ip_address.in_(addresses),
            )
        case _:
            return true()


def _job(connection: Connection, import_id: int) -> ImportJob:
    row = connection.execute(select(jobs).where(jobs.c.import_id == import_id)).one()
    return _job_of(row._mapping)


def _job_of(row: Any) -> ImportJob:
    values = {name: row[name] for name in ImportJob.__slots__}
    if values["result"] is not None:
        values["result"] = json.loads(values["result"])
    return ImportJob(**values)
