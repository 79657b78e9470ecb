"""Starts a module of the hub in a process of its own, for work that would delay the event loop.

Such a process gets no secrets of the server. It runs with a higher niceness, so that the event loop
runs first on a busy machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import IO, Final

_NICENESS: Final = 5
# Variables that Python and the C library need. The others may contain secrets of the server.
_KEPT_VARIABLES: Final = frozenset(
    {"HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "TMPDIR", "TZ"}
)


def start_module(
    module: str, *arguments: str, stdin: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """Start `python -m module`; its standard output is a pipe."""
    # An interpreter that ignores variables such as PYTHONHOME starts another one of the kind.
    isolation = "-I" if sys.flags.isolated else "-P"
    kept = {name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES}
    return subprocess.Popen(
        [sys.executable, isolation, "-m", module, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        # The process imports the modules that the server imports, however the server was started.
        env=kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        # A signal of the terminal is for the server, which then stops the process.
        start_new_session=True,
    )


def describe_status(status: int) -> str:
    """Return how a process ended, from its status: `exit status 1`, or `killed by SIGKILL`."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def lower_priority() -> None:
    """Raise the niceness of this process."""
    os.nice(_NICENESS)


def take_output() -> IO[bytes]:
    """Return standard output for messages, and send other output to standard error from now on."""
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return messages
