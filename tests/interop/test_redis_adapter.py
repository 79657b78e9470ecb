"""The hub on Redis: other servers and emitters send events to its clients (rows S87 and S88)."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from socketio_core import Emitter, RedisClassic, RedisSharded, RedisStreams, SocketServer
from tests.helpers.redis_server import RedisServer, running_redis
from tests.hextrackr_server.client import connected
from tests.interop import program

pytestmark = pytest.mark.redis

FACTORIES: dict[str, Any] = {
    "classic": RedisClassic, "sharded": RedisSharded, "streams": RedisStreams,
}  # fmt: skip
CLUSTER = Path(__file__).parent.parent / "cluster"
LIMIT = 300.0
NODE_EMITTER = """
    const { createClient } = require("redis");
    const { Emitter } = require("@socket.io/redis-emitter");
    const client = createClient({ url: process.argv[1] });
    client.connect().then(async () => {
        new Emitter(client).to("user-7").emit("ticket-changed", { id: 5 });
        await client.quit();
    });
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.mark.parametrize("kind", ["classic", "sharded", "streams"])
async def test_s087_broadcast_of_another_server_reaches_the_clients_of_the_hub(
    kind: str, redis: RedisServer, tmp_path: Path
) -> None:
    token = program.token(tmp_path, "7")
    with program.run_server(tmp_path, REDIS_URL=redis.url, HEXTRACKR_REDIS_ADAPTER=kind) as server:
        io = SocketServer(adapter=FACTORIES[kind](redis.url))
        async with io, connected(server.url, {"token": token}) as client:
            async with asyncio.timeout(LIMIT):
                while await io.server_count() < 2:  # noqa: ASYNC110 - the hub connects
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(LIMIT):
                # The sharded adapter subscribes to a room's channel when its first client joins.
                while not client.payloads("ticket-changed"):
                    io.to("user-7").emit("ticket-changed", {"id": 5})
                    await asyncio.sleep(0.1)
            assert client.payloads("ticket-changed")[0] == {"id": 5}


async def test_s087_emitter_of_node_reaches_the_clients_of_the_hub(
    redis: RedisServer, tmp_path: Path
) -> None:
    token = program.token(tmp_path, "7")
    with program.run_server(tmp_path, REDIS_URL=redis.url) as server:
        async with connected(server.url, {"token": token}) as client:
            command = ["node", "-e", NODE_EMITTER, redis.url]
            async with asyncio.timeout(LIMIT):
                while not client.payloads("ticket-changed"):  # the hub connects to Redis meanwhile
                    await asyncio.to_thread(subprocess.run, command, cwd=CLUSTER, check=True)
                    await asyncio.sleep(0.1)
            assert client.payloads("ticket-changed")[0] == {"id": 5}


async def test_s088_hub_serves_its_clients_while_redis_is_down(tmp_path: Path) -> None:
    token = program.token(tmp_path, "7")
    with (
        running_redis(tmp_path) as redis,
        program.run_server(tmp_path, REDIS_URL=redis.url) as server,
    ):
        async with connected(server.url, {"token": token}) as client:
            redis.stop()
            reply = await client.emit_with_ack("start-editing", "ticket", "5")
            assert reply["success"]
            async with connected(server.url, {"token": token}) as other:
                await client.emit_with_ack("stop-editing", "ticket", "5")
                await other.receive_event("user-stopped-editing")
            redis.start()
            async with asyncio.timeout(LIMIT), Emitter(redis.url) as emitter:
                while not client.payloads("ticket-changed"):
                    await emitter.to("user-7").emit("ticket-changed", {"id": 5})
                    await asyncio.sleep(0.2)
