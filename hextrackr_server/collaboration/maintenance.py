"""Schedules maintenance windows: announces, starts and ends them.

Windows are stored and survive a restart of the server. `notifications` sends the messages;
permissions are checked by the callers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hextrackr_server.clock import Clock, Timer
from hextrackr_server.collaboration.maintenance_store import MaintenanceStore, Planned
from hextrackr_server.collaboration.notifications import Notifications, check_message
from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.rooms import Announcer
from hextrackr_server.security.principal import Principal
from hextrackr_server.storage.background_writer import BackgroundWriter

MINIMUM_DURATION_MS = 1000  # a smaller value is likely to be in seconds or minutes
MAXIMUM_DURATION_MS = 7 * 24 * 3600 * 1000
MAXIMUM_AHEAD_MS = 366 * 24 * 3600 * 1000
LATE_MS = 60_000
MAXIMUM_WINDOWS = 16
#: Interval of checking the wall clock: a timer does not notice that the clock was set or that the
#: machine slept.
CHECK_SECONDS = 60.0


@dataclass(slots=True)
class Window:
    """One maintenance window, planned or active; times are milliseconds."""

    id: str
    start_ms: int
    duration_ms: int
    message: str | None
    by: str
    is_active: bool = False
    timers: dict[str, Timer] = field(default_factory=dict)


class Maintenance:
    """The planned and active maintenance windows; used on the event loop's thread."""

    def __init__(
        self,
        store: MaintenanceStore,
        writer: BackgroundWriter,
        announcer: Announcer,
        notifications: Notifications,
        clock: Clock,
    ) -> None:
        self._store = store
        self._writer = writer
        self._announcer = announcer
        self._notifications = notifications
        self._clock = clock
        self._windows: dict[str, Window] = {}

    async def restore(self) -> None:
        """Load the windows of the previous server; one that should be active is active again."""
        now = self._clock.epoch_ms()
        for planned in await self._writer.run(self._store.load, now):
            self._add(Window(*planned, is_active=planned.start_ms <= now))

    @property
    def is_active(self) -> bool:
        """Whether a maintenance window is active."""
        return any(window.is_active for window in self._windows.values())

    def schedule(self, start: Any, duration: Any, message: Any, by: str) -> str:
        """Schedule and announce a window and return its ID.

        `start` is milliseconds since 1970 or an ISO 8601 time, `duration` is in milliseconds.
        """
        now = self._clock.epoch_ms()
        start_ms = _start(start, now)
        if message is not None:
            message = check_message(message)
        if len(self._windows) >= MAXIMUM_WINDOWS:
            text = f"{MAXIMUM_WINDOWS} maintenance windows may be planned: cancel one first"
            raise ServiceError(ErrorCode.CONFLICT, text)
        planned = Planned(secrets.token_hex(8), start_ms, _duration(duration), message, by)
        window = Window(*planned)
        self._add(window)
        self._writer.soon(self._store.add, planned)
        self._announcer.everywhere("maintenance-scheduled", self._payload(window))
        return window.id

    def cancel(self, window_id: Any) -> None:
        """End an active window, or cancel a planned one; raise ServiceError NOT_FOUND."""
        window = self._windows.get(window_id) if isinstance(window_id, str) else None
        if window is None:
            raise ServiceError(ErrorCode.NOT_FOUND, "There is no such maintenance")
        self._end(window)

    def notices(self) -> list[dict[str, Any]]:
        """Return the announcements of all windows, for sockets that connect later."""
        return [self._payload(window) for window in self._windows.values()]

    def refuse_work(self, principal: Principal) -> None:
        """Raise ServiceError MAINTENANCE if a window is active, except for administrators."""
        if self.is_active and not principal.is_admin:
            text = "The system is under maintenance: try again later"
            raise ServiceError(ErrorCode.MAINTENANCE, text)

    def close(self) -> None:
        """Cancel all timers; planned windows stay stored for the next start."""
        for window in self._windows.values():
            _cancel(window)
        self._windows.clear()

    def _add(self, window: Window) -> None:
        self._windows[window.id] = window
        if not window.is_active:
            self._wait("start", window.start_ms, window, self._begin)
        self._wait("end", window.start_ms + window.duration_ms, window, self._end)

    def _wait(self, name: str, at_ms: int, window: Window, call: Callable[[Window], None]) -> None:
        """Call `call(window)` at a time of the wall clock, which may be set meanwhile."""

        def check() -> None:
            if at_ms <= self._clock.epoch_ms():
                call(window)
            else:
                self._wait(name, at_ms, window, call)

        left = max(0, at_ms - self._clock.epoch_ms()) / 1000
        window.timers[name] = self._clock.call_later(min(left, CHECK_SECONDS), check)

    def _begin(self, window: Window) -> None:
        window.is_active = True
        message = window.message or "Maintenance begins"
        self._notifications.system("maintenance-started", message, window.id)

    def _end(self, window: Window) -> None:
        _cancel(window)
        del self._windows[window.id]
        self._writer.soon(self._store.remove, window.id)
        if window.is_active:
            kind, message = "maintenance-ended", "Maintenance has ended"
        else:
            kind, message = "maintenance-cancelled", "Maintenance is canceled"
        self._notifications.system(kind, message, window.id)

    def _payload(self, window: Window) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "id": window.id,
            "startTime": window.start_ms,
            "duration": window.duration_ms,
            "scheduledBy": window.by,
            "isActive": window.is_active,
            "timestamp": self._clock.epoch_ms(),
        }
        if window.message is not None:
            payload["message"] = window.message
        return payload


def _cancel(window: Window) -> None:
    for timer in window.timers.values():
        timer.cancel()


def _start(value: Any, now: int) -> int:
    start = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None:
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            start = round(aware.timestamp() * 1000)
    if isinstance(start, float) and start.is_integer():
        start = int(start)
    if not isinstance(start, int) or isinstance(start, bool):
        raise invalid(
            "Invalid maintenance",
            [("startTime", "must be milliseconds since 1970 or an ISO 8601 time")],
        )
    if not now - LATE_MS <= start <= now + MAXIMUM_AHEAD_MS:
        text = "must be in the future, by a year at most"
        raise invalid("Invalid maintenance", [("startTime", text)])
    return start


def _duration(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or not MINIMUM_DURATION_MS <= value <= MAXIMUM_DURATION_MS:
        text = f"must be {MINIMUM_DURATION_MS} to {MAXIMUM_DURATION_MS} milliseconds"
        raise invalid("Invalid maintenance", [("duration", text)])
    return int(value)
