"""How far every import has come, and who is told.

Knows: the states of an import, the events of the contract, throttling.
Does not know: sockets, threads, the database.  It is called on one thread, and speaks through an
Emitter.

    import-started                       to the user who started it
    import-progress                      to the room of the import, at most every 100 ms
    import-completed, import-finished    to the room of the import, to the user: the same object
    import-failed                        to both
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

from hextrackr_server.clock import Clock, Timer

THROTTLE_SECONDS = 0.1
KEEP_SECONDS = 3600.0


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


class Emitter(Protocol):
    """Who brings events to the members of a room."""

    def emit(self, room: str, event: str, payload: dict[str, Any]) -> None:
        """Send, without waiting; must not raise because of one receiver."""


def percentage(processed: int, total: int | None) -> int:
    """The share of a total as an integer from 0 to 100; 0 while the total is not known."""
    if not total or total < 0:
        return 0
    return max(0, min(100, round(processed / total * 100)))


def import_room(import_id: int) -> str:
    """The room of those who follow an import."""
    return f"import-{import_id}"


class _Record:
    """One import, as its followers see it."""

    __slots__ = (
        "emitted_at",
        "filename",
        "finished_at",
        "import_id",
        "message",
        "overall",
        "percentage",
        "processed",
        "result",
        "sequence",
        "started_at",
        "status",
        "timer",
        "total",
        "user_id",
        "vendor",
    )

    def __init__(self, import_id: int, user_id: str, filename: str, vendor: str | None) -> None:
        # whose it is
        self.import_id = import_id
        self.user_id = user_id
        self.filename = filename
        self.vendor = vendor
        # how far it has come
        self.status = ImportStatus.QUEUED
        self.processed = 0
        self.total: int | None = None
        self.percentage = 0
        self.overall = 0
        self.message = "Waiting for its turn"
        self.result: dict[str, Any] | None = None
        # when, in monotonic seconds
        self.started_at: float | None = None
        self.finished_at: float | None = None
        # what was told
        self.emitted_at = float("-inf")
        self.sequence = 0
        self.timer: Timer | None = None


class ProgressTracker:
    """The records of the imports that run, wait, or ended within the last hour."""

    def __init__(self, emitter: Emitter, clock: Clock) -> None:
        self._emitter = emitter
        self._clock = clock
        self._records: dict[int, _Record] = {}

    # -- called for the importer, in this order

    def queue(self, import_id: int, user_id: str, filename: str, vendor: str | None) -> None:
        """Begin to follow an import; ValueError if it is followed already."""
        self.sweep()
        if import_id in self._records:
            raise ValueError(f"import {import_id} is followed already")
        self._records[import_id] = _Record(import_id, user_id, filename, vendor)

    def start(self, import_id: int) -> None:
        """The import's turn has come."""
        record = self._running(import_id)
        if record is None or record.started_at is not None:
            return
        record.started_at = self._clock.monotonic()
        record.status = ImportStatus.STARTING
        record.message = "Starting"
        self._emitter.emit(
            _user_room(record),
            "import-started",
            {
                "importId": import_id,
                "totalRecords": record.total,
                "filename": record.filename,
                "vendor": record.vendor,
                "timestamp": self._clock.epoch_ms(),
            },
        )

    def update(
        self,
        import_id: int,
        status: ImportStatus,
        processed: int,
        total: int | None,
        overall: int,
        message: str,
    ) -> None:
        """Note progress; it is told at once or within 100 ms, and never goes backwards."""
        record = self._running(import_id)
        if record is None:
            return
        record.status = status
        record.total = total
        record.processed = max(record.processed, processed)
        record.percentage = max(record.percentage, percentage(record.processed, total))
        record.overall = max(record.overall, min(100, overall))
        record.message = message
        self._tell_soon(record)

    def complete(self, import_id: int, result: dict[str, Any]) -> None:
        """The import is done; `result` has totalProcessed, errors and summary, and goes out."""
        record = self._running(import_id)
        if record is None:
            return
        self._tell_pending(record)
        record.status = ImportStatus.COMPLETED
        record.processed = record.total = result["totalProcessed"]
        record.percentage = record.overall = 100
        record.message = "Import completed"
        self._end(record, result)
        payload = self._final_payload(record) | result
        self._emitter.emit(import_room(import_id), "import-completed", payload)
        self._emitter.emit(_user_room(record), "import-finished", payload)

    def fail(self, import_id: int, failure: dict[str, Any]) -> None:
        """The import has failed; `failure` has code, message and perhaps fields, and goes out."""
        record = self._running(import_id)
        if record is None:
            return
        self._tell_pending(record)
        record.status = ImportStatus.FAILED
        record.message = failure["message"]
        self._end(record, failure)
        payload = self._final_payload(record) | failure
        payload |= {"processed": record.processed, "total": record.total}
        self._emitter.emit(import_room(import_id), "import-failed", payload)
        self._emitter.emit(_user_room(record), "import-failed", payload)

    # -- called for those who ask

    def owner(self, import_id: int) -> str | None:
        """The user id of an import's owner; None if it is not followed."""
        record = self._records.get(import_id)
        return None if record is None else record.user_id

    def snapshot(self, import_id: int) -> dict[str, Any] | None:
        """Where an import is now, for one who joins late; None if it is not followed."""
        record = self._records.get(import_id)
        if record is None:
            return None
        state = self._state(record)
        if record.result is not None:
            state["result"] = record.result
        return state

    def sweep(self) -> None:
        """Forget the imports that ended more than an hour ago."""
        limit = self._clock.monotonic() - KEEP_SECONDS
        ended = [
            import_id
            for import_id, record in self._records.items()
            if record.finished_at is not None and record.finished_at <= limit
        ]
        for import_id in ended:
            del self._records[import_id]

    def close(self) -> None:
        """Forget everything, timers included."""
        for record in self._records.values():
            _cancel_timer(record)
        self._records.clear()

    # -- telling

    def _tell_soon(self, record: _Record) -> None:
        if record.timer is not None:
            return
        wait = record.emitted_at + THROTTLE_SECONDS - self._clock.monotonic()
        if wait <= 0:
            self._tell(record)
        else:
            # The trailing edge: what is true when the timer fires is what is told.
            record.timer = self._clock.call_later(wait, self._teller(record))

    def _teller(self, record: _Record) -> Callable[[], None]:
        def tell() -> None:
            record.timer = None
            self._tell(record)

        return tell

    def _tell_pending(self, record: _Record) -> None:
        if record.timer is not None:
            _cancel_timer(record)
            self._tell(record)

    def _tell(self, record: _Record) -> None:
        record.sequence += 1
        record.emitted_at = self._clock.monotonic()
        state = self._state(record)
        # The guide describes this event twice, flat and nested: clients of both read this one.
        nested = ("processed", "total", "percentage", "status", "timestamp")
        state["progress"] = {name: state[name] for name in nested}
        self._emitter.emit(import_room(record.import_id), "import-progress", state)

    # -- records

    def _running(self, import_id: int) -> _Record | None:
        """The record of an import that has not ended: what is final stays as it is."""
        record = self._records.get(import_id)
        return None if record is None or record.status in FINAL else record

    def _end(self, record: _Record, result: dict[str, Any]) -> None:
        record.finished_at = self._clock.monotonic()
        record.result = result
        record.sequence += 1

    def _state(self, record: _Record) -> dict[str, Any]:
        return {
            "importId": record.import_id,
            "status": str(record.status),
            "processed": record.processed,
            "total": record.total,
            "percentage": record.percentage,
            "overall": record.overall,
            "elapsedTime": self._elapsed_ms(record),
            "timestamp": self._clock.epoch_ms(),
            "message": record.message,
            "seq": record.sequence,
        }

    def _final_payload(self, record: _Record) -> dict[str, Any]:
        return {
            "importId": record.import_id,
            "status": str(record.status),
            "duration": self._elapsed_ms(record),
            "timestamp": self._clock.epoch_ms(),
        }

    def _elapsed_ms(self, record: _Record) -> int:
        if record.started_at is None:
            return 0
        end = self._clock.monotonic() if record.finished_at is None else record.finished_at
        return round((end - record.started_at) * 1000)


def _user_room(record: _Record) -> str:
    return f"user-{record.user_id}"


def _cancel_timer(record: _Record) -> None:
    if record.timer is not None:
        record.timer.cancel()
        record.timer = None
