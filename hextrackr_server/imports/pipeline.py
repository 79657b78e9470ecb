"""Imports one export of a scanner: from its rows to the findings that are open afterwards.

The importer runs on the calling thread and reports through callbacks. Queueing, threads and
clients belong to `service`, the formats of files to `formats`.

    parsing      detect the format of the file
    staging      map the rows; write the findings to the staging table, one transaction per chunk
    processing   merge them into the current findings batch by batch        (one transaction
    finalizing   resolve absent findings, write daily totals and the result  for both phases)

Rows that report a finding as closed resolve it. The scope of an import limits the findings that it
also resolves because the file does not contain them; the default scope `auto` follows the format
(`AbsenceScope`). If absence would resolve more than half of the open findings in scope, or more
than a fifth of all open findings, the import needs a confirmation: without one, it imports the rows
and resolves nothing by absence. An import without a valid row fails and changes nothing.

A row that is rejected, or whose check was not run, is not treated as missing: findings it might
refer to are left unchanged. These are the findings of the host that the row names; without a host,
the findings of its CVEs and its plugin; if the row is unreadable or names nothing, every finding.
The summary counts findings that stay open for this reason as `withheld`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

from sqlalchemy import Connection

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import ImportInterruptedError, ServiceError, invalid
from hextrackr_server.findings import history
from hextrackr_server.findings.history import OpenTotal
from hextrackr_server.imports import store, summary
from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.formats.file_warnings import LONGEST_VALUE
from hextrackr_server.imports.formats.profile import Profile
from hextrackr_server.imports.formats.reader import ExportReader
from hextrackr_server.imports.formats.row_errors import Mention, NoFindingError, RowRejectedError
from hextrackr_server.imports.progress_record import ImportStatus
from hextrackr_server.imports.store import (
    AbsenceScope,
    ImportJob,
    ImportStore,
    MergeCounts,
    OpenCounts,
    staged_row,
)
from hextrackr_server.storage.database import Database
from hextrackr_server.text import clean

logger = logging.getLogger(__name__)

# Small enough to hold the interpreter lock only briefly, large enough to amortize a transaction.
STAGE_CHUNK = 500
MERGE_BATCH = 1000
MAXIMUM_DETAILS = 100
#: Kinds of warnings in the summary, the most frequent first.
MAXIMUM_KINDS = 50
# A row is stored once per CVE. This bounds the disk space that a small file can use.
MAXIMUM_GROWTH = 20
ALLOWED_GROWTH_BYTES = 64 * 1024 * 1024
_BYTES_PER_FINDING = 500  # without its texts
MAXIMUM_TOP_CRITICAL = 20
#: The shares of open findings, of those in scope and of all, above which absence needs a
#: confirmation. There is no minimum: one of three findings is more than a fifth.
SHARE_IN_SCOPE, SHARE_OF_ALL = 0.5, 0.2
#: Tools whose plugin IDs findings of 0.1.0 may have.
_TOOLS_OF_UNSOURCED = frozenset({"tenable", "hub"})


#: Share of reading in `processed`; the share of merging is the rest, as in `overall`.
READ_PERCENT = 60


class Progress(NamedTuple):
    """The state of an import: rows merged, and the overall percentage of all phases."""

    status: ImportStatus
    processed: int
    total: int | None
    overall: int
    message: str


class RowProblem(TypedDict):
    """A problem of one row; rows are numbered as in a spreadsheet."""

    row: int
    column: str
    message: str
    value: NotRequired[str]


Report = Callable[[Progress], None]
Stopping = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options of an import that are not stored with its job.

    `confirm` resolves absent findings whatever their share. `allow_partial` imports a file that
    breaks off. `mapping` is the user's profile of the file. `is_dated` means that the user gave the
    scan date of the job, so that no date in the file replaces it.
    """

    confirm: bool = False
    allow_partial: bool = False
    mapping: Profile | None = None
    is_dated: bool = False


class Problems:
    """The problems of a file's rows: all are counted, the first hundred are kept."""

    __slots__ = ("count", "details")

    def __init__(self) -> None:
        self.count = 0
        self.details: list[RowProblem] = []

    def add(self, row: int, error: RowRejectedError) -> None:
        """Count a rejected row, and keep it while fewer than MAXIMUM_DETAILS are kept."""
        self.count += 1
        if len(self.details) < MAXIMUM_DETAILS:
            problem = RowProblem(row=row, column=error.column, message=error.message)
            if error.value:
                problem["value"] = clean(error.value, LONGEST_VALUE)
            self.details.append(problem)


@dataclass(slots=True)
class _Staged:
    """The outcome of the staging phase."""

    errors: Problems = field(default_factory=Problems)
    # Values in rows without a finding that are not yet stored; the next chunk stores them.
    mentions: set[Mention] = field(default_factory=set)
    has_mentions: bool = False
    findings: int = 0
    size: int = 0

    def keep_open(self, error: NoFindingError) -> None:
        """Keep the values that narrow down the findings to which a row may refer."""
        self.has_mentions = True
        self.mentions.update(error.mentions or (store.ANYTHING,))


@dataclass(slots=True)
class _Absence:
    """What the absence of findings from the file did, or would do with a confirmation."""

    scope: AbsenceScope
    reason: str
    open: OpenCounts | None = None
    missing: int = 0
    withheld: int = 0
    is_held_back: bool = False

    def exceeds_share(self) -> bool:
        """Return whether the missing findings need a confirmation to be resolved."""
        found = self.open
        return found is not None and (
            self.missing > found.in_scope * SHARE_IN_SCOPE
            or self.missing > found.all * SHARE_OF_ALL
        )

    def as_json(self) -> dict[str, Any]:
        """Return the `absence` of the summary."""
        found = self.open or OpenCounts(0, 0, 0)
        return {
            "scope": self.scope.kind,
            "reason": self.reason,
            "missing": self.missing,
            "openInScope": found.in_scope,
            "openOfAll": found.all,
            "namedHosts": found.hosts,
            "confirmationRequired": self.is_held_back,
        }

    def notice(self) -> str:
        """Return the text that explains a missing confirmation."""
        found = self.open
        assert found is not None
        where = "in the scope of this import"
        if self.scope.kind in {"auto", "hosts"}:
            where = f"on the {found.hosts:,} named hosts"
        return (
            f"not confirmed, so nothing was resolved by absence: the file lacks {self.missing:,} "
            f"of {found.in_scope:,} open findings {where}; there are {found.all:,} open findings "
            "in all. If the file is complete, import it again with --yes (in events and forms: "
            "confirm) to resolve them"
        )


class Importer:
    """An importer that processes one file per call into a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = ImportStore(database)

    def run(
        self,
        job: ImportJob,
        path: Path,
        report: Report,
        stopping: Stopping,
        options: ReadOptions | None = None,
    ) -> dict[str, Any]:
        """Import a file and return its result as stored with the job.

        Raises ServiceError if the file is at fault, ImportInterruptedError if `stopping()` returned
        true. In both cases the current findings are unchanged and the staged ones are deleted.
        """
        options = options or ReadOptions()
        run = _Run(self._database, self._store, job, options, report, stopping)
        try:
            return run.execute(path)
        except BaseException as error:
            self._store.drop_staged(job.import_id)
            if isinstance(error, FileRefusedError):
                raise refusal_of(error) from error
            raise

    def changes(self, job: ImportJob, limit: int) -> dict[str, Any]:
        """Return up to `limit` findings that an import changed, and its worst critical ones.

        `total` is the number of all findings that it changed.
        """
        with self._database.reading() as connection:
            return {
                "total": summary.count_changed(connection, job.import_id),
                "rows": summary.changed_findings(connection, job.import_id, limit),
                "topCritical": summary.top_critical(
                    connection, job.import_id, MAXIMUM_TOP_CRITICAL
                ),
            }


class _Run:
    """One execution of an import with its job and callbacks."""

    __slots__ = (
        "_database",
        "_job",
        "_options",
        "_overall",
        "_reader",
        "_report",
        "_size",
        "_started",
        "_stopping",
        "_store",
    )

    def __init__(
        self,
        database: Database,
        store: ImportStore,
        job: ImportJob,
        options: ReadOptions,
        report: Report,
        stopping: Stopping,
    ) -> None:
        self._database = database
        self._store = store
        self._job = job
        self._options = options
        self._report = report
        self._stopping = stopping
        self._started = time.monotonic()
        self._reader: ExportReader | None = None
        self._size = 0
        self._overall = 0

    def execute(self, path: Path) -> dict[str, Any]:
        reader = self._open(path)
        staged = self._stage(reader)
        if not reader.rows:
            raise invalid("The file has a header but no rows; nothing was changed")
        if not staged.findings and staged.errors.count:
            raise _nothing_valid(reader, staged)
        return self._merge(reader, staged)

    # -- parsing

    def _open(self, path: Path) -> ExportReader:
        self._report_progress(ImportStatus.PARSING, 0, None, 0, "Reading the file")
        self._size = path.stat().st_size
        options = self._options
        reader = ExportReader(
            path,
            scan_date=self._job.scan_date,
            is_dated=options.is_dated,
            vendor=self._job.vendor or "",
            mapping=options.mapping,
            allow_partial=options.allow_partial,
            checkpoint=self._checkpoint,
            reads_extra=False,
        )
        self._check()
        self._job = replace(self._job, scan_date=reader.scan_date)
        message = f"The format is {reader.profile.title}"
        self._report_progress(ImportStatus.PARSING, 0, None, 5, message)
        self._reader = reader
        return reader

    # -- staging

    def _checkpoint(self, position: int) -> None:
        """Report the progress of reading; `position` is in bytes."""
        self._check()
        rows = 0 if self._reader is None else self._reader.rows
        # A second pass over the file begins at its start again.
        self._overall = max(self._overall, 5 + 55 * position // max(1, self._size))
        overall = min(60, self._overall)
        # The rows of the part that is read determine the estimate for the whole file.
        estimate = max(rows, rows * self._size // max(1, position)) or None
        message = f"Read {rows} rows"
        self._report_progress(ImportStatus.STAGING, _share_read(rows), estimate, overall, message)

    def _stage(self, reader: ExportReader) -> _Staged:
        staged = _Staged()
        maximum = max(ALLOWED_GROWTH_BYTES, MAXIMUM_GROWTH * self._size)
        for row_number, chunk in self._chunks(reader, staged):
            self._check()
            if staged.size > maximum:
                raise _file_too_large(row_number, maximum)
            if chunk:
                self._store.stage(chunk)
            if staged.mentions:
                self._store.reject(self._job.import_id, staged.mentions)
            staged.mentions.clear()
        self._store.update_job(self._job.import_id, total=reader.rows)
        message = f"Staged {reader.rows} rows"
        done = _share_read(reader.rows)
        self._report_progress(ImportStatus.STAGING, done, reader.rows, 60, message)
        return staged

    def _chunks(
        self, reader: ExportReader, staged: _Staged
    ) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
        """Yield the rows of the staging table in chunks, each with the number of its last row."""
        import_id, source, ids = self._job.import_id, reader.profile.id, reader.profile.ids
        chunk: list[tuple[Any, ...]] = []
        number = 0
        for number, findings, problem in reader.read():
            for finding in findings:
                chunk.append(staged_row(import_id, finding, source, ids))
                staged.size += _BYTES_PER_FINDING + len(finding.description) + len(finding.solution)
            if problem is not None:
                staged.keep_open(problem)
                if isinstance(problem, RowRejectedError):
                    staged.errors.add(number, problem)
            if len(chunk) + len(staged.mentions) >= STAGE_CHUNK:
                staged.findings += len(chunk)
                yield number, chunk
                chunk = []
        if chunk or staged.mentions:
            staged.findings += len(chunk)
            yield number, chunk

    # -- processing and finalizing

    def _merge(self, reader: ExportReader, staged: _Staged) -> dict[str, Any]:
        total, import_id, scan_date = reader.rows, self._job.import_id, self._job.scan_date
        with self._database.writing() as connection:
            before = history.open_totals(connection)
            adopted = store.adopt_unsourced(
                connection, import_id, with_plugins=reader.profile.ids in _TOOLS_OF_UNSOURCED
            )
            distinct, first, last = store.staged_ids(connection, import_id)
            vendors = store.staged_vendors(connection, import_id)
            absence = self._absence(reader, vendors)
            if absence.scope.kind != "none":
                absence.open = store.count_open(connection, self._job, absence.scope)
            counts = MergeCounts(0, 0, 0, 0, 0)
            keeps = history.keeps_snapshot_of(connection, scan_date)
            for start in range(first, last + 1, MERGE_BATCH):
                self._check()
                end = start + MERGE_BATCH - 1
                batch = store.merge_batch(connection, import_id, scan_date, start, end)
                counts = _sum(counts, batch)
                if keeps:
                    history.snapshot_batch(connection, import_id, scan_date, start, end)
                share = (end - first + 1) / (last - first + 1)
                done = max(0, min(counts.last_row_number - 1, total))
                self._report_merged(done, total, share)
            message = "Resolving absent findings"
            self._report_progress(ImportStatus.FINALIZING, total, total, 95, message)
            if absence.open is not None:
                absent = self._resolve(connection, absence, has_mentions=staged.has_mentions)
                counts = counts._replace(resolved=counts.resolved + absent)
            self._check()
            result = _result(self._job, reader, staged, counts, distinct, vendors, absence)
            result["summary"]["adopted"] = adopted
            result["summary"]["withoutSource"] = store.count_unsourced(connection)
            result |= self._history(connection, before, result)
            store.delete_staged(connection, import_id)
            self._check()
            self._finish_job(connection, result, vendors)
        return result

    def _absence(self, reader: ExportReader, vendors: Sequence[str]) -> _Absence:
        """Return what the import may resolve by absence: its scope, bounded by its file."""
        kind, reason = self._job.scope, ""
        allowed = reader.absence()
        # An incomplete file proves nothing, whatever the user requests.
        if reader.incomplete or (kind == "auto" and allowed.rule == "none"):
            kind, reason = "none", allowed.reason
        return _Absence(AbsenceScope(kind, reader.profile.id, vendors), reason)

    def _resolve(self, connection: Connection, absence: _Absence, *, has_mentions: bool) -> int:
        """Resolve absent findings, unless that needs a confirmation; return their number."""
        job, scope = self._job, absence.scope
        absence.missing = store.count_absent(connection, job, scope, meant=False)
        if has_mentions:
            absence.withheld = store.count_absent(connection, job, scope, meant=True)
        absence.is_held_back = absence.exceeds_share() and not self._options.confirm
        return 0 if absence.is_held_back else store.resolve_absent(connection, job, scope)

    def _history(
        self, connection: Connection, before: list[OpenTotal], result: dict[str, Any]
    ) -> dict[str, Any]:
        """Write the totals of the scan's day, and return the `importSummary`."""
        job = self._job
        changes = summary.changes_of(connection, job.import_id)
        self._report_finalizing(result, 96, "Counting open findings")
        after = history.open_totals(connection)
        history.write_daily_totals(
            connection, job.scan_date, after, resolved=changes.resolved, reopened=changes.reopened
        )
        history.expire_snapshots(connection)
        self._report_finalizing(result, 98, "Comparing with the state before the import")
        metadata = {
            "sessionId": job.session_id,
            "importId": job.import_id,
            "filename": job.filename,
            "vendor": job.vendor or ", ".join(result["summary"]["vendors"]),
            "scanDate": job.scan_date,
            "totalRows": result["totalProcessed"],
            "processingTime": round((time.monotonic() - self._started) * 1000),
        }
        return {"importSummary": summary.summarize(connection, metadata, changes, before, after)}

    def _report_finalizing(self, result: dict[str, Any], overall: int, message: str) -> None:
        self._check()
        rows = result["totalProcessed"]
        self._report_progress(ImportStatus.FINALIZING, rows, rows, overall, message)

    def _report_merged(self, processed: int, total: int, share: float) -> None:
        overall = 60 + int(35 * min(1.0, share))
        message = f"Merged {processed} of {total} rows"
        done = _share_read(total) + processed - _share_read(processed)
        self._report_progress(ImportStatus.PROCESSING, done, total, overall, message)

    def _finish_job(
        self, connection: Connection, result: dict[str, Any], vendors: list[str]
    ) -> None:
        # In the transaction of the merge, so that job and findings change together.
        store.set_job(
            connection,
            self._job.import_id,
            status=str(ImportStatus.COMPLETED),
            vendor=self._job.vendor or ", ".join(vendors),
            scan_date=self._job.scan_date,
            processed=result["totalProcessed"],
            errors=result["errors"],
            finished_at=epoch_ms(),
            result=result,
        )

    # -- all phases

    def _check(self) -> None:
        if self._stopping():
            raise ImportInterruptedError("the import was interrupted before its end")

    def _report_progress(
        self, status: ImportStatus, processed: int, total: int | None, overall: int, message: str
    ) -> None:
        self._report(Progress(status, processed, total, overall, message))


def _share_read(rows: int) -> int:
    """Return the part of the work on rows that reading them completes; merging is the rest."""
    return rows * READ_PERCENT // 100


def refusal_of(error: FileRefusedError) -> ServiceError:
    """Return the failure of an import whose file is refused."""
    return invalid(str(error), [(where, f"lacks {lacking}") for where, lacking in error.lacking])


def _nothing_valid(reader: ExportReader, staged: _Staged) -> Exception:
    problems = [
        (f"row {each['row']}" + (f", {each['column']}" if each["column"] else ""), each["message"])
        for each in staged.errors.details[:10]
    ]
    message = f"None of the {reader.rows} rows is valid; nothing was changed"
    return invalid(message, problems)


def _file_too_large(row_number: int, maximum: int) -> Exception:
    megabytes = maximum // (1024 * 1024)
    problem = ("cve", "each CVE of a row is stored with the texts of the row: split the file")
    message = (
        f"A file of this size may contain {megabytes} MB of findings, row {row_number} exceeds"
    )
    return invalid(f"{message} that; nothing was changed", [problem])


def _sum(one: MergeCounts, other: MergeCounts) -> MergeCounts:
    return MergeCounts(
        one.inserted + other.inserted,
        one.updated + other.updated,
        one.reopened + other.reopened,
        one.resolved + other.resolved,
        max(one.last_row_number, other.last_row_number),
    )


def _result(
    job: ImportJob,
    reader: ExportReader,
    staged: _Staged,
    counts: MergeCounts,
    distinct: int,
    vendors: list[str],
    absence: _Absence,
) -> dict[str, Any]:
    """Return the result that `import-completed` carries: counts of rows and of findings.

    The first entry of its `summary` is what a user must read first: columns that were not
    understood, and a confirmation that is missing.
    """
    columns = reader.column_warnings()
    warnings = reader.warnings
    notices = [
        f"{each.column}: {each.message}" if each.column else each.message for each in columns
    ]
    if reader.incomplete:
        notices.append(
            f"the file is incomplete: {reader.incomplete}; the rows that are there were imported, "
            "and nothing was resolved by absence"
        )
    if absence.is_held_back:
        notices.append(absence.notice())
    details = [*columns, *warnings.first(MAXIMUM_DETAILS)][:MAXIMUM_DETAILS]
    return {
        "totalProcessed": reader.rows,
        "errors": staged.errors.count,
        "errorDetails": staged.errors.details,
        "warnings": len(columns) + warnings.counts.total(),
        "warningDetails": [asdict(each) for each in details],
        "summary": {
            "notices": notices,
            "profile": reader.profile.id,
            "rows": reader.rows,
            "rowsSkipped": reader.rows_skipped,
            "findings": distinct,
            "duplicates": staged.findings - distinct,
            "inserted": counts.inserted,
            "updated": counts.updated,
            "reopened": counts.reopened,
            "resolved": counts.resolved,
            "withheld": absence.withheld,
            "absence": absence.as_json(),
            "warnings": [
                {"column": column, "message": message, "count": count}
                for (column, message), count in warnings.counts.most_common(MAXIMUM_KINDS)
            ],
            "vendors": vendors,
            "scanDate": job.scan_date,
            "scope": job.scope,
        },
    }
