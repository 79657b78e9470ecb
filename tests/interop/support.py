"""Servers on real sockets in a thread, and Node processes that report test cases."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
import uvloop

from socketio_core import SocketServer
from tests.helpers.waiting import settle

HERE = Path(__file__).parent
TIMEOUT = 300.0
PACKAGES = (
    "engine.io-client",
    "socket.io-client",
    "socket.io-client-1",
    "socket.io-client-2",
    "socket.io-client-20",
    "socket.io-client-3",
    "socket.io-client-481",
    "socket.io-msgpack-parser",
    "socket.io-msgpack-parser-2",
)
_CASE = re.compile(r'^check(V3|V4|Old)?\(\s*"(.+?)",', re.MULTILINE)
_VERSIONS = {"": range(1, 5), "V3": range(3, 5), "V4": range(4, 5), "Old": range(1, 3)}

Result = TypeVar("Result")


class LoopThread:
    """A thread with uvloop; the exit fails if the loop reported an unhandled error."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._started = threading.Event()
        self._end: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._unhandled: list[dict[str, Any]] = []

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._wait_for_end())

    async def _wait_for_end(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self._unhandled.append(context))
        self._end = asyncio.Event()
        self._started.set()
        await self._end.wait()

    def __enter__(self) -> LoopThread:
        self._thread.start()
        assert self._started.wait(TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), f"the event loop still runs after {TIMEOUT} s"
        assert not self._unhandled, self._unhandled

    def run(self, work: Coroutine[Any, Any, Result], timeout: float = TIMEOUT) -> Result:
        """Run a coroutine in the thread and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)


@contextmanager
def serving(io: SocketServer) -> Iterator[tuple[str, LoopThread]]:
    """Serve on a free port of the loopback interface; yield the URL and the server's thread."""
    with LoopThread() as thread:
        listener = thread.run(io.listen("127.0.0.1", 0))
        try:
            yield f"http://127.0.0.1:{listener.port}", thread
        finally:
            thread.run(io.shutdown())


def find_node(*packages: str) -> str:
    """Return the path of Node; fail with the remedy if Node or a package is missing.

    `packages` are required in addition to the official clients.
    """
    program = shutil.which("node")
    if program is None:
        _fail_setup("Node is not installed")
    for package in PACKAGES + packages:
        if not (HERE / "node_modules" / package / "package.json").is_file():
            _fail_setup(f"the npm package {package} is not installed")
    return program


def _fail_setup(problem: str) -> NoReturn:
    pytest.fail(f"{problem}, but this test needs it: run `make setup`")


def find_cases(script: str, version: int = 4) -> list[str]:
    """Return the names of the cases that a script declares for a client version."""
    found = _CASE.findall((HERE / script).read_text(encoding="utf-8"))
    return [name for kind, name in found if version in _VERSIONS[kind]]


def run_node(script: str, *arguments: str, limit: float = 600.0) -> list[dict[str, Any]]:
    """Run a script and return the lines of JSON that it prints; fail the test if it fails."""
    command = [find_node(), str(HERE / script), *arguments]
    try:
        ended = subprocess.run(
            command, cwd=HERE, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired as error:
        printed = (error.stdout or b"").decode() + (error.stderr or b"").decode()
        pytest.fail(f"{script} did not end within {limit} s; it printed:\n{printed}")
    if ended.returncode:
        pytest.fail(f"{script} failed with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    # Not `splitlines`, which also splits at U+2028 inside a JSON text.
    return [json.loads(line) for line in ended.stdout.split("\n") if line]


async def leftover_tasks_ended() -> None:
    """Wait for the other tasks of the loop: a client of python-socketio closes connections in them.

    A connection that is open when the loop ends is a warning, which fails a later test.
    """
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=TIMEOUT)
    await settle()  # transports close in the next turns


class CaseResults:
    """The results of the cases of a script."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = {line["name"]: line for line in lines}

    def check(self, name: str) -> None:
        """Fail unless the case was reported and passed."""
        assert name in self._lines, f"the script did not report {name!r}"
        error = self._lines[name].get("error")
        if error is not None:
            pytest.fail(error, pytrace=False)

    def data(self, name: str) -> Any:
        """Return the data of a case; fail unless the case passed."""
        self.check(name)
        return self._lines[name]["data"]
