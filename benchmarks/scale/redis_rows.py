"""Rows of two servers on Redis: the CPU time per delivery, next to Node's Redis adapter."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.peers import BENCHMARKS, OUR_PYTHON, Peer
from benchmarks.scale.results import Row
from benchmarks.scale.servers import Cluster, ClusterBroadcasts
from benchmarks.scale.turns import take_turns
from benchmarks.workloads import Target, Workload
from tests.helpers.redis_server import running_redis

GOAL = 0.45
SERVERS = 2
_OURS = (str(OUR_PYTHON), "-m", "benchmarks.servers.ours")
_NODE = ("node", str(BENCHMARKS / "scale" / "node_redis.js"))


async def measure_redis(seconds: float, rounds: int, members: int) -> list[Row]:
    """Return the rows of both adapters, with few and with many clients."""
    rows = []
    for adapter in ("classic", "sharded"):
        for count in (members // 5, members):
            with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
                ours, node = await _measure(adapter, Path(folder), seconds, rounds, count)
            name = f"delivery of a broadcast to {count} clients of 2 servers, Redis, {adapter}"
            rows.append(Row.compare(name, ours, node, "Node", GOAL))
    return rows


async def _measure(
    adapter: str, folder: Path, seconds: float, rounds: int, members: int
) -> list[list[float]]:
    # With one Redis, the four servers would be one cluster: their messages are compatible.
    with running_redis(folder) as first, running_redis(folder) as second:
        options = ("--adapter", adapter, "--redis")
        ours = Peer("ours", (*_OURS, *options, first.url))
        node = Peer("Node", (*_NODE, *options, second.url), ())
        with Cluster(ours, SERVERS) as our_cluster, Cluster(node, SERVERS) as node_cluster:
            pairs: list[tuple[Target, Workload]] = [
                (each, ClusterBroadcasts(members)) for each in (our_cluster, node_cluster)
            ]
            return await take_turns(pairs, seconds, rounds)
