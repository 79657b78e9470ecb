"""Clients of Socket.IO 2 in a cluster of a Python and a Node server (`allow_eio3`, `allowEIO3`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.cluster.support import Clients, clients, node_node, python_node, start_server, until
from tests.helpers.redis_server import RedisServer

ADAPTERS = ("classic", "sharded", "streams")
OLD = {"library": "socket.io-client-2"}
#: A current and an older client on each server; the older ones use different transports.
NAMES = ("python-new", "python-old", "node-new", "node-old")


@pytest.fixture(params=ADAPTERS)
async def driver(request: pytest.FixtureRequest, redis: RedisServer) -> AsyncIterator[Clients]:
    redis.command("FLUSHALL")
    async with AsyncExitStack() as stack:
        options = ("--redis", redis.url, "--adapter", request.param, "--port", "0", "--eio3")
        python = await start_server(stack, *python_node(*options, "--name", "python"))
        node = await start_server(stack, *node_node(*options, "--name", "node"))
        driver = await stack.enter_async_context(clients())
        await driver.connect("python-new", python)
        await driver.connect("python-old", python, transports=["polling"], **OLD)
        await driver.connect("node-new", node)
        await driver.connect("node-old", node, **OLD)

        async def is_complete() -> bool:
            return all([await driver.ask(name, "server-count") == 2 for name in NAMES])

        await until(is_complete)
        yield driver


async def test_clients_of_both_revisions_share_a_cluster(driver: Clients) -> None:
    ids = driver.ids
    values = ["plain", 1.5, None, {"part": b"\x00\xff"}, b"two"]
    for sender in NAMES:
        await driver.ask(sender, "emit", {}, "all", *values)
        await driver.ask(sender, "emit", {"rooms": [ids["python-old"]]}, "direct")
        await driver.ask(sender, "emit", {"rooms": [ids["node-old"]]}, "direct")
        await driver.ask(sender, "emit", {}, "end")
        for receiver in NAMES:
            events = await driver.events_until(receiver, "end")
            assert ["all", *values] in events, f"{sender} to {receiver}"
            is_direct = receiver.endswith("old")
            assert (["direct"] in events) is is_direct, f"{sender} to {receiver}"
        answer = await driver.ask(sender, "request", {}, "q", b"\x01")
        expected = [[name, b"\x01"] for name in sorted(NAMES)]
        assert sorted(answer["responses"], key=lambda each: str(each[0])) == expected, sender
        answer = await driver.ask(sender, "fetch", {})
        assert {each["id"] for each in answer["sockets"]} == set(ids.values()), sender
    await driver.ask("node-new", "disconnect-sockets", {"rooms": [ids["python-old"]]}, False)
    await driver.ask("python-new", "disconnect-sockets", {"rooms": [ids["node-old"]]}, False)
    for name in ("python-old", "node-old"):

        async def has_left(name: str = name) -> bool:
            return not (await driver.state(name))["connected"]

        await until(has_left)
    assert (await driver.state("python-new"))["connected"]
