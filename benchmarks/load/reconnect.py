"""Rows of reconnections: many clients return after a kill of their server."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from benchmarks.load.generator import Generator
from benchmarks.load.rows import Row
from benchmarks.peers import NODE, OURS_SYNC, Peer, Server

CLIENTS = 5000
RETRY = 25  # milliseconds between two attempts of a client, on average
GOAL = 1.5


@dataclass
class _Figures:
    total: list[float] = field(default_factory=list)
    start: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)


async def measure_reconnect(rounds: int) -> list[Row]:
    """Return the rows of this project's server and of Node's."""
    peers = {"ours": OURS_SYNC, "Node": NODE}
    found = {name: _Figures() for name in peers}
    for _ in range(rounds):
        for name, peer in peers.items():
            await _measure(peer, found[name])
    rows = []
    for name, each in found.items():
        goal = GOAL if name == "ours" else None
        rows.append(
            Row(f"{CLIENTS:,} clients back after a kill", name, tuple(each.total), "s", 2, goal)
        )
    for name, each in found.items():
        rows.append(Row("of it, until the first one is back", name, tuple(each.start), "s", 2))
    for name, each in found.items():
        rows.append(Row("attempts of more than 0.9 s", name, tuple(each.slow), "clients"))
    return rows


async def _measure(peer: Peer, figures: _Figures) -> None:
    with Server(peer) as server:
        async with Generator("reconnect", server.port, CLIENTS, retry=RETRY) as generator:
            killed = time.monotonic()
            server.replace()
            result = await generator.read_result()
    if result["connections"] != CLIENTS:
        raise RuntimeError(f"only {result['connections']} clients returned to {peer.name}")
    figures.total.append(result["last_back"] - killed)
    figures.start.append(result["first_back"] - killed)
    figures.slow.append(result["slow"])
