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
    update,
)

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import ErrorCode
from hextrackr_server.imports.formats.finding import Finding, unique_key, weight
from hextrackr_server.imports.formats.row_errors import Mention
from hextrackr_server.storage.database import Database, upsert
from hextrackr_server.storage.schema import (
    FINDING_COLUMNS,
    OPEN_STATES,
    UNSOURCED,
    import_jobs,
    import_rejections,
    meta,
    vulnerabilities_current,
    vulnerability_staging,
)

current, staging, jobs = vulnerabilities_current, vulnerability_staging, import_jobs
rejections = import_rejections

#: The mention of a rejected row that may refer to any finding.
ANYTHING: Mention = ("anything", "")
_MENTIONED = ("hostname", "ip_address", "cve", "plugin_id", "plugin_name", "unique_key")

NOT_PRESENT = "not_present_in_scan"
#: The reason that is stored for a finding that its file reports as closed.
REASONS = {
    "fixed": "reported_fixed",
    "accepted": "accepted",
    "false_positive": "false_positive",
    "inactive": "inactive",
}
_TERMINAL = ("completed", "failed", "cancelled")

#: The scopes of an import; findings that its rows report as closed are resolved in all scopes.
SCOPES = ("auto", "hosts", "vendor", "full", "none")

# The tier and the confidence of an identity: by CVE, by plugin ID, by plugin name.
_BY_CVE, _BY_PLUGIN, _BY_NAME = (2, 85), (3, 70), (4, 50)
_STAGED_COLUMNS = ("import_id", "row_number", "weight", "closed_as", *FINDING_COLUMNS)


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


@dataclass(frozen=True, slots=True)
class AbsenceScope:
    """The open findings that an import resolves if it does not report them.

    `kind` is the scope of the import, or "none" if the file may not resolve anything by absence.
    Findings without a source are never in scope.
    """

    kind: str
    source: str
    vendors: Sequence[str]


class OpenCounts(NamedTuple):
    """The numbers of open findings before a merge, and the number of hosts in the file."""

    in_scope: int
    all: int
    hosts: int


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

    def ended_since(self, since_ms: int, limit: int) -> list[ImportJob]:
        """Return the jobs that ended since a time, the newest first."""
        with self._database.reading() as connection:
            query = select(jobs).where(jobs.c.finished_at >= since_ms)
            query = query.order_by(jobs.c.finished_at.desc()).limit(limit)
            return [_job_of(row._mapping) for row in connection.execute(query)]

    def stage(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Stage rows of `staged_row`; of two with the same key, the heavier one is kept.

        The kept finding has the earliest first day and the latest last day of both.
        """
        with self._database.writing() as connection:
            # The driver's own bulk path: SQLAlchemy's takes as long again to prepare the rows.
            connection.exec_driver_sql(_stage_statement(connection), list(rows))

    def reject(self, import_id: int, mentions: Collection[Mention]) -> None:
        """Store the values that rejected rows contain."""
        rows = [{"import_id": import_id, "kind": kind, "value": value} for kind, value in mentions]
        with self._database.writing() as connection:
            connection.execute(upsert(connection, rejections).on_conflict_do_nothing(), rows)

    def drop_staged(self, import_id: int) -> None:
        """Delete the staged findings of an import."""
        with self._database.writing() as connection:
            delete_staged(connection, import_id)


def staged_row(import_id: int, finding: Finding, source: str, ids: str) -> tuple[Any, ...]:
    """Return the row of a finding for `ImportStore.stage`.

    `source` is the format of the file, `ids` the tool whose plugin IDs the file holds.
    """
    cve, plugin_id = finding.cve, finding.plugin_id
    tier, confidence = _BY_CVE if cve else _BY_PLUGIN if plugin_id else _BY_NAME
    return (
        import_id,
        finding.row_number,
        weight(finding),
        finding.closed_as,
        finding.hostname,
        finding.ip_address,
        cve,
        finding.severity,
        finding.vpr_score,
        finding.cvss_score,
        plugin_id,
        finding.plugin_name,
        finding.description,
        finding.solution,
        finding.vendor,
        finding.vulnerability_date,
        finding.first_seen,
        finding.last_seen,
        finding.state,
        finding.operating_system,
        unique_key(cve, plugin_id, finding.plugin_name, finding.host_key, ids),
        tier,
        confidence,
        "active" if finding.closed_as is None else "resolved",
        source,
        finding.host_key,
    )


def _stage_statement(connection: Connection) -> str:
    """Return the INSERT of staged rows with the placeholders of the connection's driver."""
    table = staging.name
    names = ", ".join(_STAGED_COLUMNS)
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    marks = ", ".join([mark] * len(_STAGED_COLUMNS))
    heavier = f"excluded.weight > {table}.weight"

    def kept(name: str) -> str:
        condition = heavier
        if name == "first_seen":
            condition = f"excluded.{name} < {table}.{name}"
        elif name == "last_seen":
            condition = f"excluded.{name} > {table}.{name}"
        return f"{name} = CASE WHEN {condition} THEN excluded.{name} ELSE {table}.{name} END"

    values = ", ".join(
        kept(name) for name in _STAGED_COLUMNS if name not in {"import_id", "unique_key"}
    )
    return (
        f"INSERT INTO {table} ({names}) VALUES ({marks}) "
        f"ON CONFLICT (import_id, unique_key) DO UPDATE SET {values}"
    )


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


def adopt_unsourced(connection: Connection, import_id: int, *, with_plugins: bool) -> int:
    """Give findings of 0.1.0 the keys of the staged findings that report them; return their number.

    Keys of 0.1.0 contain the first label of a host name, and the vendor or the asset of a plugin. A
    finding is adopted if exactly one staged finding has its host and its vulnerability, and if that
    staged finding has no other candidate. The versions up to 0.1.0 read Tenable exports only: the
    plugin IDs of other tools are compared only with `with_plugins`.
    """
    if not has_unsourced(connection):
        return 0
    known, reported = current.alias("known"), staging.alias("reported")
    same_plugin: ColumnElement[bool] = false()
    if with_plugins:
        same_plugin = and_(
            staging.c.cve == "",
            current.c.plugin_id == staging.c.plugin_id,
            or_(staging.c.plugin_id != "", current.c.plugin_name == staging.c.plugin_name),
        )
    are_same = and_(
        current.c.source.is_(None),
        current.c.hostname == staging.c.hostname,
        or_(
            current.c.ip_address == staging.c.ip_address,
            current.c.ip_address == "",
            staging.c.ip_address == "",
        ),
        current.c.cve == staging.c.cve,
        or_(staging.c.cve != "", same_plugin),
    )
    pairs = (
        select(
            staging.c.unique_key.label("key"),
            current.c.id.label("id"),
            func.count().over(partition_by=staging.c.id).label("candidates"),
            func.count().over(partition_by=current.c.id).label("claims"),
        )
        .select_from(staging.join(current, are_same))
        .where(
            staging.c.import_id == import_id,
            ~select(known.c.id).where(known.c.unique_key == staging.c.unique_key).exists(),
            ~select(reported.c.id)
            .where(
                reported.c.import_id == import_id,
                reported.c.unique_key == current.c.unique_key,
            )
            .exists(),
        )
        .subquery()
    )
    adopted = connection.execute(
        update(current)
        .where(current.c.id == pairs.c.id, pairs.c.candidates == 1, pairs.c.claims == 1)
        .values(unique_key=pairs.c.key)
    )
    return adopted.rowcount


def has_unsourced(connection: Connection) -> bool:
    """Return whether findings of 0.1.0 may be left that no import has reported since."""
    return connection.scalar(select(meta.c.value).where(meta.c.name == UNSOURCED)) is not None


def count_unsourced(connection: Connection) -> int:
    """Return the number of open findings of 0.1.0 that no import has reported since."""
    if not has_unsourced(connection):
        return 0
    are_open = case((current.c.lifecycle_state.in_(OPEN_STATES), 1))
    query = select(func.count(), func.count(are_open)).where(current.c.source.is_(None))
    left, found = connection.execute(query).one()
    if not left:
        connection.execute(delete(meta).where(meta.c.name == UNSOURCED))
    return int(found)


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
        "resolution_reason": case(REASONS, value=staging.c.closed_as, else_=None),
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
        "resolution_reason": new.resolution_reason,
        "source": case(
            (or_(current.c.source.is_(None), was_fixed), new.source),
            (_names_source(new.source), current.c.source),
            else_=current.c.source + "," + new.source,
        ),
    }


def _names_source(source: Any) -> ColumnElement[bool]:
    """Return the condition for findings whose sources include `source`."""
    listed = literal(",") + current.c.source + ","
    return func.replace(listed, literal(",") + source + ",", "") != listed


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


def count_open(connection: Connection, job: ImportJob, scope: AbsenceScope) -> OpenCounts:
    """Return the numbers of open findings; called before the merge."""
    in_scope = case((_in_scope(job, scope), 1))
    query = select(func.count(in_scope), func.count()).where(
        current.c.lifecycle_state.in_(OPEN_STATES)
    )
    hosts = select(func.count(staging.c.host_key.distinct())).where(
        staging.c.import_id == job.import_id
    )
    counts = connection.execute(query).one()
    return OpenCounts(counts[0], counts[1], connection.scalar(hosts) or 0)


def resolve_absent(connection: Connection, job: ImportJob, scope: AbsenceScope) -> int:
    """Resolve the findings in scope that an import no longer reports; return their number.

    A finding stays open if a later scan reported it, because that scan is more recent than this
    import, or if a row without a finding may refer to it. In the scope `auto`, a finding that other
    formats report too stays open and loses the source of this import.
    """
    condition = and_(_absent(job, scope), ~_meant_by_rejected(job))
    result = connection.execute(
        update(current)
        .where(condition)
        .values(
            lifecycle_state="resolved",
            resolved_date=job.scan_date,
            resolution_reason=NOT_PRESENT,
            changed_import_id=job.import_id,
        )
    )
    if scope.kind == "auto":
        listed = literal(",") + current.c.source + ","
        rest = func.replace(listed, literal(f",{scope.source},"), ",")
        connection.execute(
            update(current)
            .where(
                _unreported(job),
                current.c.source != scope.source,
                _names_source(literal(scope.source)),
                current.c.host_key.in_(_named_hosts(job)),
                ~_meant_by_rejected(job),
            )
            .values(source=func.ltrim(func.rtrim(rest, ","), ","))
        )
    return result.rowcount


def count_absent(
    connection: Connection, job: ImportJob, scope: AbsenceScope, *, meant: bool
) -> int:
    """Return the number of open findings in scope that an import does not report.

    `meant` selects those to which a row without a finding may refer, or the others.
    """
    refers = _meant_by_rejected(job)
    query = select(func.count()).select_from(current)
    return connection.scalar(query.where(_absent(job, scope), refers if meant else ~refers)) or 0


def _absent(job: ImportJob, scope: AbsenceScope) -> ColumnElement[bool]:
    """Return the condition for open findings in scope that an import does not report."""
    return and_(_in_scope(job, scope), _unreported(job))


def _unreported(job: ImportJob) -> ColumnElement[bool]:
    """Return the condition for open findings that neither an import nor a later scan reports."""
    return and_(
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


def _in_scope(job: ImportJob, scope: AbsenceScope) -> ColumnElement[bool]:
    """Return the condition for findings within the scope of an import."""
    has_source = current.c.source.is_not(None)
    match scope.kind:
        case "none":
            return false()
        case "vendor":
            return and_(has_source, current.c.vendor.in_(scope.vendors))
        case "hosts":
            return and_(has_source, current.c.host_key.in_(_named_hosts(job)))
        case "auto":
            named = current.c.host_key.in_(_named_hosts(job))
            return and_(current.c.source == scope.source, named)
        case _:
            return has_source


def _named_hosts(job: ImportJob) -> Select[Any]:
    return select(staging.c.host_key).where(staging.c.import_id == job.import_id)


def _job(connection: Connection, import_id: int) -> ImportJob:
    row = connection.execute(select(jobs).where(jobs.c.import_id == import_id)).one()
    return _job_of(row._mapping)


def _job_of(row: Any) -> ImportJob:
    values = {name: row[name] for name in ImportJob.__slots__}
    if values["result"] is not None:
        values["result"] = json.loads(values["result"])
    return ImportJob(**values)
