"""One import, from a CSV file to the findings that are open afterwards.

Knows: the order of the work, what is one transaction, when an import fails.
Does not know: threads, queues, sockets.  It runs wherever it is called and reports by calling back.

    parsing      read the file once: encoding, header, number of rows
    staging      map the rows, write the findings to the staging table, a short transaction a chunk
    processing   merge them into the current findings, batch after batch  \\ one transaction:
    finalizing   resolve what is gone, daily totals, the job's result     /  all of it or nothing

An import resolves only what is within its scope: findings of the vendors that its file speaks of,
of its hosts, all, or none.  It fails, changing nothing, when no row of the file is valid.

A rejected row is not silence.  What it may have meant stays as it is: the findings of the host that
it names; where it names none, those of its CVEs and its plugin; where it cannot be read, or names
nothing at all, every finding.  The summary counts as `withheld` what was not resolved for this.
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
from hextrackr_server.errors import ImportInterrupted, invalid
from hextrackr_server.findings import history as history_store
from hextrackr_server.findings.history import OpenTotal
from hextrackr_server.imports import (
    csv_reader as csv_source,
)
from hextrackr_server.imports import (
    store as import_store,
)
from hextrackr_server.imports import (
    summary as import_summary,
)
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

# Small enough that the interpreter is never held for long, large enough that a transaction pays.
STAGE_CHUNK = 500
MERGE_BATCH = 1000
MAXIMUM_DETAILS = 100
# A row is told once for each of its CVEs: a small file must not fill a disk.
MAXIMUM_GROWTH = 20
GROWTH_THAT_IS_FREE = 64 * 1024 * 1024
_BYTES_BESIDE_TEXT = 500
MAXIMUM_TOP_CRITICAL = 20


class Progress(NamedTuple):
    """How far an import has come: rows merged, and the overall percentage of all its phases."""

    status: ImportStatus
    processed: int
    total: int | None
    overall: int
    message: str


class RowProblem(TypedDict):
    """What is wrong with one row, numbered as a spreadsheet does."""

    row: int
    column: str
    message: str


Report = Callable[[Progress], None]
Stopping = Callable[[], bool]


class Problems:
    """Problems of rows: all are counted, the first hundred are kept."""

    __slots__ = ("count", "details")

    def __init__(self) -> None:
        self.count = 0
        self.details: list[RowProblem] = []

    def add(self, row: int, column: str, message: str) -> None:
        """Count a problem, and keep it if there is room."""
        self.count += 1
        if len(self.details) < MAXIMUM_DETAILS:
            self.details.append(RowProblem(row=row, column=column, message=message))


@dataclass(slots=True)
class _Staged:
    """What the staging phase found."""

    errors: Problems
    warnings: Problems
    # What rejected rows may have meant, until it is written down with the next chunk.
    mentions: set[Mention] = field(default_factory=set)
    findings: int = 0
    size: int = 0
    withheld: int = 0

    def add(self, chunk: list[Finding]) -> None:
        """Count findings, and about how many bytes they take."""
        self.findings += len(chunk)
        self.size += len(chunk) * _BYTES_BESIDE_TEXT
        self.size += sum(len(each["description"]) + len(each["solution"]) for each in chunk)

    def reject(self, number: int, column: str, message: str, mentions: Sequence[Mention]) -> None:
        """Count a row as an error, and keep what it may have meant."""
        self.errors.add(number, column, message)
        self.mentions.update(mentions or (import_store.ANYTHING,))


class Importer:
    """Imports one file at a time into a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = ImportStore(database)

    def run(self, job: ImportJob, path: Path, report: Report, stopping: Stopping) -> dict[str, Any]:
        """Import a file; its result, as written to the job.

        Raises ServiceError where the file is to blame, ImportInterrupted when `stopping()`
        turned true; the current findings are then as they were, and nothing stays staged.
        """
        run = _Run(self._database, self._store, job, report, stopping)
        try:
            return run.all_of(path)
        except BaseException:
            self._store.drop_staged(job.import_id)
            raise

    def changes(self, job: ImportJob, limit: int) -> dict[str, Any]:
        """What an import has changed, row by row up to a limit, and the worst that it brought."""
        with self._database.reading() as connection:
            return {
                "rows": import_summary.changed_findings(connection, job.import_id, limit),
                "topCritical": import_summary.top_critical(
                    connection, job.import_id, MAXIMUM_TOP_CRITICAL
                ),
            }


class _Run:
    """The state of one run."""

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

    def all_of(self, path: Path) -> dict[str, Any]:
        source = self._parse(path)
        staged = self._stage(source)
        if not staged.findings:
            raise _nothing_valid(source, staged)
        return self._merge(source, staged)

    # -- parsing

    def _parse(self, path: Path) -> CsvSource:
        def checkpoint(lines: int) -> None:
            self._check()
            self._say(ImportStatus.PARSING, 0, None, 5, f"Read {lines} lines")

        self._say(ImportStatus.PARSING, 0, None, 0, "Reading the file")
        source = csv_source.inspect(path, checkpoint)
        if missing := missing_columns(source.header):
            what = " and no ".join(name for name, _ in missing)
            raise invalid(f"This is not an export of findings: it has no {what} column", missing)
        if not source.row_count:
            raise invalid("The file has a header but no rows; nothing was changed")
        self._store.update_job(self._job.import_id, total=source.row_count)
        self._say(ImportStatus.PARSING, 0, source.row_count, 15, f"Found {source.row_count} rows")
        return source

    # -- staging

    def _stage(self, source: CsvSource) -> _Staged:
        staged = _Staged(Problems(), Problems())
        if source.warning:
            staged.warnings.add(1, "", source.warning)
        most = max(GROWTH_THAT_IS_FREE, MAXIMUM_GROWTH * source.path.stat().st_size)
        for row_number, chunk in self._chunks(source, staged):
            self._check()
            staged.add(chunk)
            if staged.size > most:
                raise _too_much(row_number, most)
            if chunk:
                self._store.stage(self._job.import_id, chunk)
            if staged.mentions:
                self._store.reject(self._job.import_id, staged.mentions)
            staged.mentions.clear()
            done = _rows_until(row_number, source)
            self._say(
                ImportStatus.STAGING,
                0,
                source.row_count,
                15 + 45 * done // source.row_count,
                f"Staged {done} of {source.row_count} rows",
            )
        return staged

    def _chunks(self, source: CsvSource, staged: _Staged) -> Iterator[tuple[int, list[Finding]]]:
        """The findings of the file in chunks, each with the number of the row it ends with."""
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
            before = history_store.open_totals(connection)
            distinct, first, last = import_store.staged_ids(connection, import_id)
            counts = MergeCounts(0, 0, 0, 0, 0)
            keeps = history_store.keeps_snapshot_of(connection, scan_date)
            for start in range(first, last + 1, MERGE_BATCH):
                self._check()
                end = start + MERGE_BATCH - 1
                batch = import_store.merge_batch(connection, import_id, scan_date, start, end)
                counts = _sum(counts, batch)
                if keeps:
                    history_store.snapshot_batch(connection, import_id, scan_date, start, end)
                share = (end - first + 1) / (last - first + 1)
                self._say_merged(_rows_until(counts.last_row_number, source), total, share)
            self._say(ImportStatus.FINALIZING, total, total, 95, "Resolving what is gone")
            vendors = import_store.staged_vendors(connection, import_id)
            absent = import_store.resolve_absent(connection, self._job, vendors)
            counts = counts._replace(resolved=counts.resolved + absent)
            if staged.errors.count:
                staged.withheld = import_store.count_absent(connection, self._job, vendors)
            self._check()
            result = _result(self._job, source, staged, counts, distinct, vendors)
            result |= self._history(connection, before, result)
            import_store.delete_staged(connection, import_id)
            self._check()
            self._finish_job(connection, result, vendors)
        return result

    def _history(
        self, connection: Connection, before: list[OpenTotal], result: dict[str, Any]
    ) -> dict[str, Any]:
        """Write down the day of the scan; what changed, for those who watch."""
        job = self._job
        changes = import_summary.changes_of(connection, job.import_id)
        self._say_finalizing(result, 96, "Adding up what is open")
        after = history_store.open_totals(connection)
        history_store.write_daily_totals(
            connection, job.scan_date, after, resolved=changes.resolved, reopened=changes.reopened
        )
        history_store.expire_snapshots(connection)
        self._say_finalizing(result, 98, "Comparing with what was open before")
        metadata = {
            "sessionId": job.session_id,
            "importId": job.import_id,
            "filename": job.filename,
            "vendor": job.vendor or ", ".join(result["summary"]["vendors"]),
            "scanDate": job.scan_date,
            "totalRows": result["totalProcessed"],
            "processingTime": round((time.monotonic() - self._started) * 1000),
        }
        summary = import_summary.summarize(connection, metadata, changes, before, after)
        return {"importSummary": summary}

    def _say_finalizing(self, result: dict[str, Any], overall: int, message: str) -> None:
        self._check()
        rows = result["totalProcessed"]
        self._say(ImportStatus.FINALIZING, rows, rows, overall, message)

    def _say_merged(self, processed: int, total: int, share: float) -> None:
        overall = 60 + int(35 * min(1.0, share))
        message = f"Merged {processed} of {total} rows"
        self._say(ImportStatus.PROCESSING, processed, total, overall, message)

    def _finish_job(
        self, connection: Connection, result: dict[str, Any], vendors: list[str]
    ) -> None:
        # In the transaction of the merge: the job is completed exactly when its findings count.
        import_store.set_job(
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
            raise ImportInterrupted("the import was told to stop")

    def _say(
        self, status: ImportStatus, processed: int, total: int | None, overall: int, message: str
    ) -> None:
        self._report(Progress(status, processed, total, overall, message))


def _rows_until(row_number: int, source: CsvSource) -> int:
    """How many rows of data a row number stands for: the header has the number 1."""
    # Blank rows have numbers too, so that the number may run ahead of the count.
    return max(0, min(row_number - 1, source.row_count))


def _findings_of(
    mapper: RowMapper, number: int, cells: list[str] | str, staged: _Staged
) -> list[Finding]:
    """The findings of a row; none, and one error more, where the row is bad."""
    if isinstance(cells, str):
        staged.reject(number, "", cells, ())
        return []
    try:
        findings = mapper.findings(number, cells)
    except RowRejected as rejected:
        staged.reject(number, rejected.column, rejected.message, rejected.mentions)
        return []
    for column, message in mapper.doubts:
        staged.warnings.add(number, column, message)
    return findings


def _nothing_valid(source: CsvSource, staged: _Staged) -> Exception:
    problems = [
        (f"row {each['row']}" + (f", {each['column']}" if each["column"] else ""), each["message"])
        for each in staged.errors.details[:10]
    ]
    return invalid(f"None of the {source.row_count} rows is valid; nothing was changed", problems)


def _too_much(row_number: int, most: int) -> Exception:
    megabytes = most // (1024 * 1024)
    problem = ("cve", "each CVE of a row is a finding with the row's texts: split the file")
    message = f"Up to row {row_number} there are more than {megabytes} MB of findings in the file"
    return invalid(f"{message}; nothing was changed", [problem])


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
    """What the client reads in `import-completed`: counts of rows, then counts of findings."""
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
    """The day of a scan: `2025-09-30` or `09_30_2025` in the file's name, else today (UTC)."""
    if match := re.search(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)", filename):
        candidate = match.group(1)
    elif match := re.search(r"(?<!\d)(\d{2})_(\d{2})_(\d{4})(?!\d)", filename):
        candidate = "{2}-{0}-{1}".format(*match.groups())
    else:
        candidate = ""
    return iso_date(candidate) or (today or datetime.now(UTC)).date().isoformat()
