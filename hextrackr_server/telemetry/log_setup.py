"""Log formats: one line per record, for people or for machines, safe for any client input.

Structured fields are passed as `extra=fields(name=value)`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

MAXIMUM_LENGTH = 2000
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_SEPARATOR = re.compile(r'[\s"=]')


def configure(log_format: str, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all log records of the process to a stream (standard error) in one of the formats."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else HumanFormatter())
    root = logging.getLogger()
    for previous in root.handlers[:]:
        root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(level)


def fields(**values: Any) -> dict[str, Any]:
    """Return the `extra` argument of a log call with structured fields."""
    return {"fields": values}


def escape(text: str, limit: int = MAXIMUM_LENGTH) -> str:
    """Return a text on one line, cut to a limit, without terminal control characters."""
    if len(text) > limit:
        text = text[:limit] + "..."
    return _UNSAFE.sub(_escaped, text)


class HumanFormatter(logging.Formatter):
    """Formatter for people: `<time> INFO    imports: import completed  import=5 rows=20000`.

    The time is local, in ISO 8601 with its offset: `2026-11-28T12:30:01.250+01:00`.

    A traceback follows on lines that begin with two bars, so that client input cannot imitate a
    log record.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, followed by its marked traceback."""
        name = record.name.rpartition(".")[2]
        line = f"{_moment_of(record)} {record.levelname:<7} {name}: {escape(record.getMessage())}"
        pairs = [f"{name}={_quoted(str(value))}" for name, value in _fields_of(record).items()]
        if pairs:
            line += "  " + " ".join(pairs)
        if record.exc_info:
            for trace_line in self.formatException(record.exc_info).splitlines():
                line += "\n  || " + escape(trace_line)
        return line


class JsonFormatter(logging.Formatter):
    """Formatter of one JSON object per line: timestamp, level, logger, message, fields.

    The timestamp is ISO 8601 with the offset of the local time zone.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one JSON object."""
        entry: dict[str, Any] = {
            **_fields_of(record),
            "timestamp": _moment_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": escape(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        # ASCII only: the file can be displayed on a terminal without control characters.
        return json.dumps(entry, default=str, ensure_ascii=True)


def _moment_of(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")
    )


def _quoted(text: str) -> str:
    """Return a value, quoted if it would look like several values."""
    text = escape(text, 256)
    return '"' + text.replace('"', "'") + '"' if _SEPARATOR.search(text) else text


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    values = getattr(record, "fields", None)
    return values if isinstance(values, dict) else {}


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or f"\\u{ord(character):04x}"
