"""A Redis server on a port of its own, without persistence, that tests stop and start again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.ports import reserve_port

PROGRAMS = ("redis-server", "valkey-server")
START_TIMEOUT = 300.0


class RedisServer:
    """A Redis server on the loopback interface; `start` after `stop` uses the same port."""

    def __init__(self, directory: Path, *options: str) -> None:
        program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            raise FileNotFoundError("redis-server is not installed: run scripts/check-redis")
        self.port = reserve_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._command = [
            program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", str(directory), "--daemonize", "no", *options,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                    client.sendall(b"PING\r\n")
                    if client.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("redis-server did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill the server, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop answering without closing connections, until `stop` or `resume`."""
        assert self._process is not None, "the server runs"
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again after `pause`."""
        assert self._process is not None, "the server runs"
        self._process.send_signal(signal.SIGCONT)

    def command(self, *args: str) -> bytes:
        """Send one command and return the raw reply, up to 64 KB."""
        with socket.create_connection(("127.0.0.1", self.port), START_TIMEOUT) as client:
            parts = [f"*{len(args)}\r\n", *(f"${len(each)}\r\n{each}\r\n" for each in args)]
            client.sendall("".join(parts).encode())
            return client.recv(65_536)


@contextmanager
def running_redis(directory: Path, *options: str) -> Iterator[RedisServer]:
    """Run a Redis server for the duration of a test."""
    server = RedisServer(directory, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
