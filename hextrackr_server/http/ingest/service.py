"""Reports of producers: validation, and passing on to the tracker or to rooms.

The tracker receives progress; other events are relayed to rooms without a change.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from hextrackr_server.config.producers import IngestToken
from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.http.ingest.fitting import fit_metadata, fit_summary, size_of
from hextrackr_server.imports.progress_record import (
    FINAL,
    FIRST_EXTERNAL_IMPORT,
    ImportStatus,
    Record,
)
from hextrackr_server.imports.progress_tracker import Key, ProgressTracker
from hextrackr_server.rooms import (
    AUTHENTICATED,
    IMPORT_PREFIX,
    NAMESPACES,
    USER_PREFIX,
    Relay,
    import_room,
    is_producer_room,
    progress_session_id,
)
from hextrackr_server.security.producer_tokens import require

#: Events that producers may emit, with the required scope. Progress is never relayed directly: the
#: tracker also answers clients that join later.
EVENT_SCOPES: Mapping[str, str] = {
    "progress-update": "progress",
    "progress-complete": "progress",
    "progress-error": "progress",
    "progress-status": "progress",
    "user-notification": "notify",
    "vulnerability-notification": "notify",
    "system-notification": "broadcast",
    "system-announcement": "admin",
    "vulnerability-change": "broadcast",
    "vulnerability-updated": "broadcast",
    "kev-sync-update": "broadcast",
    "batch-updates": "broadcast",
}
MAXIMUM_ROOMS = 64
MAXIMUM_SESSIONS = 10_000
#: Maximum number of sessions that are followed at once, and sizes of their data.
MAXIMUM_FOLLOWED = 2000
MAXIMUM_METADATA = 64 * 1024
MAXIMUM_SUMMARY = 256 * 1024
_SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_OPERATIONS = {
    "progress-update": "progress",
    "progress-status": "progress",
    "progress-complete": "complete",
    "progress-error": "error",
}
#: Final states in the `status` of a relayed event; other states are progress.
_OPERATIONS_OF_STATUS = {
    "completed": "complete",
    "success": "complete",
    "error": "error",
    "failed": "error",
    "cancelled": "cancel",
    "canceled": "cancel",
}
_ENDS = frozenset({"complete", "error", "cancel"})

Body = dict[str, Any]


class IngestService:
    """Processor of reports; raises ServiceError for an invalid report."""

    def __init__(self, relay: Relay, tracker: ProgressTracker) -> None:
        self._relay = relay
        self._tracker = tracker
        self._sequences: OrderedDict[str, int] = OrderedDict()

    def emit(self, producer: IngestToken, body: Body) -> Body:
        """Relay an event, by default to the room `authenticated`."""
        event, args = body.get("event"), body.get("args", [])
        scope = EVENT_SCOPES.get(event) if isinstance(event, str) else None
        if scope is None or not isinstance(event, str):
            known = ", ".join(EVENT_SCOPES)
            raise invalid("Invalid event", [("event", f"must be one of {known}")])
        require(producer, scope)
        if not isinstance(args, list) or len(args) > 8:
            raise invalid("Invalid event", [("args", "must be a list of at most 8 values")])
        if event in _OPERATIONS:
            return self._emit_progress(event, body.get("rooms"), args)
        rooms = self._rooms("rooms", body.get("rooms")) or (AUTHENTICATED,)
        if scope == "notify" and not all(room.startswith(USER_PREFIX) for room in rooms):
            require(producer, "broadcast")
        namespace = body.get("namespace", "/")
        if namespace not in NAMESPACES:
            raise invalid("Invalid event", [("namespace", f"must be one of {NAMESPACES}")])
        delivered = self._relay.relay(
            namespace,
            rooms,
            self._rooms("except", body.get("except")),
            event,
            args,
            volatile=body.get("volatile") is True,
        )
        return {"delivered": delivered}

    def _rooms(self, path: str, value: Any) -> tuple[str, ...]:
        """Return the named rooms; the room of a text import ID is that of the import's number."""
        return tuple(self._room(name) for name in _rooms(path, value))

    def _room(self, name: str) -> str:
        if not name.startswith(IMPORT_PREFIX):
            return name
        record = self._tracker.find(name.removeprefix(IMPORT_PREFIX))
        if record is None or record.import_id is None or not record.has_text_id:
            return name
        return import_room(record.import_id)

    def _emit_progress(self, event: str, rooms: Any, args: list[Any]) -> Body:
        """Process an event for the room of a session as a progress report of this session."""
        room = rooms[0] if isinstance(rooms, list) and len(rooms) == 1 else None
        session_id = progress_session_id(room) if isinstance(room, str) else None
        if session_id is None:
            raise invalid("Invalid event", [("rooms", "must be one room: progress-<sessionId>")])
        report = args[0] if args and isinstance(args[0], dict) else {}
        operation = _OPERATIONS[event]
        if operation == "progress":
            operation = _OPERATIONS_OF_STATUS.get(str(report.get("status")), operation)
        return self.progress(session_id, report | {"op": operation})

    # -- by session ID: the contract of HexTrackr's front end

    def progress(self, session_id: str, body: Body) -> Body:
        """Process the progress of a session, which begins if it is unknown; ignore old reports."""
        if not _SESSION_ID.fullmatch(session_id):
            raise invalid(
                "Invalid sessionId", [("sessionId", "must be 1 to 128 letters, digits, . _ : -")]
            )
        operation = body.get("op")
        if operation not in {"create", "progress", *_ENDS}:
            text = "must be create, progress, complete, error or cancel"
            raise invalid("Invalid op", [("op", text)])
        metadata = _mapping("metadata", body.get("metadata"))
        # HexTrackr's tracker sends the summary in the metadata.
        summary = body.get("importSummary", metadata.pop("importSummary", None))
        sequence = body.get("seq")
        if self._is_old(session_id, sequence):
            return {"ignored": True}
        known = self._tracker.find(session_id)
        _refuse_own_import(known, operation)
        if operation in _ENDS:
            kept = {} if known is None else known.metadata
            metadata = fit_metadata(metadata, kept, MAXIMUM_METADATA)
        if operation == "create" and known is not None and known.interrupted:
            self._tracker.update(session_id, *self._place(session_id), "", metadata)
        elif known is None or (operation == "create" and known.finished_at is not None):
            owner = body.get("ownerUserId")
            self._open(
                session_id, None if owner is None else parse_user("ownerUserId", owner), metadata
            )
        elif operation not in _ENDS:
            _check_size("metadata", known.metadata | metadata, MAXIMUM_METADATA)
        message = _message(body.get("message"))
        if operation == "progress":
            self._advance(session_id, body, known, message, metadata)
        elif operation == "complete":
            self._complete(session_id, summary, message, metadata)
        elif operation == "error":
            self._tracker.fail(session_id, _failure(body, message))
        elif operation == "cancel":
            self._tracker.cancel(session_id, _cancellation(message))
        self._note(session_id, sequence)
        return {"sessionId": session_id}

    def _advance(
        self, session_id: str, body: Body, known: Record | None, message: str, metadata: Body
    ) -> None:
        share = _number("progress", body.get("progress"), 100)
        # An import counts records; a session has a percentage only.
        counts = known is not None and known.import_id is not None
        total = (known.total if counts and known is not None else None) or 100
        processed = round(share / 100 * total)
        self._tracker.update(
            session_id, ImportStatus.PROCESSING, processed, total, round(share), message, metadata
        )

    def _complete(self, session_id: str, summary: Any, message: str, metadata: Body) -> None:
        fitted = fit_summary(summary, MAXIMUM_SUMMARY)
        if summary is not None and fitted is None:
            metadata["importSummaryOmitted"] = True
        self._tracker.update(session_id, *self._place(session_id), message, metadata)
        result = {"message": message or "Completed"}
        if fitted is not None:
            result["importSummary"] = fitted
        self._tracker.complete(session_id, result)

    def _place(self, session_id: str) -> tuple[ImportStatus, int, int | None, int]:
        """Return the current state of a session, for a report with metadata only."""
        record = self._tracker.find(session_id)
        assert record is not None
        # An import that failed as interrupted continues.
        status = ImportStatus.PROCESSING if record.status in FINAL else record.status
        return status, record.processed, record.total, record.overall

    def _open(self, session_id: str, owner: str | None, metadata: Body) -> None:
        _check_size("metadata", metadata, MAXIMUM_METADATA)
        self._refuse_too_many()
        try:
            self._tracker.open(session_id, owner, metadata)
        except ValueError as error:
            raise ServiceError(ErrorCode.CONFLICT, "The session already exists") from error

    def _refuse_too_many(self) -> None:
        if len(self._tracker) >= MAXIMUM_FOLLOWED:
            self._tracker.sweep()
        if len(self._tracker) >= MAXIMUM_FOLLOWED:
            text = f"{MAXIMUM_FOLLOWED} sessions are active: end other sessions first"
            raise ServiceError(ErrorCode.RATE_LIMITED, text)

    def _is_old(self, session_id: str, sequence: Any) -> bool:
        if sequence is None:
            return False
        return _whole("seq", sequence) <= self._sequences.get(session_id, -1)

    def _note(self, session_id: str, sequence: int | None) -> None:
        """Store the sequence number of a processed report; a rejected report may be repeated."""
        if sequence is None:
            return
        self._sequences[session_id] = sequence
        self._sequences.move_to_end(session_id)
        if len(self._sequences) > MAXIMUM_SESSIONS:
            self._sequences.popitem(last=False)

    # -- by number: the contract of the guide

    def start_import(self, body: Body) -> Body:
        """Start an import of a producer for a user; assign a number if the report has none."""
        user, number = parse_user("userId", body.get("userId")), body.get("importId")
        text_id = number if isinstance(number, str) else None
        if number is None or text_id is not None:
            number = self._tracker.free_number()
        if _whole("importId", number) < FIRST_EXTERNAL_IMPORT:
            text = (
                f"must be at least {FIRST_EXTERNAL_IMPORT} or omitted: lower numbers are reserved"
            )
            raise invalid("Invalid import", [("importId", text)])
        session_id = body.get("sessionId") or text_id or f"import-{number}"
        if text_id is not None and (session_id != text_id or text_id.isdecimal()):
            text = "a text must be equal to the sessionId, or without one, and not be a number"
            raise invalid("Invalid import", [("importId", text)])
        filename, vendor = body.get("filename", ""), body.get("vendor")
        texts = (session_id, filename, vendor or "")
        if not all(isinstance(each, str) and len(each) <= 255 for each in texts):
            raise invalid(
                "Invalid import",
                [
                    (
                        "filename",
                        "sessionId, filename and vendor must be texts of at most 255 characters",
                    )
                ],
            )
        if not _SESSION_ID.fullmatch(session_id):
            path = "sessionId" if text_id is None else "importId"
            problem = (path, "must be 1 to 128 letters, digits, . _ : -")
            raise invalid(f"Invalid {path}", [problem])
        total = _optional_whole("totalRecords", body.get("totalRecords"))
        known = self._tracker.find(session_id)
        if known is not None and known.interrupted and known.user_id == user and known.is_external:
            # The producer repeats its first report after a restart of this server.
            self._tracker.update(session_id, *self._place(session_id), "Starting")
            return {"importId": known.shown_id, "sessionId": session_id}
        self._refuse_too_many()
        try:
            self._tracker.queue(
                number,
                user,
                filename,
                vendor,
                session_id=session_id,
                total=total,
                has_text_id=text_id is not None,
            )
        except ValueError as error:
            raise ServiceError(ErrorCode.CONFLICT, "The import already exists") from error
        self._tracker.start(number)
        return {"importId": text_id or number, "sessionId": session_id}

    def update_import(self, key: Key, body: Body) -> Body:
        """Update the progress of a producer's import."""
        record = self._external(key)
        status = body.get("status", "processing")
        if status not in {"starting", "parsing", "staging", "processing", "finalizing"}:
            raise invalid("Invalid status", [("status", "must be a status of a running import")])
        processed = _whole("processed", body.get("processed"))
        total = _optional_whole("total", body.get("total"))
        if total is None:
            total = record.total
        overall = round(processed / total * 100) if total else 0
        message = _message(body.get("message"))
        self._tracker.update(key, ImportStatus(status), processed, total, overall, message)
        return _state(record)

    def complete_import(self, key: Key, body: Body) -> Body:
        """Complete a producer's import."""
        record = self._external(key)
        result = {
            "totalProcessed": _whole("processed", body.get("processed")),
            "errors": _whole("errors", body.get("errors", 0)),
            "summary": fit_summary(_mapping("summary", body.get("summary")), MAXIMUM_SUMMARY) or {},
        }
        self._tracker.complete(key, result)
        return _state(record)

    def fail_import(self, key: Key, body: Body) -> Body:
        """Mark a producer's import as failed."""
        record = self._external(key)
        self._tracker.fail(key, _failure(body, _message(body.get("message"))))
        return _state(record)

    def cancel_import(self, key: Key, body: Body) -> Body:
        """Mark a producer's import as canceled by the producer."""
        record = self._external(key)
        self._tracker.cancel(key, _cancellation(_message(body.get("message"))))
        return _state(record)

    def _external(self, key: Key) -> Record:
        record = self._tracker.find(key)
        if record is None or not record.is_external:
            raise ServiceError(ErrorCode.NOT_FOUND, "Unknown import of a producer")
        return record


def _state(record: Record) -> Body:
    """Return the state of an import; a producer may stop work if the import has ended."""
    return {"importId": record.shown_id, "status": str(record.status)}


def _refuse_own_import(known: Record | None, operation: str) -> None:
    """Refuse a session of an import of this server; one of a producer's import is allowed."""
    number = None if known is None else known.import_id
    if number is not None and (operation == "create" or number < FIRST_EXTERNAL_IMPORT):
        raise ServiceError(ErrorCode.CONFLICT, "The session belongs to an import of this server")


def _rooms(path: str, value: Any) -> tuple[str, ...]:
    rooms = [] if value is None else value
    if not isinstance(rooms, list) or len(rooms) > MAXIMUM_ROOMS:
        raise invalid("Invalid event", [(path, f"must be a list of at most {MAXIMUM_ROOMS} rooms")])
    for room in rooms:
        if not isinstance(room, str) or not is_producer_room(room):
            raise invalid(
                "Invalid event", [(path, "must name only rooms that producers can reach")]
            )
    return tuple(rooms)


def parse_user(path: str, value: Any) -> str:
    """Return the ID of a user, sent as a text or, as by databases with numbers, as an integer."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= 128:
        problem = (path, "must be the ID of a user: a text of 1 to 128 characters, or an integer")
        raise invalid(f"Invalid {path}", [problem])
    return value


def _check_size(path: str, value: Any, most: int) -> None:
    if size_of(value) > most:
        raise invalid(f"Invalid {path}", [(path, f"must have at most {most} characters as JSON")])


def _mapping(path: str, value: Any) -> Body:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"Invalid {path}", [(path, "must be an object")])
    return dict(value)


def _message(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise invalid("Invalid message", [("message", "must be a text")])
    return (value or "")[:2000]


def _number(path: str, value: Any, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise invalid(f"Invalid {path}", [(path, f"must be a number from 0 to {most:g}")])
    return float(value)


def _whole(path: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise invalid(f"Invalid {path}", [(path, "must be a whole number")])
    return value


def _optional_whole(path: str, value: Any) -> int | None:
    return None if value is None else _whole(path, value)


def _failure(body: Body, message: str) -> Body:
    error = body.get("error")
    if isinstance(error, str):
        message = message or _message(error)
    if isinstance(error, dict):
        body = error | {name: body[name] for name in ("code", "details") if name in body}
        message = message or _message(error.get("message"))
    code = body.get("code")
    known = isinstance(code, str) and _CODE.fullmatch(code)
    failure = {"code": code if known else "IMPORT_FAILED", "message": message or "Import failed"}
    details = body.get("details")
    if not isinstance(details, dict):
        return failure
    fitted = fit_summary(details, MAXIMUM_METADATA)
    return failure | ({"detailsOmitted": True} if fitted is None else {"details": fitted})


def _cancellation(message: str) -> Body:
    text = message or "The import was canceled"
    return {"code": str(ErrorCode.CANCELLED), "message": text}


#: A report: the producer, the path parameters, the body.
Report = Callable[[IngestToken, Mapping[str, Any], Body], Body]
