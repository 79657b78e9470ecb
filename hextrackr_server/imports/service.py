"""Starts, queues and cancels imports on behalf of clients.

Two worker threads run the imports of two users at the same time, in the order of `turns`. Their
reports are passed to the event loop's thread, where the tracker lives; the event loop never waits
for the database. `status` decides which user may see
an import.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import (
    DatabaseFileLostError,
    ErrorCode,
    ImportInterruptedError,
    ServiceError,
)
from hextrackr_server.findings.events import MAXIMUM_CHANGES
from hextrackr_server.imports.ends import ImportEnds
from hextrackr_server.imports.options import (
    ImportOptions,
    checked_mapping,
    scan_date_of,
    scope_of,
    session_id_of,
    vendor_of,
)
from hextrackr_server.imports.pipeline import Importer, Progress, ReadOptions, delete_file
from hextrackr_server.imports.progress_record import FINAL, ImportStatus
from hextrackr_server.imports.progress_tracker import (
    LATE_SECONDS,
    MAXIMUM_ENDED,
    Key,
    ProgressTracker,
)
from hextrackr_server.imports.status import ImportView
from hextrackr_server.imports.store import ImportJob, ImportStore
from hextrackr_server.imports.turns import Turns
from hextrackr_server.imports.undo import Undone
from hextrackr_server.imports.uploads import Upload
from hextrackr_server.security.principal import Principal
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.failures import answer_of, log_failure
from hextrackr_server.text import clean

logger = logging.getLogger(__name__)

MAXIMUM_QUEUED = 32
#: Imports that run at the same time, each of another user.
WORKERS = 2
#: Unfinished external imports of one user.
MAXIMUM_EXTERNAL = 10
# Less than MAXIMUM_QUEUED, so that one user cannot fill the queue.
MAXIMUM_QUEUED_OF_USER = 16

#: Time between two attempts to store the ends of imports that the database did not accept.
LATE_ENDS_SECONDS = 30.0
#: Suffix of the folder, next to that of uploads, for files whose import the database has lost.
KEPT_SUFFIX = "-kept"

T = TypeVar("T")
#: Schedules a call on the event loop's thread: `loop.call_soon_threadsafe`.
CallOnLoop = Callable[..., object]
#: Called with an import ID, the summary of its result, and the value of `Importer.changes`.
OnCommitted = Callable[[int, dict[str, Any], dict[str, Any]], None]
#: Called with an import ID, the user who started the import, and the findings that an undo changed.
OnUndone = Callable[[int, str, Undone], None]

_FAILURES: dict[ErrorCode, dict[str, Any]] = {
    code: {"code": str(code), "message": message}
    for code, message in (
        (ErrorCode.CANCELLED, "The import was canceled; nothing was changed"),
        (ErrorCode.STALLED, "The import has not progressed for 10 minutes; nothing was changed"),
        (ErrorCode.INTERRUPTED, "The server stopped before the import was done"),
    )
}
_EXTERNAL_CANCELLED = {
    "code": str(ErrorCode.CANCELLED),
    "message": "The import was canceled; changes that its producer made until then remain",
}


class ImportService:
    """The queue of imports and the threads that run them."""

    def __init__(
        self,
        store: ImportStore,
        importer: Importer,
        tracker: ProgressTracker,
        on_committed: OnCommitted,
        admit: Callable[[Principal], None] = lambda _: None,
        maximum_changes: int = MAXIMUM_CHANGES,
        on_undone: OnUndone = lambda *_: None,
    ) -> None:
        """Create a stopped service.

        `admit` raises a ServiceError if a user may not start an import now. `maximum_changes` is
        the number of changed findings per import that clients receive.
        """
        self._maximum_changes = maximum_changes
        self._admit = admit
        self.view = ImportView(store, tracker)
        self._store = store
        self._importer = importer
        self._tracker = tracker
        self._call_on_loop: CallOnLoop = _not_started
        #: Encloses the run of the import with a session ID: its events have the context of the run.
        self.scope: Callable[[str], AbstractContextManager[Any]] = lambda _: nullcontext()
        self._on_committed = on_committed
        self._on_undone = on_undone
        self._stop = threading.Event()
        self._ends = ImportEnds(store, self._stop)
        self._late_ends_timer: asyncio.TimerHandle | None = None
        # The reason why no import and no undo may begin now, or None.
        self._paused: str | None = None
        # Set while no import is in the queue.
        self._idle = asyncio.Event()
        self._idle.set()
        self._turns: Turns[tuple[ImportJob, Path, ReadOptions]] = Turns()
        # Every import in the queue, and the reason to stop it early, if there is one.
        self._stop_reasons: dict[int, ErrorCode | None] = {}
        # Imports in the queue per user, including jobs that `submit` is about to add.
        self._queued: Counter[str] = Counter()
        # Writes to job rows wait for the end of an import's transaction. They have a thread of
        # their own, so that readers do not wait behind them.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="hextrackr-jobs")
        self._workers = [
            threading.Thread(target=self._work, name=f"hextrackr-import-{number}", daemon=True)
            for number in range(1, WORKERS + 1)
        ]

    async def start(self) -> None:
        """Fail the imports that a previous server left unfinished, and start the worker threads.

        The tracker receives the imports that ended recently, for clients that missed the end.
        """
        self._call_on_loop = asyncio.get_running_loop().call_soon_threadsafe
        self._tracker.on_stalled = self._stop_stalled
        self._tracker.watch()
        interrupted = await self._in_writer(self._store.recover, epoch_ms())
        for import_id in interrupted:
            logger.warning("import interrupted", extra=log_setup.fields(importId=import_id))
        since = epoch_ms() - round(LATE_SECONDS * 1000)
        for job in await self._in_writer(self._store.ended_since, since, MAXIMUM_ENDED):
            self._tracker.restore(
                job.import_id,
                job.user_id,
                job.filename,
                job.vendor,
                session_id=job.session_id,
                status=ImportStatus(job.status),
                processed=job.processed,
                total=job.total,
                result=job.result or _stored_failure(job),
                elapsed_ms=max(
                    0, (job.finished_at or 0) - (job.started_at or job.finished_at or 0)
                ),
                age_ms=max(0, epoch_ms() - (job.finished_at or 0)),
            )
        for worker in self._workers:
            worker.start()
        self._store_ends_later()

    async def interrupt(self, seconds: float | None = None) -> None:
        """Stop all imports, running and queued, notify their followers and accept no more.

        Findings stay unchanged. An import that is writing its result finishes first: the method
        waits up to `seconds` for it.
        """
        self._stop.set()
        self._turns.close()
        limit = None if seconds is None else time.monotonic() + seconds
        for worker in self._workers:
            if worker.ident is not None:
                left = None if limit is None else max(0.0, limit - time.monotonic())
                await asyncio.to_thread(worker.join, left)

    async def stop(self) -> None:
        """Stop all imports and end the threads."""
        await self.interrupt()
        if self._late_ends_timer is not None:
            self._late_ends_timer.cancel()
        await asyncio.to_thread(self._writer.shutdown)

    async def submit(
        self, upload: Upload, principal: Principal, options: ImportOptions
    ) -> dict[str, Any]:
        """Queue an import of a file and return the ack for the client.

        The service deletes the file after the import, and also if queueing raises a ServiceError.
        """
        try:
            if self._stop.is_set():
                text = "The server is stopping: try again later"
                raise ServiceError(ErrorCode.UNAVAILABLE, text)
            self._check_paused()
            self._admit(principal)
            read_options = ReadOptions(
                confirm=options.confirm,
                allow_partial=options.allow_partial,
                mapping=checked_mapping(options.mapping),
                is_dated=options.scan_date is not None,
            )
            self._reserve_place(principal.user_id)
            try:
                job = await self._create_job(upload, principal, options)
                await self._track(job)
            except BaseException:
                self._release_place(principal.user_id)
                raise
        except BaseException:
            upload.path.unlink(missing_ok=True)
            raise
        self._turns.add(job.user_id, (job, upload.path, read_options))
        return _accepted(job.import_id, job.session_id, None)

    async def submit_external(
        self,
        principal: Principal,
        options: ImportOptions,
        filename: str = "",
        total: int | None = None,
    ) -> dict[str, Any]:
        """Start an external import and return the ack for the client.

        A producer runs the import and reports its progress; this server stores none of its data.
        """
        self._admit(principal)
        session_id = session_id_of(options.session_id)
        if await asyncio.to_thread(self._store.job_of_session, session_id) is not None:
            raise _session_exists()
        if self._tracker.external_imports_of(principal.user_id) >= MAXIMUM_EXTERNAL:
            text = (
                f"A user may have {MAXIMUM_EXTERNAL} unfinished external imports: "
                "end or cancel one first"
            )
            raise ServiceError(ErrorCode.CONFLICT, text)
        number = self._tracker.free_number()
        try:
            self._tracker.queue(
                number,
                principal.user_id,
                clean(filename, 255),
                vendor_of(options.vendor),
                session_id=session_id,
                scan_date=scan_date_of(options.scan_date, filename),
                total=total,
            )
        except ValueError as error:
            raise _session_exists() from error
        self._tracker.start(number)
        return _accepted(number, session_id, total)

    def late_ends(self, principal: Principal) -> list[tuple[str, dict[str, Any]]]:
        """Return events with the ends of recent imports that a user started or may watch."""
        return self._tracker.late_ends(principal.user_id, is_admin=principal.is_admin)

    async def status(self, import_id: Any, principal: Principal) -> dict[str, Any]:
        """Return the state of an import to its owner or an administrator."""
        return await self.view.status(import_id, principal)

    async def cancel(self, import_id: Any, principal: Principal) -> dict[str, Any]:
        """Stop an import early, for its owner or an administrator.

        Queued and external imports end at once, a running one at its next checkpoint; its findings
        stay unchanged. Raises ServiceError CONFLICT if the import has ended or is ending.
        """
        number = await self.view.number_of(import_id, principal)
        state = await self.view.status(number, principal)
        if state["status"] in FINAL:
            text = f"The import is already {state['status']}"
            raise ServiceError(ErrorCode.CONFLICT, text)
        record = self._tracker.find(number)
        if record is None or not (record.is_external or number in self._stop_reasons):
            raise ServiceError(ErrorCode.CONFLICT, "The import is already ending")
        if record.is_external:
            # The answer to its next report informs the producer.
            self._tracker.cancel(number, _EXTERNAL_CANCELLED)
        else:
            self._stop_reasons[number] = ErrorCode.CANCELLED
            if record.started_at is None:
                self._tracker.cancel(number, _FAILURES[ErrorCode.CANCELLED])
        status = "cancelled" if record.status in FINAL else "cancelling"
        return {"success": True, "importId": record.shown_id, "status": status}

    async def undoable(self, principal: Principal) -> list[dict[str, Any]]:
        """Return the imports that an administrator can undo: the last one of each source."""
        _check_administrator(principal)
        return await asyncio.to_thread(self._importer.history.undoable)

    async def undo(self, import_id: Any, principal: Principal) -> dict[str, Any]:
        """Undo the last import of a source, for an administrator.

        Raises ServiceError CONFLICT if the import cannot be undone, or while imports are running.
        """
        _check_administrator(principal)
        self._check_paused()
        self._admit(principal)
        number = await self.view.number_of(import_id, principal)
        if any(self._is_running(each) for each in self._stop_reasons):
            message = "Imports are running or queued: undo the import after their end"
            raise ServiceError(ErrorCode.CONFLICT, message)
        undone = await self._in_writer(self._importer.history.undo, number, epoch_ms())
        log_fields = {"importId": number, "user": principal.user_id}
        logger.info("import undone", extra=log_setup.fields(**log_fields, **undone._asdict()))
        await self.announce_undo(number, undone)
        return {"success": True, "importId": number, **undone._asdict()}

    async def announce_undo(self, number: int, undone: Undone) -> None:
        """Send the events of an undo, also of one of a former server."""
        job = await asyncio.to_thread(self._store.job, number)
        if job is not None:
            self._on_undone(number, job.user_id, undone)

    async def announce_left(self, number: int) -> None:
        """Send the events of an import that a former server completed and did not announce."""
        job = await asyncio.to_thread(self._store.job, number)
        # Retention may have deleted the job.
        if job is not None and job.result is not None:
            changes = await asyncio.to_thread(self._changes, job)
            self._on_committed(number, job.result["summary"], changes)

    async def run_alone(self, call: Callable[[], T], why: str, seconds: float) -> T:
        """Return the result of a blocking call that runs while there is no import and no undo.

        Imports in the queue end first; new ones are refused with the reason `why` until the call
        has ended. Raises ServiceError CONFLICT if imports have not ended after `seconds`, or if
        another call runs alone.
        """
        if self._paused is not None:
            raise ServiceError(ErrorCode.CONFLICT, self._paused)
        self._paused = why
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError as error:
            self._paused = None
            text = f"Imports have not ended within {seconds:g} seconds: cancel them, or try later"
            raise ServiceError(ErrorCode.CONFLICT, text) from error
        except BaseException:
            self._paused = None
            raise
        # Shielded: imports must not begin before the call has ended.
        running = asyncio.ensure_future(self._in_writer(call))
        running.add_done_callback(self._resume)
        return await asyncio.shield(running)

    def _resume(self, _: asyncio.Future[Any]) -> None:
        self._paused = None

    def _check_paused(self) -> None:
        if self._paused is not None:
            raise ServiceError(ErrorCode.UNAVAILABLE, self._paused)

    def _is_running(self, number: int) -> bool:
        """Return whether an import has not ended for its clients, who may undo it at once."""
        record = self._tracker.find(number)
        return record is None or record.status not in FINAL

    async def _create_job(
        self, upload: Upload, principal: Principal, options: ImportOptions
    ) -> ImportJob:
        session_id = session_id_of(options.session_id)
        if self._tracker.find(session_id) is not None:
            raise _session_exists()
        try:
            return await self._in_writer(
                lambda: self._store.create_job(
                    session_id=session_id,
                    user_id=principal.user_id,
                    filename=upload.filename,
                    vendor=vendor_of(options.vendor),
                    scan_date=scan_date_of(options.scan_date, upload.filename),
                    scope=scope_of(options.scope),
                    created_at=epoch_ms(),
                )
            )
        except IntegrityError as error:
            raise _session_exists() from error

    async def _track(self, job: ImportJob) -> None:
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
            # Another import with this session ID started while the job was stored.
            refusal = _session_exists()
            await self._in_writer(self._store.end_job, job.import_id, _failure_of(refusal))
            raise refusal from error
        self._stop_reasons[job.import_id] = None

    def _reserve_place(self, user_id: str) -> None:
        # Called before `submit` awaits anything, so that concurrent calls cannot exceed the limit.
        own, total = self._queued[user_id], self._queued.total()
        if total >= MAXIMUM_QUEUED or own >= MAXIMUM_QUEUED_OF_USER:
            what = f"{total} imports" if total >= MAXIMUM_QUEUED else f"{own} of your imports"
            raise ServiceError(ErrorCode.CONFLICT, f"{what} are waiting: try again later")
        self._queued[user_id] += 1
        self._idle.clear()

    def _release_place(self, user_id: str) -> None:
        self._queued[user_id] -= 1
        if not self._queued[user_id]:
            del self._queued[user_id]
        if not self._queued:
            self._idle.set()

    def _settle(self, job: ImportJob) -> None:
        del self._stop_reasons[job.import_id]
        self._release_place(job.user_id)

    def _store_ends_later(self) -> None:
        """Try again regularly to store the ends that the database did not accept."""
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._writer, self._store_late_ends)
        self._late_ends_timer = loop.call_later(LATE_ENDS_SECONDS, self._store_ends_later)

    async def _in_writer(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call, *args)

    # -- on the worker's thread

    def _work(self) -> None:
        while (turn := self._turns.take()) is not None:
            user, (job, path, options) = turn
            with self.scope(job.session_id):
                self._import(job, path, options)
            delete_file(path)
            self._call_on_loop(self._settle, job)
            self._turns.done(user)

    def _import(self, job: ImportJob, path: Path, options: ReadOptions) -> None:
        def report(progress: Progress) -> None:
            self._call_on_loop(self._tracker.update, job.import_id, *progress)

        def stopping() -> bool:
            return self._stop.is_set() or self._stop_reasons[job.import_id] is not None

        log_fields = {"importId": job.import_id, "user": job.user_id}
        logger.info("import started", extra=log_setup.fields(**log_fields, file=job.filename))
        try:
            if stopping():
                raise ImportInterruptedError
            self._call_on_loop(self._tracker.start, job.import_id)
            with self._importer.write_turn(stopping):
                self._store.update_job(job.import_id, status="running", started_at=epoch_ms())
            result = self._importer.run(job, path, report, stopping, options)
        except ImportInterruptedError:
            reason = self._stop_reasons[job.import_id] or ErrorCode.INTERRUPTED
            self._fail(job, _FAILURES[reason], log_fields)
        except ServiceError as error:
            self._fail(job, _failure_of(error), log_fields)
        except Exception as error:
            # The worker survives any failure. Details go to the log, not to clients.
            error_id = secrets.token_hex(4)
            text = "import failed unexpectedly"
            log_failure(logger, text, error, **log_fields, errorId=error_id)
            message = answer_of(error) or f"The import failed on the server (error {error_id})"
            if isinstance(error, DatabaseFileLostError) and self._keep(job, path):
                message += "; the uploaded file is kept on the server"
            self._fail(job, {"code": "IMPORT_FAILED", "message": message}, log_fields, error)
        else:
            self._complete(job, result, log_fields)

    def _complete(self, job: ImportJob, result: dict[str, Any], log_fields: dict[str, Any]) -> None:
        counts = result["summary"]
        numbers = {name: value for name, value in counts.items() if isinstance(value, int)}
        logger.info(
            "import completed",
            extra=log_setup.fields(**log_fields, profile=counts["profile"], **numbers),
        )
        self._announce(job, counts)
        self._call_on_loop(self._tracker.complete, job.import_id, result)

    def _announce(self, job: ImportJob, counts: dict[str, Any]) -> None:
        self._call_on_loop(self._on_committed, job.import_id, counts, self._changes(job))

    def _store_late_ends(self) -> None:
        for job, result in self._ends.store_late():
            # The followers received a failure, but the findings have changed.
            self._announce(job, result["summary"])

    def _keep(self, job: ImportJob, path: Path) -> bool:
        """Move the file of an import that the database has lost to a folder that stays."""
        folder = path.parent.with_name(path.parent.name + KEPT_SUFFIX)
        suffix = "".join(re.findall(r"\.[A-Za-z0-9]{1,8}", Path(job.filename).suffix))
        kept = folder / f"import-{job.import_id}-{secrets.token_hex(4)}{suffix}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            shutil.move(path, kept)
        except OSError as error:
            log_failure(logger, "the file of an import cannot be kept", error)
            return False
        logger.warning(
            "the file of an import is kept: import it again after the database is restored",
            extra=log_setup.fields(importId=job.import_id, user=job.user_id, path=str(kept)),
        )
        return True

    def _changes(self, job: ImportJob) -> dict[str, Any]:
        try:
            return self._importer.changes(job, self._maximum_changes)
        except Exception as error:
            # The import is committed, even if its changes cannot be announced.
            log_failure(logger, "reading the changes of an import failed", error)
            return {"total": 0, "rows": [], "topCritical": []}

    def _fail(
        self,
        job: ImportJob,
        failure: dict[str, Any],
        log_fields: dict[str, Any],
        error: Exception | None = None,
    ) -> None:
        result = self._ends.store(job, failure, error)
        if result is not None:
            self._complete(job, result, log_fields)
            return
        cancelled = failure["code"] == ErrorCode.CANCELLED
        logger.warning(
            "import canceled" if cancelled else "import failed",
            extra=log_setup.fields(**log_fields, code=failure["code"], reason=failure["message"]),
        )
        end = self._tracker.cancel if cancelled else self._tracker.fail
        self._call_on_loop(end, job.import_id, failure)

    def _stop_stalled(self, key: Key) -> None:
        # The tracker has notified the followers; the worker stops at its next checkpoint.
        if isinstance(key, int) and key in self._stop_reasons:
            self._stop_reasons[key] = ErrorCode.STALLED


def _check_administrator(principal: Principal) -> None:
    if not principal.is_admin:
        raise ServiceError(ErrorCode.FORBIDDEN, "Only administrators may undo imports")


def _not_started(*_: Any) -> None:
    raise RuntimeError("ImportService.start() must be awaited before imports are queued")


def _failure_of(error: ServiceError) -> dict[str, Any]:
    failure: dict[str, Any] = {"code": str(error.code), "message": error.message}
    if error.fields is not None:
        failure["fields"] = error.fields
    return failure


def _stored_failure(job: ImportJob) -> dict[str, Any]:
    """Return the failure of a job without a result; empty for a completed one."""
    if job.error_code is None:
        return {}
    return {"code": job.error_code, "message": job.error_message}


def _accepted(import_id: int, session_id: str, total: int | None) -> dict[str, Any]:
    """Return the ack for a client that started an import."""
    return {
        "success": True,
        "importId": import_id,
        "sessionId": session_id,
        "status": "queued",
        "totalRecords": total,
    }


def _session_exists() -> ServiceError:
    return ServiceError(ErrorCode.CONFLICT, "An import with this sessionId already exists")
