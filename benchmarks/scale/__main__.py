"""Measure workers: `python -m benchmarks.scale [--seconds S] [--rounds N] [--members N]`.

All figures are CPU time of all processes of a server, in microseconds, and medians of rounds in
which the servers take turns. The program prints a table with the goals.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.imports.processes import find_tree, tree_cpu_seconds
from benchmarks.peers import BENCHMARKS, OUR_PYTHON, Peer, Server, raise_file_limit
from benchmarks.scale import moves
from benchmarks.workloads import Broadcasts, EventsWithAck, Workload

_OURS = (str(OUR_PYTHON), "-m", "socketio_core", "benchmarks.scale.app:io", "--log-level", "error")
NODE = Peer("Node, 2 workers", ("node", str(BENCHMARKS / "scale" / "node_cluster.js"), "2"), ())
START_SECONDS = 2.0  # the workers behind a listening socket


class TreeServer(Server):
    """A server with several processes."""

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes."""
        return tree_cpu_seconds(self._process.pid)

    def memory_bytes(self) -> int:
        """Return the memory of all processes; shared pages count once."""
        total = 0
        for pid in find_tree(self._process.pid):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            found = re.search(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)
            assert found is not None, "the kernel reports Pss for every process"
            total += int(found[1]) * 1024
        return total


class Row(NamedTuple):
    """One line of the report."""

    name: str
    value: float
    unit: str
    compared_with: float
    goal: float


def workers(count: int) -> TreeServer:
    """Return this project's server with a number of workers."""
    return TreeServer(Peer(f"ours, {count} workers", (*_OURS, "--workers", str(count))))


async def take_turns(
    servers: list[TreeServer], make: Callable[[], Workload], seconds: float, rounds: int
) -> list[float]:
    """Return the median CPU time per message of each server."""
    loads = [make() for _ in servers]
    for server, load in zip(servers, loads, strict=True):
        await load.prepare(server)
    costs: list[list[float]] = [[] for _ in servers]
    for _ in range(rounds):
        for server, load, found in zip(servers, loads, costs, strict=True):
            found.append((await load.measure(server, seconds)).cost)
    for load in loads:
        await load.finish()
    return [median(found) for found in costs]


async def cost_of(
    server: TreeServer, work: Callable[[], Awaitable[None]], count: int, rounds: int
) -> float:
    """Return the median CPU time of one of `count` operations that `work` does."""
    await work()
    costs = []
    for _ in range(rounds):
        before = server.cpu_seconds()
        await work()
        costs.append((server.cpu_seconds() - before) / count * 1e6)
    return median(costs)


async def measure(seconds: float, rounds: int, members: int) -> list[Row]:
    """Return the figures of all measurements."""
    rows = []
    with workers(1) as one, workers(2) as two, TreeServer(NODE) as node:
        await asyncio.sleep(START_SECONDS)
        ours, theirs = await take_turns([two, node], lambda: Broadcasts(members), seconds, rounds)
        rows.append(Row(f"delivery of a broadcast to {members} members, 2 workers, against Node's "
                        "cluster adapter", ours, "us", theirs, 0.45))  # fmt: skip
        single, double = await take_turns([one, two], EventsWithAck, seconds, rounds)
        rows.append(Row("event with ack, 2 workers, against 1 worker", double, "us", single, 1.05))
        count = 400
        websocket = await cost_of(
            one, lambda: moves.connect_websockets(one.port, count), count, rounds
        )
        plain_sid, pair = await moves.open_session(one.port), await moves.open_pair(two.port)
        plain = await cost_of(
            one, lambda: moves.post_on_new_connections(one.port, plain_sid, count), count, rounds
        )
        moved = await cost_of(
            two, lambda: moves.post_on_new_connections(two.port, pair[0], count), count, rounds
        )
        # The kernel gives the owner half of the connections.
        rows.append(Row("hand-over of a new connection, against a WebSocket connect",
                        (moved - plain) * 2, "us", websocket, 1.0))  # fmt: skip
        same = await cost_of(
            two, lambda: moves.post_in_turns(two.port, (pair[0], pair[0]), count), count, rounds
        )
        turns = await cost_of(
            two, lambda: moves.post_in_turns(two.port, pair, count), count, rounds
        )
        rows.append(Row("request of another worker on a kept connection, against a WebSocket "
                        "connect", turns - same, "us", websocket, 1.0))  # fmt: skip
        memory = two.memory_bytes()
    with workers(3) as three:
        await asyncio.sleep(START_SECONDS)
        more = (three.memory_bytes() - memory) / 1024 / 1024
    rows.append(Row("memory of one more worker, against the goal", more, "MB", 30.0, 1.0))
    return rows


def main() -> int:
    """Print the figures; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--members", type=int, default=500, help="clients of a broadcast")
    options = parser.parse_args()
    raise_file_limit()
    rows = asyncio.run(measure(options.seconds, options.rounds, options.members))
    print("| Measurement | CPU or memory | Compared with | Ratio | Goal |\n|---|---|---|---|---|")
    for name, value, unit, other, goal in rows:
        ratio = value / other
        print(f"| {name} | {value:.1f} {unit} | {other:.1f} {unit} | {ratio:.2f} | {goal:.2f} |")
    return int(any(value > other * goal for _, value, _, other, goal in rows))


if __name__ == "__main__":
    sys.exit(main())
