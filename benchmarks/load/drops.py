"""Rows of delivery: events that reach official clients whose connections break all the time.

The rows of clusters have two servers with one Redis stream, to which the clients return in turns.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load.effort import Effort
from benchmarks.load.proxy import BreakingProxy
from benchmarks.load.rows import Row
from benchmarks.peers import BENCHMARKS, OUR_PYTHON, Peer, Server
from benchmarks.scale.servers import Cluster
from tests.helpers.redis_server import running_redis

CLIENTS = 20
PATIENCE = 90.0
_NODE = ("node", str(BENCHMARKS / "load" / "ticker.js"))
PEERS = {
    "ours": Peer("ours", (str(OUR_PYTHON), "-m", "benchmarks.load.ticker")),
    "Node": Peer("Node", _NODE, ()),
    "Node, defaults": Peer("Node, defaults", (*_NODE, "--no-recovery"), ()),
}
WITH_RECOVERY = ("ours", "Node")
#: The ways in which connections break, and the transports of the clients.
WAYS = {
    "broken connections": (False, "websocket"),
    "broken connections, polling first": (False, "polling,websocket"),
    "connections whose server notices later": (True, "websocket"),
}
#: The ways of two servers. Clients use WebSockets only, which need no sticky sessions.
CLUSTER_WAYS = {
    "two servers with Redis": (False, "websocket"),
    "two servers with Redis, which notice later": (True, "websocket"),
}
SERVERS = 2


@dataclass
class _Figures:
    delivered: list[float] = field(default_factory=list)
    restored: list[float] = field(default_factory=list)


async def measure_drops(effort: Effort) -> list[Row]:
    """Return the rows of this project's server, of Node's, and of Node's without recovery.

    The servers of one way run at the same time: only delivery counts, and their load is small.
    """
    found = {(way, name): _Figures() for way in WAYS for name in WITH_RECOVERY}
    found |= {(next(iter(WAYS)), name): _Figures() for name in PEERS if name not in WITH_RECOVERY}
    return await _measure_ways(found, effort)


async def measure_cluster_drops(effort: Effort) -> list[Row]:
    """Return the rows of two servers with one Redis stream, and of Node's."""
    found = {(way, name): _Figures() for way in CLUSTER_WAYS for name in WITH_RECOVERY}
    return await _measure_ways(found, effort)


async def _measure_ways(found: dict[tuple[str, str], _Figures], effort: Effort) -> list[Row]:
    for _ in range(effort.few_rounds):
        for way in dict.fromkeys(way for way, _ in found):
            async with asyncio.TaskGroup() as group:
                for (each, name), figures in found.items():
                    if each == way:
                        group.create_task(_measure(PEERS[name], way, figures, effort.tick_seconds))
    rows = []
    for (way, name), figures in found.items():
        goal = 100 if name == "ours" else None
        rows.append(Row(
            f"delivered, {way}", name, tuple(figures.delivered), "%", 2, goal, is_minimum=True
        ))  # fmt: skip
    for (way, name), figures in found.items():
        if name in WITH_RECOVERY:
            rows.append(Row(f"restored sessions, {way}", name, tuple(figures.restored), "%", 1))
    return rows


async def _measure(peer: Peer, way: str, figures: _Figures, seconds: int) -> None:
    is_silent, transports = (WAYS | CLUSTER_WAYS)[way]
    with _running(peer, is_cluster=way in CLUSTER_WAYS) as ports:
        result = await _run(ports, transports, seconds, is_silent=is_silent)
    figures.delivered.append(result["received"] / result["expected"] * 100)
    returns = result["recovered"] + result["fresh"]
    figures.restored.append(result["recovered"] / max(1, returns) * 100)


@contextmanager
def _running(peer: Peer, *, is_cluster: bool) -> Iterator[list[int]]:
    """Run a server, or the servers of a cluster with a Redis of their own; yield their ports."""
    if not is_cluster:
        with Server(peer) as server:
            yield [server.port]
        return
    with (
        tempfile.TemporaryDirectory(prefix="bench-redis-") as folder,
        running_redis(Path(folder)) as redis,
        Cluster(peer.with_flags("--redis", redis.url), SERVERS) as cluster,
    ):
        yield cluster.ports


async def _run(
    ports: list[int], transports: str, seconds: int, *, is_silent: bool
) -> dict[str, Any]:
    """Return the result that the clients print."""
    async with BreakingProxy(*ports, is_silent=is_silent) as proxy:
        words = (proxy.port, ports[0], CLIENTS, seconds, transports)
        clients = await asyncio.create_subprocess_exec(
            "node", str(BENCHMARKS / "load" / "listeners.js"), *map(str, words),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert clients.stdout is not None, "standard output is a pipe"
        try:
            async with asyncio.timeout(PATIENCE):
                await clients.stdout.readline()  # connected
                proxy.is_breaking = True
                await clients.stdout.readline()  # ended
                proxy.is_breaking = False
                line = await clients.stdout.readline()
        finally:
            if clients.returncode is None:
                clients.kill()
            await clients.wait()
    result: dict[str, Any] = json.loads(line)
    return result | {"broken": proxy.broken}
