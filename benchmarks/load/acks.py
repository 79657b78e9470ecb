"""Rows of acked events: the highest rate whose 99th percentile of latency stays below 250 ms."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from benchmarks.load.generator import Generator
from benchmarks.load.rows import Row
from benchmarks.peers import C_FLOOR, COMPILED_SYNC, NODE, OUR_PYTHON, OURS_SYNC, Peer, Server
from benchmarks.scale.servers import TreeServer
from benchmarks.scale.worker_rows import START_SECONDS

LIMIT = 0.25  # seconds
SECONDS = 2.0
#: Connections, and events in flight on each of them.
STEPS = ((50, 8), (50, 64), (200, 64), (400, 64))
GOAL = 200_000
_COMMAND = (str(OUR_PYTHON), "-m", "socketio_core", "benchmarks.load.app:io")
WORKERS = Peer("ours, 2 workers", (*_COMMAND, "--log-level", "error", "--workers", "2"))


async def measure_acks(rounds: int) -> list[Row]:
    """Return the rows of this project's server, of Node's and of the generator's limit."""
    servers: dict[str, Server] = {
        "ours": Server(OURS_SYNC),
        "ours, 2 workers": TreeServer(WORKERS),
        "Node": Server(NODE),
    }
    if COMPILED_SYNC.is_installed:
        servers["ours, compiled"] = Server(COMPILED_SYNC)
    if C_FLOOR.is_installed:
        servers["C floor: the limit of the generator"] = Server(C_FLOOR)
    rates: dict[str, list[float]] = {name: [] for name in servers}
    latencies: dict[str, list[float]] = {name: [] for name in servers}
    with ExitStack() as stack:
        for server in servers.values():
            stack.enter_context(server)
        await asyncio.sleep(START_SECONDS)
        for _ in range(rounds):
            for name, server in servers.items():
                rate, p99 = await _find_highest(server.port)
                rates[name].append(rate)
                latencies[name].append(p99 * 1000)
    rows = []
    for name in servers:
        goal = GOAL if "workers" in name else None
        rows.append(Row(
            "acked events with p99 below 250 ms", name, tuple(rates[name]), "per second",
            goal=goal, is_minimum=True,
        ))  # fmt: skip
    rows += [
        Row("p99 at this rate", name, tuple(found), "ms", 1) for name, found in latencies.items()
    ]
    return rows


async def _find_highest(port: int) -> tuple[float, float]:
    """Return the highest rate and its 99th percentile of latency in seconds."""
    best = (0.0, 0.0)
    for connections, batch in STEPS:
        async with Generator("acks", port, connections, batch=batch, seconds=SECONDS) as generator:
            result = await generator.read_result()
        if result["p99"] > LIMIT:
            break
        best = max(best, (result["acks"] / result["seconds"], result["p99"]))
    return best
