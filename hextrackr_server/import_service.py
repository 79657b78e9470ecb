"""Imports as clients ask for them: started, queued, one at a time, watched.

Knows: the queue, the worker thread, who may see which import.
Does not know: sockets, HTTP.  What the worker learns is brought to the loop's thread, where the
tracker lives; the loop itself never waits for the database.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import secrets
import string
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError

from hextrackr_server import log_setup
from hextrackr_server.clock import epoch_ms
from hextrackr_server.csv_mapping import clean, iso_date
from hextrackr_server.errors import ErrorCode, ImportInterrupted, ServiceError, invalid
from hextrackr_server.import_store import ImportJob, ImportStore
from hextrackr_server.importer import Importer, Progress, scan_date_of
from hextrackr_server.principal import Principal
from hextrackr_server.progress_tracker import ProgressTracker, percentage
from hextrackr_server.upload_store import Upload

logger = logging.getLogger(__name__)

MAXIMUM_QUEUED = 32
MAXIMUM_ID = 2**63 - 1
_SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_BASE36 = string.digits + string.ascii_lowercase

T = TypeVar("T")
#: Brings a call to the loop's thread: `loop.call_soon_threadsafe`.
Hop = Callable[..., object]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a client may say about an import; every part may be left out."""

    vendor: str | None = None
    scan_date: str | None = None
    session_id: str | None = None


class ImportService:
    """Owns the queue of imports and the thread that works it off."""

    def __init__(
        self,
        store: ImportStore,
        importer: Importer,
        tracker: ProgressTracker,
        on_committed: Callable[[], None],
    ) -> None:
        self._store = store
        self._importer = importer
        self._tracker = tracker
        self._hop: Hop = _not_started
        self._on_committed = on_committed
        self._stop = threading.Event()
        self._queue: queue.SimpleQueue[tuple[ImportJob, Path] | None] = queue.SimpleQueue()
        self._unfinished = 0
        # Job rows have a thread of their own: they may wait for the end of an import's
        # transaction, and readers shall not wait behind them.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="hextrackr-jobs")
        self._worker = threading.Thread(target=self._work, name="hextrackr-import", daemon=True)

    async def start(self) -> None:
        """Settle what a former server left unfinished, then begin to work; within the loop."""
        self._hop = asyncio.get_running_loop().call_soon_threadsafe
        interrupted = await self._in_writer(self._store.recover, epoch_ms())
        for import_id in interrupted:
            logger.warning("import was interrupted", extra=log_setup.fields(importId=import_id))
        self._worker.start()

    async def stop(self) -> None:
        """Interrupt the running import, leave the findings as they were, end the threads."""
        self._stop.set()
        self._queue.put(None)
        if self._worker.ident is not None:
            await asyncio.to_thread(self._worker.join)
        await asyncio.to_thread(self._writer.shutdown)

    async def submit(
        self, upload: Upload, principal: Principal, options: ImportOptions
    ) -> dict[str, Any]:
        """Queue an import of a file, which is deleted afterwards; the answer to its starter.

        Raises ServiceError, and deletes the file, where it cannot be queued.
        """
        try:
            job = await self._create_job(upload, principal, options)
        except BaseException:
            upload.path.unlink(missing_ok=True)
            raise
        self._unfinished += 1
        self._tracker.queue(job.import_id, job.user_id, job.filename, job.vendor)
        self._queue.put((job, upload.path))
        return {
            "success": True,
            "importId": job.import_id,
            "sessionId": job.session_id,
            "status": "queued",
            "totalRecords": None,
        }

    async def status(self, import_id: int, principal: Principal) -> dict[str, Any]:
        """Where an import is now; for its owner and for admins.

        Others cannot tell a foreign import from one that does not exist.
        """
        owner = self._tracker.owner(import_id)
        job = None
        if owner is None and import_id <= MAXIMUM_ID:
            job = await asyncio.to_thread(self._store.job, import_id)
            owner = None if job is None else job.user_id
        if owner is None or not (owner == principal.user_id or principal.is_admin):
            raise ServiceError(ErrorCode.NOT_FOUND, "There is no such import")
        state = self._tracker.snapshot(import_id)
        if state is not None:
            return state
        if job is None:  # swept between the two looks
            job = await asyncio.to_thread(self._store.job, import_id)
        assert job is not None
        return _state_of(job)

    async def _create_job(
        self, upload: Upload, principal: Principal, options: ImportOptions
    ) -> ImportJob:
        if self._unfinished >= MAXIMUM_QUEUED:
            raise ServiceError(
                ErrorCode.CONFLICT, f"{self._unfinished} imports are waiting: try again later"
            )
        try:
            return await self._in_writer(
                lambda: self._store.create_job(
                    session_id=_session_id(options.session_id),
                    user_id=principal.user_id,
                    filename=upload.filename,
                    vendor=clean(options.vendor or "", 64).strip() or None,
                    scan_date=_scan_date(options.scan_date, upload.filename),
                    created_at=epoch_ms(),
                )
            )
        except IntegrityError as error:
            raise ServiceError(
                ErrorCode.CONFLICT, "An import with this sessionId exists already"
            ) from error

    async def _in_writer(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call, *args)

    # -- on the worker's thread

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            job, path = entry
            self._import(job, path)
            path.unlink(missing_ok=True)
            self._hop(self._done)

    def _import(self, job: ImportJob, path: Path) -> None:
        def report(progress: Progress) -> None:
            self._hop(self._tracker.update, job.import_id, *progress)

        log_fields = {"importId": job.import_id, "user": job.user_id}
        logger.info("import started", extra=log_setup.fields(**log_fields, file=job.filename))
        try:
            if self._stop.is_set():
                raise ImportInterrupted
            self._hop(self._tracker.start, job.import_id)
            self._store.update_job(job.import_id, status="running", started_at=epoch_ms())
            result = self._importer.run(job, path, report, self._stop.is_set)
        except (ServiceError, ImportInterrupted) as error:
            self._fail(job, _failure_of(error), log_fields)
        except Exception:
            # The worker outlives every import; what went wrong is for the log, not for clients.
            error_id = secrets.token_hex(4)
            logger.exception("import broke", extra=log_setup.fields(**log_fields, errorId=error_id))
            message = f"The import failed on the server (error {error_id})"
            self._fail(job, {"code": "IMPORT_FAILED", "message": message}, log_fields)
        else:
            counts = result["summary"]
            logger.info("import completed", extra=log_setup.fields(**log_fields, **counts))
            self._hop(self._on_committed)
            self._hop(self._tracker.complete, job.import_id, result)

    def _fail(self, job: ImportJob, failure: dict[str, Any], log_fields: dict[str, Any]) -> None:
        logger.warning(
            "import failed",
            extra=log_setup.fields(**log_fields, code=failure["code"], reason=failure["message"]),
        )
        try:
            self._store.update_job(
                job.import_id,
                status="failed",
                error_code=failure["code"],
                error_message=failure["message"],
                finished_at=epoch_ms(),
                result=failure,
            )
        except Exception:
            logger.exception("a failed import could not be written down")
        self._hop(self._tracker.fail, job.import_id, failure)

    def _done(self) -> None:
        self._unfinished -= 1


def _not_started(*_: Any) -> None:
    raise RuntimeError("the import service has not been started")


def _failure_of(error: ServiceError | ImportInterrupted) -> dict[str, Any]:
    if isinstance(error, ImportInterrupted):
        message = "The server stopped before the import was done"
        return {"code": str(ErrorCode.INTERRUPTED), "message": message}
    failure: dict[str, Any] = {"code": str(error.code), "message": error.message}
    if error.fields is not None:
        failure["fields"] = error.fields
    return failure


def _session_id(wished: str | None) -> str:
    if wished is None:
        suffix = "".join(secrets.choice(_BASE36) for _ in range(9))
        return f"import-{epoch_ms()}-{suffix}"
    if not _SESSION_ID.fullmatch(wished):
        raise invalid(
            "Invalid sessionId",
            [("sessionId", "must be 1 to 128 letters, digits or . _ : -")],
        )
    return wished


def _scan_date(wished: str | None, filename: str) -> str:
    if wished is None:
        return scan_date_of(filename)
    day = iso_date(wished)
    if day is None:
        raise invalid("Invalid scanDate", [("scanDate", "must be a date such as 2025-09-30")])
    return day


def _state_of(job: ImportJob) -> dict[str, Any]:
    """The snapshot of an import that is older than the tracker's memory."""
    completed = job.status == "completed"
    elapsed = (job.finished_at or epoch_ms()) - job.started_at if job.started_at else 0
    state: dict[str, Any] = {
        "importId": job.import_id,
        "status": job.status,
        "processed": job.processed,
        "total": job.total,
        "percentage": 100 if completed else percentage(job.processed, job.total),
        "overall": 100 if completed else 0,
        "elapsedTime": elapsed,
        "timestamp": epoch_ms(),
        "message": job.error_message or ("Import completed" if completed else ""),
        "seq": 0,
    }
    result = job.result
    if result is None and job.error_code is not None:
        result = {"code": job.error_code, "message": job.error_message}
    if result is not None:
        state["result"] = result
    return state
