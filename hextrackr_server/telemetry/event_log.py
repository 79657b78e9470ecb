"""Log file with one line per connection, and per event: its name without the payload."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from hextrackr_server.errors import SettingsError
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.failures import log_failure
from hextrackr_server.token_bucket import Bucket

MAXIMUM_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5
LINES_PER_MINUTE = 60_000
MAXIMUM_NAME = 64
MAXIMUM_USER_AGENT = 256


logger = logging.getLogger(__name__)


class _EventFile(RotatingFileHandler):
    """Log file that reports the first of consecutive failures in the main log.

    The standard handler prints a traceback for each failure.
    """

    _failures = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and end the series of failures if the disk accepts the line."""
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
    """Rotating file of JSON lines; above a rate, lines are dropped and their number is logged."""

    def __init__(
        self, path: Path, now: Callable[[], float], per_minute: float = LINES_PER_MINUTE
    ) -> None:
        """Open the file; raise SettingsError if it is not writable."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handler = _EventFile(
                path, maxBytes=MAXIMUM_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SettingsError(f"the event log {path} cannot be written: {reason}") from error
        self._handler.setFormatter(log_setup.JsonFormatter())
        self._logger = logging.Logger("hextrackr.events", logging.INFO)
        self._logger.addHandler(self._handler)
        self._now = now
        self._bucket = Bucket(per_minute, now())
        self._dropped = 0

    def note(self, direction: str, event: Any, socket_id: str, user_id: str) -> None:
        """Log an event by its name."""
        self._write(
            "Socket event",
            direction=direction,
            event=log_setup.escape(str(event), MAXIMUM_NAME),
            socketId=socket_id,
            userId=user_id,
        )

    def note_connection(self, socket_id: str, user_id: str, address: str, agent: str) -> None:
        """Log a connection, with the keys of the guide (S104)."""
        agent = log_setup.escape(agent, MAXIMUM_USER_AGENT)
        self._write(
            "Client connected", socketId=socket_id, userId=user_id, ip=address, userAgent=agent
        )

    def _write(self, message: str, **fields: Any) -> None:
        if self._bucket.take(self._now()):
            self._dropped += 1
            return
        if self._dropped:
            fields["notWritten"], self._dropped = self._dropped, 0
        self._logger.info(message, extra=log_setup.fields(**fields))

    def close(self) -> None:
        """Close the log file; lines that the disk rejected are lost."""
        with contextlib.suppress(OSError):
            self._handler.close()
