"""Redis stops, starts again, hangs, or refuses commands while servers are under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from socketio_core import RedisClassic, RedisSharded, RedisStreams, SocketServer
from socketio_core.adapters.redis import connection as redis_connection
from socketio_core.adapters.redis import link as redis_link
from socketio_core.adapters.redis import stream as redis_stream
from socketio_core.adapters.streams import link as streams_link
from socketio_core.testing import TestServer
from tests.helpers.redis_server import RedisServer, running_redis
from tests.socketio_core.redis.conftest import ADAPTERS, Pair, until

MAX_QUEUE_BYTES = 64 * 1024
MODES = ("classic", "sharded-dynamic", "sharded-static", "streams")


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as server:
        yield server


class Load:
    """A server that sends events all the time; each must reach its own client at once."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._task = asyncio.create_task(self._run())
        self.sent = 0

    async def _run(self) -> None:
        client = await self._pair.servers[0].connect()
        while True:
            self._pair.ios[0].emit("tick", self.sent, "x" * 500)
            assert client.received == [("tick", [self.sent, "x" * 500])], "local delivery waits"
            client.received.clear()
            self.sent += 1
            await asyncio.sleep(0.001)

    async def more(self, count: int) -> None:
        """Wait until more events were sent."""
        target = self.sent + count
        await until(lambda: self.sent >= target or self._task.done())
        if self._task.done():
            await self._task

    async def __aenter__(self) -> Load:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture(params=MODES)
async def pair(request: pytest.FixtureRequest, own_redis: RedisServer) -> AsyncIterator[Pair]:
    async with Pair(own_redis.url, ADAPTERS[request.param]) as servers:
        for factory in servers.factories:
            factory.link._max_queue_bytes = MAX_QUEUE_BYTES
            if isinstance(factory, RedisStreams):
                factory.stream._max_bytes = MAX_QUEUE_BYTES
        yield servers


async def test_cluster_survives_a_restart_of_redis_under_load(
    pair: Pair, own_redis: RedisServer
) -> None:
    there = await pair.servers[1].connect()
    pair.ios[1].sockets[there.id].join("a")
    async with Load(pair) as load:
        await there.receive_event("tick")
        async with asyncio.timeout(300):
            while await pair.ios[0].server_count() < 2:  # noqa: ASYNC110 - the other one connects
                await asyncio.sleep(0.02)
        own_redis.stop()
        await until(lambda: not any(factory.link.connected for factory in pair.factories))
        before = pair.factories[0].status()
        for _ in range(5):
            await load.more(100)
            status = pair.factories[0].status()
            assert status.queued_bytes <= MAX_QUEUE_BYTES
        assert status.dropped > before.dropped
        assert (status.connected, status.error != "") == (False, True)

        # Requests end at once with the results of this server.
        sockets = await pair.ios[0].fetch_sockets()
        assert (len(sockets), sockets.missing_servers) == (1, 1)
        answers = await pair.ios[0].server_side_emit_with_ack("q")
        assert (answers, answers.missing_servers) == ([], 1)
        assert await pair.ios[0].server_count() == 2  # the last known number

        there.received.clear()
        own_redis.start()
        await pair.connected()
        await there.receive_event("tick")
        while not any(name == "room" for name, _ in there.received):
            pair.ios[0].to("a").emit("room")
            await asyncio.sleep(0.01)
        assert len(await pair.ios[0].fetch_sockets()) == 2
        assert await pair.ios[0].server_count() == 2
        await load.more(100)
        status = pair.factories[0].status()
        assert (status.connected, status.error) == (True, "")
        await until(lambda: pair.factories[0].status().queued_bytes < MAX_QUEUE_BYTES / 2)
        dropped = pair.factories[0].status().dropped
        await load.more(100)
        assert pair.factories[0].status().dropped == dropped


async def test_redis_that_hangs_is_noticed(
    pair: Pair, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "PING_INTERVAL", 0.1)
    monkeypatch.setattr(redis_link, "PING_INTERVAL", 0.1)
    monkeypatch.setattr(streams_link, "BLOCK", b"40")
    own_redis.stop()
    await until(lambda: not any(factory.link.connected for factory in pair.factories))
    own_redis.start()
    await pair.connected()  # with the short interval
    there = await pair.servers[1].connect()
    async with Load(pair) as load:
        await there.receive_event("tick")
        own_redis.pause()
        await until(lambda: not pair.factories[0].link.connected)
        await load.more(300)
        assert pair.factories[0].status().queued_bytes <= MAX_QUEUE_BYTES
        own_redis.resume()
        await pair.connected()
        there.received.clear()
        await there.receive_event("tick")


async def test_server_starts_without_redis_and_joins_later(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    ios = [SocketServer(adapter=RedisSharded(redis.url)) for _ in range(2)]
    async with TestServer(ios[0]) as first, TestServer(ios[1]) as second:
        here, there = await first.connect(), await second.connect()
        ios[0].emit("early")
        assert here.received == [("early", [])]
        redis.start()
        try:
            while not there.received:
                ios[0].emit("late")
                await asyncio.sleep(0.01)
            assert await there.receive_event("late") == []
        finally:
            redis.stop()


async def test_redis_without_sharded_channels_is_reported(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--rename-command", "SSUBSCRIBE", "") as redis:
        io = SocketServer(adapter=RedisSharded(redis.url))
        async with TestServer(io) as server:
            client = await server.connect()

            def is_reported() -> bool:
                status = io.adapter_status()
                return status is not None and "unknown command 'SSUBSCRIBE'" in status.error

            await until(is_reported)
            io.emit("x")
            assert client.received == [("x", [])]
            status = io.adapter_status()
            assert status is not None
            assert not status.connected


@pytest.mark.parametrize("kind", ["classic", "sharded-dynamic"])
async def test_messages_wait_while_redis_refuses_commands(
    own_redis: RedisServer, kind: str
) -> None:
    """A new connection is refused until the password of Redis is removed again."""
    async with Pair(own_redis.url, ADAPTERS[kind]) as pair:
        client = await pair.servers[1].connect()
        first = pair.factories[0]
        reader, writer = await asyncio.open_connection("127.0.0.1", own_redis.port)
        # The connections for subscriptions stay open.
        writer.write(b"CONFIG SET requirepass secret\r\nCLIENT KILL TYPE normal\r\n")
        await until(lambda: "NOAUTH" in first.status().error)
        for number in range(20):
            pair.ios[0].emit("x", number)
            await asyncio.sleep(0.01)
        assert (first.status().connected, first.status().dropped) == (False, 0)
        writer.write(b"CONFIG SET requirepass ''\r\nQUIT\r\n")
        await reader.read()
        writer.close()
        await until(lambda: len(client.received) == 20)
        assert [args for _, args in client.received] == [[number] for number in range(20)]
        assert (first.status().connected, first.status().error) == (True, "")


async def test_entries_that_a_replica_refuses_are_written_later(own_redis: RedisServer) -> None:
    async with Pair(own_redis.url, RedisStreams) as pair:
        client = await pair.servers[1].connect()
        own_redis.command("REPLICAOF", "127.0.0.1", "1")
        for number in range(20):
            pair.ios[0].emit("x", number)
            await until(lambda: "READONLY" in pair.factories[0].status().error)
        assert not client.received
        own_redis.command("REPLICAOF", "NO", "ONE")
        await until(lambda: len(client.received) == 20)
        assert [args for _, args in client.received] == [[number] for number in range(20)]
        assert pair.factories[0].status().dropped == 0
        await until(lambda: pair.factories[0].status().error == "")


async def test_entries_that_redis_refuses_are_reported(own_redis: RedisServer) -> None:
    async with Pair(own_redis.url, RedisStreams) as pair:
        own_redis.command("CONFIG", "SET", "maxmemory", "1")
        pair.ios[0].emit("x")
        await until(lambda: pair.factories[0].status().dropped == 1)
        assert "OOM" in pair.factories[0].status().error


def test_repeated_errors_are_logged_once_per_interval(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(redis_link.time, "monotonic", lambda: now)
    link = redis_link.RedisLink("redis://127.0.0.1", {}, list)
    for _ in range(3):
        link.note_error("one")
        link.note_error("two")
    assert [record.args for record in caplog.records] == [("one",), ("two",)]
    now += redis_link.LOG_INTERVAL
    link.note_error("one")
    assert len(caplog.records) == 3
    for number in range(1000):
        link.note_error(f"error {number}")
    assert len(link._logged) <= redis_link.MAX_ERRORS
    assert link.error == "error 999"


@pytest.mark.parametrize("url", ["valkey://127.0.0.1:{}/0", "redis://127.0.0.1:{}/?db=1"])
async def test_schemes_of_valkey_and_numbers_of_databases_are_accepted(
    own_redis: RedisServer, url: str
) -> None:
    async with Pair(url.format(own_redis.port), RedisSharded) as pair:
        assert await pair.ios[0].server_count() == 2


def test_path_that_is_not_a_database_is_refused() -> None:
    with pytest.raises(ValueError, match="must be the number of a database, got 'cache'"):
        RedisSharded("redis://localhost:6379/cache")


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost"])
def test_invalid_url_raises_before_the_server_starts(url: str) -> None:
    with pytest.raises(ValueError, match="redis"):
        RedisSharded(url)


@pytest.mark.parametrize(("adapter", "url", "options", "text"), [
    (RedisClassic, "redis://localhost", {"channel": "chat"}, "'channel': use key, the prefix"),
    (RedisClassic, "redis://localhost", {"write_only": True}, "'write_only': use Emitter"),
    (RedisSharded, "redis://localhost?nonsense=1", {}, "'nonsense': other keywords are those of"),
    (RedisStreams, "unix:///tmp/redis", {"maxLen": 5}, "'maxLen': use max_len"),
    (partial(RedisSharded, cluster=True), "rediss://cache", {"channelPrefix": "a"}, ": use key"),
], ids=["channel", "write_only", "query", "maxLen", "cluster"])  # fmt: skip
def test_unknown_option_raises_before_the_server_starts(
    adapter: Callable[..., object], url: str, options: dict[str, object], text: str
) -> None:
    with pytest.raises(TypeError, match=f"invalid option of a Redis adapter, .*{text}"):
        adapter(url, **options)


def test_other_version_of_the_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="protocol must be 2"):
        RedisSharded("redis://localhost?protocol=3")


async def test_transport_is_used_without_the_streams_of_redis_py(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise AssertionError("the slow path was used")

    monkeypatch.setattr(redis_stream, "LibraryStream", fail)
    async with Pair(own_redis.url, RedisSharded) as pair:
        assert await pair.ios[0].server_count() == 2


async def test_redis_py_reads_and_writes_when_its_transport_is_not_found(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "open_stream", redis_stream.LibraryStream)
    async with Pair(own_redis.url, RedisSharded) as pair:
        client = await pair.servers[1].connect()
        pair.ios[0].emit("x", b"\x00")
        assert await client.receive_event("x") == [b"\x00"]
        assert len(await pair.ios[0].fetch_sockets()) == 1
        own_redis.stop()
        await until(lambda: not any(factory.link.connected for factory in pair.factories))
        own_redis.start()
        await pair.connected()
        while not client.received:
            pair.ios[0].emit("again")
            await asyncio.sleep(0.01)
        assert await client.receive_event("again") == []
