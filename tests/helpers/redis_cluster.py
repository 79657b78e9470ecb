"""A Redis Cluster of three masters without replicas, for tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.helpers.ports import reserve_port
from tests.helpers.redis_server import RedisServer

SLOTS = 16_384
START_TIMEOUT = 300.0


class RedisClusterServers:
    """Three masters, each with a third of the slots."""

    def __init__(self, nodes: list[RedisServer]) -> None:
        self.nodes = nodes
        self.url = nodes[0].url
        self.ids = [node.command("CLUSTER", "MYID").split()[1].decode() for node in nodes]

    def move(self, slot: int, target: int) -> None:
        """Make another master the owner of a slot without keys."""
        owner = self.owner(slot)
        for node in (target, owner, 3 - target - owner):
            reply = self.nodes[node].command(
                "CLUSTER", "SETSLOT", str(slot), "NODE", self.ids[target]
            )
            assert reply == b"+OK\r\n", reply

    def owner(self, slot: int) -> int:
        """Return the number of the master that first had a slot."""
        return next(number for number in range(3) if slot in thirds()[number])


def thirds() -> list[range]:
    """Return the slots of each master."""
    return [range(SLOTS * number // 3, SLOTS * (number + 1) // 3) for number in range(3)]


@contextmanager
def running_cluster(directory: Path) -> Iterator[RedisClusterServers]:
    """Run a Redis Cluster for the duration of a test."""
    nodes = []
    buses = [reserve_port() for _ in range(3)]
    with ExitStack() as stack:
        for number, bus in enumerate(buses):
            folder = directory / str(number)
            folder.mkdir()
            node = RedisServer(
                folder, "--cluster-enabled", "yes", "--cluster-port", str(bus),
                "--cluster-node-timeout", "2000",
            )  # fmt: skip
            node.start()
            stack.callback(node.stop)
            nodes.append(node)
        for node, slots in zip(nodes, thirds(), strict=True):
            reply = node.command("CLUSTER", "ADDSLOTSRANGE", str(slots[0]), str(slots[-1]))
            assert reply == b"+OK\r\n", reply
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(node.port), str(bus))
        end = time.monotonic() + START_TIMEOUT
        while not all(
            b"cluster_state:ok" in (info := node.command("CLUSTER", "INFO"))
            and b"cluster_known_nodes:3" in info
            for node in nodes
        ):
            assert time.monotonic() < end, "the cluster was not formed"
            time.sleep(0.05)
        yield RedisClusterServers(nodes)
