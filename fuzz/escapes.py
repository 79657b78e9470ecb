"""Detection of exceptions that a server catches and logs: each is an escape as well."""

from __future__ import annotations

import logging
from types import TracebackType

from engineio_core.logs.limiter import LINE_LIMIT


class Escapes(logging.Handler):
    """The lines of one logger during an input: dropped, unless they contain an exception."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.WARNING)
        self._logger = logging.getLogger(name)
        self._kept: list[logging.Handler] = []
        self._found: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first exception."""
        if record.exc_info and self._found is None:
            self._found = record

    def __enter__(self) -> None:
        """Take the place of the handlers."""
        LINE_LIMIT.forget()  # it would drop the line of an exception behind many others
        self._found = None
        self._kept, self._logger.handlers = self._logger.handlers, [self]
        self._logger.propagate = False

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the handlers; raise AssertionError for a logged exception."""
        self._logger.handlers, self._logger.propagate = self._kept, True
        record, self._found = self._found, None
        if error is None and record is not None and record.exc_info:
            raise AssertionError(record.getMessage()) from record.exc_info[1]
