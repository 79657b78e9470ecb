"""Cases that a Node process plays in Chromium, on behalf of tests."""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest

from hextrackr_server.http.dashboard_files import is_built

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCREENSHOTS = ROOT / "build" / "browser"
#: The bundles of the official client, for servers of the tests.
CLIENT = ROOT / "tests" / "interop" / "node_modules" / "socket.io-client" / "dist"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("axe-core", "playwright-core")
#: Seconds until Chromium has started, or a case has ended, on a busy machine.
LIMIT = 600.0
_CASE = re.compile(r'^  async "(.+?)"\(', re.MULTILINE)


def find_chromium() -> str:
    """Return the path of Chromium; fail with the remedy if it is missing."""
    named = os.environ.get("CHROMIUM")
    programs = (named,) if named else PROGRAMS
    found = next((path for name in programs if (path := shutil.which(name))), None)
    if found is None:
        _fail_setup(f"{named or 'Chromium'} is not installed")
    return found


def find_cases(script: str) -> list[str]:
    """Return the names of the cases that a script declares."""
    found = _CASE.findall((HERE / script).read_text("utf-8"))
    assert found, f"{script} declares no cases"
    return found


def require_build() -> None:
    """Fail with the remedy if the dashboard is not built."""
    if not is_built():
        _fail_setup("the dashboard is not built")


def _fail_setup(problem: str) -> NoReturn:
    pytest.fail(f"{problem}, but this test needs it: run `make setup`", pytrace=False)


class Browser:
    """Chromium, and the Node process that plays cases in it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        assert process.stdout is not None
        self._lines = _Lines(process.stdout)
        self._read()

    def run(
        self,
        script: str,
        name: str,
        given: Mapping[str, Any],
        **functions: Callable[..., Any],
    ) -> Any:
        """Play one case, and return its data; fail the test if the case fails.

        The case receives `given`, and may call `functions`.
        """
        self._write({"script": script, "name": name, "given": given})
        while "call" in (line := self._read()):
            try:
                self._write({"result": functions[line["call"]](*line["values"])})
            except Exception as error:
                self._write({"error": repr(error)})
                raise
        if "error" in line:
            pytest.fail(line["error"], pytrace=False)
        return line["data"]

    def _write(self, line: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        line = self._lines.read(LIMIT)
        if line is None:
            self._process.kill()
            pytest.fail(
                "Chromium or its driver ended, or a case did not end in time", pytrace=False
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


class _Lines:
    """Lines of a pipe, each read within a limit."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)

    def read(self, limit: float) -> bytes | None:
        """Return the next line; None at the end of the pipe, or after `limit` silent seconds."""
        while b"\n" not in self._buffer:
            data = os.read(self._pipe.fileno(), 65_536) if self._selector.select(limit) else b""
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run Chromium for the duration of several tests."""
    node = shutil.which("node")
    if node is None:
        _fail_setup("Node is not installed")
    for package in PACKAGES:
        if not (HERE / "node_modules" / package / "package.json").is_file():
            _fail_setup(f"the npm package {package} is not installed")
    command = [node, str(HERE / "runner.js"), find_chromium(), str(SCREENSHOTS)]
    with subprocess.Popen(
        command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Browser(process)
        finally:
            # The process closes Chromium when its input ends.
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(300)
            except subprocess.TimeoutExpired:
                process.kill()
