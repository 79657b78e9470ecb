"""Rows of acked events: the highest rate whose 99th percentile of latency stays below 250 ms."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.load.effort import Effort
from benchmarks.load.generator import Generator
from benchmarks.load.rows import Row
from benchmarks.peers import C_FLOOR, COMPILED_SYNC, NODE, OUR_PYTHON, OURS_SYNC, Peer, Server
from benchmarks.scale.servers import TreeServer
from benchmarks.scale.worker_rows import START_SECONDS

LIMIT = 0.25  # seconds
#: Connections, and events in flight on each of them. FEW is for servers that reach no other step.
STEPS = ((50, 64), (200, 64))
FEW = (50, 8)
GOAL = 200_000
_COMMAND = (str(OUR_PYTHON), "-m", "socketio_core", "benchmarks.load.app:io")
WORKERS = Peer("ours, 2 workers", (*_COMMAND, "--log-level", "error", "--workers", "2"))


class _Step(NamedTuple):
    """The result of one step: acks per second, 99th percentile of latency in ms, CPU time in us."""

    rate: float
    p99: float
    generator: float


async def measure_acks(effort: Effort) -> list[Row]:
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
    found: dict[str, list[_Step]] = {name: [] for name in servers}
    with ExitStack() as stack:
        for server in servers.values():
            stack.enter_context(server)
        await asyncio.sleep(START_SECONDS)
        for _ in range(effort.rounds):
            for name, server in servers.items():
                found[name].append(await _find_highest(server.port, effort.ack_seconds))
    rows = []
    for name, steps in found.items():
        goal = GOAL if "workers" in name else None
        rates = tuple(each.rate for each in steps)
        rows.append(Row(
            "acked events with p99 below 250 ms", name, rates, "per second",
            goal=goal, is_minimum=True,
        ))  # fmt: skip
    for name, steps in found.items():
        rows.append(Row("p99 at this rate", name, tuple(each.p99 for each in steps), "ms", 1))
    for name, steps in found.items():
        costs = tuple(each.generator for each in steps)
        rows.append(Row("CPU time of the generator for an ack", name, costs, "us", 2))
    return rows


async def _find_highest(port: int, seconds: float) -> _Step:
    """Return the step with the highest rate whose 99th percentile is below LIMIT, or zeros."""
    best = _Step(0.0, 0.0, 0.0)
    for connections, batch in (*STEPS, FEW):
        if (connections, batch) == FEW and best.rate:
            break
        async with Generator("acks", port, connections, batch=batch, seconds=seconds) as generator:
            result = await generator.read_result()
        if result["p99"] > LIMIT:
            continue
        cost = result["cpu"] / result["acks"] * 1e6
        best = max(best, _Step(result["acks"] / result["seconds"], result["p99"] * 1000, cost))
    return best
