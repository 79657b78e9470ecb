"""Rows of a restart of Redis under load: how long servers do not reach each other, by the clock.

A client of the first server broadcasts all the time. Its own deliveries must not pause; those of a
client of the second server must resume soon after Redis accepts connections again.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks import wire
from benchmarks.peers import OUR_PYTHON, Peer
from benchmarks.scale.results import Row
from benchmarks.scale.servers import Cluster
from benchmarks.websocket_client import WebSocketClient, close_clients, open_client
from tests.helpers.redis_server import RedisServer, running_redis

GOAL = 5.0
OUTAGE_SECONDS = 3.0
LIMIT = 60.0
INTERVAL = 0.005
RESTARTS = 3
_SERVER = (str(OUR_PYTHON), "-m", "benchmarks.servers.ours")
_FRAME = wire.frame(wire.event("bcast", wire.payload(64), 100))


class Deliveries:
    """The times at which one client receives messages."""

    def __init__(self, client: WebSocketClient) -> None:
        self.client = client
        client.on_replies = self._received
        self.last = perf_counter()
        self.longest = 0.0
        """The longest pause in seconds."""

    def _received(self, count: int, now: float) -> None:
        self.longest = max(self.longest, now - self.last)
        self.last = now

    async def after(self, moment: float) -> float:
        """Return the time of a delivery after a moment. Raises TimeoutError."""
        async with asyncio.timeout(LIMIT):
            while self.last <= moment:  # noqa: ASYNC110 - the clients have no event
                await asyncio.sleep(0.001)
        return self.last


async def _broadcast(client: WebSocketClient) -> None:
    while True:
        client.tcp.write(_FRAME)
        await asyncio.sleep(INTERVAL)


async def measure_outage(seconds: float, rounds: int, members: int) -> list[Row]:
    """Return two rows for each adapter: seconds until deliveries resume, and the local pause."""
    rows = []
    for adapter in ("classic", "sharded", "streams"):
        with (
            tempfile.TemporaryDirectory(prefix="bench-outage-") as folder,
            running_redis(Path(folder)) as redis,
            Cluster(Peer("ours", (*_SERVER, "--adapter", adapter, "--redis", redis.url)), 2)
            as cluster,
        ):  # fmt: skip
            resumed, pause = await _measure(cluster, redis)
        name = f"delivery on another server after a start of Redis, {adapter}"
        rows.append(Row(name, median(resumed), "s", GOAL, most=max(resumed)))
        name = f"longest pause of local deliveries without Redis, {adapter}"
        rows.append(Row(name, pause * 1000, "ms", None))
    return rows


async def _measure(cluster: Cluster, redis: RedisServer) -> tuple[list[float], float]:
    here, there = [Deliveries(await open_client(port)) for port in cluster.ports]
    load = asyncio.create_task(_broadcast(here.client))
    resumed, pauses = [], []
    try:
        await there.after(perf_counter())
        for _ in range(RESTARTS):
            await asyncio.to_thread(redis.stop)
            here.longest = 0.0
            await asyncio.sleep(OUTAGE_SECONDS)
            pauses.append(max(here.longest, perf_counter() - here.last))
            began = perf_counter()
            await asyncio.to_thread(redis.start)
            resumed.append(await there.after(began) - began)
    finally:
        load.cancel()
        await close_clients([here.client, there.client])
    return resumed, max(pauses)
