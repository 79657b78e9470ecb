"""Signals and exit codes of servers and commands: docs/shutdown.md and docs/exit-codes.md."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.helpers.waiting import PATIENT

from . import program

pytestmark = pytest.mark.interop

LIMIT = 300.0
#: The response of /ready while a hub drains.
DRAINING = (503, '{"status":"draining"}')
#: A window that no test waits for.
DRAIN = "300"
APPLICATION = f"""
from socketio_core import SocketServer

io = SocketServer()

if __name__ == "__main__":
    import logging
    logging.basicConfig(level="INFO", format="%(message)s")
    logging.getLogger("engineio_core").addFilter(
        lambda record: print(record.getMessage(), flush=True) or False
    )
    io.run(port=0, drain={DRAIN})
    print("after", flush=True)
"""
CORE = [sys.executable, "-m", "socketio_core", "app:io", "--port", "0", "--drain", DRAIN]
HUB = [str(program.PROGRAM), "serve", "--port", "0", "--database", "hub.db"]
SERVERS = {
    "io.run": [sys.executable, "app.py"],
    "command": CORE,
    "command with workers": [*CORE, "--workers", "2"],
    "hub": HUB,
    "hub with workers": [*HUB, "--workers", "2"],
}


class Running:
    """A server process, the address that it has printed, and the file of its stderr."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        assert process.stdout is not None
        banner = process.stdout.readline()
        found = re.search(r"http://[\d.]+:\d+", banner)
        assert found is not None, banner + log.read_text()
        self.process = process
        self.url = found[0]
        self._log = log

    def get(self, path: str) -> tuple[int, dict[str, str], str]:
        """Return status, headers and body of a response."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=LIMIT) as response:
                return response.status, dict(response.headers.items()), response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers.items()), error.read().decode()

    def wait_until_opened(self, kind: str) -> None:
        """Wait until the session of the client is open, also in the process behind a gateway.

        The application drains no session that its gateway has not reported yet.
        """
        end = time.monotonic() + LIMIT
        while kind == "hub with workers" and self._log.read_text().count(" opened over ") < 2:
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.02)  # no event reports a line of another process

    def wait_until_draining(self) -> dict[str, str]:
        """Return the headers of the first handshake that is refused."""
        end = time.monotonic() + LIMIT
        while True:
            try:
                status, headers, _ = self.get("/socket.io/?EIO=4&transport=polling")
            except (ConnectionError, urllib.error.URLError):
                status = 0  # a worker without clients has ended in this moment
            if status == 503:
                return headers
            assert status in {0, 200}
            assert time.monotonic() < end, "the server does not drain"
            time.sleep(0.02)  # no event reports the state of another process

    def wait_for_response(self, path: str, expected: int, text: str) -> None:
        """Wait for a status and a text: a worker without clients may end at one of the requests."""
        end = time.monotonic() + LIMIT
        while True:
            try:
                status, _, body = self.get(path)
            except (ConnectionError, urllib.error.URLError):
                status, body = 0, ""
            if status == expected and text in body:
                return
            assert time.monotonic() < end, (status, body)
            time.sleep(0.02)  # no event reports the state of another process

    def end(self) -> tuple[int, str]:
        """Return the exit code and stderr."""
        code = self.process.wait(LIMIT)
        return code, self._log.read_text()


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[Running]:
    (folder / "app.py").write_text(APPLICATION)
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=file, text=True,
            env=program.environment(
                JWT_SECRET=program.SECRET, PYTHONUNBUFFERED="1", HEXTRACKR_SHUTDOWN_DRAIN=DRAIN
            ),
        )  # fmt: skip
    with process:
        try:
            yield Running(process, log)
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", SERVERS)
def test_first_signal_drains_and_second_ends_at_once(
    kind: str, number: signal.Signals, tmp_path: Path
) -> None:
    with running(SERVERS[kind], tmp_path) as server:
        address = server.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        with connect(address, **PATIENT) as websocket:
            assert str(websocket.recv(LIMIT)).startswith("0{")
            server.wait_until_opened(kind)
            server.process.send_signal(number)
            headers = server.wait_until_draining()
            assert headers["Retry-After"].isdecimal()
            assert headers.get("Connection") == "close" or "workers" in kind
            if kind == "hub":
                assert server.get("/health")[0] == 200
                status, _, body = server.get("/ready")
                assert (status, body) == DRAINING
            elif kind == "hub with workers":
                server.wait_for_response("/health", 200, "ok")
                server.wait_for_response("/ready", *DRAINING)
            websocket.send("40")  # the session is served while the server drains
            assert str(websocket.recv(LIMIT)).startswith("4")
            server.process.send_signal(number)
            code, errors = server.end()
    assert code == 128 + number
    assert "Traceback" not in errors, errors


@pytest.mark.parametrize("kind", SERVERS)
def test_exit_code_is_0_after_one_signal(kind: str, tmp_path: Path) -> None:
    with running(SERVERS[kind], tmp_path) as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stdout is not None
        rest = server.process.stdout.read()
        code, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors
    assert ("after" in rest) == (kind == "io.run")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["serve", "--unknown"], 2, "unrecognized arguments"),
        (["serve", "--port", "70000"], 1, "hextrackr-server: "),
        (["serve", "--port", "0", "--database", "missing/hub.db"], 1, "missing of the database"),
        (
            ["serve", "--port", "0", "--workers", "2", "--database", "missing/hub.db"],
            1,
            "missing of the database",
        ),
        (["check"], 0, ""),
        (["health", "--url", "http://127.0.0.1:1"], 1, ""),
        (["health", "--url", "nonsense"], 1, "--url must be an address"),
        (["inspect", "missing.csv"], 1, "hextrackr-server: "),
        (["sample", "--rows", "3", "sample.csv"], 0, ""),
        (["import", "missing.csv", "--token", "x"], 1, "hextrackr-server: "),
        (["token", "--user", "1", "--hours", "0"], 1, "hextrackr-server: "),
    ],
)
def test_exit_codes_of_commands(arguments: list[str], code: int, text: str, tmp_path: Path) -> None:
    done = program.run(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert "is killed" not in done.stderr


def test_hub_with_workers_rejects_a_folder_for_unix_sockets_with_a_long_path(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    command = ("serve", "--port", "0", "--workers", "2", "--database", "hub.db")
    done = program.run(*command, cwd=tmp_path, TMPDIR=str(folder))
    assert done.returncode == 1
    assert "the path of a Unix socket must have at most" in done.stderr
    assert "set TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("application", "code"), [("missing:io", 2), ("app:missing", 2), ("broken:io", 1)]
)
def test_exit_codes_of_the_command_of_the_library(
    application: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    (tmp_path / "broken.py").write_text("raise RuntimeError('broken')")
    done = subprocess.run(
        [sys.executable, "-m", "socketio_core", application], cwd=tmp_path,
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr


def test_health_and_ready_of_a_running_hub(tmp_path: Path) -> None:
    with running(HUB, tmp_path) as server:
        for flags in ((), ("--ready",)):
            done = program.run("health", "--url", server.url, *flags, cwd=tmp_path, secret=None)
            assert done.returncode == 0, done.stdout
            assert ": 200 {" in done.stdout
        port = server.url.rpartition(":")[2]
        done = program.run("health", cwd=tmp_path, secret=None, HOST="0.0.0.0", PORT=port)
        assert done.returncode == 0, done.stdout
        server.process.send_signal(signal.SIGTERM)
        server.end()
        done = program.run("health", "--url", server.url, cwd=tmp_path, secret=None)
        assert done.returncode == 1
