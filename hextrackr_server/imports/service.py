"""Imports as clients ask for them: started, queued, one at a time, watched.

Knows: the queue, the worker thread, who may see which import.
Does not know: sockets, HTTP.  What the worker learns is brought to the loop's thread, where the
tracker lives; the loop itself never waits for the database.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import secrets
import string
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import ErrorCode, ImportInterrupted, ServiceError, invalid
from hextrackr_server.findings.events import THRESHOLD
from hextrackr_server.imports.pipeline import Importer, Progress, scan_date_of
from hextrackr_server.imports.progress_record import FINAL
from hextrackr_server.imports.progress_tracker import Key, ProgressTracker
from hextrackr_server.imports.status import ImportView, check_session_id
from hextrackr_server.imports.store import SCOPES, ImportJob, ImportStore
from hextrackr_server.imports.uploads import Upload
from hextrackr_server.security.principal import Principal
from hextrackr_server.telemetry import log_setup
from hextrackr_server.text import clean, iso_date

logger = logging.getLogger(__name__)

MAXIMUM_QUEUED = 32
#: Of one user, at a time.
MAXIMUM_EXTERNAL = 10
# Nobody fills the queue alone.
MAXIMUM_QUEUED_OF_USER = 16
# Of more changes only a summary is told: one more than that shows that there are more.
_CHANGES_READ = THRESHOLD + 1
_BASE36 = string.digits + string.ascii_lowercase

T = TypeVar("T")
#: Brings a call to the loop's thread: `loop.call_soon_threadsafe`.
Hop = Callable[..., object]
#: Called with an import's number, the summary of its result, and `Importer.changes`.
OnCommitted = Callable[[int, dict[str, Any], dict[str, Any]], None]

_FAILURES: dict[ErrorCode, dict[str, Any]] = {
    code: {"code": str(code), "message": message}
    for code, message in (
        (ErrorCode.CANCELLED, "The import was cancelled; nothing was changed"),
        (ErrorCode.STALLED, "The import has not moved for ten minutes; nothing was changed"),
        (ErrorCode.INTERRUPTED, "The server stopped before the import was done"),
    )
}
_CANCELLED_HERE = {
    "code": str(ErrorCode.CANCELLED),
    "message": "The import was cancelled; what was done elsewhere until then is not undone here",
}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a client may say about an import; every part may be left out."""

    vendor: str | None = None
    scan_date: str | None = None
    session_id: str | None = None
    scope: str | None = None


class ImportService:
    """Owns the queue of imports and the thread that works it off."""

    def __init__(
        self,
        store: ImportStore,
        importer: Importer,
        tracker: ProgressTracker,
        on_committed: OnCommitted,
        admit: Callable[[Principal], None] = lambda _: None,
    ) -> None:
        """`admit` raises a ServiceError for those who may not begin an import now."""
        self._admit = admit
        self.view = ImportView(store, tracker)
        self._store = store
        self._importer = importer
        self._tracker = tracker
        self._hop: Hop = _not_started
        self._on_committed = on_committed
        self._stop = threading.Event()
        self._queue: queue.SimpleQueue[tuple[ImportJob, Path] | None] = queue.SimpleQueue()
        # Every import of this queue, and why it shall end early, if it shall.
        self._wishes: dict[int, ErrorCode | None] = {}
        # How many of them each user has; one that is about to be queued counts.
        self._places: Counter[str] = Counter()
        # Job rows have a thread of their own: they may wait for the end of an import's
        # transaction, and readers shall not wait behind them.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="hextrackr-jobs")
        self._worker = threading.Thread(target=self._work, name="hextrackr-import", daemon=True)

    async def start(self) -> None:
        """Settle what a former server left unfinished, then begin to work; within the loop."""
        self._hop = asyncio.get_running_loop().call_soon_threadsafe
        self._tracker.on_stalled = self._give_up
        self._tracker.watch()
        interrupted = await self._in_writer(self._store.recover, epoch_ms())
        for import_id in interrupted:
            logger.warning("import was interrupted", extra=log_setup.fields(importId=import_id))
        self._worker.start()

    async def interrupt(self, seconds: float | None = None) -> None:
        """End all imports, running and waiting, and let their followers know; take no more.

        The findings stay as they were.  One that is being written is done first: it is awaited for
        so many seconds.
        """
        self._stop.set()
        self._queue.put(None)
        if self._worker.ident is not None:
            await asyncio.to_thread(self._worker.join, seconds)

    async def stop(self) -> None:
        """Interrupt all imports, and end the threads."""
        await self.interrupt()
        await asyncio.to_thread(self._writer.shutdown)

    async def submit(
        self, upload: Upload, principal: Principal, options: ImportOptions
    ) -> dict[str, Any]:
        """Queue an import of a file, which is deleted afterwards; the answer to its starter.

        Raises ServiceError, and deletes the file, where it cannot be queued.
        """
        try:
            if self._stop.is_set():
                raise ServiceError(ErrorCode.UNAVAILABLE, "The server stops: try again later")
            self._admit(principal)
            self._take_place(principal.user_id)
            try:
                job = await self._create_job(upload, principal, options)
                await self._follow(job)
            except BaseException:
                self._leave_place(principal.user_id)
                raise
        except BaseException:
            upload.path.unlink(missing_ok=True)
            raise
        self._queue.put((job, upload.path))
        return _accepted(job.import_id, job.session_id, None)

    async def submit_external(
        self,
        principal: Principal,
        options: ImportOptions,
        filename: str = "",
        total: int | None = None,
    ) -> dict[str, Any]:
        """Begin an import that is done elsewhere; the answer to its starter.

        A producer reports how far it is; nothing of it is done or stored here.
        """
        self._admit(principal)
        session_id = _session_id(options.session_id)
        if await asyncio.to_thread(self._store.job_of_session, session_id) is not None:
            raise _session_exists()
        if self._tracker.external_imports_of(principal.user_id) >= MAXIMUM_EXTERNAL:
            raise ServiceError(
                ErrorCode.CONFLICT,
                f"{MAXIMUM_EXTERNAL} imports of yours are under way elsewhere: end or cancel some",
            )
        number = self._tracker.free_number()
        try:
            self._tracker.queue(
                number,
                principal.user_id,
                clean(filename, 255),
                _vendor(options.vendor),
                session_id=session_id,
                scan_date=_scan_date(options.scan_date, filename),
                total=total,
            )
        except ValueError as error:
            raise _session_exists() from error
        self._tracker.start(number)
        return _accepted(number, session_id, total)

    async def status(self, import_id: int, principal: Principal) -> dict[str, Any]:
        """Where an import is now; for its owner and for admins."""
        return await self.view.status(import_id, principal)

    async def cancel(self, import_id: int, principal: Principal) -> dict[str, Any]:
        """Let an import end before its time; for its owner and for admins.

        One that waits, or is done elsewhere, ends at once, a running one as soon as it notices; the
        findings stay as they were.  CONFLICT if it has ended.
        """
        state = await self.view.status(import_id, principal)
        if state["status"] in FINAL:
            raise ServiceError(ErrorCode.CONFLICT, f"The import is {state['status']} already")
        record = self._tracker.find(import_id)
        if record is None or not (record.is_external or import_id in self._wishes):
            raise ServiceError(ErrorCode.CONFLICT, "The import is ending already")
        if record.is_external:
            # Its producer learns it with the answer to its next report.
            self._tracker.cancel(import_id, _CANCELLED_HERE)
        else:
            self._wishes[import_id] = ErrorCode.CANCELLED
            if record.started_at is None:
                self._tracker.cancel(import_id, _FAILURES[ErrorCode.CANCELLED])
        status = "cancelled" if record.status in FINAL else "cancelling"
        return {"success": True, "importId": import_id, "status": status}

    async def _create_job(
        self, upload: Upload, principal: Principal, options: ImportOptions
    ) -> ImportJob:
        session_id = _session_id(options.session_id)
        if self._tracker.find(session_id) is not None:
            raise _session_exists()
        try:
            return await self._in_writer(
                lambda: self._store.create_job(
                    session_id=session_id,
                    user_id=principal.user_id,
                    filename=upload.filename,
                    vendor=_vendor(options.vendor),
                    scan_date=_scan_date(options.scan_date, upload.filename),
                    scope=_scope(options.scope),
                    created_at=epoch_ms(),
                )
            )
        except IntegrityError as error:
            raise _session_exists() from error

    async def _follow(self, job: ImportJob) -> None:
        try:
            self._tracker.queue(
                job.import_id,
                job.user_id,
                job.filename,
                job.vendor,
                session_id=job.session_id,
                scan_date=job.scan_date,
            )
        except ValueError as error:
            # Somebody else's began while the job was written down.
            refusal = _session_exists()
            await self._in_writer(self._store.end_job, job.import_id, _failure_of(refusal))
            raise refusal from error
        self._wishes[job.import_id] = None

    def _take_place(self, user_id: str) -> None:
        """Reserve a place in the queue, before anything is awaited."""
        own, waiting = self._places[user_id], self._places.total()
        if waiting >= MAXIMUM_QUEUED or own >= MAXIMUM_QUEUED_OF_USER:
            what = f"{waiting} imports" if waiting >= MAXIMUM_QUEUED else f"{own} of your imports"
            raise ServiceError(ErrorCode.CONFLICT, f"{what} are waiting: try again later")
        self._places[user_id] += 1

    def _leave_place(self, user_id: str) -> None:
        self._places[user_id] -= 1
        if not self._places[user_id]:
            del self._places[user_id]

    def _settle(self, job: ImportJob) -> None:
        del self._wishes[job.import_id]
        self._leave_place(job.user_id)

    async def _in_writer(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call, *args)

    # -- on the worker's thread

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            job, path = entry
            self._import(job, path)
            path.unlink(missing_ok=True)
            self._hop(self._settle, job)

    def _import(self, job: ImportJob, path: Path) -> None:
        def report(progress: Progress) -> None:
            self._hop(self._tracker.update, job.import_id, *progress)

        def stopping() -> bool:
            return self._stop.is_set() or self._wishes[job.import_id] is not None

        log_fields = {"importId": job.import_id, "user": job.user_id}
        logger.info("import started", extra=log_setup.fields(**log_fields, file=job.filename))
        try:
            if stopping():
                raise ImportInterrupted
            self._hop(self._tracker.start, job.import_id)
            self._store.update_job(job.import_id, status="running", started_at=epoch_ms())
            result = self._importer.run(job, path, report, stopping)
        except ImportInterrupted:
            wish = self._wishes[job.import_id] or ErrorCode.INTERRUPTED
            self._fail(job, _FAILURES[wish], log_fields)
        except ServiceError as error:
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
            self._hop(self._on_committed, job.import_id, counts, self._changes(job))
            self._hop(self._tracker.complete, job.import_id, result)

    def _changes(self, job: ImportJob) -> dict[str, Any]:
        try:
            return self._importer.changes(job, _CHANGES_READ)
        except Exception:
            # The import is done, whatever becomes of the news of it.
            logger.exception("the changes of an import could not be read")
            return {"rows": [], "topCritical": []}

    def _fail(self, job: ImportJob, failure: dict[str, Any], log_fields: dict[str, Any]) -> None:
        cancelled = failure["code"] == ErrorCode.CANCELLED
        logger.warning(
            "import cancelled" if cancelled else "import failed",
            extra=log_setup.fields(**log_fields, code=failure["code"], reason=failure["message"]),
        )
        try:
            self._store.end_job(job.import_id, failure)
        except Exception:
            logger.exception("the end of an import could not be written down")
        tell = self._tracker.cancel if cancelled else self._tracker.fail
        self._hop(tell, job.import_id, failure)

    def _give_up(self, key: Key) -> None:
        """An import has stalled: its followers know, the worker learns it if it moves again."""
        if isinstance(key, int) and key in self._wishes:
            self._wishes[key] = ErrorCode.STALLED


def _not_started(*_: Any) -> None:
    raise RuntimeError("the import service has not been started")


def _failure_of(error: ServiceError) -> dict[str, Any]:
    failure: dict[str, Any] = {"code": str(error.code), "message": error.message}
    if error.fields is not None:
        failure["fields"] = error.fields
    return failure


def _accepted(import_id: int, session_id: str, total: int | None) -> dict[str, Any]:
    """The answer to whoever starts an import."""
    return {
        "success": True,
        "importId": import_id,
        "sessionId": session_id,
        "status": "queued",
        "totalRecords": total,
    }


def _session_exists() -> ServiceError:
    return ServiceError(ErrorCode.CONFLICT, "An import with this sessionId exists already")


def _vendor(wished: str | None) -> str | None:
    return clean(wished or "", 64).strip() or None


def _session_id(wished: str | None) -> str:
    if wished is None:
        suffix = "".join(secrets.choice(_BASE36) for _ in range(9))
        return f"import-{epoch_ms()}-{suffix}"
    return check_session_id(wished)


def _scope(wished: str | None) -> str:
    if wished is not None and wished not in SCOPES:
        raise invalid("Invalid scope", [("scope", "must be one of: " + ", ".join(SCOPES))])
    return wished or "vendor"


def _scan_date(wished: str | None, filename: str) -> str:
    if wished is None:
        return scan_date_of(filename)
    day = iso_date(wished)
    if day is None:
        raise invalid("Invalid scanDate", [("scanDate", "must be a date such as 2025-09-30")])
    return day
