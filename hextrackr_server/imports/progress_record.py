"""One import as its followers see it, and the words in which they are told.

Knows: the states of an import, the payloads of both contracts.
Does not know: who is told, when, how often; the clock is read by the tracker.

The guide's contract has `import-*` events, in rooms named after the import's number; HexTrackr's
front end has `progress-*` events, in rooms named after a session id that the browser makes up.
Both are told from the same record.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from hextrackr_server.clock import Timer
from hextrackr_server.rooms import import_room, user_room

#: From here on imports are done elsewhere; numbers below are those of this server's own.
FIRST_EXTERNAL_IMPORT = 1_000_000_000
#: The front end shows an end for these alone, whatever else a status may be.
_STATUS_OF_MODAL = {"completed": "completed", "failed": "error", "cancelled": "error"}


class ImportStatus(StrEnum):
    """The life of an import, in order; the last three are final."""

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
    """The share of a total as an integer from 0 to 100; 0 while the total is not known."""
    if not total or total < 0:
        return 0
    return max(0, min(100, round(processed / total * 100)))


def session_state(status: str) -> str:
    """The state of an import in the words of `progress-*` and of who polls."""
    if status == ImportStatus.FAILED:
        return "error"
    return status if status in FINAL else "processing"


def status_for_modal(status: str) -> str:
    """The state of an import for the front end's dialog, which knows two ways to end."""
    return _STATUS_OF_MODAL.get(status, "processing")


class Record:
    """One import: whose it is, how far it has come, what was told."""

    __slots__ = (
        "emitted_at",
        "filename",
        "finished_at",
        "import_id",
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
        # whose it is; a producer elsewhere may follow a session that has no number
        self.session_id = session_id
        self.import_id = import_id
        self.user_id = user_id
        self.filename = filename
        self.vendor = vendor
        # how far it has come
        self.status = ImportStatus.QUEUED
        self.processed = 0
        self.total = total
        self.percentage = 0
        self.overall = 0
        self.message = "Waiting for its turn"
        self.metadata: dict[str, Any] = {}
        self.result: dict[str, Any] | None = None
        # when, in monotonic seconds
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self.touched_at = 0.0
        # what was told
        self.emitted_at = float("-inf")
        self.step: tuple[ImportStatus, int] | None = None
        self.sequence = 0
        self.timer: Timer | None = None

    @property
    def is_external(self) -> bool:
        """Whether a producer does it, and reports: this server has a number for it only."""
        return self.import_id is not None and self.import_id >= FIRST_EXTERNAL_IMPORT

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms of the guide's contract: the import's, and all sockets of its owner."""
        followers = () if self.import_id is None else (import_room(self.import_id),)
        return followers + (() if self.user_id is None else (self.user_room,))

    @property
    def user_room(self) -> str:
        """The room of its owner."""
        return user_room(str(self.user_id))

    def elapsed_ms(self, now: float) -> int:
        """How long it has been running, or ran."""
        if self.started_at is None:
            return 0
        end = now if self.finished_at is None else self.finished_at
        return round((end - self.started_at) * 1000)

    def cancel_timer(self) -> None:
        """Tell nothing later."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    # -- the guide's contract

    def started(self, epoch_ms: int) -> dict[str, Any]:
        """The payload of `import-started`."""
        return {
            "importId": self.import_id,
            "sessionId": self.session_id,
            "totalRecords": self.total,
            "filename": self.filename,
            "vendor": self.vendor,
            "timestamp": epoch_ms,
        }

    def state(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """Where it is now, as `join-import-room` and HTTP answer."""
        elapsed = self.elapsed_ms(now)
        return {
            "importId": self.import_id,
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

    def ended(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """What every last event says; its result comes beside it."""
        return {
            "importId": self.import_id,
            "sessionId": self.session_id,
            "status": str(self.status),
            "duration": self.elapsed_ms(now),
            "timestamp": epoch_ms,
        }

    # -- the front end's contract

    def session_status(self) -> dict[str, Any]:
        """What HTTP tells one who polls for a session."""
        return {
            "sessionId": self.session_id,
            "progress": self.overall,
            "status": session_state(self.status),
            "message": self.message,
            "metadata": self._metadata(),
        }

    def progress_status(self) -> dict[str, Any]:
        """The payload of `progress-status`: a final state is one that the front end shows."""
        return self.session_status() | {"status": status_for_modal(self.status)}

    def progress_update(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """The payload of `progress-update`."""
        remaining = self._remaining_ms(self.elapsed_ms(now))
        return self.session_status() | {
            "timestamp": epoch_ms,
            "stage": str(self.status).capitalize(),
            "current": self.processed,
            "total": self.total,
            "eta": None if remaining is None else round(remaining / 1000),
        }

    def progress_complete(self, now: float, epoch_ms: int) -> dict[str, Any]:
        """The payload of `progress-complete`; its metadata has the importSummary."""
        status = self.session_status()
        return status | {"timestamp": epoch_ms, "duration": self.elapsed_ms(now)}

    def progress_error(self, epoch_ms: int) -> dict[str, Any]:
        """The payload of `progress-error`."""
        failure = self.result or {}
        error = {name: failure[name] for name in ("code", "message") if name in failure}
        return self.session_status() | {"timestamp": epoch_ms, "error": error}

    def _metadata(self) -> dict[str, Any]:
        # A copy: the record's own goes on changing while an event waits to be sent.
        return self.metadata | {"message": self.message}

    def _remaining_ms(self, elapsed: int) -> int | None:
        """A guess from the pace so far; None while there is too little of it."""
        if self.status in FINAL or self.overall < 5 or not elapsed:
            return None
        return round(elapsed * (100 - self.overall) / self.overall)
