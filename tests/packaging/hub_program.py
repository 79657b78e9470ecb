"""A hub that tests start as a user does: as a program, in an empty folder, without variables."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

LIMIT = 300.0


@dataclass
class HubProgram:
    """The command that starts the hub, its working folder and its environment."""

    command: tuple[str, ...]
    folder: Path
    #: An empty PATH: no other program can be started by name.
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> str:
        """Run a command that must succeed, and return its output."""
        done = subprocess.run(
            [*self.command, *arguments], cwd=self.folder, env={"PATH": ""} | self.environment,
            capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def serve(self, *arguments: str) -> Iterator[RunningHub]:
        """Start the hub for development on a free port, and kill it at the end."""
        options = ("serve", "--dev", "--host", "127.0.0.1", "--port", "0", *arguments)
        with subprocess.Popen(
            [*self.command, *options], cwd=self.folder, env={"PATH": ""} | self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                yield RunningHub(process)
            finally:
                # The group: the processes of `--workers` and of imports.
                kill_group(process.pid)


def kill_group(leader: int) -> None:
    """Kill a process and its group, unless they have ended."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


class RunningHub:
    """A hub that accepts connections; its first lines name the address and the tokens."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if "user token" in line:
                break
        text = "".join(lines)
        found = re.search(r"listens at (\S+).*admin token +(\S+)", text, re.DOTALL)
        assert found, text
        self.url, self.token = found.groups()

    def get(self, path: str) -> str:
        """Return the body of a response, which must have status 200."""
        with urllib.request.urlopen(self.url + path, timeout=LIMIT) as response:
            return str(response.read().decode())

    def kill(self) -> None:
        """Kill the hub, as a power failure does."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(LIMIT)


def findings(program: HubProgram, hub: RunningHub) -> int:
    """Return the number of findings that an export of the hub contains."""
    file = program.folder / "findings.csv"
    file.unlink(missing_ok=True)
    program.run("export", file.name, "--url", hub.url, "--token", hub.token)
    text = file.read_text("utf-8")
    return sum(1 for _ in csv.DictReader(io.StringIO(text)))


def do_main_job(program: HubProgram) -> None:
    """Import a sample, kill the hub, start it again, and stop it: the findings are kept."""
    database = ("--database", "hub.db")
    program.run("sample", "--rows", "500", "sample.csv")
    with program.serve(*database) as hub:
        address = ("--url", hub.url, "--token", hub.token)
        assert "completed" in program.run("import", "sample.csv", *address)
        imported = findings(program, hub)
        assert imported > 100
        assert hub.get("/").startswith("<!doctype html>")
        assert "socket.io" in hub.get("/socket.io/socket.io.min.js").casefold()
        hub.kill()
    with program.serve(*database) as hub:
        assert findings(program, hub) == imported
        assert hub.terminate() == 0
