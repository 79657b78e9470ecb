"""The servers under attack: each runs in new processes on the loopback interface."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from benchmarks.hostile.attack import Place, Target
from benchmarks.hostile.smuggling import Backend
from benchmarks.peers import NODE, OURS_SYNC, Server, memory_bytes
from benchmarks.process_tree import find_tree
from engineio_core import Tls
from socketio_core import SocketServer
from tests.interop import program
from tests.interop.support import serving
from tests.proxies.proxies import run_proxy

_FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "core": (), "deflate": ("--deflate",), "msgpack": ("--msgpack",),
}  # fmt: skip
TLS_FILES: Final = Path(__file__).parents[2] / "tests" / "helpers" / "tls"
_PAUSE: Final = 0.005
_STOP_SECONDS: Final = 30.0
#: A user of the hub may send 600 events per minute.
_HUB_PAUSE: Final = 0.12


class Running(NamedTuple):
    """A server: its URL and event for the measuring client, and the target of the attack."""

    url: str
    event: str
    pause: float
    token: str
    target: Target
    memory: Callable[[], int]
    """Returns the resident memory of all its processes in bytes."""


@contextmanager
def running(place: Place, *, is_node: bool) -> Iterator[Running]:
    """Run the server of an attack until the block ends."""
    if is_node or place in _FLAGS:
        peer = (NODE if is_node else OURS_SYNC).with_flags(*_FLAGS.get(place, ()))
        with Server(peer) as server:
            target = Target(server.port, is_node=is_node)
            url = f"http://127.0.0.1:{server.port}"
            yield Running(url, "echo", _PAUSE, "", target, _memory_of(server._process.pid))
    elif place == "hub":
        with _hub() as hub:
            yield hub
    elif place == "tls":
        with _tls() as secure:
            yield secure
    else:
        with _proxy(place) as proxied:
            yield proxied


def _memory_of(pid: int) -> Callable[[], int]:
    def measure() -> int:
        total = 0
        for each in find_tree(pid):
            try:
                total += memory_bytes(each)
            except OSError:  # the process has ended
                continue
        return total

    return measure


@contextmanager
def _hub() -> Iterator[Running]:
    secret = secrets.token_hex(32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        values = {"HEXTRACKR_INGEST_TOKENS": f"scanner:broadcast:{secret}"}
        log = folder / "log"
        with log.open("wb") as output, hub_process(folder, output, values) as (process, url):
            target = Target(
                int(url.rpartition(":")[2]), token=program.token(folder, "attacker"),
                secret=secret, read_log=lambda: log.read_text(errors="replace"),
            )  # fmt: skip
            token = program.token(folder, "victim")
            yield Running(url, "ping", _HUB_PAUSE, token, target, _memory_of(process.pid))


@contextmanager
def hub_process(
    folder: Path, log: IO[bytes], values: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a hub with the database `hub.db` of a folder; yield its process and its URL."""
    process = subprocess.Popen(
        [program.PROGRAM, "serve", "--port", "0", "--database", str(folder / "hub.db")],
        cwd=folder, stdout=subprocess.PIPE, stderr=log,
        env=program.environment(JWT_SECRET=program.SECRET, PYTHONUNBUFFERED="1", **values),
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline().decode())
            if found is None:
                raise RuntimeError(f"the hub does not start; its log is {folder / 'log'}")
            yield process, found[0]
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _tls() -> Iterator[Running]:
    """Run a server in this process that listens with TLS as well."""
    io = SocketServer()

    @io.on("echo")
    def echo(socket: Any, data: Any) -> Any:
        return data

    with serving(io) as (url, thread):
        files = Tls(certificate=TLS_FILES / "first.pem", key=TLS_FILES / "first.key.pem")
        target = Target(thread.run(io.listen(ssl=files)).port)
        yield Running(url, "echo", _PAUSE, "", target, _memory_of(os.getpid()))


@contextmanager
def _proxy(name: str) -> Iterator[Running]:
    backend = Backend()

    @backend.io.on("echo")
    def echo(socket: Any, data: Any) -> Any:
        return data

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, _ = stack.enter_context(serving(backend.io))
        port = int(url.rpartition(":")[2])
        proxy = stack.enter_context(run_proxy(name, folder / name, port))
        target = Target(proxy.port, backend=backend)
        yield Running(proxy.url, "echo", _PAUSE, "", target, _memory_of(os.getpid()))
