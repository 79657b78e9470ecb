"""Reads the file of an import in a process of its own, so that other clients do not wait for it.

The process has no access to the database and none of the server's secrets: it gets the path of the
file and of the stage file. It ends with the import: the server kills it when the import is canceled
or the server stops, and it ends by itself when the server was killed.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
from collections.abc import Iterator
from typing import Final

import msgspec

from hextrackr_server.child_process import describe_status, start_module
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.reading import Check, OnOpened, OnRead, ReadOutcome, ReadRequest
from hextrackr_server.imports.reading_messages import (
    Crashed,
    Done,
    Message,
    Opened,
    Position,
    Refused,
    Rejected,
    SystemFailed,
    decode_message,
    encode,
)
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

WORKER: Final = "hextrackr_server.imports.reading_worker"
#: Time between two checks whether the import must stop, while the process sends nothing.
CHECK_SECONDS: Final = 0.1
#: A message contains at most a hundred problems with their values.
MAXIMUM_MESSAGE: Final = 4 << 20
_READ_BYTES: Final = 1 << 16


class ReadingFailedError(Exception):
    """An unexpected error in the process that reads a file; the text is its traceback."""


def read_in_process(
    request: ReadRequest,
    on_opened: OnOpened,
    on_read: OnRead,
    check: Check = lambda: None,
) -> ReadOutcome:
    """Read a file as `read_export` does, in a process of its own.

    `check` is called at least ten times per second; if it raises, the process is killed. Raises
    ServiceError IMPORT_FAILED if the process ends without a result.
    """
    process = start_module(WORKER)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        try:
            _send(process, request)
            for message in _messages(process.stdout.fileno(), check):
                match message:
                    case Opened(title):
                        on_opened(title)
                    case Position(position, rows):
                        on_read(position, rows)
                    case Done(outcome):
                        return outcome
                    case _:
                        raise _error_of(message)
        finally:
            # After the last message there is nothing left to do for the process.
            process.kill()
            status = process.wait()
    raise _ended(status)


def _send(process: subprocess.Popen[bytes], request: ReadRequest) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(encode(request) + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        # Its exit status explains the end.
        return


def _messages(descriptor: int, check: Check) -> Iterator[Message]:
    """Yield the messages of the process until its output ends."""
    pending = bytearray()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while True:
        check()
        if not poller.poll(CHECK_SECONDS * 1000):
            continue
        data = os.read(descriptor, _READ_BYTES)
        if not data:
            return
        pending += data
        *lines, rest = pending.split(b"\n")
        if len(rest) > MAXIMUM_MESSAGE:
            raise ReadingFailedError(f"a message has more than {MAXIMUM_MESSAGE} bytes")
        pending = rest
        for line in lines:
            try:
                yield decode_message(line)
            except msgspec.DecodeError as error:
                raise ReadingFailedError(f"invalid message: {error}") from error


def _error_of(message: Message) -> Exception:
    """Return the error that a message stands for."""
    match message:
        case Refused(text, lacking):
            return FileRefusedError(text, lacking)
        case Rejected(code, text, fields):
            return ServiceError(ErrorCode(code), text, fields=fields)
        case SystemFailed(number, text):
            return OSError(number, text)
        case Crashed(trace):
            return ReadingFailedError(f"the process that reads the file failed:\n{trace}")
        case _:
            return ReadingFailedError(f"unexpected message {type(message).__name__}")


def _ended(status: int) -> ServiceError:
    """Return the error of a process that ended without a result."""
    how = describe_status(status)
    logger.error(
        "the process that reads a file ended before its result", extra=log_setup.fields(status=how)
    )
    return ServiceError(
        ErrorCode.IMPORT_FAILED,
        f"The process that reads the file ended unexpectedly ({how}); nothing was changed. "
        "Import the file again; if that fails too, ask the operator for the memory and the log "
        "of the server",
    )
