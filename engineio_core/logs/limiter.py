"""A limit of log lines per kind, so that a client cannot fill the log with one repeated line.

A client that fills the limit of a kind does not hide the others: some further lines of each kind
are kept for the first lines of other clients.

A kind is one call of a logging method in the source code: the number of kinds, and so the memory
for them, does not depend on clients. The texts of this server's loggers are constants;
they distinguish calls in compiled modules, whose records name the line of the caller.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from engineio_core.accounts import network_of

LINES: Final = 60
PERIOD: Final = 60.0
#: Lines of a kind above the limit, for clients that have none among the lines of the period.
RESERVED: Final = 20
#: Kinds with a count of their own; all others share one.
MAX_KINDS: Final = 1000
#: Characters of a message in its summary.
MAX_SAMPLE: Final = 120

#: Loggers that get the values of a line as arguments only.
_CONSTANT_TEXTS: Final = frozenset({"engineio_core", "socketio_core"})

Kind = tuple[str, str, int, int, str]
_OTHER: Final[Kind] = ("", "", 0, 0, "")


class _Window:
    """Lines of one kind since the first of them."""

    __slots__ = ("clients", "level", "lines", "logger", "omitted", "sample", "start")

    def __init__(self, record: logging.LogRecord, start: float) -> None:
        self.start = start
        self.lines = 0
        self.omitted = 0
        self.clients: set[str] = set()  # those with a line, which are as many as lines
        self.level = record.levelno
        self.logger = record.name
        self.sample = str(record.msg)[:MAX_SAMPLE]


class LineLimit(logging.Filter):
    """Filter that passes `lines` lines of each kind per `period` seconds, and counts the others.

    One line reports the omitted lines of a kind at the end of its period. A limit of 0 passes all
    lines, and so does a logger whose level is DEBUG.

    Above the limit, RESERVED lines pass of clients that have none in the period. A record names its
    client in the attribute `client` (`extra={"client": address}`), or in the `user` or `address`
    of the attribute `fields`.

    Add one instance to all loggers and handlers that share the counts.
    """

    def __init__(
        self,
        lines: int = LINES,
        period: float = PERIOD,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._now = now
        self._lock = threading.Lock()
        self._windows: dict[Kind, _Window] = {}
        self._next_end = float("inf")
        self._timer_at = 0.0
        self._is_registered = False
        self.omitted = 0
        self.set(lines, period)

    def set(self, lines: int, period: float = PERIOD) -> None:
        """Change the limit. Raises ValueError for negative `lines` or a period of 0 or less."""
        if lines < 0:
            raise ValueError(f"lines must be 0 (no limit) or more, got {lines}")
        if period <= 0:
            raise ValueError(f"period must be a positive number of seconds, got {period}")
        self.lines = lines
        self.period = period

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is within the limit of its kind."""
        if not self.lines or hasattr(record, "omitted_lines"):
            return True
        if logging.getLogger(record.name).isEnabledFor(logging.DEBUG):
            return True
        now = self._now()
        if now >= self._next_end:
            self.report()
        with self._lock:
            return self._count(record, now)

    def report(self, *, is_final: bool = False) -> None:
        """Log the omitted lines of all kinds whose period is over; of all kinds if it is final."""
        now = self._now()
        with self._lock:
            ended = [
                (kind, window)
                for kind, window in self._windows.items()
                if is_final or now >= window.start + self.period
            ]
            for kind, _ in ended:
                del self._windows[kind]
            starts = [window.start for window in self._windows.values()]
            self._next_end = min(starts, default=float("inf")) + self.period
        for kind, window in ended:
            if window.omitted:
                _log_summary(kind, window, now - window.start)
        if any(window.omitted for window in self._windows.copy().values()):
            self._set_timer(now)

    def forget(self) -> None:
        """Drop all counts without a report, for tests that share a process."""
        with self._lock:
            self._windows.clear()
            self._next_end = float("inf")
            self._timer_at = 0.0

    def _count(self, record: logging.LogRecord, now: float) -> bool:
        text = str(record.msg) if record.name in _CONSTANT_TEXTS else ""
        kind = (record.name, record.pathname, record.lineno, record.levelno, text)
        window = self._windows.get(kind)
        if window is None:
            if len(self._windows) >= MAX_KINDS:
                kind = _OTHER
                window = self._windows.get(kind)
            if window is None:
                window = self._windows[kind] = _Window(record, now)
                self._next_end = min(self._next_end, now + self.period)
        window.lines += 1
        client = _client_of(record)
        if window.lines <= self.lines:
            if client is not None:
                window.clients.add(client)
            return True
        has_room = window.lines - window.omitted <= self.lines + RESERVED
        if client is not None and client not in window.clients and has_room:
            window.clients.add(client)
            return True
        window.omitted += 1
        self.omitted += 1
        self._set_timer(now)
        return False

    def _set_timer(self, now: float) -> None:
        """Report at the end of the next period, even if no further line is logged."""
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self.report, is_final=True)
        # A timer of a loop that was closed never runs; its time is over then.
        if now <= self._timer_at:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        delay = max(0.0, self._next_end - now) + 0.01
        self._timer_at = now + delay + 1.0
        loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer_at = 0.0
        self.report()


def _client_of(record: logging.LogRecord) -> str | None:
    client = getattr(record, "client", None)
    if client is None and isinstance(fields := getattr(record, "fields", None), dict):
        client = fields.get("user") or fields.get("address")
    return None if client is None else network_of(str(client))


def _log_summary(kind: Kind, window: _Window, seconds: float) -> None:
    name, path, line, _, _ = kind
    logger = logging.getLogger(name or window.logger)
    what = f'of this kind: "{window.sample}"' if path else "of other kinds"
    record = logger.makeRecord(
        logger.name,
        window.level,
        path,
        line,
        "%d more lines in the last %d s %s",
        (window.omitted, round(seconds), what),
        None,
        extra={"omitted_lines": window.omitted},
    )
    logger.handle(record)


#: The limit of the loggers `engineio_core` and `socketio_core`.
LINE_LIMIT: Final = LineLimit()


def install(*names: str) -> None:
    """Apply the common limit to loggers; their children, if any, have no limit."""
    for name in names:
        logging.getLogger(name).addFilter(LINE_LIMIT)
