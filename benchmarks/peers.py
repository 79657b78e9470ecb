"""Server processes: start, wait until the server listens, read CPU time and memory, stop.

Each server listens on a port that the kernel selects. When a block that uses a server fails because
the server has ended, the error contains the exit code and the standard error of the server.

The module holds the command lines of all servers. The clients are in `websocket_client` and
`polling_client`.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from benchmarks.process_tree import listening_ports

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
OUR_PYTHON = BENCHMARKS / ".venv" / "ours" / "bin" / "python"
PEERS_PYTHON = BENCHMARKS / ".venv" / "peers" / "bin" / "python"
COMPILED = ROOT / "build" / "compiled"
"""A folder with compiled packages of this project and a link to `benchmarks`, if there is one."""
BUILT = ROOT / "build" / "benchmarks"
"""The programs that `benchmarks/setup-compiled` builds."""
OLDER = BUILT / "older"
"""The packages of OLDER_COMMIT, which `benchmarks/setup-compiled` exports."""
OLDER_COMMIT = "abc01f9"
"""The commit of this project that the goals compare with; it has no compiled build."""
VERSIONS = ("3.11", "3.12", "3.13")
START_SECONDS = 20.0
STOP_SECONDS = 5.0
END_SECONDS = 1.0
HOW_TO_INSTALL = "run benchmarks/setup"


class PeerMissingError(RuntimeError):
    """A peer is not installed or does not start; the message contains the remedy."""


class ServerEndedError(RuntimeError):
    """A server process ended by itself; the message contains its exit code and its output."""


@dataclass(frozen=True)
class Peer:
    """A server program: its name in reports, and its command without the port."""

    name: str
    command: tuple[str, ...]
    port_flag: tuple[str, ...] = ("--port",)
    checkout: Path = ROOT
    """The working directory: the checkout of this project that is measured."""
    env: tuple[tuple[str, str], ...] = ()
    """Environment variables that are added to those of this process."""
    remedy: str = HOW_TO_INSTALL
    """The remedy if the peer is not installed."""

    @property
    def is_installed(self) -> bool:
        """Whether the program and the working directory exist; programs on the PATH do."""
        program = Path(self.command[0])
        return (not program.is_absolute() or program.exists()) and self.checkout.is_dir()

    def with_flags(self, *flags: str) -> Peer:
        """Return a copy with additional flags."""
        return replace(self, command=(*self.command, *flags))

    def named(self, name: str) -> Peer:
        """Return a copy with another name."""
        return replace(self, name=name)


_OURS = ("-m", "benchmarks.servers.ours")
OURS_ASYNC = Peer("ours, async handler", (str(OUR_PYTHON), *_OURS))
OURS_SYNC = Peer("ours, plain handler", (str(OUR_PYTHON), *_OURS, "--handlers", "sync"))
OURS_METRICS = Peer("ours, with metrics", (str(OUR_PYTHON), *_OURS, "--metrics"))
OURS_FULL = Peer("ours, --full", (str(OUR_PYTHON), *_OURS, "--full"))
_BUILD = "run benchmarks/setup-compiled, which prints the reason if the build fails"
_COMPILED_REMEDY = _BUILD
COMPILED_ASYNC = replace(
    OURS_ASYNC, name="ours compiled, async handler", checkout=COMPILED, remedy=_COMPILED_REMEDY
)
COMPILED_SYNC = replace(
    OURS_SYNC, name="ours compiled, plain handler", checkout=COMPILED, remedy=_COMPILED_REMEDY
)
COMPILED_FULL = replace(
    OURS_FULL, name="ours compiled, --full", checkout=COMPILED, remedy=_COMPILED_REMEDY
)
COMPILED_METRICS = replace(
    OURS_METRICS, name="ours compiled, with metrics", checkout=COMPILED, remedy=_COMPILED_REMEDY
)
_OLDER_REMEDY = f"fetch the whole history: commit {OLDER_COMMIT} is not in this clone"
OLDER_ASYNC = replace(
    OURS_ASYNC, name=f"commit {OLDER_COMMIT}, async handler", checkout=OLDER, remedy=_OLDER_REMEDY
)
OLDER_SYNC = replace(
    OURS_SYNC, name=f"commit {OLDER_COMMIT}, plain handler", checkout=OLDER, remedy=_OLDER_REMEDY
)


def find_python(version: str) -> Path:
    """Return the interpreter of a version, in the environment that `benchmarks/setup` creates."""
    return BENCHMARKS / ".venv" / version / "bin" / "python"


OURS_BY_VERSION = {
    version: Peer(f"ours on Python {version}", (str(find_python(version)), *_OURS))
    for version in VERSIONS
}
FLOOR = Peer("the floor", (str(OUR_PYTHON), "-m", "benchmarks.servers.bare"))
# `--expose-gc` lets the server collect garbage before its memory is read.
NODE = Peer(
    "socket.io on Node",
    ("node", "--expose-gc", str(BENCHMARKS / "servers" / "node_socketio.js")),
    (),
)
PYTHON_SOCKETIO = Peer(
    "python-socketio", (str(PEERS_PYTHON), "-m", "benchmarks.servers.python_socketio")
)
# Both run under the same uvicorn as python-socketio.
OURS_ASGI = Peer(
    "ours, asgi_app under uvicorn", (str(PEERS_PYTHON), "-m", "benchmarks.servers.ours_asgi")
)
COMPILED_ASGI = replace(
    OURS_ASGI,
    name="ours compiled, asgi_app under uvicorn",
    checkout=COMPILED,
    remedy=_COMPILED_REMEDY,
)
ASGI_FLOOR = Peer(
    "the floor under uvicorn", (str(PEERS_PYTHON), "-m", "benchmarks.servers.asgi_floor")
)

RUST = Peer(
    "socketioxide, one thread",
    (str(BUILT / "rust" / "release" / "bench-socketioxide"),),
    remedy=_BUILD,
)
RUST_MANY = RUST.with_flags("--threads", "many").named("socketioxide, all cores")
GO_MANY = Peer("Go, all cores", (str(BUILT / "go" / "bench-socketio"),), remedy=_BUILD)
GO = replace(GO_MANY, name="Go, one thread", env=(("GOMAXPROCS", "1"),))
C_FLOOR = Peer("the C floor", (str(BUILT / "c-floor"),), remedy=_BUILD)


def check_installed() -> None:
    """Raise PeerMissingError, with the remedy, if a peer is not installed."""
    try:
        subprocess.run(["node", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise PeerMissingError(
            "Node 18 or newer is required: install Node, then run benchmarks/setup"
        ) from None
    if not (BENCHMARKS / "node_modules" / "socket.io").is_dir():
        raise PeerMissingError(f"socket.io is not installed: {HOW_TO_INSTALL}")
    if not PEERS_PYTHON.exists():
        raise PeerMissingError(f"python-socketio is not installed: {HOW_TO_INSTALL}")
    if not OUR_PYTHON.exists():
        raise PeerMissingError(f"the Python of this project's server is missing: {HOW_TO_INSTALL}")


@dataclass
class Server:
    """A running server process, as a context manager that always stops the process."""

    peer: Peer
    port: int = 0
    _process: subprocess.Popen[bytes] = field(init=False)
    # A file and not a pipe: a full pipe without a reader would block the server.
    _output: IO[bytes] = field(init=False, default_factory=tempfile.TemporaryFile)

    def __enter__(self) -> Server:
        """Start the process and wait until it listens on a port. Raises PeerMissingError."""
        self._launch()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self.has_ended:
            # The kernel selects the port: another process cannot have it.
            if ports := listening_ports(self._process.pid):
                self.port = ports.pop()
                return self
            time.sleep(0.02)
        problem = self._describe_end() if self.has_ended else "does not listen"
        output = self._read_output()
        self.stop()
        raise PeerMissingError(f"{self.peer.name} {problem}; {HOW_TO_INSTALL}\n{output}")

    def _launch(self) -> None:
        """Start the process. Raises PeerMissingError."""
        command = list(self.peer.command)
        at = len(command)
        if not self.peer.port_flag:  # on Node, the port is the first argument after the script
            at = next(index for index, word in enumerate(command) if word.endswith(".js")) + 1
        command[at:at] = [*self.peer.port_flag, str(self.port)]
        try:
            self._process = subprocess.Popen(
                command,
                cwd=self.peer.checkout,
                env=os.environ | dict(self.peer.env),
                stdout=subprocess.DEVNULL,
                stderr=self._output,
            )
        except OSError as error:
            self._output.close()
            raise PeerMissingError(f"{self.peer.name}: {error}; {HOW_TO_INSTALL}") from None

    def replace(self) -> None:
        """Kill the process and start it again on the same port, without waiting for its start."""
        self._process.kill()
        self._process.wait()
        self._launch()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Stop the process. Raises ServerEndedError if the block failed and the process ended."""
        has_ended = isinstance(error, Exception) and self._ends_soon()
        reason = f"{self.peer.name} {self._describe_end()}" if has_ended else ""
        output = self._read_output() if has_ended else ""
        self.stop()
        if has_ended:
            raise ServerEndedError(f"{reason}\n{output}".strip()) from error

    def _ends_soon(self) -> bool:
        """Return whether the process ends; an ending process closes its connections first."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        return self.has_ended

    def _describe_end(self) -> str:
        """Return the exit code or the signal of the ended process as words."""
        code = self._process.returncode
        if code < 0:
            return f"was ended by signal {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def _read_output(self) -> str:
        """Return the end of the standard error of the process."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace").strip()[-2000:]

    def stop(self) -> None:
        """Terminate the process, and kill it if it does not end in time."""
        process = self._process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._output.close()

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended by itself."""
        return self._process.poll() is not None

    def cpu_seconds(self) -> float:
        """Return the CPU time (user and system) of all threads of the process so far."""
        return cpu_seconds(self._process.pid)

    def memory_bytes(self) -> int:
        """Return the resident memory after a garbage collection."""
        self._process.send_signal(signal.SIGUSR2)
        time.sleep(0.4)
        return memory_bytes(self._process.pid)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, from the nanosecond clock that Linux has per process."""
    # The kernel derives the ID of the clock from the process ID: see clock_getcpuclockid(3).
    return time.clock_gettime((~pid << 3) | 2)


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Rss:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, "the kernel reports Rss for every process"
    return int(found[1]) * 1024


def raise_file_limit(wanted: int = 131_072) -> int:
    """Raise the limit of open files for this process and its servers; return the limit.

    Only a privileged process may exceed the hard limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (wanted, hard):
        if limit > soft:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
                return limit
    return soft


def describe_machine() -> dict[str, str]:
    """Return the hardware and the versions on which the figures were measured."""
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
        "socketioxide": _pinned("rust/Cargo.toml", r'socketioxide = .*?"=([\d.]+)"'),
        "go": _pinned("go/go.mod", r"servers/socket/v3 v([\d.]+)"),
        "commit": _first_line("git", "describe", "--always", "--dirty", "--abbrev=12"),
    }  # fmt: skip


def _pinned(file: str, pattern: str) -> str:
    """Return the version of a package in a file of `servers`."""
    text = (BENCHMARKS / "servers" / file).read_text(encoding="utf-8")
    found = re.search(pattern, text)
    return found[1] if found else "unknown"


_WHICH_PYTHON = """
import platform, sys
print(platform.python_version(), "from Debian" if sys.base_prefix == "/usr" else sys.base_prefix)
"""


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip().partition("\n")[0]
