"""Redis stops and starts again while two server processes are under load.

`python -m benchmarks.scale --only outage` measures the time until servers reach each other again;
this test only requires that they do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from socketio_core.adapters.redis.link import MAX_QUEUE_BYTES
from tests.cluster.support import Clients, clients, python_node, start_process, until
from tests.helpers.redis_server import RedisServer, running_redis

SERVERS = ("p1", "p2")
LARGE = "x" * 500_000
MEBIBYTE = 1024 * 1024


class Load:
    """A client of p1 that sends events to all clients, one after the other, without a pause.

    Each event must reach that client before its ack: local delivery does not wait for Redis.
    """

    def __init__(self, driver: Clients) -> None:
        self._driver = driver
        self._task = asyncio.create_task(self._run())
        self.sent = 0

    async def _run(self) -> None:
        await self._driver.events("p1")
        while True:
            await self._driver.ask("p1", "emit", {}, "tick", self.sent)
            received = await self._driver.events("p1")
            assert received == [["tick", self.sent]], "local delivery waits for Redis"
            self.sent += 1

    async def more(self, count: int) -> None:
        """Wait until more events were sent."""
        target = self.sent + count

        async def is_done() -> bool:
            return self.sent >= target or self._task.done()

        await until(is_done)
        if self._task.done():
            await self._task

    async def __aenter__(self) -> Load:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Pair:
    """Two server processes on a Redis of their own, with one client each."""

    def __init__(self, redis: RedisServer, driver: Clients) -> None:
        self.redis = redis
        self.driver = driver
        self.pids: dict[str, int] = {}

    async def connected(self, name: str, expected: bool) -> None:
        """Wait until a server reports this state of its connection to Redis."""

        async def is_so() -> bool:
            return bool((await self.driver.ask(name, "status"))["connected"] is expected)

        await until(is_so)

    def memory(self) -> int:
        """Return the resident memory of both servers in bytes."""
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids.values()]
        sizes = [re.search(r"VmRSS:\s+(\d+) kB", each) for each in statuses]
        return sum(int(size[1]) * 1024 for size in sizes if size is not None)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture(params=["classic", "sharded", "streams"])
async def pair(request: pytest.FixtureRequest, own_redis: RedisServer) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        driver = await stack.enter_async_context(clients())
        found = Pair(own_redis, driver)
        for name in SERVERS:
            options = ("--redis", own_redis.url, "--adapter", request.param, "--name", name)
            process, url = await start_process(stack, *python_node(*options, "--port", "0"))
            found.pids[name] = process.pid
            await driver.connect(name, url)

        async def is_complete() -> bool:
            return all([await driver.ask(name, "server-count") == 2 for name in SERVERS])

        await until(is_complete)
        yield found


async def test_servers_survive_a_restart_of_redis_under_load(pair: Pair) -> None:
    driver = pair.driver
    async with Load(driver) as load:
        await load.more(20)
        await driver.events_until("p2", "tick")
        pair.redis.stop()
        for name in SERVERS:
            await pair.connected(name, False)
        await load.more(50)

        # Messages that no server receives fill the queue: almost five times its limit.
        before = pair.memory()
        for _ in range(160):
            await driver.ask("p1", "emit", {"rooms": ["nobody"]}, "large", LARGE)
        status = await driver.ask("p1", "status")
        assert status["queued_bytes"] <= MAX_QUEUE_BYTES
        assert status["dropped"] > 0
        grown = pair.memory() - before
        assert grown < 3 * MAX_QUEUE_BYTES, f"{grown / MEBIBYTE:.0f} MiB"
        # Requests end with the results of this server.
        found = await driver.ask("p1", "fetch", {"timeout": 1})
        assert (len(found["sockets"]), found["servers"]) == (1, 1)
        await load.more(50)

        await driver.events("p2")
        pair.redis.start()
        await driver.events_until("p2", "tick")
        for name in SERVERS:
            await pair.connected(name, True)
        found = await driver.ask("p1", "fetch", {})
        assert (len(found["sockets"]), found["servers"]) == (2, 0)
        await load.more(20)

        async def is_sent() -> bool:
            return bool((await driver.ask("p1", "status"))["queued_bytes"] < MEBIBYTE)

        await until(is_sent)
        dropped = (await driver.ask("p1", "status"))["dropped"]
        await load.more(50)
        assert (await driver.ask("p1", "status"))["dropped"] == dropped
