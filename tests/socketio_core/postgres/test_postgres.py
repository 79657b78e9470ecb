"""The PostgreSQL adapter: long messages, failures, rights and limits."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import psycopg
import pytest
import uvloop

from socketio_core.adapters.postgres.adapter import Postgres
from tests.socketio_core.postgres.conftest import Database, PostgresPair
from tests.socketio_core.redis.conftest import until


@pytest.mark.parametrize("size", [100, 7_000, 8_000, 100_000, 2_000_000])
@pytest.mark.parametrize("kind", ["text", "other text", "bytes"])
async def test_message_of_any_size_arrives(pair: PostgresPair, size: int, kind: str) -> None:
    values = {"text": "x" * size, "other text": "é" * size, "bytes": b"\x00\xff" * (size // 2)}
    client = await pair.servers[1].connect()
    pair.ios[0].emit("before", 1)
    pair.ios[0].emit("long", values[kind])
    pair.ios[0].emit("after", 2)
    await client.receive_event("after")
    assert client.received == [("before", [1]), ("long", [values[kind]])]


async def test_equal_messages_arrive_as_often_as_they_were_sent(pair: PostgresPair) -> None:
    client = await pair.servers[1].connect()
    for _ in range(100):
        pair.ios[0].emit("same", 1)
    pair.ios[0].emit("end")
    await client.receive_event("end")
    assert client.received == [("same", [1])] * 100


async def test_order_is_kept_among_short_and_long_messages(pair: PostgresPair) -> None:
    client = await pair.servers[1].connect()
    for number in range(200):
        pair.ios[0].emit("x", number, "." * (9_000 if number % 7 == 0 else 10))
    pair.ios[0].emit("end")
    await client.receive_event("end")
    assert [args[0] for _, args in client.received] == list(range(200))


async def test_rows_of_long_messages_are_removed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socketio_core.adapters.postgres.link.CLEANUP_INTERVAL", 0.05)
    monkeypatch.setattr("socketio_core.adapters.postgres.link.ROW_LIFETIME", 0.2)
    async with PostgresPair(database.url, Postgres) as pair:
        client = await pair.servers[1].connect()
        pair.ios[0].emit("long", "x" * 10_000)
        await client.receive_event("long")
        await until(lambda: database.rows("SELECT count(*) FROM socketio_messages") == [(0,)])


async def test_user_without_the_right_to_create_tables_sends_short_messages(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE cluster OWNER TO hextrackr")
    async with PostgresPair(database.url, Postgres) as pair:
        client = await pair.servers[1].connect()
        pair.ios[0].emit("long", "x" * 10_000)
        pair.ios[0].emit("end")
        await client.receive_event("end")
        assert client.received == []
        assert pair.factories[0].status().dropped == 1
    assert "CREATE UNLOGGED TABLE" in caplog.text


async def test_existing_table_needs_no_right_to_create_it(database: Database) -> None:
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE cluster OWNER TO hextrackr")
        connection.execute("CREATE SCHEMA sockets")
        connection.execute(
            "CREATE UNLOGGED TABLE sockets.messages (id bigint GENERATED ALWAYS AS IDENTITY "
            "PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), payload bytea NOT NULL)"
        )
        connection.execute("GRANT USAGE ON SCHEMA sockets TO app")
        connection.execute("GRANT SELECT, INSERT, DELETE ON sockets.messages TO app")

    def create(url: str) -> Postgres:
        return Postgres(url, table="sockets.messages", channel="Other Channel")

    async with PostgresPair(database.url, create) as pair:
        client = await pair.servers[1].connect()
        pair.ios[0].emit("long", "x" * 10_000)
        await client.receive_event("long")


async def test_local_delivery_continues_and_messages_wait_while_postgres_is_away(
    pair: PostgresPair, database: Database
) -> None:
    here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
    database.block()
    await until(lambda: not any(each.status().connected for each in pair.factories))
    for number in range(5):
        pair.ios[0].emit("x", number)
    assert here.received == [("x", [number]) for number in range(5)]
    assert pair.factories[0].status().queued_bytes > 0
    database.unblock()
    pair.ios[0].emit("end")
    await there.receive_event("end")
    assert there.received == [("x", [number]) for number in range(5)]
    await until(lambda: pair.factories[0].status().queued_bytes == 0)


async def test_message_arrives_once_when_the_sending_connection_breaks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socketio_core.adapters.postgres.link.RETURN_PAUSE", 0.0)
    names = iter(["first", "second"])

    def create(url: str) -> Postgres:
        return Postgres(url, application_name=next(names))

    async with PostgresPair(database.url, create) as pair:
        client = await pair.servers[1].connect()
        sent = 0
        for _ in range(10):
            for _ in range(50):
                pair.ios[0].emit("x", sent)
                sent += 1
            await asyncio.sleep(0)
            database.end_connections("first", "SELECT pg_notify%")
            await until(lambda: pair.factories[0].status().queued_bytes == 0)
        pair.ios[0].emit("end")
        await client.receive_event("end")
        assert [args[0] for _, args in client.received] == list(range(sent))


async def test_lost_notifications_are_counted(pair: PostgresPair, database: Database) -> None:
    client = await pair.servers[1].connect()
    pair.ios[0].emit("first")
    await client.receive_event("first")
    link = pair.factories[0].link
    link._number += 3
    pair.ios[0].emit("last")
    await client.receive_event("last")
    assert pair.factories[1].status().dropped == 3


async def test_queue_is_bounded(database: Database) -> None:
    def create(url: str) -> Postgres:
        return Postgres(url, max_queue_bytes=10_000)

    async with PostgresPair(database.url, create) as pair:
        there = await pair.servers[1].connect()
        database.block()
        await until(lambda: not any(each.status().connected for each in pair.factories))
        for number in range(200):
            pair.ios[0].emit("x", number, "." * 500)
        status = pair.factories[0].status()
        assert status.queued_bytes <= 10_000
        assert status.dropped > 150
        database.unblock()
        await there.receive_event("x")
        pair.ios[0].emit("end")
        await there.receive_event("end")
        assert there.received[-1][1][0] == 199


async def test_silent_connection_is_opened_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with PostgresPair(database.url, Postgres) as pair:
        monkeypatch.setattr("socketio_core.adapters.postgres.link.CHECK_INTERVAL", 0.05)
        monkeypatch.setattr("socketio_core.adapters.postgres.link.CHECK_TIMEOUT", -1)
        database.end_connections()
        await until(lambda: "no notification for" in caplog.text)
        monkeypatch.setattr("socketio_core.adapters.postgres.link.CHECK_TIMEOUT", 60)
        await pair.connected()
        client = await pair.servers[1].connect()
        pair.ios[0].emit("x")
        await client.receive_event("x")


async def test_invalid_notification_is_counted_and_ignored(
    pair: PostgresPair, database: Database
) -> None:
    client = await pair.servers[1].connect()
    for payload in ("", "x", "a:1:", "a:x::{}", "b:1::?", "c:1::=*", "d:1::{", "e:1::#7"):
        database.rows(f"SELECT pg_notify('socketio', '{payload}')")
    pair.ios[0].emit("x")
    await client.receive_event("x")
    assert pair.factories[1].status().invalid == 8


async def test_refused_connection_is_reported(database: Database) -> None:
    factory = Postgres(database.url.replace("/cluster?", "/missing?"))
    factory.start()
    await until(lambda: "does not exist" in factory.status().error)
    assert not factory.status().connected
    await factory.close()


def test_adapter_works_with_uvloop(database: Database) -> None:
    async def exchange() -> None:
        async with PostgresPair(database.url, Postgres) as pair:
            client = await pair.servers[1].connect()
            pair.ios[0].emit("x", "y" * 10_000)
            assert await client.receive_event("x") == ["y" * 10_000]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(exchange())


@pytest.mark.parametrize("options", [
    {"url": ""}, {"channel": ""}, {"table": ""}, {"channel": "x" * 64}, {"request_timeout": -1},
    {"heartbeat_interval": 0}, {"max_queue_bytes": 0},
])  # fmt: skip
def test_invalid_option_raises(options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Postgres(**({"url": "postgresql://"} | options))
