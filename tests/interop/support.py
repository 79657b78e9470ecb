"""Servers on real sockets, and Node beside them.

Knows: threads with an event loop of their own, child processes, the lines that Node prints.
Does not know: what is played.
"""

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

HERE = Path(__file__).parent
TIMEOUT = 60.0
PACKAGES = (
    "engine.io-client",
    "socket.io-client",
    "socket.io-client-3",
    "socket.io-client-481",
    "socket.io-msgpack-parser",
)
_CASE = re.compile(r'^check(V4)?\(\s*"(.+?)",', re.MULTILINE)

Result = TypeVar("Result")


class LoopThread:
    """A thread with uvloop; leaving ends it, and fails if something went wrong unheard."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._begun = threading.Event()
        self._end: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._unheard: list[dict[str, Any]] = []

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._stay())

    async def _stay(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self._unheard.append(context))
        self._end = asyncio.Event()
        self._begun.set()
        await self._end.wait()

    def __enter__(self) -> LoopThread:
        self._thread.start()
        assert self._begun.wait(TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), "the event loop does not end"
        assert not self._unheard, self._unheard

    def run(self, work: Coroutine[Any, Any, Result], timeout: float = TIMEOUT) -> Result:
        """Do something in the thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)


@contextmanager
def serving(io: SocketServer) -> Iterator[tuple[str, LoopThread]]:
    """Serve on a free port of the loopback interface: the URL, and the thread that serves."""
    with LoopThread() as thread:
        listener = thread.run(io.listen("127.0.0.1", 0))
        try:
            yield f"http://127.0.0.1:{listener.port}", thread
        finally:
            thread.run(io.shutdown())


def node() -> str:
    """Return the path of Node; fail with what to do if it, or a package, is not there."""
    program = shutil.which("node")
    if program is None:
        _incomplete("Node is not installed")
    for package in PACKAGES:
        if not (HERE / "node_modules" / package / "package.json").is_file():
            _incomplete(f"the npm package {package} is not installed")
    return program


def _incomplete(what: str) -> NoReturn:
    pytest.fail(f"{what}, and the official clients are needed here: run `make setup`")


def cases_of(script: str, version: int = 4) -> list[str]:
    """Return the names of the cases that a script declares for a client of that version."""
    found = _CASE.findall((HERE / script).read_text(encoding="utf-8"))
    return [name for since_v4, name in found if version >= 4 or not since_v4]


def run_node(script: str, *arguments: str, limit: float = 100.0) -> list[dict[str, Any]]:
    """Run a script to its end; the lines of JSON that it prints. Fails if it fails."""
    command = [node(), str(HERE / script), *arguments]
    try:
        ended = subprocess.run(
            command, cwd=HERE, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired as error:
        printed = (error.stdout or b"").decode() + (error.stderr or b"").decode()
        pytest.fail(f"{script} did not end within {limit} s; it printed:\n{printed}")
    if ended.returncode:
        pytest.fail(f"{script} failed with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return [json.loads(line) for line in ended.stdout.splitlines()]


class Played:
    """What a script reported of its cases."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = {line["name"]: line for line in lines}

    def expect(self, name: str) -> None:
        """Fail unless the case was played, and held."""
        assert name in self._lines, f"the script did not report {name!r}"
        error = self._lines[name].get("error")
        if error is not None:
            pytest.fail(error, pytrace=False)

    def data(self, name: str) -> Any:
        """Return what a case returned; it must have held."""
        self.expect(name)
        return self._lines[name]["data"]
