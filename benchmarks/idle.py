"""As many idle connections as the machine allows: memory, and the CPU time of their heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from .measure import describe
from .peers import C_FLOOR, COMPILED_ASYNC, OURS_ASYNC, Peer, Server
from .websocket_client import WebSocketClient, open_clients

INTERVAL = 5.0  # seconds between two heartbeats of a connection
INTERVALS = 2
MAX_CONNECTIONS = 100_000
#: An address of the client has about 28,000 ports; 127.0.0.0/8 has many addresses.
PER_ADDRESS = 20_000
#: The time in which a server may accept connections; then those that are open are measured.
OPEN_SECONDS = 60.0
STEP = 2000
#: Of the server, the client and the kernel, for each connection.
BYTES_PER_CONNECTION = 60_000
RESERVED_FILES = 1000
#: The goal: 1 % of a core for 100,000 connections with a heartbeat every 25 seconds.
GOAL = 0.01
HEARTBEATS_PER_SECOND = 100_000 / 25


@dataclass(frozen=True)
class Idle:
    """The idle connections of one server."""

    server: str
    connections: int
    seconds: float
    """The time in which the connections were opened."""
    bytes_each: float
    """The resident memory of the server per connection, without that of the kernel."""
    heartbeat: float
    """CPU time of one ping and its pong in microseconds."""

    @property
    def share(self) -> float:
        """The share of a core that 100,000 connections use, with a heartbeat every 25 seconds."""
        return self.heartbeat * HEARTBEATS_PER_SECOND / 1e6


def count_connections(file_limit: int) -> int:
    """Return how many connections the limit of open files and the free memory allow."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    available = int(text.partition("MemAvailable:")[2].split()[0]) * 1024
    return min(MAX_CONNECTIONS, file_limit - RESERVED_FILES, available // 2 // BYTES_PER_CONNECTION)


async def measure_idle(
    file_limit: int, report_progress: Callable[[str], None]
) -> tuple[list[Idle], list[str]]:
    """Return the result of each server, and the failures."""
    found: list[Idle] = []
    failures: list[str] = []
    ours = COMPILED_ASYNC if COMPILED_ASYNC.is_installed else OURS_ASYNC
    for peer in (ours, C_FLOOR):
        if not peer.is_installed:
            continue
        try:
            found.append(await _measure(peer, count_connections(file_limit)))
        except Exception as error:
            failures.append(f"idle connections, {peer.name}: {describe(error)}")
            report_progress(f"  failed: {failures[-1]}")
    return found, failures


async def _measure(peer: Peer, connections: int) -> Idle:
    with Server(peer.with_flags(f"--ping-interval={INTERVAL:g}")) as server:
        clients = await open_clients(server.port, 100)
        before = server.memory_bytes()
        began = perf_counter()
        while len(clients) < connections and perf_counter() - began < OPEN_SECONDS:
            address = len(clients) // PER_ADDRESS
            count = min(
                STEP, connections - len(clients), PER_ADDRESS * (address + 1) - len(clients)
            )
            source = f"127.0.0.{1 + address}" if address else ""
            clients += await open_clients(server.port, count, source=source)
        seconds = perf_counter() - began
        await asyncio.sleep(INTERVAL)
        grown = server.memory_bytes() - before
        pings, cpu = _count_pings(clients), server.cpu_seconds()
        await asyncio.sleep(INTERVALS * INTERVAL)
        pings, cpu = _count_pings(clients) - pings, server.cpu_seconds() - cpu
        for client in clients:
            client.check()
        count = len(clients)
        if pings < count * (INTERVALS - 1):
            raise RuntimeError(f"the server sent {pings} pings to {count} connections")
    for client in clients:
        client.tcp.abort()
    await asyncio.sleep(0)
    return Idle(peer.name, count, seconds, grown / (count - 100), cpu / pings * 1e6)


def _count_pings(clients: list[WebSocketClient]) -> int:
    return sum(client.pings for client in clients)
