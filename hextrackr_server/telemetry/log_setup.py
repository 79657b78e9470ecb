"""Log output of the hub: format, level, limits, and the output that never blocks the server.

All records of the process, also those of libraries, pass through the same structlog processors
(`log_processors`). Structured fields are passed as `extra=fields(name=value)`, or as keyword
arguments to a logger of `structlog.get_logger()`.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from engineio_core.logs.background import BackgroundHandler
from engineio_core.logs.limiter import LINE_LIMIT, LINES, LineLimit
from hextrackr_server.telemetry.escaping import escape
from hextrackr_server.telemetry.log_processors import (
    collect,
    make_redaction,
    render_json,
    render_line,
)
from hextrackr_server.telemetry.redaction import Redactor, Shown

__all__ = [
    "HumanFormatter",
    "JsonFormatter",
    "Shown",
    "configure",
    "dropped_lines",
    "escape",
    "fields",
    "log_crashes",
    "omitted_lines",
]

logger = logging.getLogger(__name__)

#: Loggers with a limit of their own.
_LIMITED = frozenset({"engineio_core", "socketio_core"})
#: Recognizes secrets by their form and name only.
_BY_FORM = Redactor()
_SHARED: list[Processor] = [structlog.contextvars.merge_contextvars]


class _RedactingFormatter(ProcessorFormatter):
    """Formatter that passes a record through the processors and a renderer."""

    def __init__(self, render: Processor, redactor: Redactor) -> None:
        super().__init__(
            processors=[
                structlog.processors.format_exc_info, collect, make_redaction(redactor), render,
            ],
            foreign_pre_chain=_SHARED,
        )  # fmt: skip


class HumanFormatter(_RedactingFormatter):
    """Formatter for people: `<time> INFO    imports: import completed  import=5 rows=20000`."""

    def __init__(self, redactor: Redactor = _BY_FORM) -> None:
        super().__init__(render_line, redactor)


class JsonFormatter(_RedactingFormatter):
    """Formatter of one JSON object per line: timestamp, level, logger, message, fields."""

    def __init__(self, redactor: Redactor = _BY_FORM) -> None:
        super().__init__(render_json, redactor)


class _Output(BackgroundHandler):
    """Handler that reports the lines that the limits omitted before it closes."""

    def __init__(self, stream: TextIO | None, lines_per_kind: int) -> None:
        super().__init__(stream)
        self.limit = LineLimit(lines_per_kind)
        self.addFilter(self._limit_others)

    def close(self) -> None:
        """Report omitted lines, write queued ones and end the thread."""
        LINE_LIMIT.report(is_final=True)
        self.limit.report(is_final=True)
        super().close()

    def _limit_others(self, record: logging.LogRecord) -> bool:
        return record.name in _LIMITED or self.limit.filter(record)


#: The configured output, if any.
_outputs: list[_Output] = []


def configure(
    log_format: str,
    level: int = logging.INFO,
    stream: TextIO | None = None,
    *,
    lines_per_kind: int = LINES,
    secrets: Iterable[str] = (),
) -> logging.Handler:
    """Send all log records of the process to a stream (standard error) in one of the formats.

    A thread writes them. `secrets` never appear in them. Returns the handler.
    """
    redactor = Redactor(secrets)
    handler = _Output(stream, lines_per_kind)
    _outputs[:] = [handler]
    formatter = JsonFormatter if log_format == "json" else HumanFormatter
    handler.setFormatter(formatter(redactor))
    LINE_LIMIT.set(lines_per_kind)
    root = logging.getLogger()
    for previous in root.handlers[:]:
        root.removeHandler(previous)
        if isinstance(previous, _Output):
            previous.close()
    root.addHandler(handler)
    root.setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    return handler


def omitted_lines() -> int:
    """Return how many lines the limits per kind have omitted in this process."""
    return LINE_LIMIT.omitted + sum(output.limit.omitted for output in _outputs)


def dropped_lines() -> int:
    """Return how many lines were dropped because the output did not accept them."""
    return sum(output.dropped for output in _outputs)


def fields(**values: Any) -> dict[str, Any]:
    """Return the `extra` argument of a log call with structured fields."""
    return {"fields": values}


def log_crashes() -> None:
    """Log what Python prints otherwise: uncaught exceptions, also of threads, and warnings."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash
    sys.unraisablehook = _log_unraisable


def _log_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logger.critical("the process ends with an unexpected error", exc_info=(kind, error, trace))


def _log_thread_crash(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        name = failed.thread.name if failed.thread is not None else ""
        logger.critical("a thread ended", exc_info=failed.exc_value, extra=fields(thread=name))


def _log_unraisable(failed: sys.UnraisableHookArgs) -> None:
    logger.error(
        failed.err_msg or "an exception was ignored",
        exc_info=failed.exc_value,
        extra=fields(object=type(failed.object).__name__),
    )
