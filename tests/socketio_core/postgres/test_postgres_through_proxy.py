"""A network or a proxy before PostgreSQL that is slow, half-open or sends other bytes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from socketio_core.adapters.postgres import link
from socketio_core.adapters.postgres.adapter import Postgres
from tests.helpers.stalling_proxy import StallingProxy, stalling_proxy
from tests.socketio_core.postgres.conftest import Database, PostgresPair
from tests.socketio_core.redis.conftest import until


@pytest.fixture
def proxied(database: Database) -> Iterator[tuple[StallingProxy, str]]:
    folder = database.url.partition("host=")[2]
    with tempfile.TemporaryDirectory(prefix="socketio-") as directory:
        path = str(Path(directory, ".s.PGSQL.5432"))
        with stalling_proxy(f"{folder}/.s.PGSQL.5432", path) as (proxy, _):
            yield proxy, database.url.replace(folder, directory)
            proxy.abandon()


@pytest.fixture
async def pair(proxied: tuple[StallingProxy, str]) -> AsyncIterator[PostgresPair]:
    async with PostgresPair(proxied[1], Postgres) as servers:
        yield servers


async def test_messages_arrive_in_order_over_a_slow_network(
    pair: PostgresPair, proxied: tuple[StallingProxy, str]
) -> None:
    await pair.check_order_over(proxied[0])


async def test_half_open_connections_are_opened_again(
    pair: PostgresPair,
    proxied: tuple[StallingProxy, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = await pair.servers[1].connect()
    before = [each.status().since for each in pair.factories]
    proxied[0].abandon()
    monkeypatch.setattr(link, "CHECK_TIMEOUT", -1)  # any silence is too long
    async with asyncio.timeout(120):
        for factory, since in zip(pair.factories, before, strict=True):
            while factory.status().since == since:  # noqa: ASYNC110 - the link has no event
                await asyncio.sleep(0.01)
    monkeypatch.setattr(link, "CHECK_TIMEOUT", 60)
    await pair.send_until_received(there, "again")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"\x00\xff" * 50], ids=["http", "binary"]
)
async def test_connections_are_opened_again_after_wrong_answers(
    pair: PostgresPair,
    proxied: tuple[StallingProxy, str],
    answer: bytes,
) -> None:
    here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
    proxied[0].answer_with(answer)
    async with asyncio.timeout(120):
        while pair.factories[0].status().connected:
            pair.ios[0].emit("x", "local")
            await asyncio.sleep(0.05)
    pair.ios[0].emit("x", "local")
    assert here.received[-1] == ("x", ["local"])
    proxied[0].answer_with(None)
    await pair.send_until_received(there, "again")
    await until(lambda: pair.factories[0].status().connected)
