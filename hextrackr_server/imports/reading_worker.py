"""The process that reads and maps one file: `python -m hextrackr_server.imports.reading_worker`.

The request arrives at standard input, messages leave at standard output. Standard input stays open
as long as the server waits for the result: its end ends the process, also when the server was
killed.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import threading
import traceback

from hextrackr_server.child_process import lower_priority, take_output
from hextrackr_server.errors import ServiceError
from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.reading import OnOpened, OnRead, ReadRequest, read_export
from hextrackr_server.imports.reading_messages import (
    Crashed,
    Done,
    Message,
    Opened,
    Position,
    Refused,
    Rejected,
    SystemFailed,
    decode_request,
    encode,
)


def main() -> None:
    """Read the file of the request and send its messages."""
    lower_priority()
    source = sys.stdin.buffer
    target = take_output()
    request = decode_request(source.readline())
    threading.Thread(target=_end_with, args=(source.fileno(),), daemon=True).start()

    def send(message: Message) -> None:
        target.write(encode(message) + b"\n")
        target.flush()

    try:
        send(_answer(request, lambda title: send(Opened(title)), lambda *at: send(Position(*at))))
    except BrokenPipeError:
        # The server does not wait for the result.
        os._exit(1)


def _answer(request: ReadRequest, on_opened: OnOpened, on_read: OnRead) -> Message:
    """Read the file and return the last message."""
    try:
        return Done(read_export(request, on_opened, on_read))
    except FileRefusedError as error:
        return Refused(str(error), [(where, lacking) for where, lacking in error.lacking])
    except ServiceError as error:
        return Rejected(str(error.code), error.message, error.fields or [])
    except BrokenPipeError:
        raise
    except OSError as error:
        return SystemFailed(error.errno or errno.EIO, str(error))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname == "SQLITE_FULL":
            return SystemFailed(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Crashed(traceback.format_exc())
    except Exception:
        return Crashed(traceback.format_exc())


def _end_with(source: int) -> None:
    """End the process when the server closes standard input."""
    # Not the buffered reader: its lock would abort the interpreter at a regular end ("Fatal Python
    # error: _enter_buffered_busy", Python 3.11).
    while os.read(source, 1 << 16):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
