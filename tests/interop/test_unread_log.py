"""Servers whose log is not read: 2,000 hostile requests fill the pipe and delay no client."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from textwrap import dedent

import pytest

from socketio_core.client.blocking import Client

from . import program

pytestmark = pytest.mark.interop

HOSTILE = 2000
LIMIT = 300.0

LIBRARY = dedent("""
    import asyncio, logging, sys
    from socketio_core import SocketServer
    from socketio_core.logs import BackgroundHandler, limit_lines

    logging.basicConfig(level=logging.INFO, handlers=[BackgroundHandler()])
    limit_lines(0)  # the handler alone protects the server
    io = SocketServer()

    @io.on("echo")
    def echo(socket, text):
        return text

    async def health(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})

    async def main():
        io.mount(health)
        listener = await io.listen("127.0.0.1", 0)
        print(listener.port, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
""")


@contextmanager
def process_with_unread_log(
    *command: str | Path, cwd: Path, **values: str
) -> Iterator[subprocess.Popen[str]]:
    """Start a program whose standard error is a pipe of 4096 bytes without a reader."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # type: ignore[attr-defined]
    environment = program.environment(JWT_SECRET=program.SECRET, PYTHONUNBUFFERED="1", **values)
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=writer, text=True
    )
    os.close(writer)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        os.close(reader)


def attack(port: int) -> None:
    """Send requests that the server refuses with a log line each."""
    for _ in range(HOSTILE):
        with create_connection(("127.0.0.1", port), LIMIT) as tcp:
            tcp.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n")
            assert tcp.recv(100).startswith(b"HTTP/1.1 400 ")


def health(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=LIMIT) as answer:
        return int(answer.status)


def test_library_serves_clients_when_its_log_is_not_read(tmp_path: Path) -> None:
    with process_with_unread_log(sys.executable, "-c", LIBRARY, cwd=tmp_path) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with Client(f"http://127.0.0.1:{port}") as client:
            attack(port)
            assert client.timeout(LIMIT).emit_with_ack("echo", "x") == "x"
        assert health(port) == 200


@pytest.mark.parametrize("lines", ["60", "0"])
def test_hub_serves_clients_when_its_log_is_not_read(tmp_path: Path, lines: str) -> None:
    command = (program.PROGRAM, "serve", "--port", "0", "--database", "hub.db")
    token = program.token(tmp_path, "7", "admin")
    with process_with_unread_log(
        *command, cwd=tmp_path, HEXTRACKR_LOG_LINES_PER_KIND=lines
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(",")[0].rpartition(":")[2])
        with Client(f"http://127.0.0.1:{port}/admin", auth={"token": token}) as client:
            attack(port)
            answer = client.timeout(LIMIT).emit_with_ack("get-metrics")
            assert "totalConnections" in str(answer)
        assert health(port) == 200
        process.terminate()
        assert process.wait(LIMIT) == 0
