"""Servers for the tests of the kit: the echo examples as processes, and servers with fixed replies.

Both are context managers that stop their server at exit.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from socketio_conformance.http_connection import Address
from tests.helpers.ports import reserve_port

ROOT = Path(__file__).parents[2]
PROCESS_TIMEOUT = 300.0


@contextmanager
def example(name: str, *arguments: str) -> Iterator[str]:
    """Run one of the examples on a free port and yield its URL."""
    port = reserve_port()
    command = [sys.executable, str(ROOT / "examples" / name), "--port", str(port), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        _await_server(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PROCESS_TIMEOUT)


def _await_server(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PROCESS_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the example ended with code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the example accepts no connections")


@asynccontextmanager
async def replying(*replies: bytes, then_ends: bool = False) -> AsyncIterator[Address]:
    """Run a server that writes the next reply whenever it receives data; yield its address."""
    remaining = list(replies)
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while remaining and await reader.read(65536):
            writer.write(remaining.pop(0))
        if then_ends:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


def ok(body: str, *headers: str) -> bytes:
    """Return a response with status 200 and this body."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body.encode())}", *headers, "", body]
    return "\r\n".join(lines).encode()


SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: x\r\n\r\n"
)


def frame(text: str, opcode: int = 1) -> bytes:
    """Return a server frame of at most 125 bytes."""
    return bytes((0x80 | opcode, len(text.encode()))) + text.encode()
