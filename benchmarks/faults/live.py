"""Faults in a running server, while a client sends acked events.

Each function starts a server process of its own on the loopback interface, and is bounded in
clients and seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Final, NamedTuple

from benchmarks.hostile.victim import Victim, open_websocket
from benchmarks.wire import CONNECT, PONG

_PROGRAM: Final = dedent("""
    import asyncio, resource, sys
    from socketio_core import SocketServer

    loop, *numbers = sys.argv[1:]
    interval, timeout, descriptors = map(float, numbers)
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors),) * 2)
    io = SocketServer(ping_interval=interval, ping_timeout=timeout)

    @io.on("echo")
    def echo(socket, number):
        return number

    async def count(scope, receive, send):
        if scope["type"] == "http":
            body = str(len(io.engine.sessions)).encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})

    async def main():
        io.mount(count)
        listener = await io.listen("127.0.0.1", 0)
        print(listener.port, flush=True)
        await asyncio.Event().wait()

    runner = asyncio.run
    if loop == "uvloop":
        import uvloop
        runner = uvloop.run
    runner(main())
""")
_START_SECONDS: Final = 60.0
#: Seconds until a fault has ended, on a busy machine.
_END_SECONDS: Final = 120.0
_DESCRIPTORS: Final = 80
_CONNECTIONS: Final = 200
_CLIENTS: Final = 200
_CUT: Final = 100
_BLOCKED_SECONDS: Final = 3.0
#: The share of a core that a server may use while it has no descriptors.
_BUSY_SHARE: Final = 0.5


class Outcome(NamedTuple):
    """The result of a fault: clients or connections, and the waits of another client in ms."""

    tried: int
    is_held: bool
    lost: int
    p99: float
    problem: str = ""


class _Server(NamedTuple):
    pid: int
    port: int

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def sessions(self) -> int:
        """Return the number of open sessions."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /sessions HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return int(answer.rpartition(b"\r\n")[2].split()[-1])


@asynccontextmanager
async def _server(
    interval: float = 25, timeout: float = 20, descriptors: int = 0, loop: str = "uvloop"
) -> AsyncIterator[_Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, loop, str(interval), str(timeout), str(descriptors),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
        yield _Server(process.pid, int(line))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()


def p99_of(waits: list[float]) -> float:
    """Return the wait that 99 of 100 waits do not exceed."""
    return sorted(waits)[len(waits) * 99 // 100] if waits else float("inf")


async def exhaust_descriptors(loop: str = "uvloop") -> Outcome:
    """Open more connections than the server has descriptors, and close them again."""
    async with _server(descriptors=_DESCRIPTORS, loop=loop) as server:
        victim = Victim(server.port)
        await victim.start()
        clients = []
        for _ in range(_CONNECTIONS):
            client = socket.socket()
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(("127.0.0.1", server.port))
            clients.append(client)
        before, began = server.cpu_seconds(), time.monotonic()
        await asyncio.sleep(2.0)
        share = (server.cpu_seconds() - before) / (time.monotonic() - began)
        for client in clients:
            client.close()
        late = Victim(server.port)
        async with asyncio.timeout(_END_SECONDS):
            while True:
                try:
                    await late.start()
                    break
                except (OSError, asyncio.IncompleteReadError):
                    await asyncio.sleep(0.1)
        await late.stop()
        await victim.stop()
        lost = victim.lost + late.lost
        problem = f"{share:.0%} of a core" if share > _BUSY_SHARE else ""
        return Outcome(_CONNECTIONS, not lost and not problem, lost, p99_of(victim.waits), problem)


async def exhaust_descriptors_of_asyncio() -> Outcome:
    """Do the same to a server on the event loop of asyncio."""
    return await exhaust_descriptors("asyncio")


class _Idle:
    """Clients that answer pings and count the connections that the server has ended."""

    def __init__(self) -> None:
        self.ended = 0
        self.writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, port: int, count: int) -> None:
        """Open WebSockets that join the main namespace."""
        for _ in range(count):
            reader, writer = await open_websocket(port)
            writer.write(CONNECT)
            self.writers.append(writer)
            self._tasks.append(asyncio.create_task(self._answer(reader, writer)))

    def fall_silent(self) -> None:
        """Read and send nothing more; the connections stay open."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Close all connections, also those of silent clients."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self.writers:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if data.endswith(b"\x012"):
                    writer.write(PONG)
        self.ended += 1


async def block_the_loop() -> Outcome:
    """Stop the process for longer than its ping timeout; no client may be closed."""
    async with _server(interval=1, timeout=1) as server:
        clients = _Idle()
        await clients.open(server.port, _CLIENTS)
        await asyncio.sleep(1.5)
        os.kill(server.pid, signal.SIGSTOP)
        await asyncio.sleep(_BLOCKED_SECONDS)
        os.kill(server.pid, signal.SIGCONT)
        victim = Victim(server.port)
        await victim.start()
        await asyncio.sleep(3.0)
        await victim.stop()
        lost = clients.ended + victim.lost
        await clients.close()
        return Outcome(_CLIENTS, not lost, lost, p99_of(victim.waits))


async def cut_networks() -> Outcome:
    """Let clients fall silent without closing: the server must end their sessions alone."""
    # The measuring client shares the machine with other programs: it may answer a ping late.
    async with _server(interval=1, timeout=5) as server:
        clients = _Idle()
        await clients.open(server.port, _CUT)
        victim = Victim(server.port)
        await victim.start()
        clients.fall_silent()
        left = _CUT
        async with asyncio.timeout(_END_SECONDS):
            while left > 1:
                await asyncio.sleep(0.2)
                left = await server.sessions()
        await victim.stop()
        await clients.close()
        return Outcome(_CUT, not victim.lost, victim.lost, p99_of(victim.waits))
