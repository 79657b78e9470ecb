"""A log handler whose output is written by a thread, so that logging never waits for the output.

A pipe whose reader has stopped, a full disk or a slow terminal blocks the thread only.
"""

from __future__ import annotations

import copy
import logging
import os
import signal
import sys
import threading
import time
import weakref
from collections import deque
from typing import Final, TextIO

from engineio_core.logs.descriptor import DescriptorHandler

MAX_BYTES: Final = 1 << 20
EXIT_TIMEOUT: Final = 2.0
#: Time for the thread to end before a fork.
FORK_TIMEOUT: Final = 0.1
#: Bytes of a record besides its text.
_OVERHEAD: Final = 500
#: The share of the queue that lines below WARNING may fill.
_SHARE_OF_INFO: Final = 0.75

_formatter = logging.Formatter()


class BackgroundHandler(logging.Handler):
    """Handler that queues records for a thread, which passes them to another handler.

        logging.basicConfig(level=logging.INFO, handlers=[BackgroundHandler()])

    `target` is a handler or a text stream, standard error by default. At most `max_bytes` of
    records wait. Above it, the handler drops and counts new ones; records of level WARNING and
    above are dropped last. As soon as the output moves again, one line reports their number.

    If this handler has a formatter, it formats records in the thread that logs. Otherwise the
    target formats in the background; arguments of messages are then merged in the thread that logs.

    `close`, which Python calls at exit, waits for the queued records, at most `exit_timeout`
    seconds. A SIGINT ends the wait.
    """

    def __init__(
        self,
        target: logging.Handler | TextIO | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        exit_timeout: float = EXIT_TIMEOUT,
        level: int = logging.NOTSET,
    ) -> None:
        """Create a handler. Raises ValueError for a limit below 1 or a negative timeout."""
        super().__init__(level)
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be 1 or more, got {max_bytes}")
        if exit_timeout < 0:
            raise ValueError(f"exit_timeout must be 0 or more seconds, got {exit_timeout}")
        is_handler = isinstance(target, logging.Handler)
        self.target: logging.Handler = target if is_handler else DescriptorHandler(target)  # type: ignore[assignment, arg-type]
        self._max_bytes = max_bytes
        self._exit_timeout = exit_timeout
        self._is_closed = False
        #: All records that were dropped since the start.
        self.dropped = 0
        self._reset()
        _handlers.add(self)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[tuple[logging.LogRecord, int]] = deque()
        self._bytes = 0
        self._unreported = 0
        self._is_writing = False
        self._is_ending = False
        self._thread: threading.Thread | None = None

    @property
    def queued_bytes(self) -> int:
        """The estimated size of the records that wait."""
        return self._bytes

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record, or count it if the queue is full."""
        try:
            prepared = self.prepare(record)
        except Exception:
            self.handleError(record)
            return
        size = _OVERHEAD + len(prepared.msg) + len(prepared.exc_text or "")
        limit = self._max_bytes
        if record.levelno < logging.WARNING:
            limit = int(limit * _SHARE_OF_INFO)
        with self._changed:
            if self._is_closed and self._thread is None:
                self._pass_on(prepared)
                return
            if self._bytes + size > limit:
                self._count_drop()
                return
            self._queue.append((prepared, size))
            self._bytes += size
            if self._thread is None:
                self._start()
            self._changed.notify_all()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return a copy of a record that refers to no object of the caller."""
        prepared = copy.copy(record)
        if self.formatter is not None:
            prepared.msg = self.format(record)
            prepared.exc_text = prepared.stack_info = None
        else:
            prepared.msg = record.getMessage()
            if record.exc_info and not record.exc_text:
                prepared.exc_text = _formatter.formatException(record.exc_info)
        # A traceback refers to the frames of the error, and so to all their variables.
        prepared.args = prepared.exc_info = None
        return prepared

    def flush(self) -> None:
        """Wait until the queued records are written, at most `exit_timeout` seconds."""
        self._wait_until_written(self._exit_timeout)

    def close(self) -> None:
        """Write the queued records, at most for `exit_timeout` seconds, and end the thread."""
        if not self._is_closed:
            self._is_closed = True
            try:
                self._end_thread(self._exit_timeout)
            except KeyboardInterrupt:
                self._thread = None
        super().close()

    def _start(self) -> None:
        # Signals are for the main thread: the thread inherits a mask that blocks all signals.
        mask = getattr(signal, "pthread_sigmask", None)
        former = mask(signal.SIG_BLOCK, signal.valid_signals()) if mask else None
        try:
            self._thread = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
            self._thread.start()
        except RuntimeError:  # the interpreter is ending
            self._thread = None
            self._write_batch(self._take_batch())
        finally:
            if mask:
                mask(signal.SIG_SETMASK, former)

    def _write_all(self) -> None:
        """Write batches until the handler closes."""
        while True:
            with self._changed:
                while not self._queue and not self._is_ending:
                    self._changed.wait()
                if not self._queue:
                    return
                batch = self._take_batch()
                self._is_writing = True
            self._write_batch(batch)
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def _take_batch(self) -> deque[tuple[logging.LogRecord, int]]:
        batch, self._queue = self._queue, deque()
        return batch

    def _write_batch(self, batch: deque[tuple[logging.LogRecord, int]]) -> None:
        is_written = False
        while batch:
            record, size = batch.popleft()
            is_written = self._pass_on(record)
            with self._changed:
                self._bytes -= size
                if not is_written:
                    self._count_drop()
        with self._changed:
            if not is_written or self._queue or not self._unreported:
                return
            dropped, self._unreported = self._unreported, 0
        self._pass_on(self._report_of(dropped))

    def _count_drop(self) -> None:
        self.dropped += 1
        self._unreported += 1

    def _pass_on(self, record: logging.LogRecord) -> bool:
        """Return whether the target wrote the record, as far as this handler can detect it."""
        failures = getattr(self.target, "failures", 0)
        try:
            # Without the target's lock: at exit, Python acquires the locks of all handlers, also
            # while this thread waits for the output. No other thread uses the target.
            if self.target.filter(record):
                self.target.emit(record)
        except Exception:
            self.target.handleError(record)
            return False
        return bool(getattr(self.target, "failures", 0) == failures)

    def _report_of(self, dropped: int) -> logging.LogRecord:
        text = "%d log lines were dropped: the output did not accept them"
        record = logging.LogRecord(
            "engineio_core", logging.WARNING, __file__, 0, text, (dropped,), None
        )
        return self.prepare(record)

    def _wait_until_written(self, seconds: float) -> bool:
        limit = time.monotonic() + seconds
        with self._changed:
            while self._thread is not None and (self._queue or self._is_writing):
                left = limit - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    return False
                self._changed.wait(left)
        return True

    def _end_thread(self, seconds: float) -> None:
        limit = time.monotonic() + seconds
        self._wait_until_written(seconds)
        with self._changed:
            thread = self._thread
            self._is_ending = True
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, limit - time.monotonic()))
        with self._changed:
            # A thread that still waits for the output ends with the process.
            if thread is None or not thread.is_alive():
                self._thread, self._is_ending = None, False

    def _before_fork(self) -> None:
        """End the thread, so that the child starts with consistent locks; it starts again."""
        if self._thread is not None:
            self._end_thread(FORK_TIMEOUT)


_handlers: weakref.WeakSet[BackgroundHandler] = weakref.WeakSet()


def _before_fork() -> None:
    for handler in list(_handlers):
        handler._before_fork()


def _after_fork_in_child() -> None:
    # The parent writes the records that were queued when the process forked.
    for handler in list(_handlers):
        handler._reset()


if hasattr(os, "register_at_fork") and sys.platform != "win32":
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
