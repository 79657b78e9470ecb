"""A hub in a process, which tests stop, kill and start again on the same port."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt

from hextrackr_server.cli.sample import write_sample
from tests.helpers.ports import reserve_port
from tests.hextrackr_server.kev_support import feed, item
from tests.interop import program

TIMEOUT = 300.0


class Hub:
    """A hub with its database in a folder; `values` are variables of its environment."""

    def __init__(self, directory: Path, *arguments: str, **values: str) -> None:
        self.directory = directory
        self.port = reserve_port()
        self.banner = ""
        self._arguments = arguments
        self._values = {"JWT_SECRET": program.SECRET} | values
        self._log = directory / "hub.log"
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the hub and wait until it listens; after `stop`, on the same port."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [
                    program.PROGRAM, "serve", "--port", str(self.port),
                    "--database", str(self.directory / "hub.db"), *self._arguments,
                ],
                cwd=self.directory,
                env=program.environment(PYTHONUNBUFFERED="1", **self._values),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        self.banner = self._process.stdout.readline()
        assert "listens at" in self.banner, self._log.read_text()
        if "--dev" in self._arguments:
            while line := self._process.stdout.readline().rstrip("\n"):
                self.banner += f"\n{line}"

    def stop(self) -> None:
        """Stop the hub as an operator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the hub as a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
        if self._process is not None:
            self._process.wait(TIMEOUT)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def check_log(self) -> None:
        """Fail if the log contains an exception."""
        log = self._log.read_text()
        assert "Traceback" not in log, log[-20_000:]

    def token(self, user: str, role: str = "user", **claims: Any) -> str:
        """Return a token for a user."""
        known = {"sub": user, "username": user, "role": role, "exp": int(time.time()) + 3600}
        return jwt.encode(known | claims, program.SECRET, algorithm="HS256")

    def sample(self, rows: int, seed: int = 1) -> Path:
        """Write an export and return its path."""
        path = self.directory / f"sample-{rows}-{seed}.csv"
        write_sample(path, rows, seed, replace=True)
        return path

    def start_import(self, path: Path, **options: str) -> int:
        """Start an import as administrator, with the options of a form; return its number."""
        file = {"csvFile": (path.name, path.read_bytes(), "text/csv")}
        answer = self.request("POST", "/api/imports", files=file, data=options)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["importId"])

    def import_file(self, path: Path, **options: str) -> None:
        """Import a file as administrator, and wait until the import is completed."""
        number = self.start_import(path, **options)
        stop = time.monotonic() + TIMEOUT
        while True:
            status = self.request("GET", f"/api/imports/{number}").json()["status"]
            if status["status"] == "completed":
                return
            assert status["status"] not in {"failed", "cancelled"}, status
            assert time.monotonic() < stop, status
            time.sleep(0.05)

    def fill(self, rows: int) -> None:
        """Import samples of three days, and a catalog that contains some of their CVEs."""
        for age, seed in ((14, 3), (7, 2), (0, 1)):
            day = date.today() - timedelta(days=age)
            self.import_file(self.sample(rows, seed), scanDate=day.isoformat())
        answer = self.request(
            "GET", "/api/findings/export", params={"format": "json", "severity": "critical"}
        )
        cves = sorted({row["cve"] for row in answer.json() if row["cve"]})[:12]
        items = [
            item(
                cve,
                dueDate=(date.today() + timedelta(days=10 * number - 30)).isoformat(),
                knownRansomwareCampaignUse="Known" if number % 4 == 0 else "Unknown",
            )
            for number, cve in enumerate(cves)
        ]
        synchronized = self.request("POST", "/api/kev/sync", content=feed(*items))
        assert synchronized.status_code == 200, synchronized.text

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request to the hub as administrator."""
        headers = {"authorization": f"Bearer {self.token('1', 'admin')}"} | options.pop(
            "headers", {}
        )
        return httpx.request(
            method, f"{self.url}{path}", headers=headers, timeout=TIMEOUT, **options
        )


@contextmanager
def running_hub(directory: Path, *arguments: str, **values: str) -> Iterator[Hub]:
    """Run a hub; its log must contain no exception at the end."""
    hub = Hub(directory, *arguments, **values)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
    hub.check_log()
