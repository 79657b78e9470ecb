"""Rows of delivery: events that reach official clients whose connections break all the time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load.effort import Effort
from benchmarks.load.proxy import BreakingProxy
from benchmarks.load.rows import Row
from benchmarks.peers import BENCHMARKS, OUR_PYTHON, Peer, Server

CLIENTS = 20
PATIENCE = 90.0
_NODE = ("node", str(BENCHMARKS / "load" / "ticker.js"))
PEERS = {
    "ours": Peer("ours", (str(OUR_PYTHON), "-m", "benchmarks.load.ticker")),
    "Node": Peer("Node", _NODE, ()),
    "Node, defaults": Peer("Node, defaults", (*_NODE, "--no-recovery"), ()),
}
#: The ways in which connections break, and the transports of the clients.
WAYS = {
    "broken connections": (False, "websocket"),
    "broken connections, polling first": (False, "polling,websocket"),
    "connections whose server notices later": (True, "websocket"),
}


@dataclass
class _Figures:
    delivered: list[float] = field(default_factory=list)
    restored: list[float] = field(default_factory=list)


async def measure_drops(effort: Effort) -> list[Row]:
    """Return the rows of this project's server, of Node's, and of Node's without recovery.

    The servers of one way run at the same time: only delivery counts, and their load is small.
    """
    with_recovery = list(PEERS)[:2]
    found = {(way, name): _Figures() for way in WAYS for name in with_recovery}
    found |= {(next(iter(WAYS)), name): _Figures() for name in PEERS if name not in with_recovery}
    for _ in range(effort.few_rounds):
        for way in WAYS:
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
        if name in with_recovery:
            rows.append(Row(f"restored sessions, {way}", name, tuple(figures.restored), "%", 1))
    return rows


async def _measure(peer: Peer, way: str, figures: _Figures, seconds: int) -> None:
    is_silent, transports = WAYS[way]
    result = await _run(peer, transports, seconds, is_silent=is_silent)
    figures.delivered.append(result["received"] / result["expected"] * 100)
    returns = result["recovered"] + result["fresh"]
    figures.restored.append(result["recovered"] / max(1, returns) * 100)


async def _run(peer: Peer, transports: str, seconds: int, *, is_silent: bool) -> dict[str, Any]:
    """Return the result that the clients print."""
    with Server(peer) as server:
        async with BreakingProxy(server.port, is_silent=is_silent) as proxy:
            words = (proxy.port, server.port, CLIENTS, seconds, transports)
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
