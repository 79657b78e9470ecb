"""Returns the state of imports to the users who may see it.

The state comes from the tracker, or from the database if the tracker no longer has the import. An
import that belongs to another user is reported as missing.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.imports.progress_record import percentage, session_state, status_for_modal
from hextrackr_server.imports.progress_tracker import Key, ProgressTracker, completed_metadata
from hextrackr_server.imports.store import ImportJob, ImportStore
from hextrackr_server.security.principal import Principal

MAXIMUM_ID = 2**63 - 1
_SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_DIGITS = re.compile(r"[0-9]{1,18}")


class ImportView:
    """Read access to imports for their owners and administrators.

    For other users, an import looks like one that does not exist. Clients name an import by its
    number, sent as a number or as digits, or by its session ID.
    """

    def __init__(self, store: ImportStore, tracker: ProgressTracker) -> None:
        self._store = store
        self._tracker = tracker

    async def status(self, import_id: Any, principal: Principal) -> dict[str, Any]:
        """Return the state of an import; raise ServiceError NOT_FOUND or VALIDATION_ERROR."""
        key = await self._key_of(import_id)
        record = self._tracker.find(key)
        if record is not None:
            _check_owner(record.user_id, principal)
            state = self._tracker.snapshot(key)
            assert state is not None
            return state
        job = await self._job(key)
        if job is None:
            raise _not_found()
        _check_owner(job.user_id, principal)
        return _state_of(job)

    def progress(self, principal: Principal) -> list[dict[str, Any]]:
        """Return the states of the running and recently ended imports that a user may see."""
        return self._tracker.visible(principal.user_id, is_admin=principal.is_admin)

    async def session(self, session_id: str, principal: Principal) -> dict[str, Any]:
        """Return the state of an import by its session ID, in the front end's format.

        Raises ServiceError NOT_FOUND.
        """
        check_session_id(session_id)
        record = self._tracker.find(session_id)
        if record is not None:
            _check_owner(record.user_id, principal)
            return record.session_status()
        job = await self._job(session_id)
        if job is None:
            raise _not_found()
        _check_owner(job.user_id, principal)
        return _session_of(job)

    def note_lost(self, session_id: str, principal: Principal) -> None:
        """Remember that a socket of the user followed a session when it was lost."""
        self._tracker.note_follower(session_id, principal.user_id)

    def note_left(self, session_id: str, principal: Principal) -> None:
        """Forget that lost sockets of the user followed a session."""
        self._tracker.forget_follower(session_id, principal.user_id)

    def followed(self, principal: Principal) -> list[tuple[str, dict[str, Any]]]:
        """Return the unfinished sessions that lost sockets of the user followed.

        Each has its session ID and the payload of its `progress-status`.
        """
        return [
            (record.session_id, record.progress_status() | {"late": True})
            for record in self._tracker.followed_by(principal.user_id)
        ]

    def check_followed(self, session_id: str, principal: Principal) -> None:
        """Raise NOT_FOUND if the tracker has the session and it belongs to another user."""
        record = self._tracker.find(session_id)
        if record is not None:
            _check_owner(record.user_id, principal)

    async def progress_status(self, session_id: str, principal: Principal) -> dict[str, Any] | None:
        """Return the payload of `progress-status`, or None if the session is unknown."""
        record = self._tracker.find(session_id)
        if record is not None:
            _check_owner(record.user_id, principal)
            return record.progress_status()
        job = await self._job(session_id)
        record = self._tracker.find(session_id)
        if record is not None:
            # The import began during the query, whose result may be older than the sent events.
            _check_owner(record.user_id, principal)
            return record.progress_status()
        if job is None:
            return None
        _check_owner(job.user_id, principal)
        state = _session_of(job)
        return state | {"status": status_for_modal(job.status)}

    async def number_of(self, import_id: Any, principal: Principal) -> int:
        """Return the number of an import.

        Raises ServiceError NOT_FOUND for the session ID of no import, or of another user's import.
        """
        key = await self._key_of(import_id)
        return key if isinstance(key, int) else await self.number_of_session(key, principal)

    async def number_of_session(self, session_id: str, principal: Principal) -> int:
        """Return the number of a session's import; raise NOT_FOUND if the session has none."""
        check_session_id(session_id)
        record = self._tracker.find(session_id)
        if record is not None and record.import_id is not None:
            _check_owner(record.user_id, principal)
            return record.import_id
        job = await self._job(session_id)
        if job is None:
            raise _not_found()
        _check_owner(job.user_id, principal)
        return job.import_id

    async def _key_of(self, import_id: Any) -> Key:
        """Return the number or the session ID that a client sent.

        Digits are a number, unless they are the session ID of an import and no number of one.
        """
        if isinstance(import_id, str) and is_session_id(import_id):
            if not _DIGITS.fullmatch(import_id):
                return import_id
            number = int(import_id)
            if not await self._exists(number) and await self._exists(import_id):
                return import_id
            return number
        if not isinstance(import_id, int) or isinstance(import_id, bool) or import_id <= 0:
            problem = ("importId", "must be the number or text of an import")
            raise invalid("Invalid importId", [problem])
        return import_id

    async def _exists(self, key: Key) -> bool:
        return self._tracker.find(key) is not None or await self._job(key) is not None

    async def _job(self, key: Key) -> ImportJob | None:
        if isinstance(key, str):
            return await asyncio.to_thread(self._store.job_of_session, key)
        return await asyncio.to_thread(self._store.job, key) if key <= MAXIMUM_ID else None


def check_session_id(session_id: Any) -> str:
    """Return a valid session ID; raise ServiceError VALIDATION_ERROR for any other value."""
    if not isinstance(session_id, str) or not is_session_id(session_id):
        raise invalid(
            "Invalid sessionId",
            [("sessionId", "must be 1 to 128 letters, digits or . _ : -")],
        )
    return session_id


def is_session_id(text: str) -> bool:
    """Return whether a text has the form of a session ID."""
    return _SESSION_ID.fullmatch(text) is not None


def _check_owner(owner: str | None, principal: Principal) -> None:
    if owner is not None and owner != principal.user_id and not principal.is_admin:
        raise _not_found()


def _not_found() -> ServiceError:
    return ServiceError(ErrorCode.NOT_FOUND, "There is no such import")


def _state_of(job: ImportJob) -> dict[str, Any]:
    """Return the state of an import that only the database has."""
    completed = job.status == "completed"
    # Of stored times, which the clock of the machine may have changed between.
    elapsed = max(0, (job.finished_at or epoch_ms()) - job.started_at) if job.started_at else 0
    state: dict[str, Any] = {
        "importId": job.import_id,
        "sessionId": job.session_id,
        "status": job.status,
        "processed": job.processed,
        "total": job.total,
        "percentage": 100 if completed else percentage(job.processed, job.total),
        "overall": 100 if completed else 0,
        "elapsedTime": elapsed,
        "etaMs": None,
        "rate": round(job.processed / elapsed * 1000, 1) if elapsed else 0.0,
        "timestamp": epoch_ms(),
        "message": _message_of(job),
        "seq": 0,
    }
    result = job.result
    if result is None and job.error_code is not None:
        result = {"code": job.error_code, "message": job.error_message}
    if result is not None:
        state["result"] = {name: value for name, value in result.items() if name != "importSummary"}
    return state


def _session_of(job: ImportJob) -> dict[str, Any]:
    """Return the state of a stored import in the format of `progress-*` events."""
    completed = job.status == "completed"
    metadata = {
        "operation": "csv-import",
        "importId": job.import_id,
        "filename": job.filename,
        "vendor": job.vendor,
        "scanDate": job.scan_date,
        "message": _message_of(job),
    }
    if completed:
        metadata |= completed_metadata(job.result or {})
    return {
        "sessionId": job.session_id,
        "progress": 100 if completed else 0,
        "status": session_state(job.status),
        "message": metadata["message"],
        "metadata": metadata,
    }


def _message_of(job: ImportJob) -> str:
    return job.error_message or ("Import completed" if job.status == "completed" else "")
