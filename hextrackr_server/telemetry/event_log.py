"""Log file with one line per connection, and per event: its name without the payload."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

from engineio_core.logs.background import BackgroundHandler
from hextrackr_server.errors import SettingsError
from hextrackr_server.rates import SlidingMinute
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.failures import log_failure

MAXIMUM_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5
LINES_PER_MINUTE = 60_000
MAXIMUM_NAME = 64
MAXIMUM_USER_AGENT = 256
#: Names of events with a count of their own for sampling; all others share one.
MAXIMUM_COUNTED: Final = 1000


logger = logging.getLogger(__name__)


class _EventFile(RotatingFileHandler):
    """Log file that reports the first of consecutive failures in the main log.

    The standard handler prints a traceback for each failure.
    """

    _failures = 0
    _is_over = False

    def close(self) -> None:
        """Close the file for good: the standard handler opens it again for a late line."""
        self._is_over = True
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and end the series of failures if the disk accepts the line."""
        if self._is_over:
            return
        before = self._failures
        super().emit(record)
        if self._failures == before:
            self._failures = 0

    def handleError(self, record: logging.LogRecord) -> None:
        """Count the failure of the current record."""
        self._failures += 1
        error = sys.exc_info()[1]
        if error is not None and self._failures == 1:
            log_failure(logger, "the event log cannot be written", error, path=self.baseFilename)


class EventLog:
    """Rotating file of JSON lines; above a rate, lines are dropped and their number is logged.

    A thread writes the file. Of the events of each name, the first one and then one of `every` is
    written.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], float],
        per_minute: float = LINES_PER_MINUTE,
        every: int = 1,
    ) -> None:
        """Open the file; raise SettingsError if it is not writable."""
        self._every = every
        self._counts: dict[tuple[str, str], int] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = _EventFile(
                path, maxBytes=MAXIMUM_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SettingsError(f"the event log {path} cannot be written: {reason}") from error
        file.setFormatter(log_setup.JsonFormatter())
        self._handler = BackgroundHandler(file)
        self._logger = logging.Logger("hextrackr.events", logging.INFO)
        self._logger.addHandler(self._handler)
        self._now = now
        self._minute = SlidingMinute(per_minute)
        self._dropped = 0

    def note(self, direction: str, event: Any, socket_id: str, user_id: str) -> None:
        """Log an event by its name."""
        name = log_setup.escape(str(event), MAXIMUM_NAME)
        sampling = {}
        if self._every > 1:
            if not self._is_sampled(direction, name):
                return
            sampling["every"] = self._every
        self._write(
            "Socket event",
            direction=direction,
            event=name,
            socketId=socket_id,
            userId=user_id,
            **sampling,
        )

    def note_connection(self, socket_id: str, user_id: str, address: str, agent: str) -> None:
        """Log a connection, with the keys of the guide (S104)."""
        agent = log_setup.escape(agent, MAXIMUM_USER_AGENT)
        self._write(
            "Client connected", socketId=socket_id, userId=user_id, ip=address, userAgent=agent
        )

    def _is_sampled(self, direction: str, name: str) -> bool:
        key = (direction, name)
        if key not in self._counts and len(self._counts) >= MAXIMUM_COUNTED:
            key = ("", "")
        count = self._counts.get(key, 0)
        self._counts[key] = (count + 1) % self._every
        return count == 0

    def flush(self) -> None:
        """Wait until all lines are written, at most two seconds."""
        self._handler.flush()

    def _write(self, message: str, **fields: Any) -> None:
        if self._minute.take(self._now()):
            self._dropped += 1
            return
        if self._dropped:
            fields["notWritten"], self._dropped = self._dropped, 0
        self._logger.info(message, extra=log_setup.fields(**fields))

    def close(self) -> None:
        """Write the queued lines and close the file; lines that the disk rejected are lost."""
        self._handler.close()
        with contextlib.suppress(OSError):
            self._handler.target.close()
