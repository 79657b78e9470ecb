"""Processes of the command `hextrackr-server`: one command to its end, or a running server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("hextrackr-server")
SECRET = "0123456789abcdef" * 4
TIMEOUT = 300.0
_CONFIGURATION = re.compile(
    r"JWT_.*|HEXTRACKR_.*|HOST|PORT|DATABASE|CORS_ORIGIN|LOG_FORMAT", re.IGNORECASE
)


def environment(**values: str) -> dict[str, str]:
    """Return the environment of this process with `values` as the only server settings."""
    inherited = {k: v for k, v in os.environ.items() if not _CONFIGURATION.fullmatch(k)}
    return inherited | values


def run(
    *arguments: str, cwd: Path, secret: str | None = SECRET, **values: str
) -> subprocess.CompletedProcess[str]:
    """Run one command until it exits."""
    if secret is not None:
        values["JWT_SECRET"] = secret
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=cwd,
        env=environment(**values),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def token(cwd: Path, user: str, role: str = "user") -> str:
    """Sign a token for a user with the command line."""
    signed = run("token", "--user", user, "--role", role, cwd=cwd)
    assert signed.returncode == 0, signed.stderr
    return signed.stdout.strip()


class Server:
    """A running server process."""

    def __init__(self, process: subprocess.Popen[str], database: Path, banner: str) -> None:
        found = re.search(r"http://127\.0\.0\.1:\d+", banner)
        assert found is not None, banner
        self.url = found[0]
        self.database = database
        self._process = process

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Stop the server and return its exit code and its log."""
        self._process.send_signal(number)
        _, log = self._process.communicate(timeout=TIMEOUT)
        return self._process.returncode, log


@contextmanager
def run_server(directory: Path, port: int = 0, **values: str) -> Iterator[Server]:
    """Run a server with the database in a folder; `values` are further variables.

    Port 0 is a free port.
    """
    database = directory / "hextrackr.db"
    process = subprocess.Popen(
        [PROGRAM, "serve", "--port", str(port), "--database", str(database)],
        cwd=directory,
        env=environment(JWT_SECRET=SECRET, PYTHONUNBUFFERED="1", **values),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        server = None
        try:
            server = Server(process, database, process.stdout.readline())
            yield server
        finally:
            if process.poll() is None:
                process.terminate() if server else process.kill()
                process.communicate(timeout=TIMEOUT)
