"""The servers as processes: start, wait until they serve, what they use, stop.

Knows: command lines, ports, what the operating system counts.  Does not know: the wire.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
OUR_PYTHON = BENCHMARKS / ".venv" / "ours" / "bin" / "python"
PEERS_PYTHON = BENCHMARKS / ".venv" / "peers" / "bin" / "python"
PYTHON_313 = BENCHMARKS / ".venv" / "3.13" / "bin" / "python"
START_SECONDS = 20.0
STOP_SECONDS = 5.0
HOW_TO_INSTALL = "run benchmarks/setup"


class PeerMissing(RuntimeError):
    """A peer is not installed, or does not start; the text says what to do."""


@dataclass(frozen=True)
class Peer:
    """A server that can be started: its name in reports, and its command without the port."""

    name: str
    command: tuple[str, ...]
    port_flag: tuple[str, ...] = ("--port",)
    checkout: Path = ROOT
    """The working directory: the checkout of this project that is measured."""
    env: tuple[tuple[str, str], ...] = ()
    """Environment variables that are added to those of this process."""

    def with_flags(self, *flags: str) -> Peer:
        """Return the same server with additional flags."""
        return replace(self, command=(*self.command, *flags))

    def named(self, name: str) -> Peer:
        """Return the same server under another name."""
        return replace(self, name=name)


_OURS = ("-m", "benchmarks.servers.ours")
OURS_ASYNC = Peer("ours, async handler", (str(OUR_PYTHON), *_OURS))
OURS_SYNC = Peer("ours, plain handler", (str(OUR_PYTHON), *_OURS, "--handlers", "sync"))
OURS_FULL = Peer("ours, --full", (str(OUR_PYTHON), *_OURS, "--full"))
OURS_313 = Peer("ours on Python 3.13", (str(PYTHON_313), *_OURS))
FLOOR = Peer("the floor", (str(OUR_PYTHON), "-m", "benchmarks.servers.bare"))
# `--expose-gc`: so that garbage is collected before memory is read. The port comes first there.
NODE = Peer(
    "socket.io on Node",
    ("node", "--expose-gc", str(BENCHMARKS / "servers" / "node_socketio.js")),
    (),
)
PYTHON_SOCKETIO = Peer(
    "python-socketio", (str(PEERS_PYTHON), "-m", "benchmarks.servers.python_socketio")
)


def check_installed() -> None:
    """Raise PeerMissing, with what to do, if a peer is not there."""
    try:
        subprocess.run(["node", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise PeerMissing(
            "Node 18 or newer is needed: install it, then run benchmarks/setup"
        ) from None
    if not (BENCHMARKS / "node_modules" / "socket.io").is_dir():
        raise PeerMissing(f"socket.io is not installed: {HOW_TO_INSTALL}")
    if not PEERS_PYTHON.exists():
        raise PeerMissing(f"python-socketio is not installed: {HOW_TO_INSTALL}")
    if not OUR_PYTHON.exists():
        raise PeerMissing(f"this project's server has no Python to run on: {HOW_TO_INSTALL}")


@dataclass
class Server:
    """A server that runs. A context manager: it is stopped at the end, whatever happens."""

    peer: Peer
    port: int = 0
    _process: subprocess.Popen[bytes] = field(init=False)
    # A file, since a pipe that nobody reads would stop a server that says much.
    _said: IO[bytes] = field(init=False, default_factory=tempfile.TemporaryFile)

    def __enter__(self) -> Server:
        """Start it and wait until it takes connections. Raises PeerMissing if it does not."""
        self.port = _free_port()
        command = list(self.peer.command)
        where = len(command)
        if not self.peer.port_flag:  # node: the port is the first argument behind the file
            where = next(index for index, word in enumerate(command) if word.endswith(".js")) + 1
        command[where:where] = [*self.peer.port_flag, str(self.port)]
        try:
            self._process = subprocess.Popen(
                command,
                cwd=self.peer.checkout,
                env=os.environ | dict(self.peer.env),
                stdout=subprocess.DEVNULL,
                stderr=self._said,
            )
        except OSError as error:
            self._said.close()
            raise PeerMissing(f"{self.peer.name}: {error}; {HOW_TO_INSTALL}") from None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), timeout=1),
            ):
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        has_ended = self._process.poll() is not None
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        self.stop()
        what = "ended at once" if has_ended else "takes no connections"
        raise PeerMissing(f"{self.peer.name} {what}; {HOW_TO_INSTALL}\n{said[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process."""
        process = self._process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._said.close()

    def cpu_seconds(self) -> float:
        """Return the processor time, user and system, of all its threads so far."""
        return cpu_seconds(self._process.pid)

    def memory_bytes(self) -> int:
        """Return the resident memory, when what is garbage has been collected."""
        self._process.send_signal(signal.SIGUSR2)
        time.sleep(0.4)
        return memory_bytes(self._process.pid)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process: Linux' clock of it counts in nanoseconds."""
    # clock_getcpuclockid(3): the kernel makes the clock's number of the process's.
    return time.clock_gettime((~pid << 3) | 2)


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Rss:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, "the kernel tells it"
    return int(found[1]) * 1024


def raise_file_limit(wanted: int = 16_000) -> None:
    """Let this process, and the servers it starts, hold many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def describe_machine() -> dict[str, str]:
    """Say what the figures were measured on."""
    model = "unknown"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "kernel": os.uname().release,
        "python": _first_line(str(OUR_PYTHON), "-c", _WHICH_PYTHON),
        "node": _first_line("node", "--version"),
        "socket.io": _first_line("node", "-p", "require('socket.io/package.json').version"),
        "python-socketio": _first_line(
            str(PEERS_PYTHON), "-c",
            "import importlib.metadata as m; print(m.version('python-socketio'))",
        ),
        "commit": _first_line("git", "describe", "--always", "--dirty", "--abbrev=12"),
    }  # fmt: skip


_WHICH_PYTHON = """
import platform, sys
print(platform.python_version(), "of Debian" if sys.base_prefix == "/usr" else sys.base_prefix)
"""


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip().partition("\n")[0]
