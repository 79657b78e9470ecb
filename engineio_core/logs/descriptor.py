"""A log handler that writes to the file descriptor of a stream."""

from __future__ import annotations

import logging
import os
import select
import sys
from typing import Final, TextIO

#: POSIX writes this many bytes to a pipe at once: lines of several processes do not mix.
CHUNK: Final = getattr(select, "PIPE_BUF", 4096)
_WAIT_MS: Final = 1000


class DescriptorHandler(logging.Handler):
    """Handler that writes lines to a stream (default: standard error) past its buffer.

    The buffer of a text stream has a lock. A thread that waits for a full pipe would hold the lock
    when the interpreter ends, which Python answers with a fatal error. A stream without a
    descriptor is written to as usual.
    """

    def __init__(self, stream: TextIO | None = None, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._stream = stream
        self.failures = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a line that the system refuses is counted in `failures`."""
        try:
            text = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        try:
            self._write(text)
        except (OSError, ValueError, AttributeError):  # closed, full or missing
            self.failures += 1

    def _write(self, text: str) -> None:
        # sys.stderr is looked up again: tests and daemons replace it.
        stream = sys.stderr if self._stream is None else self._stream
        try:
            descriptor = stream.fileno()
        except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
            stream.write(text)
            stream.flush()
            return
        encoding = getattr(stream, "encoding", None) or "utf-8"
        data = memoryview(text.encode(encoding, "backslashreplace"))
        while data:
            try:
                data = data[os.write(descriptor, data[:CHUNK]) :]
            except BlockingIOError:  # another process set O_NONBLOCK on a shared terminal or pipe
                select.select([], [descriptor], [], _WAIT_MS / 1000)
