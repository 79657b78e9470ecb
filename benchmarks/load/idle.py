"""Rows of idle connections: their number, memory and heartbeats, and another client meanwhile."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass, field

from benchmarks.hostile.victim import Victim
from benchmarks.load.effort import Effort
from benchmarks.load.generator import Generator, GeneratorError
from benchmarks.load.rows import Row
from benchmarks.peers import NODE, OURS_SYNC, Peer, Server

#: Open files of the server and the generator that are not connections of the generator.
RESERVE = 60


@dataclass
class _Figures:
    memory: list[float] = field(default_factory=list)
    heartbeat: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)


def count_connections(most: int) -> int:
    """Return the number of connections that the limit of open files allows, up to `most`."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVE, most)


async def measure_idle(effort: Effort) -> list[Row]:
    """Return the rows of this project's server and of Node's."""
    count = count_connections(effort.most_idle)
    peers = {
        "ours": OURS_SYNC.with_flags("--ping-interval", f"{effort.ping_interval:g}"),
        "Node": NODE.with_flags(f"--ping-interval={effort.ping_interval:g}"),
    }
    found = {name: _Figures() for name in peers}
    for _ in range(effort.few_rounds):
        for name, peer in peers.items():
            await _measure(peer, count, found[name], effort)
    rows = [Row("idle connections held", name, (count,), "") for name in peers]
    for name, each in found.items():
        rows.append(Row("memory per idle connection", name, tuple(each.memory), "KiB", 1))
    for name, each in found.items():
        rows.append(Row("CPU time of a heartbeat", name, tuple(each.heartbeat), "us", 1))
    for name, each in found.items():
        rows.append(Row("p99 of another client meanwhile", name, tuple(each.p99), "ms", 1))
    return rows


async def _measure(peer: Peer, count: int, figures: _Figures, effort: Effort) -> None:
    with Server(peer) as server:
        before = server.memory_bytes()
        async with Generator("idle", server.port, count) as generator:
            figures.memory.append((server.memory_bytes() - before) / count / 1024)
            used = server.cpu_seconds()
            await asyncio.sleep(effort.ping_interval)  # each connection gets one ping
            figures.heartbeat.append((server.cpu_seconds() - used) / count * 1e6)
            victim = Victim(server.port)
            await victim.start()
            await asyncio.sleep(effort.victim_seconds)
            await victim.stop()
            waits = sorted(victim.waits)
            figures.p99.append(waits[len(waits) * 99 // 100])
            generator.end()
            result = await generator.read_result()
    if result["connections"] != count:
        raise GeneratorError(f"{peer.name} held {result['connections']} of {count} connections")
