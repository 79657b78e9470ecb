"""The official clients against a server that is a guest of uvicorn, hypercorn or granian."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.ports import reserve_port

from .asgi_programs import PROGRAMS
from .support import CaseResults, find_cases, run_node
from .test_socket_clients import SCRIPT, UPGRADE, ClientSetup

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parent.parent.parent
LIMIT = 300.0
HOSTS = {
    "uvicorn": ["uvicorn", "{app}", "--port", "{port}", "--log-level", "warning"],
    "hypercorn": ["hypercorn", "{app}", "--bind", "127.0.0.1:{port}"],
    "granian": ["granian", "--interface", "asgi", "{app}", "--port", "{port}"],
}
SETUPS = (
    ClientSetup("socket.io-client", "websocket"),
    ClientSetup("socket.io-client", "polling"),
    ClientSetup("socket.io-client", UPGRADE),
    ClientSetup("socket.io-client-3", UPGRADE),
    ClientSetup("socket.io-client-2", UPGRADE),
)


@contextmanager
def hosted(host: str, app: str, *options: str) -> Iterator[str]:
    """Run an application in a host and yield its URL."""
    port = reserve_port()
    command = [part.format(app=app, port=port) for part in HOSTS[host]]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *options],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + LIMIT
        while True:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end, f"{host} does not listen"
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def run_cases() -> Callable[[str, ClientSetup], CaseResults]:
    """Return a function that runs all cases of a client once and returns the results."""

    @cache
    def run_cases(host: str, setup: ClientSetup) -> CaseResults:
        with hosted(host, "tests.interop.asgi_server:app") as url:
            return CaseResults(run_node(SCRIPT, url, *setup))

    return run_cases


@pytest.mark.parametrize(
    ("host", "setup", "case"),
    [
        pytest.param(host, setup, case, id=f"{host} {setup}: {case}")
        for host in HOSTS
        for setup in SETUPS
        for case in find_cases(SCRIPT, setup.version)
    ],
)
def test_case_passes_with_an_official_client_under_an_asgi_host(
    run_cases: Callable[[str, ClientSetup], CaseResults],
    host: str,
    setup: ClientSetup,
    case: str,
) -> None:
    run_cases(host, setup).check(case)


@pytest.mark.parametrize("host", PROGRAMS)
def test_workers_of_a_program_are_reported(host: str, tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.asgi_programs", host],
            cwd=ROOT, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + LIMIT
        while "the ASGI server runs at least 2 workers" not in output.read_text("utf-8"):
            assert process.poll() is None, output.read_text("utf-8")
            assert time.monotonic() < end, output.read_text("utf-8")
            time.sleep(0.05)
    finally:
        # The workers as well: their host may not pass the signal on while it starts.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
