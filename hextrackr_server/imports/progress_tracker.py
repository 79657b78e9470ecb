"""Tracks the progress of all imports and sends it to clients.

The tracker owns the event names and rooms of both contracts, the throttling of progress events and
the detection of stalled imports. It is used on the event loop's thread and reaches clients through
the Rooms protocol.

    import-started                       to the user who started the import
    import-progress                      to the room of the import, at most every 100 ms; also to
                                         the user for each new state and each 10 % of progress
    import-completed, import-finished    to the room of the import, to the user: the same object
    import-failed, import-cancelled      to both; after a failure also application-error

    progress-update                      to the room of the session, together with import-progress
    progress-complete                    to the room of the session
    progress-error, progress-status      to the room of the session: the front end ends its dialog
                                         on progress-status only
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from hextrackr_server.clock import Clock, Timer
from hextrackr_server.errors import ErrorCode
from hextrackr_server.imports.progress_record import (
    FINAL,
    FIRST_EXTERNAL_IMPORT,
    ImportStatus,
    Record,
    percentage,
)
from hextrackr_server.rooms import ADMINISTRATORS, Rooms, import_room, progress_room

THROTTLE_SECONDS = 0.1
#: Percentage points of progress after which the owner's other sockets receive an event.
COARSE_STEP = 10
KEEP_SECONDS = 3600.0
#: Minimum time that an ended import can be read, even if MAXIMUM_ENDED others ended since.
KEEP_AT_LEAST_SECONDS = 60.0
MAXIMUM_ENDED = 500
STALLED_SECONDS = 600.0
#: Time after the start of the server within which the producer of an unfinished import must report.
RESUME_SECONDS = 60.0
#: Time during which clients that connect receive the end of an import, and the number of ends.
LATE_SECONDS = 900.0
MAXIMUM_LATE = 20
WATCH_SECONDS = 60.0
_STEPS = {
    ImportStatus.PARSING: 1,
    ImportStatus.STAGING: 2,
    ImportStatus.PROCESSING: 3,
    ImportStatus.FINALIZING: 3,
}

_INTERRUPTED = {
    "code": str(ErrorCode.INTERRUPTED),
    "message": "The server restarted, and the producer of the import has not reported since then",
}

#: Users whose lost sockets are remembered as followers of one session.
MAXIMUM_FOLLOWERS = 100

#: An import ID or a session ID; both identify a record.
Key = int | str


class TrackerObserver(Protocol):
    """An instrument that follows imports."""

    def queued(self, record: Record) -> None:
        """Note a new import."""

    def started(self, record: Record) -> None:
        """Note an import that leaves the queue."""

    def ended(self, record: Record) -> None:
        """Note the end of an import, with its final status."""


class ProgressTracker:
    """The records of imports that are queued, run, or ended within the last hour."""

    def __init__(
        self, rooms: Rooms, clock: Clock, on_stalled: Callable[[Key], None] = lambda _: None
    ) -> None:
        self._rooms = rooms
        self._clock = clock
        self._records: dict[Key, Record] = {}
        self._watch: Timer | None = None
        self._resumed: Timer | None = None
        self.on_stalled = on_stalled
        #: Called with each record that begins, progresses or ends, and with each removed record.
        self.on_change: Callable[[Record], None] = lambda _: None
        self.on_forget: Callable[[Record], None] = lambda _: None
        self.observers: list[TrackerObserver] = []

    def __len__(self) -> int:
        return len(self.records())

    # -- progress reports, in the order in which an import sends them

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
        has_text_id: bool = False,
    ) -> None:
        """Track a queued import; raise ValueError if its ID or session ID is already tracked.

        With `has_text_id`, events name the import by its session ID.
        """
        record = Record(session_id, import_id, user_id, filename, vendor, total)
        record.has_text_id = has_text_id
        self._follow(
            record,
            {
                "operation": "csv-import",
                "totalSteps": 3,
                "currentStep": 0,
                "importId": record.shown_id,
                "filename": filename,
                "vendor": vendor,
                "scanDate": scan_date,
            },
        )
        self._note_new(record)

    def open(
        self, session_id: str, user_id: str | None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Track an external import that has a session ID but no import ID.

        If `user_id` is None, every user may follow the import. Raises ValueError if the session is
        already tracked.
        """
        self._follow(
            Record(session_id, None, user_id), {"operation": "unknown"} | dict(metadata or {})
        )
        self.start(session_id)

    def restore(
        self,
        import_id: int,
        user_id: str,
        filename: str,
        vendor: str | None,
        *,
        session_id: str,
        status: ImportStatus,
        processed: int,
        total: int | None,
        result: Mapping[str, Any],
        elapsed_ms: int,
        age_ms: int,
    ) -> None:
        """Track an import that ended before this server started, without an event.

        `elapsed_ms` is its running time, `age_ms` the time since its end.
        """
        record = Record(session_id, import_id, user_id, filename, vendor, total)
        metadata = {
            "operation": "csv-import",
            "importId": import_id,
            "filename": filename,
            "vendor": vendor,
        }
        self._follow(record, metadata)
        is_completed = status is ImportStatus.COMPLETED
        record.status = status
        record.processed = processed
        record.percentage = 100 if is_completed else percentage(processed, total)
        record.overall = 100 if is_completed else 0
        record.message = str(result.get("message") or "Import completed")
        if is_completed:
            record.metadata |= completed_metadata(result)
        self._end(record, {name: each for name, each in result.items() if name != "importSummary"})
        record.finished_at = self._clock.monotonic() - age_ms / 1000
        record.started_at = record.finished_at - elapsed_ms / 1000

    def resume(self, records: Iterable[Record]) -> None:
        """Track imports of producers that an earlier server tracked, without an event.

        An unfinished import continues with the next report of its producer. Without a report within
        RESUME_SECONDS it fails as interrupted; a later report continues it even then.
        """
        for record in records:
            code = (record.result or {}).get("code")
            record.interrupted = record.status not in FINAL or code == ErrorCode.INTERRUPTED
            if record.status not in FINAL:
                record.message = "The server restarted and waits for the producer of the import"
            self._follow(record, record.metadata)
        self._resumed = self._clock.call_later(RESUME_SECONDS, self._end_interrupted)

    def start(self, key: Key) -> None:
        """Mark an import as started and send `import-started`."""
        record = self._running(key)
        if record is None or record.started_at is not None:
            return
        record.started_at = record.touched_at = self._clock.monotonic()
        record.status = ImportStatus.STARTING
        record.message = "Starting"
        self.on_change(record)
        for observer in self.observers:
            observer.started(record)
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
        """Record progress, which never decreases, and send it now or within 100 ms."""
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
        self.on_change(record)
        self._emit_throttled(record)

    def complete(self, key: Key, result: Mapping[str, Any]) -> None:
        """End an import successfully; `result` has totalProcessed, errors and summary.

        The events carry the result, except its importSummary: this large object goes only to
        the room of the session.
        """
        record = self._running(key)
        if record is None:
            return
        self._emit_pending(record)
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
        """End an import as failed; the events carry `failure`: code, message, optional fields."""
        record = self._running(key)
        if record is None:
            return
        self._stop(record, ImportStatus.FAILED, failure)
        if record.import_id is None:
            return
        details = {"importId": record.shown_id, **failure}
        error = {
            "code": "IMPORT_FAILED",
            "message": record.message,
            "details": details,
            "timestamp": self._clock.epoch_ms(),
        }
        self._rooms.emit(record.rooms, "application-error", error)

    def cancel(self, key: Key, failure: Mapping[str, Any]) -> None:
        """End an import as canceled; the events carry `failure`: code and message."""
        record = self._running(key)
        if record is not None:
            self._stop(record, ImportStatus.CANCELLED, failure)

    # -- queries

    def free_number(self) -> int:
        """Return an unused ID for an external import."""
        number = max(FIRST_EXTERNAL_IMPORT, self._clock.epoch_ms())
        while number in self._records:
            number += 1
        return number

    def external_imports_of(self, user_id: str) -> int:
        """Return the number of unfinished external imports of a user."""
        return sum(
            record.is_external and record.user_id == user_id and record.status not in FINAL
            for record in self.records()
        )

    def find(self, key: Key) -> Record | None:
        """Return the record of an import for reading, or None if the import is not tracked."""
        return self._records.get(key)

    def late_ends(self, user_id: str, *, is_admin: bool) -> list[tuple[str, dict[str, Any]]]:
        """Return the final events of recent imports, for a client that may have missed them.

        A user receives the ends of the own imports, an administrator of all imports: the newest
        20 of the last 15 minutes, the oldest first. The payloads contain `late: true`. Imports that
        a restart interrupted, and that may continue, follow with `interrupted: true`.
        """
        now, epoch_ms = self._clock.monotonic(), self._clock.epoch_ms()
        visible = [
            record
            for record in self.records()
            if record.user_id == user_id
            or user_id in record.followers
            or (is_admin and record.user_id is not None)
        ]
        ended = [
            record
            for record in visible
            if record.finished_at is not None and record.finished_at > now - LATE_SECONDS
        ]
        ended.sort(key=lambda record: record.finished_at or 0.0)
        events: list[tuple[str, dict[str, Any]]] = []
        for record in ended[-MAXIMUM_LATE:]:
            if record.import_id is not None:
                name = f"import-{record.status}"
                if record.status is ImportStatus.COMPLETED and record.user_id == user_id:
                    name = "import-finished"
                payload = record.ended(now, epoch_ms) | (record.result or {}) | {"late": True}
                events.append((name, payload))
            events.append(("progress-status", record.progress_status() | {"late": True}))
        waiting = [each for each in visible if each.interrupted and each.status not in FINAL]
        for record in waiting[-MAXIMUM_LATE:]:
            more = {"late": True, "interrupted": True}
            if record.import_id is not None:
                events.append(("import-progress", record.import_progress(now, epoch_ms) | more))
            events.append(("progress-status", record.progress_status() | more))
        return events

    def note_follower(self, session_id: str, user_id: str) -> None:
        """Remember that a lost socket of a user followed an unfinished session of a producer.

        HexTrackr's page reconnects without joining the session again.
        """
        record = self._records.get(session_id)
        if record is None or not record.is_reported or record.status in FINAL:
            return
        if user_id not in record.followers and len(record.followers) < MAXIMUM_FOLLOWERS:
            record.followers.add(user_id)
            self.on_change(record)

    def forget_follower(self, session_id: str, user_id: str) -> None:
        """Forget that a user followed a session."""
        record = self._records.get(session_id)
        if record is not None:
            record.followers.discard(user_id)

    def followed_by(self, user_id: str) -> list[Record]:
        """Return the unfinished sessions that lost sockets of a user followed."""
        return [
            record
            for record in self.records()
            if user_id in record.followers and record.status not in FINAL
        ]

    def snapshot(self, key: Key) -> dict[str, Any] | None:
        """Return the current state of an import, or None if the import is not tracked."""
        record = self._records.get(key)
        if record is None:
            return None
        return record.snapshot(self._clock.monotonic(), self._clock.epoch_ms())

    def visible(self, user_id: str, *, is_admin: bool) -> list[dict[str, Any]]:
        """Return the states of the imports of a user, or of all users for an administrator.

        Unfinished imports precede ended ones, and newer imports precede older ones.
        """
        now, epoch_ms = self._clock.monotonic(), self._clock.epoch_ms()
        mine = [each for each in self.records() if is_admin or each.user_id == user_id]
        # Records are in the order in which they began.
        mine.reverse()
        mine.sort(key=lambda record: record.status in FINAL)
        return [record.entry(now, epoch_ms) for record in mine]

    # -- timers

    def watch(self) -> None:
        """Check for stalled and expired imports every minute from now on."""
        self._watch = self._clock.call_later(WATCH_SECONDS, self._check_all)

    def _check_all(self) -> None:
        self.watch()
        self.sweep()
        limit = self._clock.monotonic() - STALLED_SECONDS
        for record in self.records():
            started = record.status is not ImportStatus.QUEUED and record.status not in FINAL
            if started and record.touched_at <= limit:
                message = f"The import has not progressed for {STALLED_SECONDS / 60:g} minutes"
                key = record.session_id if record.import_id is None else record.import_id
                self.fail(key, {"code": "STALLED", "message": message})
                self.on_stalled(key)

    def _end_interrupted(self) -> None:
        for record in self.records():
            if record.interrupted and record.status not in FINAL:
                self.fail(record.session_id, _INTERRUPTED)
                record.interrupted = True

    def sweep(self) -> None:
        """Remove imports that ended over an hour ago, and the oldest ones over the maximum."""
        now = self._clock.monotonic()
        ended = [record for record in self.records() if record.finished_at is not None]
        ended.sort(key=lambda record: record.finished_at or 0.0, reverse=True)
        for number, record in enumerate(ended):
            keep = KEEP_SECONDS if number < MAXIMUM_ENDED else KEEP_AT_LEAST_SECONDS
            if (record.finished_at or 0.0) <= now - keep:
                self._forget(record)

    def close(self) -> None:
        """Remove all records and cancel all timers."""
        for timer in (self._watch, self._resumed):
            if timer is not None:
                timer.cancel()
        for record in self.records():
            record.cancel_timer()
        self._records.clear()

    # -- sending

    def _emit_throttled(self, record: Record) -> None:
        if record.timer is not None:
            return
        wait = record.emitted_at + THROTTLE_SECONDS - self._clock.monotonic()
        if wait <= 0:
            self._emit_progress(record)
        else:
            # Trailing edge: the event carries the state at the time when the timer fires.
            record.timer = self._clock.call_later(wait, lambda: self._emit_pending(record))

    def _emit_pending(self, record: Record) -> None:
        if record.timer is not None:
            record.cancel_timer()
            self._emit_progress(record)

    def _emit_progress(self, record: Record) -> None:
        now, epoch_ms = self._clock.monotonic(), self._clock.epoch_ms()
        record.sequence += 1
        record.emitted_at = now
        if record.import_id is not None:
            state = record.import_progress(now, epoch_ms)
            step = (record.status, record.overall // COARSE_STEP)
            # One emission to both rooms: a socket in both receives one event.
            rooms = record.rooms if step != record.step else (import_room(record.import_id),)
            record.step = step
            self._rooms.emit(rooms, "import-progress", state)
        update = record.progress_update(now, epoch_ms)
        self._rooms.emit(progress_room(record.session_id), "progress-update", update)

    def _stop(self, record: Record, status: ImportStatus, failure: Mapping[str, Any]) -> None:
        """End a record before its work was done, and send the final events."""
        self._emit_pending(record)
        record.status = status
        record.message = failure["message"]
        record.metadata |= {"success": False}
        self._end(record, dict(failure))
        epoch_ms = self._clock.epoch_ms()
        if record.import_id is not None:
            payload = record.ended(self._clock.monotonic(), epoch_ms) | dict(failure)
            payload |= {"processed": record.processed, "total": record.total}
            # One emission to both rooms: a socket in both receives one event.
            self._rooms.emit(record.rooms, f"import-{status}", payload)
        room = progress_room(record.session_id)
        self._rooms.emit(room, "progress-error", record.progress_error(epoch_ms))
        self._rooms.emit(room, "progress-status", record.progress_status())

    # -- records

    def records(self) -> list[Record]:
        """Return each record once, although a record may have two keys."""
        return [record for key, record in self._records.items() if key == record.session_id]

    def _follow(self, record: Record, metadata: dict[str, Any]) -> None:
        self.sweep()
        keys: list[Key] = [record.session_id]
        if record.import_id is not None:
            keys.append(record.import_id)
        for key in keys:
            if key in self._records:
                raise ValueError(f"import {key} is already tracked")
        record.metadata = metadata
        record.touched_at = self._clock.monotonic()
        self._records |= dict.fromkeys(keys, record)
        if record.user_id is not None:
            # Remove sockets that joined the room before the session had an owner.
            allowed = (record.user_room, ADMINISTRATORS)
            self._rooms.keep_only(progress_room(record.session_id), allowed)
            if record.import_id is not None:
                # Also the room of the ID: a producer may use an ID again.
                self._rooms.keep_only(import_room(record.import_id), allowed)

    def _note_new(self, record: Record) -> None:
        for observer in self.observers:
            observer.queued(record)

    def _forget(self, record: Record) -> None:
        del self._records[record.session_id]
        if record.import_id is not None:
            del self._records[record.import_id]
        self.on_forget(record)

    def _running(self, key: Key) -> Record | None:
        """Return the record of an unfinished import, or None.

        Ended imports do not change, unless a restart interrupted them.
        """
        record = self._records.get(key)
        if record is None:
            return None
        if record.interrupted:
            record.resume()
        return None if record.status in FINAL else record

    def _end(self, record: Record, result: dict[str, Any]) -> None:
        record.finished_at = self._clock.monotonic()
        record.result = result
        record.sequence += 1
        self.on_change(record)
        for observer in self.observers:
            observer.ended(record)


def completed_metadata(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a completed import as the front end's contract names it."""
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
