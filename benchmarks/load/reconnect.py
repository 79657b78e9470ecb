"""Rows of reconnections: many clients return after a kill of their server."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from operator import attrgetter

from benchmarks.load.effort import Effort
from benchmarks.load.generator import Generator, GeneratorError
from benchmarks.load.rows import Row
from benchmarks.peers import COMPILED_SYNC, NODE, OURS_SYNC, Peer, Server

RETRY = 25  # milliseconds between two attempts of a client, on average
GOAL = 1.5


@dataclass
class _Figures:
    total: list[float] = field(default_factory=list)
    start: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)


async def measure_reconnect(effort: Effort) -> list[Row]:
    """Return the rows of this project's server and of Node's."""
    peers = {"ours": OURS_SYNC, "Node": NODE}
    if COMPILED_SYNC.is_installed:
        peers["ours, compiled"] = COMPILED_SYNC
    count = effort.reconnecting
    found = {name: _Figures() for name in peers}
    for _ in range(effort.rounds):
        for name, peer in peers.items():
            await _measure(peer, count, found[name])
    rows = []
    for name, each in found.items():
        goal = None if name == "Node" else GOAL
        rows.append(
            Row(f"{count:,} clients back after a kill", name, tuple(each.total), "s", 2, goal)
        )
    for title, values in (
        ("of it, until the first one is back", attrgetter("start")),
        ("CPU time of the new server, all back", attrgetter("cpu")),
        ("CPU time of the generator meanwhile", attrgetter("generator")),
    ):
        rows += [Row(title, name, tuple(values(each)), "s", 2) for name, each in found.items()]
    return rows


async def _measure(peer: Peer, count: int, figures: _Figures) -> None:
    with Server(peer) as server:
        async with Generator("reconnect", server.port, count, retry=RETRY) as generator:
            killed = time.monotonic()
            server.replace()
            result = await generator.read_result()
            figures.cpu.append(server.cpu_seconds())
    if result["connections"] != count:
        raise GeneratorError(f"only {result['connections']} clients returned to {peer.name}")
    figures.total.append(result["last_back"] - killed)
    figures.start.append(result["first_back"] - killed)
    figures.generator.append(result["cpu"])
