"""The state of one import, and the payloads that describe the import to clients.

Two contracts describe an import from the same record. The guide's contract has `import-*` events
in rooms named after the import ID. HexTrackr's front end has `progress-*` events in rooms named
after a session ID that the browser generates. The tracker reads the clock and decides when and to
which rooms an event is sent.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from hextrackr_server.clock import Timer
from hextrackr_server.rooms import import_room, user_room

#: IDs from here on belong to external imports, which a producer runs; lower IDs to this server's.
FIRST_EXTERNAL_IMPORT = 1_000_000_000
#: The front end's dialog closes for these values only.
_STATUS_OF_MODAL = {"completed": "completed", "failed": "error", "cancelled": "error"}


class ImportStatus(StrEnum):
    """The states of an import in order; the last three are final."""

    QUEUED = "queued"
    STARTING = "starting"
    PARSING = "parsing"
    STAGING = "staging"
    PROCESSING = "processing"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({ImportStatus.COMPLETED, ImportStatus.FAILED, ImportStatus.CANCELLED})


def percentage(processed: int, total: int | None) -> int:
    """Return the share of a total as an integer from 0 to 100; 0 if the total is unknown."""
    if not total or total < 0:
        return 0
    return max(0, min(100, round(processed / total * 100)))


def session_state(status: str) -> str:
    """Return the state of an import as `progress-*` events and the polling route name it."""
    if status == ImportStatus.FAILED:
        return "error"
    return status if status in FINAL else "processing"


def status_for_modal(status: str) -> str:
    """Return the state of an import as the front end's dialog names it."""
    return _STATUS_OF_MODAL.get(status, "processing")


class Record:
    """One import: its identity, its progress, and the progress that was last sent."""

    __slots__ = (
        "emitted_at",
        "filename",
        "finished_at",
        "followers",
        "has_text_id",
        "import_id",
        "interrupted",
        "message",
        "metadata",
        "overall",
        "percentage",
        "processed",
        "result",
        "sequence",
        "session_id",
        "started_at",
        "status",
        "step",
        "timer",
        "total",
        "touched_at",
        "user_id",
        "vendor",
    )

    def __init__(
        self,
        session_id: str,
        import_id: int | None,
        user_id: str | None,
        filename: str = "",
        vendor: str | None = None,
        total: int | None = None,
    ) -> None:
        # identity; a session that an external producer opens may have no import ID
        self.session_id = session_id
        self.import_id = import_id
        # whether payloads name the import by its session ID instead of its number
        self.has_text_id = False
        self.user_id = user_id
        self.filename = filename
        self.vendor = vendor
        # progress
        self.status = ImportStatus.QUEUED
        self.processed = 0
        self.total = total
        self.percentage = 0
        self.overall = 0
        self.message = "Waiting in the queue"
        self.metadata: dict[str, Any] = {}
        self.result: dict[str, Any] | None = None
        # monotonic times in seconds
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self.touched_at = 0.0
        # users whose sockets followed the session when they were lost
        self.followers: set[str] = set()
        # whether the server restarted and no report of the producer has arrived since then
        self.interrupted = False
        # progress sent to clients
        self.emitted_at = float("-inf")
        self.step: tuple[ImportStatus, int] | None = None
        self.sequence = 0
        self.timer: Timer | None = None

    @property
    def shown_id(self) -> int | str:
        """The import ID in payloads: a number, or the text that the producer chose."""
        return self.session_id if self.has_text_id or self.import_id is None else self.import_id

    @property
    def is_external(self) -> bool:
        """Whether a producer runs the import and reports its progress to this server."""
        return self.import_id is not None and self.import_id >= FIRST_EXTERNAL_IMPORT

    @property
    def is_reported(self) -> bool:
        """Whether a producer reports the progress, of an external import or of a session."""
        return self.import_id is None or self.is_external

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms of the guide's contract: the import's room and its owner's room."""
        followers = () if self.import_id is None else (import_room(self.import_id),)
        return followers + (() if self.user_id is None else (self.user_room,))

    @property
    def user_room(self) -> str:
        """The room of all sockets of the owner."""
        return user_room(str(self.user_id))

    def elapsed_ms(self, now: float) -> int:
        """Return the running time in milliseconds, up to now or to the end of the import."""
        if self.started_at is None:
            return 0
        end = now if self.finished_at is None else self.finished_at
        return round((end - self.started_at) * 1000)

    def cancel_timer(self) -> None:
        """Cancel the pending progress event."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def resume(self) -> None:
        """Continue an import that a restart interrupted."""
        self.interrupted = False
        if self.status in FINAL:
            self.status = ImportStatus.PROCESSING
            self.finished_at = self.result = self.step = None
            self.metadata.pop("success", None)

    # -- the guide's contract

    def started(self, epoch_ms: int) -> dict[str, Any]:
        """Return the payload of `import-started`."""
        return {
            "importId": self.shown_id,
            "sessionId": self.session_id,
            "totalRecords": self.total,
            "filename": self.filename,
            "vendor": self.vendor,
            "timestamp": epoch_ms,
        }

    def state(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """Return the current state, as `join-import-room` and the HTTP status route send it."""
        elapsed = self.elapsed_ms(now)
        return {
            "importId": self.shown_id,
            "sessionId": self.session_id,
            "status": str(self.status),
            "processed": self.processed,
            "total": self.total,
            "percentage": self.percentage,
            "overall": self.overall,
            "elapsedTime": elapsed,
            "etaMs": self._remaining_ms(elapsed),
            "rate": round(self.processed / elapsed * 1000, 1) if elapsed else 0.0,
            "timestamp": epoch_ms,
            "message": self.message,
            "seq": self.sequence,
        }

    def snapshot(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """Return the current state with the result of an ended import."""
        state = self.state(now, epoch_ms)
        return state if self.result is None else state | {"result": self.result}

    def entry(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """Return the current state as lists of imports contain it."""
        return self.state(now, epoch_ms) | {
            "userId": self.user_id,
            "filename": self.filename or self.metadata.get("filename", ""),
            "vendor": self.vendor,
            "external": self.is_reported,
            "interrupted": self.interrupted,
        }

    def import_progress(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """Return the payload of `import-progress`.

        The guide documents this event both flat and nested; clients of both read this payload.
        """
        state = self.state(now, epoch_ms)
        nested = ("processed", "total", "percentage", "status", "timestamp")
        state["progress"] = {name: state[name] for name in nested}
        return state

    def ended(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """Return the part of the final event that does not depend on the result."""
        return {
            "importId": self.shown_id,
            "sessionId": self.session_id,
            "status": str(self.status),
            "duration": self.elapsed_ms(now),
            "timestamp": epoch_ms,
        }

    # -- the front end's contract

    def session_status(self) -> dict[str, Any]:
        """Return the state that the HTTP polling route sends for a session."""
        return {
            "sessionId": self.session_id,
            "progress": self.overall,
            "status": session_state(self.status),
            "message": self.message,
            "metadata": self._metadata(),
        }

    def progress_status(self) -> dict[str, Any]:
        """Return the payload of `progress-status`; final states have the dialog's names."""
        return self.session_status() | {"status": status_for_modal(self.status)}

    def progress_update(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """Return the payload of `progress-update`."""
        remaining = self._remaining_ms(self.elapsed_ms(now))
        return self.session_status() | {
            "timestamp": epoch_ms,
            "stage": str(self.status).capitalize(),
            "current": self.processed,
            "total": self.total,
            "eta": None if remaining is None else round(remaining / 1000),
        }

    def progress_complete(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """Return the payload of `progress-complete`; its metadata contains the importSummary."""
        status = self.session_status()
        return status | {"timestamp": epoch_ms, "duration": self.elapsed_ms(now)}

    def progress_error(self, epoch_ms: int) -> dict[str, Any]:
        """Return the payload of `progress-error`."""
        failure = self.result or {}
        error = {name: failure[name] for name in ("code", "message") if name in failure}
        return self.session_status() | {"timestamp": epoch_ms, "error": error}

    def _metadata(self) -> dict[str, Any]:
        # A copy, because the record's dictionary changes while an event waits to be sent.
        return self.metadata | {"message": self.message}

    def _remaining_ms(self, elapsed: int) -> int | None:
        """Return an estimate in milliseconds, or None below 5 % of progress."""
        if self.status in FINAL or self.overall < 5 or not elapsed:
            return None
        return round(elapsed * (100 - self.overall) / self.overall)
