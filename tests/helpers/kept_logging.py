"""Keeps the configuration of logging, which belongs to the whole process, across a test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from engineio_core.logs.limiter import LINE_LIMIT


@contextmanager
def kept_logging() -> Iterator[None]:
    """Restore the handlers and level of the root logger, the limit of lines and structlog."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    lines, period = LINE_LIMIT.lines, LINE_LIMIT.period
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        LINE_LIMIT.set(lines, period)
        structlog.reset_defaults()
