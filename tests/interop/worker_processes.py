"""Servers with several workers, and Node processes with many official clients."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .support import HERE, find_node

TIMEOUT = 300.0
LIMIT = 300.0  # of the end of a server that drains
APPLICATION = "worker_app:io"


class WorkerServer:
    """A running supervisor and its workers."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self.url = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    def workers(self) -> set[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def wait_for_log(self, pattern: str, count: int = 1) -> None:
        """Wait until the log contains a text `count` times."""
        deadline = time.monotonic() + TIMEOUT
        while len(re.findall(pattern, self.log)) < count:
            assert time.monotonic() < deadline, f"{pattern!r} is not logged:\n{self.log}"
            time.sleep(0.02)  # no event reports a line of another process

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server process."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end of the supervisor and return its exit code."""
        return self._process.wait(LIMIT)


@contextmanager
def serve(
    folder: Path,
    workers: int,
    *arguments: str,
    application: str = APPLICATION,
    code: int = 0,
    **variables: str,
) -> Iterator[WorkerServer]:
    """Run a server with several workers on a free port; the block may end it with `code`."""
    log = folder / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "socketio_core", application, "--port", "0",
                "--workers", str(workers), *arguments,
            ],
            cwd=HERE, stdout=file, stderr=file, text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | variables,
        )  # fmt: skip
    server = WorkerServer(process, log)
    try:
        server.wait_for_log("Listening on ")
        found = re.search(r"Listening on (\S+)", server.log)
        assert found is not None
        server.url = found[1]
        yield server
    finally:
        remaining = server.workers() if process.poll() is None else set()
        if process.poll() is None:
            process.terminate()
        ended = process.wait(TIMEOUT)
        assert not alive(remaining), "workers outlive their supervisor"
    assert ended == code, server.log
    assert "Traceback" not in server.log, server.log


def alive(pids: set[int]) -> set[int]:
    """Return the processes that have not ended."""
    return {
        pid for pid in pids
        if Path(f"/proc/{pid}/stat").exists()
        and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    }  # fmt: skip


class Clients:
    """Official clients in one Node process."""

    def __init__(self, process: subprocess.Popen[str], limit: float) -> None:
        self._process = process
        self._limit = limit

    def call(self, *command: Any) -> Any:
        """Execute a command and return its result."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        readable, _, _ = select.select([self._process.stdout], [], [], self._limit)
        assert readable, f"no result of {command} in {self._limit} s"
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def processes(self) -> Counter[int]:
        """Return the number of clients of each worker."""
        return Counter(self.call("emit", "process"))


@contextmanager
def clients(
    url: str, count: int, *arguments: str, script: str = "workers.js", limit: float = TIMEOUT
) -> Iterator[Clients]:
    """Run official clients on all kinds of transports, all connected.

    A command of the script may take `limit` seconds.
    """
    process = subprocess.Popen(
        [find_node(), str(HERE / script), url, str(count), *arguments],
        cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            opened = Clients(process, limit)
            opened.call("open")
            yield opened
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
