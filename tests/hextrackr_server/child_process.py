"""Work in child processes that kill themselves, and report where."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import NoReturn


class Child:
    """A forked process that does some work.

    `code` is its exit code, negative for a signal, and `killed_at` the name of the point at which
    it killed itself.
    """

    def __init__(self, work: Callable[[Callable[[str], NoReturn]], None]) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)

            def kill(point: str) -> NoReturn:
                os.write(writing, " ".join(point.split())[:60].encode())
                os.kill(os.getpid(), signal.SIGKILL)
                raise AssertionError("SIGKILL ends the process")

            work(kill)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as report:
            self.killed_at = report.read().decode()
        _, status = os.waitpid(child, 0)
        self.code = os.waitstatus_to_exitcode(status)
