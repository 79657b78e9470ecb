"""Rows of workers: broadcasts, acked events, moved connections and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median

from benchmarks.peers import BENCHMARKS, OUR_PYTHON, Peer
from benchmarks.scale import moves
from benchmarks.scale.results import Row
from benchmarks.scale.servers import TreeServer
from benchmarks.scale.turns import take_turns
from benchmarks.workloads import Broadcasts, EventsWithAck

_OURS = (str(OUR_PYTHON), "-m", "socketio_core", "benchmarks.scale.app:io", "--log-level", "error")
NODE = Peer("Node, 2 workers", ("node", str(BENCHMARKS / "scale" / "node_cluster.js"), "2"), ())
START_SECONDS = 2.0  # the workers behind a listening socket
OPERATIONS = 400


def workers(count: int) -> TreeServer:
    """Return this project's server with a number of workers."""
    return TreeServer(Peer(f"ours, {count} workers", (*_OURS, "--workers", str(count))))


async def measure_workers(seconds: float, rounds: int, members: int) -> list[Row]:
    """Return the rows of workers."""
    rows = []
    with workers(1) as one, workers(2) as two, TreeServer(NODE) as node:
        await asyncio.sleep(START_SECONDS)
        ours, theirs = await take_turns(
            [(two, Broadcasts(members)), (node, Broadcasts(members))], seconds, rounds
        )
        rows.append(Row.compare(
            f"delivery of a broadcast to {members} clients of 2 workers", ours, theirs,
            "Node's cluster adapter", 0.45,
        ))  # fmt: skip
        double, single = await take_turns(
            [(two, EventsWithAck()), (one, EventsWithAck())], seconds, rounds
        )
        rows.append(Row.compare("event with ack, 2 workers", double, single, "1 worker", 1.05))
        rows += await _measure_moves(one, two, rounds)
        memory = two.memory_bytes()
    with workers(3) as three:
        await asyncio.sleep(START_SECONDS)
        more = (three.memory_bytes() - memory) / 1024 / 1024
    rows.append(Row("memory of one more worker", more, "MB", 30.0))
    return rows


async def _measure_moves(one: TreeServer, two: TreeServer, rounds: int) -> list[Row]:
    """Return the cost of moved connections, against WebSocket connects."""

    async def cost_of(server: TreeServer, work: Callable[[], Awaitable[None]]) -> float:
        """Return the median CPU time of one of the operations that `work` does."""
        await work()
        costs = []
        for _ in range(rounds):
            before = server.cpu_seconds()
            await work()
            costs.append((server.cpu_seconds() - before) / OPERATIONS * 1e6)
        return median(costs)

    websocket = await cost_of(one, lambda: moves.connect_websockets(one.port, OPERATIONS))
    plain_sid, pair = await moves.open_session(one.port), await moves.open_pair(two.port)
    plain = await cost_of(
        one, lambda: moves.post_on_new_connections(one.port, plain_sid, OPERATIONS)
    )
    moved = await cost_of(two, lambda: moves.post_on_new_connections(two.port, pair[0], OPERATIONS))
    same = await cost_of(two, lambda: moves.post_in_turns(two.port, (pair[0], pair[0]), OPERATIONS))
    turns = await cost_of(two, lambda: moves.post_in_turns(two.port, pair, OPERATIONS))
    # The kernel gives the owner half of the new connections.
    return [
        Row(name, cost, "us", 1.0, websocket, "WebSocket connect", cost / websocket)
        for name, cost in (
            ("hand-over of a new connection", (moved - plain) * 2),
            ("request of another worker on a kept connection", turns - same),
        )
    ]
