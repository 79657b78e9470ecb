"""The command `python -m socketio_core`: arguments, errors, TLS, and the end of its processes."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engineio_core.build import describe_build
from socketio_core.command import load_server
from tests.engineio_core.http.support import TLS_FILES, connect
from tests.engineio_core.webtransport.quic_client import connecting
from tests.helpers.wire import http_request, text_frame

APPLICATION = """
from socketio_core import SocketServer
io = SocketServer()
other = 5

@io.on("echo")
def echo(socket, value):
    return value
"""
POLLING = "/socket.io/?EIO=4&transport=polling"
CERTIFICATE = (
    "--certificate", str(TLS_FILES / "first.pem"), "--key", str(TLS_FILES / "first.key.pem"),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APPLICATION)
    (tmp_path / "broken.py").write_text("import missing_package\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command that fails, and return its exit code and its output."""
    done = subprocess.run(
        [sys.executable, "-m", "socketio_core", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["app"], "the application must be MODULE:SERVER, got 'app'"),
        (["nothing:io"], "there is no module 'nothing': run the command in the folder"),
        (["app:server"], "module 'app' has no attribute 'server': use app:io"),
        (["app:other.io"], "module 'app' has no attribute 'other.io': use app:io"),
        (["app:other"], "app:other must be a SocketServer, got 5: use app:io"),
        (["app.py:io"], "written as in an import statement, got 'app.py': use app:io"),
        (["./app:io"], "written as in an import statement, got './app': use app:io"),
        (["src/app.py:io"], "got 'src/app.py': use src.app:io"),
        (["app:io", "--workers", "0"], "must be from 1 to 48, got '0'"),
        (["app:io", "--reload", "--reload-dir", "none"], "--reload-dir must name a folder, got"),
        (["app:io", "--key", "key.pem"], "--key must be used with --certificate"),
        (["app:io", "--certificate", "none.pem"], "must be a readable PEM file"),
        (["app:io", "--webtransport-port", "0"], "used with --certificate and --key"),
        (
            ["app:io", "--webtransport-port", "0", "--certificate", "a", "--workers", "2"],
            "--webtransport-port must be used with one process, got --workers 2",
        ),
        (
            ["app:io", "--port", "0", "--webtransport-port", "0", *CERTIFICATE],
            'transports must contain "webtransport"',
        ),
        (["app:io", "--host", "192.0.2.1", "--port", "0"], "choose another host"),
        (["app:io", "--host", "192.0.2.1", "--workers", "2"], "choose another host"),
    ],
)
def test_error_names_the_remedy(folder: Path, arguments: list[str], message: str) -> None:
    code, output = run(folder, *arguments)
    assert code == 2
    assert message in output
    assert "Traceback" not in output


def test_server_may_be_an_attribute_of_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nested_server.py").write_text(
        f"{APPLICATION}class Application: ...\napplication = Application()\napplication.io = io\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    server = load_server("nested_server:application.io")
    assert server is load_server("nested_server:io")


def test_port_in_use_is_refused_with_several_workers(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        port = str(other.getsockname()[1])
        code, output = run(folder, "app:io", "--port", port, "--workers", "2")
    assert code == 2
    assert "address already in use" in output


def test_application_that_cannot_be_imported_ends_the_supervisor(folder: Path) -> None:
    code, output = run(folder, "broken:io", "--port", "0", "--workers", "2")
    assert code == 1
    assert "No module named 'missing_package'" in output
    assert "ended before it was ready (exit code 1)" in output


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command until the block ends, and yield its output up to the address."""
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "socketio_core", "app:io", "--port", "0", *arguments],
            cwd=folder, stdout=file, stderr=file, text=True,
        )  # fmt: skip
    with process:
        try:
            deadline = time.monotonic() + 300
            while "Listening on" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)  # no event reports a line of another process
            yield log.read_text(), process
        finally:
            process.terminate()
            assert process.wait(300) == 0, log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_process_serves_and_ends_cleanly(folder: Path, number: signal.Signals) -> None:
    with serving(folder) as (output, process):
        assert "workers" not in output
        process.send_signal(number)
        assert process.wait(300) == 0


@pytest.mark.parametrize("workers", ["1", "3"])
def test_unix_socket_is_served(folder: Path, workers: str) -> None:
    with (
        serving(folder, "--path", "socket", "--workers", workers),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(folder / "socket"))
        client.sendall(http_request("GET", POLLING))
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


async def test_tls_connections_reach_the_sessions_of_all_workers(folder: Path) -> None:
    certificate, key = str(TLS_FILES / "first.pem"), str(TLS_FILES / "first.key.pem")
    context = ssl.create_default_context(cafile=certificate)
    options = ("--workers", "3", "--certificate", certificate, "--key", key)
    with serving(folder, *options) as (output, _):
        found = re.search(r"https://127\.0\.0\.1:(\d+)", output)
        assert found is not None
        port = int(found[1])

        async def round_trip(number: int) -> None:
            opening = await connect(port, ssl=context, server_hostname="localhost")
            response = await opening.get(POLLING)
            await opening.close()
            sid = response.text.partition('"sid":"')[2][:20]
            target = f"{POLLING}&sid={sid}"
            for body in (b"40", b'420["echo",%d]' % number):
                client = await connect(port, ssl=context, server_hostname="localhost")
                client.writer.write(http_request("POST", target, body=body))
                assert (await client.response()).text == "ok"
                await client.close()
            client = await connect(port, ssl=context, server_hostname="localhost")
            assert f"430[{number}]" in (await client.get(target)).text
            await client.close()
            socket_client = await connect(port, ssl=context, server_hostname="localhost")
            target = target.replace("polling", "websocket")
            await socket_client.upgrade(target, tail=text_frame("2probe"))
            assert (await socket_client.frame()).payload == b"3probe"
            socket_client.writer.write(text_frame("5") + text_frame('421["echo","again"]'))
            assert (await socket_client.frame()).payload == b'431["again"]'
            await socket_client.close()

        async with asyncio.timeout(300):
            await asyncio.gather(*(round_trip(number) for number in range(12)))


async def test_webtransport_is_served_next_to_tcp(folder: Path) -> None:
    application = APPLICATION.replace("()", '(transports=["polling", "webtransport"])')
    (folder / "app.py").write_text(application)
    with serving(folder, "--webtransport-port", "0", *CERTIFICATE) as (output, _):
        found = re.search(r"https://127.0.0.1:\d+, https://127.0.0.1:(\d+) \(WebTr", output)
        assert found is not None, output
        async with connecting(int(found[1])) as client:
            assert await client.request("/socket.io/") == 200
            client.stream_id = client.open_stream(b"\x010")
            await client.until(lambda: client.packets)
            assert client.packets[0][1].startswith(b'0{"sid":')


def test_webtransport_without_its_extra_is_refused(folder: Path) -> None:
    application = APPLICATION.replace("()", '(transports=["polling", "webtransport"])')
    (folder / "app.py").write_text("import sys\nsys.modules['aioquic'] = None\n" + application)
    arguments = ("app:io", "--port", "0", "--webtransport-port", "0", *CERTIFICATE)
    code, output = run(folder, *arguments)
    assert code == 2
    assert "pip install 'hextrackr-server[webtransport]'" in output
    assert "Traceback" not in output


def test_version_names_the_build(folder: Path) -> None:
    code, output = run(folder, "--version")
    assert code == 0
    assert re.fullmatch(
        rf"socketio_core \d+\.\d+\.\d+ \({describe_build()}\), Python 3\.\d+\.\d+\S*\n", output
    )
