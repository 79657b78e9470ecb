"""A hub for measurements: a server process with a database of its own, and its command line.

The module uses only the command line of a checkout, so that it can start older versions too.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.imports.processes import MemoryWatch, tree_cpu_seconds, wait_until_idle
from benchmarks.peers import ROOT
from benchmarks.process_tree import listening_ports

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
#: Bounds an import of a million rows on a slow machine.
_IMPORT_SECONDS = 1800.0
# The default rate limits would refuse most of the requests of the measuring clients.
_NO_LIMITS = {
    "HEXTRACKR_EVENTS_PER_MINUTE": "1000000",
    "HEXTRACKR_EVENTS_PER_MINUTE_OF_ADDRESS": "10000000",
}


class HubError(RuntimeError):
    """A hub that does not start, or whose import fails; the message contains its output."""


class Hub:
    """A running hub, as a context manager that always stops the process."""

    def __init__(
        self,
        directory: Path,
        checkout: Path = ROOT,
        database_url: str = "",
        settings: Mapping[str, str] | None = None,
        serve_options: tuple[str, ...] = (),
    ) -> None:
        """Prepare a hub with its files in `directory`; a URL selects PostgreSQL.

        `settings` are environment variables, which older versions may not accept;
        `serve_options` are additional words of the command.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.database = directory / "hub.db"
        self._directory = directory
        self._checkout = checkout
        # PYTHONPATH precedes an installed version of the same package.
        self._env = os.environ | _NO_LIMITS | {
            "PYTHONPATH": str(checkout),
            "JWT_SECRET": secrets.token_hex(32),
            "HOST": "127.0.0.1",
        }  # fmt: skip
        self._env |= {"DATABASE_URL": database_url} if database_url else {}
        self._env |= settings or {}
        self._target = [] if database_url else ["--database", str(self.database)]
        self._target += serve_options
        self._log = directory / "hub.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.token = ""
        self.memory: MemoryWatch | None = None

    def __enter__(self) -> Hub:
        """Start the process and wait until it accepts connections. Raises HubError."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command("serve", "--port", "0", *self._target),
                env=self._env, cwd=self._directory, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            self.url = f"http://127.0.0.1:{self._wait_until_listening()}"
            self.token = self._run("token", "--user", "1", "--role", "admin").strip()
        except BaseException:
            self.stop()
            raise
        self.memory = MemoryWatch(self.pid)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process ID of the server."""
        assert self._process is not None, "the hub is a context manager"
        return self._process.pid

    @property
    def peak_mb(self) -> float:
        """The peak memory of the server and its child processes so far, in MB."""
        assert self.memory is not None, "the hub is a context manager"
        return self.memory.peak_mb

    def command(self, *words: str) -> list[str]:
        """Return the command line of a command of the hub."""
        return [sys.executable, "-m", "hextrackr_server", *words]

    def stop(self) -> None:
        """Terminate the process, and kill it if it does not end in time."""
        if self.memory is not None:
            self.memory.stop()
            self.memory = None
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server and its child processes so far."""
        return tree_cpu_seconds(self.pid)

    def wait_until_idle(self) -> None:
        """Wait until the server has finished its work."""
        wait_until_idle(self.pid)

    def import_file(self, file: Path) -> float:
        """Import a file with the command line and return the duration of the command in seconds.

        Raises HubError if the import fails.
        """
        began = time.perf_counter()
        self._run("import", str(file), "--url", self.url, "--token", self.token)
        return time.perf_counter() - began

    def synchronize_kev(self, catalog: Path) -> None:
        """Store a catalog of known exploited vulnerabilities. Raises HubError."""
        self._run("kev-sync", "--file", str(catalog), "--url", self.url, "--token", self.token)

    def import_command(self, file: Path) -> list[str]:
        """Return the command line that imports a file."""
        return self.command("import", str(file), "--url", self.url, "--token", self.token)

    @property
    def env(self) -> dict[str, str]:
        """The environment of the commands of this hub."""
        return self._env

    def database_bytes(self) -> int:
        """Return the size of the database on disk, with its write-ahead log."""
        return sum(each.stat().st_size for each in self._directory.glob("hub.db*"))

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            self.command(*words), env=self._env, cwd=self._directory, capture_output=True,
            text=True, timeout=_IMPORT_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            raise HubError(f"`{words[0]}` failed: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def _wait_until_listening(self) -> int:
        """Return the port on which the hub listens."""
        assert self._process is not None
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            if ports := listening_ports(self.pid):
                return ports.pop()
            time.sleep(0.05)
        output = self._log.read_text(errors="replace").strip()
        raise HubError(f"the hub of {self._checkout} does not start: {output[-2000:]}")
