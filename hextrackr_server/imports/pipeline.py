"""Imports one export of a scanner: from its rows to the findings that are open afterwards.

The importer runs on the calling thread and reports through callbacks. Queueing, threads and
clients belong to `service`, the formats of files to `formats`.

    parsing      detect the format of the file                              (`reading`, by default
    staging      map the rows; write the findings to the stage file          in the same process)
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
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import ImportInterruptedError, ServiceError, invalid
from hextrackr_server.findings import history, totals
from hextrackr_server.findings.totals import OpenTotal
from hextrackr_server.imports import absence, merge, store, summary
from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.formats.reader import describe_empty
from hextrackr_server.imports.merge import Merge, MergeCounts
from hextrackr_server.imports.progress_record import ImportStatus
from hextrackr_server.imports.reading import (
    Check,
    OnOpened,
    OnRead,
    ReadOutcome,
    ReadRequest,
    read_export,
)
from hextrackr_server.imports.result import Absence, bounded_absence, result_of
from hextrackr_server.imports.store import ImportJob, ImportStore
from hextrackr_server.imports.undo import ImportUndo
from hextrackr_server.storage import unannounced
from hextrackr_server.storage.database import Database
from hextrackr_server.telemetry.failures import log_failure

logger = logging.getLogger(__name__)

# A row is stored once per CVE. This bounds the disk space that a small file can use.
MAXIMUM_GROWTH = 20
ALLOWED_GROWTH_BYTES = 64 * 1024 * 1024
MAXIMUM_TOP_CRITICAL = 20
#: Suffix of the stage file, which is next to the file of the import.
STAGE_SUFFIX = ".staged"
#: Tools whose plugin IDs findings of 0.1.0 may have.
_TOOLS_OF_UNSOURCED = frozenset({"tenable", "hub"})

#: Share of reading in `processed`; the share of merging is the rest, as in `overall`.
READ_PERCENT = 60
#: Time between two checks whether an import that waits for another one must stop.
TURN_SECONDS = 0.1


class Progress(NamedTuple):
    """The state of an import: rows merged, and the overall percentage of all phases."""

    status: ImportStatus
    processed: int
    total: int | None
    overall: int
    message: str


Report = Callable[[Progress], None]
Stopping = Callable[[], bool]
WriteTurn = Callable[[Stopping], AbstractContextManager[None]]
#: Reads a file into its stage file, like `read_export`.
ReadFile = Callable[[ReadRequest, OnOpened, OnRead, Check], ReadOutcome]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options of an import that are not stored with its job.

    `confirm` resolves absent findings whatever their share. `allow_partial` imports a file that
    breaks off. `mapping` is the text of the user's profile of the file. `is_dated` means that the
    user gave the scan date of the job, so that no date in the file replaces it.
    """

    confirm: bool = False
    allow_partial: bool = False
    mapping: str = ""
    is_dated: bool = False


class Importer:
    """An importer that processes one file per call into a database.

    `read` reads the file; the stage file is next to it. `history` undoes imports.
    """

    def __init__(
        self,
        database: Database,
        read: ReadFile = read_export,
        kept_scans: int = history.KEPT_SCANS,
    ) -> None:
        """Create an importer that keeps the snapshots of `kept_scans` scan days."""
        self._database = database
        self._kept_scans = kept_scans
        self._store = ImportStore(database)
        self._read = read
        self._writer = threading.Lock()
        self.history = ImportUndo(database)

    @contextmanager
    def write_turn(self, stopping: Stopping) -> Iterator[None]:
        """Wait until no other import writes its findings.

        Raises ImportInterruptedError if `stopping()` returns true before. A thread that waits for
        the database itself could not be interrupted.
        """
        while not self._writer.acquire(timeout=TURN_SECONDS):
            if stopping():
                raise _interrupted()
        try:
            yield
        finally:
            self._writer.release()

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
        true. In both cases the current findings are unchanged and the stage file is deleted.
        """
        stage = path.with_name(path.name + STAGE_SUFFIX)
        options = options or ReadOptions()
        run = _Run(
            self._database,
            self._store,
            self._read,
            job,
            options,
            report,
            stopping,
            self._kept_scans,
            self.write_turn,
        )
        try:
            return run.execute(path, stage)
        except FileRefusedError as error:
            raise refusal_of(error) from error
        finally:
            delete_file(stage)

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
        "_kept_scans",
        "_options",
        "_overall",
        "_read",
        "_report",
        "_size",
        "_started",
        "_stopping",
        "_store",
        "_write_turn",
    )

    def __init__(
        self,
        database: Database,
        store: ImportStore,
        read: ReadFile,
        job: ImportJob,
        options: ReadOptions,
        report: Report,
        stopping: Stopping,
        kept_scans: int,
        write_turn: WriteTurn,
    ) -> None:
        self._database = database
        self._write_turn = write_turn
        self._kept_scans = kept_scans
        self._store = store
        self._read = read
        self._job = job
        self._options = options
        self._report = report
        self._stopping = stopping
        self._started = time.monotonic()
        self._size = 0
        self._overall = 0

    def execute(self, path: Path, stage: Path) -> dict[str, Any]:
        outcome = self._stage(path, stage)
        check_outcome(outcome)
        self._job = replace(self._job, scan_date=outcome.scan_date)
        with self._write_turn(self._stopping):
            return self._merge(outcome, stage)

    # -- parsing and staging

    def _stage(self, path: Path, stage: Path) -> ReadOutcome:
        self._report_progress(ImportStatus.PARSING, 0, None, 0, "Reading the file")
        self._size = path.stat().st_size
        request = ReadRequest(
            path=str(path),
            stage=str(stage),
            scan_date=self._job.scan_date,
            is_dated=self._options.is_dated,
            vendor=self._job.vendor or "",
            mapping=self._options.mapping,
            allow_partial=self._options.allow_partial,
            maximum=growth_limit(self._size),
        )
        outcome = self._read(request, self._opened, self._checkpoint, self._check)
        with self._write_turn(self._stopping):
            self._store.update_job(self._job.import_id, total=outcome.rows)
        message = f"Staged {outcome.rows} rows"
        done = _share_read(outcome.rows)
        self._report_progress(ImportStatus.STAGING, done, outcome.rows, 60, message)
        return outcome

    def _opened(self, title: str) -> None:
        self._check()
        self._report_progress(ImportStatus.PARSING, 0, None, 5, f"The format is {title}")

    def _checkpoint(self, position: int, rows: int) -> None:
        """Report the progress of reading; `position` is in bytes."""
        self._check()
        # A second pass over the file begins at its start again.
        self._overall = max(self._overall, 5 + 55 * position // max(1, self._size))
        overall = min(60, self._overall)
        # The rows of the part that is read determine the estimate for the whole file.
        estimate = max(rows, rows * self._size // max(1, position)) or None
        message = f"Read {rows} rows"
        self._report_progress(ImportStatus.STAGING, _share_read(rows), estimate, overall, message)

    # -- processing and finalizing

    def _merge(self, outcome: ReadOutcome, stage: Path) -> dict[str, Any]:
        total, job = outcome.rows, self._job
        self._check()
        with self._database.merging(stage) as connection:
            before = totals.open_totals(connection)
            merge.store_dictionaries(connection)
            run = Merge(connection, job.import_id, job.scan_date, outcome.profile)
            run.begin_journal(history.totals_of_day(connection, job.scan_date))
            adopted = run.adopt_unsourced(with_plugins=outcome.ids in _TOOLS_OF_UNSOURCED)
            missing = bounded_absence(job.scope, outcome)
            if missing.scope.kind != "none":
                missing.open = absence.count_open(connection, missing.scope)
            counts = self._merge_batches(run, outcome)
            message = "Resolving absent findings"
            self._report_progress(ImportStatus.FINALIZING, total, total, 90, message)
            if missing.open is not None:
                absent = self._resolve(connection, missing, has_mentions=outcome.has_mentions)
                counts = counts._replace(resolved=counts.resolved + absent)
            self._check()
            result = result_of(job, outcome, counts, missing)
            result["summary"]["adopted"] = adopted
            result["summary"]["withoutSource"] = merge.count_unsourced(connection)
            # Findings of 0.1.0 may have been on hosts that the file does not name.
            is_bounded = not adopted and missing.scope.kind in {"none", "auto", "hosts"}
            totals.refresh(connection, merge.named_hosts(connection) if is_bounded else None)
            result |= self._history(connection, before, result)
            if counts.replaced:
                merge.drop_unused_entries(connection)
            self._check()
            self._finish_job(connection, result)
        return result

    def _merge_batches(self, run: Merge, outcome: ReadOutcome) -> MergeCounts:
        counts = MergeCounts()
        for batch in run.all_batches():
            self._check()
            counts = counts.plus(batch)
            done = counts.inserted + counts.updated
            self._report_merged(outcome.rows, done / max(1, outcome.distinct))
        return counts

    def _resolve(self, connection: Connection, missing: Absence, *, has_mentions: bool) -> int:
        """Resolve absent findings, unless that needs a confirmation; return their number."""
        job, scope = self._job, missing.scope
        unreported = absence.unreported_by(job)
        missing.missing = absence.count_absent(connection, unreported, scope, meant=False)
        if has_mentions:
            missing.withheld = absence.count_absent(connection, unreported, scope, meant=True)
        missing.is_held_back = missing.exceeds_share() and not self._options.confirm
        return 0 if missing.is_held_back else absence.resolve_absent(connection, job, scope)

    def _history(
        self, connection: Connection, before: list[OpenTotal], result: dict[str, Any]
    ) -> dict[str, Any]:
        """Write the totals of the scan's day, and return the `importSummary`."""
        job = self._job
        if history.keeps_snapshot_of(connection, job.scan_date, self._kept_scans):
            for _ in history.snapshot_batches(connection, job.import_id, job.scan_date):
                self._report_finalizing(result, 93, "Storing the findings of the scan's day")
        changes = summary.changes_of(connection, job.import_id)
        self._report_finalizing(result, 96, "Counting open findings")
        after = totals.open_totals(connection)
        history.write_daily_totals(
            connection, job.scan_date, after, resolved=changes.resolved, reopened=changes.reopened
        )
        history.expire_snapshots(connection, self._kept_scans)
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

    def _report_merged(self, total: int, share: float) -> None:
        overall = 60 + int(30 * min(1.0, share))
        processed = min(total, int(total * share))
        message = f"Merged {processed} of {total} rows"
        done = _share_read(total) + processed - _share_read(processed)
        self._report_progress(ImportStatus.PROCESSING, done, total, overall, message)

    def _finish_job(self, connection: Connection, result: dict[str, Any]) -> None:
        # In the transaction of the merge, so that job and findings change together.
        store.set_job(
            connection,
            self._job.import_id,
            status=str(ImportStatus.COMPLETED),
            vendor=self._job.vendor or ", ".join(result["summary"]["vendors"]),
            scan_date=self._job.scan_date,
            processed=result["totalProcessed"],
            errors=result["errors"],
            finished_at=epoch_ms(),
            result=result,
        )
        unannounced.note(connection, store.NOTED_IMPORT, self._job.import_id)

    # -- all phases

    def _check(self) -> None:
        if self._stopping():
            raise _interrupted()

    def _report_progress(
        self, status: ImportStatus, processed: int, total: int | None, overall: int, message: str
    ) -> None:
        self._report(Progress(status, processed, total, overall, message))


def _interrupted() -> ImportInterruptedError:
    return ImportInterruptedError("the import was interrupted before its end")


def _share_read(rows: int) -> int:
    """Return the part of the work on rows that reading them completes; merging is the rest."""
    return rows * READ_PERCENT // 100


def delete_file(path: Path) -> None:
    """Delete a file of an import, whose end does not depend on it: an error is logged."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log_failure(logger, "a file of an import cannot be deleted", error)


def growth_limit(size: int) -> int:
    """Return the limit of the findings of a file in bytes; `size` is that of the file."""
    return max(ALLOWED_GROWTH_BYTES, MAXIMUM_GROWTH * size)


def refusal_of(error: FileRefusedError) -> ServiceError:
    """Return the failure of an import whose file is refused."""
    return invalid(str(error), [(where, f"lacks {lacking}") for where, lacking in error.lacking])


def check_outcome(outcome: ReadOutcome) -> None:
    """Raise ServiceError VALIDATION_ERROR for a file without a valid row."""
    reason = describe_empty(outcome.rows, outcome.findings, outcome.errors)
    if reason:
        problems = [
            (f"row {each.row}" + (f", {each.column}" if each.column else ""), each.message)
            for each in outcome.error_details[:10]
        ]
        raise invalid(f"{reason[0].upper()}{reason[1:]}; nothing was changed", problems)
