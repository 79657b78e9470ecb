"""Runs a PostgreSQL server for the tests, on a socket in a temporary directory."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 300.0


def program(name: str) -> str:
    """Return the path of a PostgreSQL program; Debian does not install them on PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = str(versions[0]) if versions else shutil.which(name)
    assert found, f"{name} is missing: run scripts/check-postgres (Debian: postgresql)"
    return found


def _unprivileged() -> dict[str, Any]:
    """Return the identity to run PostgreSQL with, because it refuses to run as root."""
    if os.getuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start a server and yield the URL of its database."""
    directory = Path(tempfile.mkdtemp(prefix="hextrackr-pg-"))
    identity = _unprivileged()
    if identity:
        os.chown(directory, identity["user"], identity["group"])
    data = directory / "data"
    try:
        made = subprocess.run(
            [program("initdb"), "-D", str(data), "-U", "hextrackr", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync"],
            capture_output=True, text=True, check=False, cwd=directory, timeout=300, **identity,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        with _served(data, directory, identity):
            yield f"postgresql://hextrackr@/postgres?host={directory}"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _served(data: Path, directory: Path, identity: dict[str, Any]) -> Iterator[None]:
    log = directory / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [program("postgres"), "-D", str(data), "-k", str(directory),
             "-c", "listen_addresses=", "-c", "max_connections=60",
             "-c", "fsync=off", "-c", "synchronous_commit=off"],
            stdout=output, stderr=output, cwd=directory, **identity,
        )  # fmt: skip
    try:
        _wait(server, directory, log)
        yield
    finally:
        server.terminate()
        server.wait(300)


def _wait(server: subprocess.Popen[bytes], directory: Path, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        try:
            psycopg.connect(host=str(directory), user="hextrackr", dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
