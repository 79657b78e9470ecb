"""Imports one CSV file: from its rows to the findings that are open afterwards.

The importer runs on the calling thread and reports through callbacks. Queueing, threads and
clients belong to `service`.

    parsing      read the file once: encoding, header, number of rows
    staging      map the rows; write the findings to the staging table, one transaction per chunk
    processing   merge them into the current findings batch by batch        (one transaction
    finalizing   resolve absent findings, write daily totals and the result  for both phases)

The scope of an import limits the findings that it resolves: findings of the vendors in its file,
findings of its hosts, all, or none. An import without a valid row fails and changes nothing.

A rejected row is not treated as missing: findings it might refer to are left unchanged. These are
the findings of the host that the row names; without a host, the findings of its CVEs and its
plugin; if the row is unreadable or names nothing, every finding. The summary counts findings that
stay open for this reason as `withheld`.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from sqlalchemy import Connection

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import ImportInterruptedError, invalid
from hextrackr_server.findings import history
from hextrackr_server.findings.history import OpenTotal
from hextrackr_server.imports import csv_reader, store, summary
from hextrackr_server.imports.csv_mapping import (
    Finding,
    Mention,
    RowMapper,
    RowRejected,
    missing_columns,
)
from hextrackr_server.imports.csv_reader import CsvSource
from hextrackr_server.imports.progress_record import ImportStatus
from hextrackr_server.imports.store import ImportJob, ImportStore, MergeCounts
from hextrackr_server.storage.database import Database
from hextrackr_server.text import iso_date

logger = logging.getLogger(__name__)

# Small enough to hold the interpreter lock only briefly, large enough to amortize a transaction.
STAGE_CHUNK = 500
MERGE_BATCH = 1000
MAXIMUM_DETAILS = 100
# A row is stored once per CVE. This bounds the disk space that a small file can use.
MAXIMUM_GROWTH = 20
ALLOWED_GROWTH_BYTES = 64 * 1024 * 1024
_BYTES_PER_FINDING = 500  # without its texts
MAXIMUM_TOP_CRITICAL = 20


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


Report = Callable[[Progress], None]
Stopping = Callable[[], bool]


class Problems:
    """The problems of a file's rows: all are counted, the first hundred are kept."""

    __slots__ = ("count", "details")

    def __init__(self) -> None:
        self.count = 0
        self.details: list[RowProblem] = []

    def add(self, row: int, column: str, message: str) -> None:
        """Count a problem, and keep it while fewer than MAXIMUM_DETAILS are kept."""
        self.count += 1
        if len(self.details) < MAXIMUM_DETAILS:
            self.details.append(RowProblem(row=row, column=column, message=message))


@dataclass(slots=True)
class _Staged:
    """The outcome of the staging phase."""

    errors: Problems
    warnings: Problems
    # Values in rejected rows that are not yet stored; the next chunk stores them.
    mentions: set[Mention] = field(default_factory=set)
    findings: int = 0
    size: int = 0
    withheld: int = 0

    def add(self, chunk: list[Finding]) -> None:
        """Count findings and estimate their size in bytes."""
        self.findings += len(chunk)
        self.size += len(chunk) * _BYTES_PER_FINDING
        self.size += sum(len(each["description"]) + len(each["solution"]) for each in chunk)

    def reject(self, number: int, column: str, message: str, mentions: Sequence[Mention]) -> None:
        """Count a row as an error, and keep the values that narrow down its findings."""
        self.errors.add(number, column, message)
        self.mentions.update(mentions or (store.ANYTHING,))


class Importer:
    """An importer that processes one file per call into a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = ImportStore(database)

    def run(self, job: ImportJob, path: Path, report: Report, stopping: Stopping) -> dict[str, Any]:
        """Import a file and return its result as stored with the job.

        Raises ServiceError if the file is at fault, ImportInterruptedError if `stopping()` returned
        true. In both cases the current findings are unchanged and the staged ones are deleted.
        """
        run = _Run(self._database, self._store, job, report, stopping)
        try:
            return run.execute(path)
        except BaseException:
            self._store.drop_staged(job.import_id)
            raise

    def changes(self, job: ImportJob, limit: int) -> dict[str, Any]:
        """Return up to `limit` findings that an import changed, and its worst critical ones."""
        with self._database.reading() as connection:
            return {
                "rows": summary.changed_findings(connection, job.import_id, limit),
                "topCritical": summary.top_critical(
                    connection, job.import_id, MAXIMUM_TOP_CRITICAL
                ),
            }


class _Run:
    """One execution of an import with its job and callbacks."""

    __slots__ = ("_database", "_job", "_report", "_started", "_stopping", "_store")

    def __init__(
        self,
        database: Database,
        store: ImportStore,
        job: ImportJob,
        report: Report,
        stopping: Stopping,
    ) -> None:
        self._database = database
        self._store = store
        self._job = job
        self._report = report
        self._stopping = stopping
        self._started = time.monotonic()

    def execute(self, path: Path) -> dict[str, Any]:
        source = self._parse(path)
        staged = self._stage(source)
        if not staged.findings:
            raise _nothing_valid(source, staged)
        return self._merge(source, staged)

    # -- parsing

    def _parse(self, path: Path) -> CsvSource:
        def checkpoint(lines: int) -> None:
            self._check()
            self._report_progress(ImportStatus.PARSING, 0, None, 5, f"Read {lines} lines")

        self._report_progress(ImportStatus.PARSING, 0, None, 0, "Reading the file")
        source = csv_reader.inspect(path, checkpoint)
        if missing := missing_columns(source.header):
            groups = " and no ".join(name for name, _ in missing)
            raise invalid(
                f"The file is not an export of findings: it has no {groups} column", missing
            )
        if not source.row_count:
            raise invalid("The file has a header but no rows; nothing was changed")
        self._store.update_job(self._job.import_id, total=source.row_count)
        message = f"Found {source.row_count} rows"
        self._report_progress(ImportStatus.PARSING, 0, source.row_count, 15, message)
        return source

    # -- staging

    def _stage(self, source: CsvSource) -> _Staged:
        staged = _Staged(Problems(), Problems())
        if source.warning:
            staged.warnings.add(1, "", source.warning)
        maximum = max(ALLOWED_GROWTH_BYTES, MAXIMUM_GROWTH * source.path.stat().st_size)
        for row_number, chunk in self._chunks(source, staged):
            self._check()
            staged.add(chunk)
            if staged.size > maximum:
                raise _file_too_large(row_number, maximum)
            if chunk:
                self._store.stage(self._job.import_id, chunk)
            if staged.mentions:
                self._store.reject(self._job.import_id, staged.mentions)
            staged.mentions.clear()
            done = _rows_until(row_number, source)
            self._report_progress(
                ImportStatus.STAGING,
                0,
                source.row_count,
                15 + 45 * done // source.row_count,
                f"Staged {done} of {source.row_count} rows",
            )
        return staged

    def _chunks(self, source: CsvSource, staged: _Staged) -> Iterator[tuple[int, list[Finding]]]:
        """Yield the findings of the file in chunks, each with the number of its last row."""
        mapper = RowMapper(source.header, self._job.scan_date, self._job.vendor or "")
        chunk: list[Finding] = []
        for number, cells in source.rows(lambda _: self._check()):
            chunk += _findings_of(mapper, number, cells, staged)
            if len(chunk) + len(staged.mentions) >= STAGE_CHUNK:
                yield number, chunk
                chunk = []
        if chunk or staged.mentions:
            yield source.row_count + 1, chunk

    # -- processing and finalizing

    def _merge(self, source: CsvSource, staged: _Staged) -> dict[str, Any]:
        total, import_id, scan_date = source.row_count, self._job.import_id, self._job.scan_date
        with self._database.writing() as connection:
            before = history.open_totals(connection)
            distinct, first, last = store.staged_ids(connection, import_id)
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
                self._report_merged(_rows_until(counts.last_row_number, source), total, share)
            message = "Resolving absent findings"
            self._report_progress(ImportStatus.FINALIZING, total, total, 95, message)
            vendors = store.staged_vendors(connection, import_id)
            absent = store.resolve_absent(connection, self._job, vendors)
            counts = counts._replace(resolved=counts.resolved + absent)
            if staged.errors.count:
                staged.withheld = store.count_absent(connection, self._job, vendors)
            self._check()
            result = _result(self._job, source, staged, counts, distinct, vendors)
            result |= self._history(connection, before, result)
            store.delete_staged(connection, import_id)
            self._check()
            self._finish_job(connection, result, vendors)
        return result

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
        self._report_progress(ImportStatus.PROCESSING, processed, total, overall, message)

    def _finish_job(
        self, connection: Connection, result: dict[str, Any], vendors: list[str]
    ) -> None:
        # In the transaction of the merge, so that job and findings change together.
        store.set_job(
            connection,
            self._job.import_id,
            status=str(ImportStatus.COMPLETED),
            vendor=self._job.vendor or ", ".join(vendors),
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


def _rows_until(row_number: int, source: CsvSource) -> int:
    """Return the number of data rows up to a row number; the header is row 1."""
    # Blank rows are numbered but not counted, so the row number may exceed the count.
    return max(0, min(row_number - 1, source.row_count))


def _findings_of(
    mapper: RowMapper, number: int, cells: list[str] | str, staged: _Staged
) -> list[Finding]:
    """Return the findings of a row, or record an error and return none if the row is invalid."""
    if isinstance(cells, str):
        staged.reject(number, "", cells, ())
        return []
    try:
        findings = mapper.findings(number, cells)
    except RowRejected as rejected:
        staged.reject(number, rejected.column, rejected.message, rejected.mentions)
        return []
    for column, message in mapper.warnings:
        staged.warnings.add(number, column, message)
    return findings


def _nothing_valid(source: CsvSource, staged: _Staged) -> Exception:
    problems = [
        (f"row {each['row']}" + (f", {each['column']}" if each["column"] else ""), each["message"])
        for each in staged.errors.details[:10]
    ]
    message = f"None of the {source.row_count} rows is valid; nothing was changed"
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
    source: CsvSource,
    staged: _Staged,
    counts: MergeCounts,
    distinct: int,
    vendors: list[str],
) -> dict[str, Any]:
    """Return the result that `import-completed` carries: counts of rows and of findings."""
    return {
        "totalProcessed": source.row_count,
        "errors": staged.errors.count,
        "errorDetails": staged.errors.details,
        "warnings": staged.warnings.count,
        "warningDetails": staged.warnings.details,
        "summary": {
            "rows": source.row_count,
            "findings": distinct,
            "duplicates": staged.findings - distinct,
            "inserted": counts.inserted,
            "updated": counts.updated,
            "reopened": counts.reopened,
            "resolved": counts.resolved,
            "withheld": staged.withheld,
            "vendors": vendors,
            "scanDate": job.scan_date,
            "scope": job.scope,
        },
    }


def scan_date_of(filename: str, today: datetime | None = None) -> str:
    """Return the scan date: `2025-09-30` or `09_30_2025` in the file name, else today (UTC)."""
    if match := re.search(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)", filename):
        candidate = match.group(1)
    elif match := re.search(r"(?<!\d)(\d{2})_(\d{2})_(\d{4})(?!\d)", filename):
        candidate = "{2}-{0}-{1}".format(*match.groups())
    else:
        candidate = ""
    return iso_date(candidate) or (today or datetime.now(UTC)).date().isoformat()
