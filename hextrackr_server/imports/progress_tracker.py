"""How far every import has come, and who is told.

Knows: the rooms and events of both contracts, throttling, when an import counts as stalled.
Does not know: sockets, threads, the database.  It is called on one thread, and speaks through
Rooms.

    import-started                       to the user who started it
    import-progress                      to the room of the import, at most every 100 ms; of each
                                         state, and of each tenth, once to the user, too
    import-completed, import-finished    to the room of the import, to the user: the same object
    import-failed, import-cancelled      to both; after a failure also application-error

    progress-update                      to the room of the session, together with import-progress
    progress-complete                    to the room of the session
    progress-error, progress-status      to the room of the session: the front end shows an end
                                         for the second of them only
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hextrackr_server.clock import Clock, Timer
from hextrackr_server.imports.progress_record import (
    FINAL,
    FIRST_EXTERNAL_IMPORT,
    ImportStatus,
    Record,
    percentage,
)
from hextrackr_server.rooms import ADMINISTRATORS, Rooms, import_room, progress_room

THROTTLE_SECONDS = 0.1
#: Percents that are one step for the owner's other sockets.
COARSE = 10
KEEP_SECONDS = 3600.0
#: However many imports end, those that ended within this time can still be asked for.
KEEP_AT_LEAST_SECONDS = 60.0
MAXIMUM_ENDED = 500
STALLED_SECONDS = 600.0
WATCH_SECONDS = 60.0
_STEPS = {
    ImportStatus.PARSING: 1,
    ImportStatus.STAGING: 2,
    ImportStatus.PROCESSING: 3,
    ImportStatus.FINALIZING: 3,
}

#: An import is known by its number and by its session id.
Key = int | str


class ProgressTracker:
    """The records of the imports that run, wait, or ended within the last hour."""

    def __init__(
        self, rooms: Rooms, clock: Clock, on_stalled: Callable[[Key], None] = lambda _: None
    ) -> None:
        self._rooms = rooms
        self._clock = clock
        self._records: dict[Key, Record] = {}
        self._watch: Timer | None = None
        self.on_stalled = on_stalled

    def __len__(self) -> int:
        return len(self._all())

    # -- called for whoever does the import, in this order

    def queue(
        self,
        import_id: int,
        user_id: str,
        filename: str,
        vendor: str | None,
        *,
        session_id: str,
        scan_date: str | None = None,
        total: int | None = None,
    ) -> None:
        """Begin to follow an import; ValueError if it, or its session, is followed already."""
        record = Record(session_id, import_id, user_id, filename, vendor, total)
        self._follow(
            record,
            {
                "operation": "csv-import",
                "totalSteps": 3,
                "currentStep": 0,
                "importId": import_id,
                "filename": filename,
                "vendor": vendor,
                "scanDate": scan_date,
            },
        )

    def open(
        self, session_id: str, user_id: str | None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Begin to follow the work of somebody else, who names it by a session id only.

        Without an owner everyone may follow it. ValueError if it is followed already.
        """
        self._follow(
            Record(session_id, None, user_id), {"operation": "unknown"} | dict(metadata or {})
        )
        self.start(session_id)

    def start(self, key: Key) -> None:
        """The import's turn has come."""
        record = self._running(key)
        if record is None or record.started_at is not None:
            return
        record.started_at = record.touched_at = self._clock.monotonic()
        record.status = ImportStatus.STARTING
        record.message = "Starting"
        if record.import_id is not None:
            payload = record.started(self._clock.epoch_ms())
            self._rooms.emit(record.user_room, "import-started", payload)

    def update(
        self,
        key: Key,
        status: ImportStatus,
        processed: int,
        total: int | None,
        overall: int,
        message: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Note progress; it is told at once or within 100 ms, and never goes backwards."""
        record = self._running(key)
        if record is None:
            return
        record.touched_at = self._clock.monotonic()
        record.status = status
        record.total = total
        record.processed = max(record.processed, processed)
        record.percentage = max(record.percentage, percentage(record.processed, total))
        record.overall = max(record.overall, min(100, overall))
        record.message = message
        if record.import_id is not None:
            record.metadata |= {"currentStep": _STEPS.get(status, 0), "rowCount": total}
            record.metadata |= {"processedRows": record.processed}
        record.metadata |= metadata or {}
        self._tell_soon(record)

    def complete(self, key: Key, result: Mapping[str, Any]) -> None:
        """The import is done; `result` has totalProcessed, errors and summary, and goes out.

        Its importSummary, if it has one, goes to the followers of the session only: it is large.
        """
        record = self._running(key)
        if record is None:
            return
        self._tell_pending(record)
        brief = {name: value for name, value in result.items() if name != "importSummary"}
        record.status = ImportStatus.COMPLETED
        record.processed = record.total = brief.get("totalProcessed", record.processed)
        record.percentage = record.overall = 100
        record.message = brief.pop("message", "Import completed")
        record.metadata |= completed_metadata(result)
        self._end(record, brief)
        now, epoch_ms = self._clock.monotonic(), self._clock.epoch_ms()
        if record.import_id is not None:
            payload = record.ended(now, epoch_ms) | brief
            self._rooms.emit(import_room(record.import_id), "import-completed", payload)
            self._rooms.emit(record.user_room, "import-finished", payload)
        complete = record.progress_complete(now, epoch_ms)
        self._rooms.emit(progress_room(record.session_id), "progress-complete", complete)

    def fail(self, key: Key, failure: Mapping[str, Any]) -> None:
        """The import has failed; `failure` has code, message and perhaps fields, and goes out."""
        record = self._running(key)
        if record is None:
            return
        self._stop(record, ImportStatus.FAILED, failure)
        if record.import_id is None:
            return
        details = {"importId": record.import_id, **failure}
        error = {
            "code": "IMPORT_FAILED",
            "message": record.message,
            "details": details,
            "timestamp": self._clock.epoch_ms(),
        }
        self._rooms.emit(record.rooms, "application-error", error)

    def cancel(self, key: Key, failure: Mapping[str, Any]) -> None:
        """The import was cancelled, as `failure` says, with code and message."""
        record = self._running(key)
        if record is not None:
            self._stop(record, ImportStatus.CANCELLED, failure)

    # -- called for those who ask

    def free_number(self) -> int:
        """A number for an import that is done elsewhere."""
        number = max(FIRST_EXTERNAL_IMPORT, self._clock.epoch_ms())
        while number in self._records:
            number += 1
        return number

    def external_imports_of(self, user_id: str) -> int:
        """How many imports of a user are done elsewhere and have not ended."""
        return sum(
            record.is_external and record.user_id == user_id and record.status not in FINAL
            for record in self._all()
        )

    def find(self, key: Key) -> Record | None:
        """The record of an import; None if it is not followed. For reading."""
        return self._records.get(key)

    def snapshot(self, key: Key) -> dict[str, Any] | None:
        """Where an import is now, for one who joins late; None if it is not followed."""
        record = self._records.get(key)
        if record is None:
            return None
        state = record.state(self._clock.monotonic(), self._clock.epoch_ms())
        if record.result is not None:
            state["result"] = record.result
        return state

    # -- what time does

    def watch(self) -> None:
        """From now on, look every minute for what has stalled or is no longer of interest."""
        self._watch = self._clock.call_later(WATCH_SECONDS, self._watched)

    def _watched(self) -> None:
        self.watch()
        self.sweep()
        limit = self._clock.monotonic() - STALLED_SECONDS
        for record in self._all():
            started = record.status is not ImportStatus.QUEUED and record.status not in FINAL
            if started and record.touched_at <= limit:
                message = "The import has not moved for ten minutes"
                key = record.session_id if record.import_id is None else record.import_id
                self.fail(key, {"code": "STALLED", "message": message})
                self.on_stalled(key)

    def sweep(self) -> None:
        """Forget the imports that ended more than an hour ago, and the oldest of too many."""
        now = self._clock.monotonic()
        ended = [record for record in self._all() if record.finished_at is not None]
        ended.sort(key=lambda record: record.finished_at or 0.0, reverse=True)
        for number, record in enumerate(ended):
            keep = KEEP_SECONDS if number < MAXIMUM_ENDED else KEEP_AT_LEAST_SECONDS
            if (record.finished_at or 0.0) <= now - keep:
                self._forget(record)

    def close(self) -> None:
        """Forget everything, timers included."""
        if self._watch is not None:
            self._watch.cancel()
        for record in self._all():
            record.cancel_timer()
        self._records.clear()

    # -- telling

    def _tell_soon(self, record: Record) -> None:
        if record.timer is not None:
            return
        wait = record.emitted_at + THROTTLE_SECONDS - self._clock.monotonic()
        if wait <= 0:
            self._tell(record)
        else:
            # The trailing edge: what is true when the timer fires is what is told.
            record.timer = self._clock.call_later(wait, self._teller(record))

    def _teller(self, record: Record) -> Callable[[], None]:
        def tell() -> None:
            record.timer = None
            self._tell(record)

        return tell

    def _tell_pending(self, record: Record) -> None:
        if record.timer is not None:
            record.cancel_timer()
            self._tell(record)

    def _tell(self, record: Record) -> None:
        now, epoch_ms = self._clock.monotonic(), self._clock.epoch_ms()
        record.sequence += 1
        record.emitted_at = now
        if record.import_id is not None:
            state = record.state(now, epoch_ms)
            # The guide describes this event twice, flat and nested: clients of both read this one.
            nested = ("processed", "total", "percentage", "status", "timestamp")
            state["progress"] = {name: state[name] for name in nested}
            step = (record.status, record.overall // COARSE)
            # One emission: who is in both rooms hears it once.
            rooms = record.rooms if step != record.step else (import_room(record.import_id),)
            record.step = step
            self._rooms.emit(rooms, "import-progress", state)
        update = record.progress_update(now, epoch_ms)
        self._rooms.emit(progress_room(record.session_id), "progress-update", update)

    def _stop(self, record: Record, status: ImportStatus, failure: Mapping[str, Any]) -> None:
        """End a record before its work was done, and tell so."""
        self._tell_pending(record)
        record.status = status
        record.message = failure["message"]
        record.metadata |= {"success": False}
        self._end(record, dict(failure))
        epoch_ms = self._clock.epoch_ms()
        if record.import_id is not None:
            payload = record.ended(self._clock.monotonic(), epoch_ms) | dict(failure)
            payload |= {"processed": record.processed, "total": record.total}
            # One emission: who is in both rooms hears it once.
            self._rooms.emit(record.rooms, f"import-{status}", payload)
        room = progress_room(record.session_id)
        self._rooms.emit(room, "progress-error", record.progress_error(epoch_ms))
        self._rooms.emit(room, "progress-status", record.progress_status())

    # -- records

    def _all(self) -> list[Record]:
        """Every record once, though it has two keys."""
        return [record for key, record in self._records.items() if key == record.session_id]

    def _follow(self, record: Record, metadata: dict[str, Any]) -> None:
        self.sweep()
        keys: list[Key] = [record.session_id]
        if record.import_id is not None:
            keys.append(record.import_id)
        for key in keys:
            if key in self._records:
                raise ValueError(f"import {key} is followed already")
        record.metadata = metadata
        record.touched_at = self._clock.monotonic()
        self._records |= dict.fromkeys(keys, record)
        if record.user_id is not None:
            # Whoever joined before there was an owner to compare with.
            allowed = (record.user_room, ADMINISTRATORS)
            self._rooms.keep_only(progress_room(record.session_id), allowed)
            if record.import_id is not None:
                # A producer may use a number again.
                self._rooms.keep_only(import_room(record.import_id), allowed)

    def _forget(self, record: Record) -> None:
        del self._records[record.session_id]
        if record.import_id is not None:
            del self._records[record.import_id]

    def _running(self, key: Key) -> Record | None:
        """The record of an import that has not ended: what is final stays as it is."""
        record = self._records.get(key)
        return None if record is None or record.status in FINAL else record

    def _end(self, record: Record, result: dict[str, Any]) -> None:
        record.finished_at = self._clock.monotonic()
        record.result = result
        record.sequence += 1


def completed_metadata(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the front end reads of a completed import, from the result in the guide's words."""
    summary = result.get("summary") or {}
    if not isinstance(summary, Mapping):
        summary = {}
    named = {
        "stagingErrors": result.get("errors"),
        "processedRows": result.get("totalProcessed"),
        "insertedToCurrent": summary.get("inserted"),
        "updatedInCurrent": summary.get("updated"),
        "reopenedCount": summary.get("reopened"),
        "resolvedCount": summary.get("resolved"),
        "importSummary": result.get("importSummary"),
    }
    present = {name: value for name, value in named.items() if value is not None}
    return {"success": True, **present, **result.get("metadata", {})}
