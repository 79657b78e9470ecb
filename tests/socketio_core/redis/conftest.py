"""A Redis server for the tests of this folder, and two servers that share it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from socketio_core import SocketServer
from socketio_core.adapters.redis.classic import RedisClassic
from socketio_core.adapters.redis.factory import RedisFactory
from socketio_core.adapters.redis.sharded import RedisSharded
from socketio_core.adapters.streams.adapter import RedisStreams
from socketio_core.testing import TestClient, TestServer
from tests.helpers.redis_server import RedisServer, running_redis
from tests.helpers.stalling_proxy import StallingProxy

PATIENCE = 300.0

ADAPTERS: dict[str, Callable[[str], RedisFactory]] = {
    "classic": RedisClassic,
    "classic-specific": lambda url: RedisClassic(url, specific_response_channel=True),
    "sharded-dynamic": RedisSharded,
    "sharded-private": lambda url: RedisSharded(url, subscription_mode="dynamic-private"),
    "sharded-static": lambda url: RedisSharded(url, subscription_mode="static"),
    "streams": RedisStreams,
}


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds. Raises TimeoutError after PATIENCE seconds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - conditions on other processes have no event
            await asyncio.sleep(0.005)


class Pair:
    """Two servers in one process that are connected by Redis only."""

    def __init__(self, url: str, create: Callable[[str], RedisFactory], **options: Any) -> None:
        self.factories = [create(url), create(url)]
        self.ios = [SocketServer(adapter=each, **options) for each in self.factories]
        self.servers = [TestServer(io) for io in self.ios]

    async def __aenter__(self) -> Pair:
        for server in self.servers:
            await server.__aenter__()
        await self.connected()
        return self

    async def connected(self) -> None:
        """Wait until both servers are connected."""
        await until(lambda: all(each.status().connected for each in self.factories))

    async def check_order_over(self, proxy: StallingProxy) -> None:
        """Check that events over a slow proxy arrive in order, and locally without waiting."""
        here, there = await self.servers[0].connect(), await self.servers[1].connect()
        proxy.slow_down(100, 0.002)
        for number in range(30):
            self.ios[0].emit("x", number)
            assert here.received[-1] == ("x", [number])
        await until(lambda: len(there.received) >= 30)
        assert [args for _, args in there.received] == [[number] for number in range(30)]

    async def send_until_received(self, there: TestClient, text: str) -> None:
        """Send events with a text until the client of the other server has one."""
        async with asyncio.timeout(120):
            while not any(args == [text] for _, args in there.received):
                self.ios[0].emit("x", text)
                await asyncio.sleep(0.05)

    async def __aexit__(self, *error: object) -> None:
        for server in self.servers:
            await server.__aexit__(None, None, None)


@pytest.fixture(params=list(ADAPTERS))
async def pair(request: pytest.FixtureRequest, redis: RedisServer) -> AsyncIterator[Pair]:
    async with Pair(redis.url, ADAPTERS[request.param]) as servers:
        yield servers
