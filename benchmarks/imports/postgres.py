"""CPU time and wall time of an import into PostgreSQL, against a bare COPY and merge."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.imports.cpu import run_floor
from benchmarks.imports.figures import Figure, Report
from benchmarks.imports.hub import Hub, HubError
from benchmarks.imports.processes import tree_cpu_seconds, wait_until_idle

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_GOAL = 1.6
#: The CPU time of one and the same program varies by half on a shared machine.
_ROUNDS = 5
_CPU, _WALL, _BASE = "PostgreSQL, CPU time", "PostgreSQL, wall time", "COPY and merge"


class Cluster(NamedTuple):
    """A running PostgreSQL server: the URL of its database, and its process ID."""

    url: str
    pid: int


def find_program(name: str) -> str | None:
    """Return the path of a PostgreSQL program; Debian does not install them on PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(versions[0]) if versions else shutil.which(name)


def missing_reason() -> str:
    """Return why PostgreSQL cannot be measured, or an empty string."""
    if find_program("initdb") is None:
        return "PostgreSQL is not installed"
    if find_spec("psycopg") is None:
        return "the driver psycopg is not installed"
    return ""


def _identity() -> dict[str, Any]:
    """Return the identity to run PostgreSQL with, because it refuses to run as root."""
    if os.getuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a PostgreSQL server with its default settings, on a socket in a temporary directory."""
    directory, identity = Path(tempfile.mkdtemp(prefix="hextrackr-pg-")), _identity()
    if identity:
        os.chown(directory, identity["user"], identity["group"])
    initdb, postgres = find_program("initdb"), find_program("postgres")
    assert initdb is not None
    assert postgres is not None
    data = directory / "data"
    try:
        subprocess.run(
            [initdb, "-D", str(data), "-U", "hextrackr", "-A", "trust", "-E", "UTF8",
             "--locale=C"],
            capture_output=True, check=True, cwd=directory, timeout=_START_SECONDS, **identity,
        )  # fmt: skip
        with (directory / "log").open("wb") as log:
            server = subprocess.Popen(
                [postgres, "-D", str(data), "-k", str(directory), "-c", "listen_addresses="],
                stdout=log, stderr=log, cwd=directory, **identity,
            )  # fmt: skip
        try:
            _wait(server, directory)
            yield Cluster(f"postgresql://hextrackr@/postgres?host={directory}", server.pid)
        finally:
            server.send_signal(signal.SIGINT)  # does not wait for clients
            server.wait(_STOP_SECONDS)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _wait(server: subprocess.Popen[bytes], directory: Path) -> None:
    is_ready = find_program("pg_isready")
    assert is_ready is not None
    end = time.monotonic() + _START_SECONDS
    while subprocess.run([is_ready, "-q", "-h", str(directory)], check=False).returncode:
        if server.poll() is not None or time.monotonic() > end:
            raise HubError(f"PostgreSQL does not start: {(directory / 'log').read_text()[-2000:]}")
        time.sleep(0.05)


def measure_postgres(file: Path, directory: Path) -> Report:
    """Import the file into a hub on PostgreSQL in turns with the floor; return median rounds."""
    if reason := missing_reason():
        return Report(
            [
                Figure(_CPU, _GOAL, "s", base_name=_BASE, missing=reason),
                Figure(_WALL, _GOAL, "s", base_name=_BASE, missing=reason),
            ]
        )
    with running_cluster() as cluster:
        rounds = [_measure_round(file, directory, cluster, number) for number in range(_ROUNDS)]
    cpu, seconds = (sorted(rounds, key=attrgetter(name))[_ROUNDS // 2] for name in ("cpu", "wall"))
    return Report(
        [
            Figure(_CPU, _GOAL, "s", cpu.hub.cpu, cpu.floor.cpu, _BASE),
            Figure(_WALL, _GOAL, "s", seconds.hub.seconds, seconds.floor.seconds, _BASE),
        ],
        [
            f"PostgreSQL: {hub.cpu:.2f} s CPU (hub and server) in {hub.seconds:.2f} s; "
            f"{_BASE}: {floor.cpu:.2f} s CPU in {floor.seconds:.2f} s"
            for hub, floor in rounds
        ],
    )


class _Cost(NamedTuple):
    """The CPU time of a program and of the server, and the duration of the command."""

    cpu: float
    seconds: float


class _Round(NamedTuple):
    """An import by the hub, and the floor in the same server immediately before or after it."""

    hub: _Cost
    floor: _Cost

    @property
    def cpu(self) -> float:
        return self.hub.cpu / self.floor.cpu

    @property
    def wall(self) -> float:
        return self.hub.seconds / self.floor.seconds


def _measure_round(file: Path, directory: Path, cluster: Cluster, number: int) -> _Round:
    """Measure the floor, and the first import of a new database; the order alternates."""
    if number % 2:
        hub = _measure_hub(file, directory / str(number), cluster, number)
        return _Round(hub, _measure_floor(file, cluster))
    floor = _measure_floor(file, cluster)
    return _Round(_measure_hub(file, directory / str(number), cluster, number), floor)


def _measure_hub(file: Path, directory: Path, cluster: Cluster, number: int) -> _Cost:
    name = f"round_{number}"
    _execute(cluster, f"CREATE DATABASE {name}")
    with Hub(directory, database_url=cluster.url.replace("/postgres?", f"/{name}?")) as hub:
        hub.wait_until_idle()
        _settle(cluster)
        before = hub.cpu_seconds() + tree_cpu_seconds(cluster.pid)
        seconds = hub.import_file(file)
        hub.wait_until_idle()
        wait_until_idle(cluster.pid)
        cpu = hub.cpu_seconds() + tree_cpu_seconds(cluster.pid) - before
    _execute(cluster, f"DROP DATABASE {name}")
    return _Cost(cpu, seconds)


def _measure_floor(file: Path, cluster: Cluster) -> _Cost:
    _settle(cluster)
    before, began = tree_cpu_seconds(cluster.pid), time.perf_counter()
    (floor,) = run_floor(file, cluster.url, "postgres_floor")
    seconds = time.perf_counter() - began
    wait_until_idle(cluster.pid)
    return _Cost(tree_cpu_seconds(cluster.pid) - before + floor["cpu"], seconds)


def _settle(cluster: Cluster) -> None:
    """Drop the tables of a floor, and write all pages: each measurement pays for its own only."""
    _execute(cluster, "DROP SCHEMA IF EXISTS floor CASCADE")
    _execute(cluster, "CHECKPOINT")
    wait_until_idle(cluster.pid)


def _execute(cluster: Cluster, statement: str) -> None:
    psql = find_program("psql")
    assert psql is not None
    subprocess.run(
        [psql, "-q", "-d", cluster.url, "-c", statement],
        capture_output=True, check=True, timeout=_START_SECONDS,
    )  # fmt: skip
