"""structlog processors of all log records, from this project and from libraries.

A record becomes a dictionary: timestamp, level, logger, message, its fields and its traceback. Then
secrets are removed, texts are cut, and one of two renderers writes the dictionary on one line.
"""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import UTC, datetime
from typing import Any, Final

from structlog.typing import EventDict, Processor, WrappedLogger

from hextrackr_server.telemetry.escaping import MAXIMUM_LENGTH, cut, escape
from hextrackr_server.telemetry.redaction import Redactor, Shown

#: Characters of a traceback.
MAXIMUM_TRACE: Final = 20_000
#: Values of a list or dictionary, and levels of nesting.
MAXIMUM_ITEMS: Final = 100
MAXIMUM_DEPTH: Final = 4

_SEPARATOR = re.compile(r'[\s"=]')
#: Keys that a field cannot replace.
_RESERVED: Final = ("timestamp", "level", "logger", "message")


def collect(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Return the reserved keys, the fields of `extra=fields(...)` and those of structlog."""
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    message = event.pop("event", "")
    trace = event.pop("exception", None) or record.exc_text
    stack = event.pop("stack", None) or record.stack_info
    values = getattr(record, "fields", None)
    found: EventDict = {
        "timestamp": datetime.fromtimestamp(record.created, UTC)
        .astimezone()
        .isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": message if isinstance(message, str) else str(message),
    }
    for name, value in {**event, **(values if isinstance(values, dict) else {})}.items():
        if name not in _RESERVED:
            found[str(name)] = value
    if trace or stack:
        found["exception"] = "\n".join(filter(None, (trace, stack)))
    return found


def make_redaction(redactor: Redactor) -> Processor:
    """Return the processor that cuts texts and removes secrets."""

    def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        for name, value in event.items():
            if name in {"message", "exception"}:
                # Cut before and after: the first cut bounds the work, and a secret that it
                # shortens is behind the second one.
                limit = MAXIMUM_TRACE if name == "exception" else MAXIMUM_LENGTH
                event[name] = cut(redactor.text(cut(value, 2 * limit)), limit)
            elif name not in _RESERVED:
                event[name] = _cut_value(redactor.field(name, _cut_value(value, 2)), 1)
        return event

    return redact


def render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Return a JSON object on one line, in ASCII."""
    event["message"] = escape(event["message"])
    # ASCII only: the file can be displayed on a terminal without control characters.
    return json.dumps(event, default=str, ensure_ascii=True, allow_nan=False)


def render_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Return a line for people, followed by the lines of a traceback.

    `2026-11-28T12:30:01.250+01:00 INFO    imports: import completed  import=5 rows=20000`

    Lines of a traceback begin with two bars, so that client input cannot imitate a log record.
    """
    name = event.pop("logger").rpartition(".")[2]
    trace = event.pop("exception", None)
    line = (
        f"{event.pop('timestamp')} {event.pop('level').upper():<7} "
        f"{escape(name, 64)}: {escape(event.pop('message'))}"
    )
    pairs = [f"{escape(key, 64)}={_quoted(str(value))}" for key, value in event.items()]
    if pairs:
        line += "  " + " ".join(pairs)
    if trace:
        for trace_line in trace.splitlines():
            line += "\n  || " + escape(trace_line)
    return line


def _cut_value(value: Any, times: int, depth: int = 0) -> Any:
    """Return a value with bounded texts, lists and nesting, that JSON can represent."""
    if isinstance(value, Shown) or value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict) and depth < MAXIMUM_DEPTH:
        items = list(value.items())[:MAXIMUM_ITEMS]
        return {str(name): _cut_value(each, times, depth + 1) for name, each in items}
    if isinstance(value, list | tuple | set | frozenset) and depth < MAXIMUM_DEPTH:
        return [_cut_value(each, times, depth + 1) for each in list(value)[:MAXIMUM_ITEMS]]
    return cut(value if isinstance(value, str) else str(value), times * MAXIMUM_LENGTH)


def _quoted(text: str) -> str:
    """Return a value, quoted if it would look like several values."""
    is_shown = isinstance(text, Shown)
    text = escape(text, MAXIMUM_LENGTH if is_shown else 256)
    return '"' + text.replace('"', "'") + '"' if _SEPARATOR.search(text) else text
