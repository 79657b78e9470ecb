"""A network or a proxy between the servers and Redis that is slow, half-open or sends other bytes.

Each test sends until the receiver has the messages, so that none depends on a duration.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from socketio_core.adapters.redis import connection as redis_connection
from socketio_core.adapters.redis import link as redis_link
from socketio_core.adapters.streams import link as streams_link
from tests.helpers.redis_server import RedisServer
from tests.helpers.stalling_proxy import StallingProxy, stalling_proxy
from tests.socketio_core.redis.conftest import ADAPTERS, Pair, until

MODES = ("classic", "sharded-dynamic", "streams")
#: Answers that a proxy or another program may send: HTTP, a reply of no known type, binary data.
WRONG = (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"!unknown\r\n", b"\x00\xff" * 50)


@pytest.fixture
def proxied(redis: RedisServer) -> Iterator[tuple[StallingProxy, str]]:
    with stalling_proxy(redis.port) as (proxy, port):
        yield proxy, f"redis://127.0.0.1:{port}"
        proxy.abandon()


@pytest.fixture
def frequent_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections that are opened from now on notice a silence soon."""
    monkeypatch.setattr(redis_connection, "PING_INTERVAL", 0.3)
    monkeypatch.setattr(redis_link, "PING_INTERVAL", 0.3)
    monkeypatch.setattr(streams_link, "BLOCK", b"100")


@pytest.fixture(params=MODES)
async def pair(
    request: pytest.FixtureRequest, proxied: tuple[StallingProxy, str]
) -> AsyncIterator[Pair]:
    async with Pair(proxied[1], ADAPTERS[request.param]) as servers:
        yield servers


async def test_messages_arrive_in_order_over_a_slow_network(
    pair: Pair, proxied: tuple[StallingProxy, str]
) -> None:
    await pair.check_order_over(proxied[0])


@pytest.mark.usefixtures("frequent_pings")
async def test_half_open_connections_are_opened_again(
    pair: Pair, proxied: tuple[StallingProxy, str]
) -> None:
    there = await pair.servers[1].connect()
    proxied[0].abandon()
    await pair.send_until_received(there, "again")
    await pair.connected()


@pytest.mark.usefixtures("frequent_pings")
@pytest.mark.parametrize("answer", WRONG, ids=["http", "unknown-type", "binary"])
async def test_connections_are_opened_again_after_wrong_answers(
    pair: Pair, proxied: tuple[StallingProxy, str], answer: bytes
) -> None:
    here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
    proxied[0].answer_with(answer)
    # The pings of an idle connection receive the wrong answer.
    await until(lambda: not pair.factories[0].status().connected)
    pair.ios[0].emit("x", "local")
    assert ("x", ["local"]) in here.received
    assert pair.factories[0].status().error
    proxied[0].answer_with(None)
    await pair.send_until_received(there, "again")
    await pair.connected()
