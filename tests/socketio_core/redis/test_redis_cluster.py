"""The sharded adapter on a Redis Cluster: channels on several masters, and slots that move."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from socketio_core import RedisSharded
from socketio_core.adapters.redis import cluster as redis_cluster
from socketio_core.adapters.redis.cluster import RedisClusterLink, find_slot
from tests.helpers.redis_cluster import RedisClusterServers, running_cluster
from tests.socketio_core.redis.conftest import PATIENCE, Pair, until


@pytest.fixture(scope="module")
def redis_cluster_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RedisClusterServers]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


def make_factory(url: str) -> RedisSharded:
    return RedisSharded(url, cluster=True)


class ClusterPair(Pair):
    """Two servers on a Redis Cluster."""

    async def connected(self) -> None:
        await until(lambda: all(each.broker.connected for each in self.factories))


async def receive(pair: Pair, room: str, client: Any) -> None:
    """Send to a room until the client of the other server receives it."""
    client.received.clear()
    while not any(name == room for name, _ in client.received):
        pair.ios[0].to(room).emit(room)
        await asyncio.sleep(0.02)


# Values of the Redis Cluster specification ("123456789") and of CLUSTER KEYSLOT
@pytest.mark.parametrize(("channel", "slot"), [
    (b"123456789", 0x31C3), (b"foo", 12182), (b"{user1000}.following", 3443),
    (b"{user1000}.followers", 3443), (b"foo{}{bar}", 8363), (b"foo{{bar}}zap", 4015),
    (b"foo{bar}{zap}", 5061),
])  # fmt: skip
def test_slot_of_a_channel(channel: bytes, slot: int) -> None:
    assert find_slot(channel) == slot


async def test_rooms_on_all_masters_work(redis_cluster_servers: RedisClusterServers) -> None:
    async with ClusterPair(redis_cluster_servers.url, make_factory) as pair:
        here = await pair.servers[0].connect()
        there = await pair.servers[1].connect()
        rooms = [f"room{number}" for number in range(12)]
        slots = {find_slot(f"socket.io#/#{room}#".encode()) for room in rooms}
        assert len({redis_cluster_servers.owner(slot) for slot in slots}) == 3
        pair.ios[1].sockets[there.id].join(*rooms)
        for room in rooms:
            await receive(pair, room, there)
        assert len(await pair.ios[0].fetch_sockets()) == 2
        assert [await io.server_count() for io in pair.ios] == [2, 2]
        there.auto_ack = here.auto_ack = lambda name, args: args
        answers = await pair.ios[0].timeout(120).emit_with_ack("q", 1)
        assert answers.responses == [[1], [1]]
        status = pair.ios[0].adapter_status()
        assert status is not None
        assert (status.connected, status.error, status.dropped) == (True, "", 0)
        assert status.published > 12


async def test_channel_follows_its_slot_to_another_master(
    redis_cluster_servers: RedisClusterServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cluster, "REFRESH_INTERVAL", 600.0)  # only notices cause a refresh
    slot = find_slot(b"socket.io#/#moving#")
    main = find_slot(b"socket.io#/#")
    async with ClusterPair(redis_cluster_servers.url, make_factory) as pair:
        there = await pair.servers[1].connect()
        pair.ios[1].sockets[there.id].join("moving")
        await receive(pair, "moving", there)
        for each in (slot, main):
            target = (redis_cluster_servers.owner(each) + 1) % 3
            redis_cluster_servers.move(each, target)
        await receive(pair, "moving", there)

        async with asyncio.timeout(PATIENCE):
            while await pair.ios[0].server_count() != 2:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.05)
        assert len(await pair.ios[0].fetch_sockets()) == 1
        pair.ios[0].emit("all")
        assert await there.receive_event("all") == []


async def test_master_that_restarts_is_used_again(
    redis_cluster_servers: RedisClusterServers,
) -> None:
    async with ClusterPair(redis_cluster_servers.url, make_factory) as pair:
        here = await pair.servers[0].connect()
        there = await pair.servers[1].connect()
        rooms = [f"room{number}" for number in range(12)]
        pair.ios[1].sockets[there.id].join(*rooms)
        for room in rooms:
            await receive(pair, room, there)
        redis_cluster_servers.nodes[2].stop()
        await until(lambda: not any(each.broker.connected for each in pair.factories))
        pair.ios[0].emit("local")
        assert await here.receive_event("local") == []
        redis_cluster_servers.nodes[2].start()
        await pair.connected()
        for room in rooms:
            await receive(pair, room, there)


async def test_messages_wait_until_the_masters_are_known() -> None:
    link = RedisClusterLink("redis://localhost:1", {}, list, max_queue_bytes=100)
    for number in range(10):
        link.publish(b"SPUBLISH", b"channel", b"%d" % number)
    assert link.queued_bytes <= 100
    assert link.dropped == 10 - len(link._homeless)
    replies: list[Any] = []
    link.query(replies.append, b"PUBSUB", b"SHARDNUMSUB", b"channel")
    assert replies == [None]
    assert not link.connected
    await link.close()


async def test_unavailable_cluster_is_reported() -> None:
    states: list[str] = []
    link = RedisClusterLink("redis://127.0.0.1:1", {}, lambda: states.append("connected"))
    link.start()
    await until(lambda: "ConnectionError" in link.error)
    await link.close()
    assert states == []
