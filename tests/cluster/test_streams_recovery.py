"""Recovery on another server: Python to Node, Node to Python and back, with the official client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.cluster.support import Clients, clients, node_node, python_node, start_server, until
from tests.helpers.redis_server import RedisServer
from tests.interop.cutting_proxy import CuttingProxy, Ending

SERVERS = ("p1", "p2", "n1", "n2")
NAME = "traveler"


class Journey:
    """A client behind a proxy that leads to one server after the other."""

    def __init__(
        self, driver: Clients, urls: dict[str, str], proxy: CuttingProxy, redis: RedisServer
    ) -> None:
        self.driver = driver
        self.urls = urls
        self.proxy = proxy
        self.redis = redis
        self.refusing: asyncio.Server

    async def refuse(self) -> None:
        """Start a server that closes each connection."""
        self.refusing = await asyncio.start_server(
            lambda reader, writer: writer.close(), "127.0.0.1", 0
        )

    async def depart(self) -> None:
        """Cut the connection, and wait until the session of the client is in Redis."""
        self.proxy.target_port = self.refusing.sockets[0].getsockname()[1]
        self.proxy.cut(Ending.RST)

        async def is_saved() -> bool:
            return b"sio:session:" in self.redis.command("KEYS", "sio:session:*")

        await until(is_saved)

    async def arrive(self, server: str) -> dict[str, Any]:
        """Let the client reconnect to a server; return its state there."""
        self.proxy.target_port = int(self.urls[server].rpartition(":")[2])

        async def is_connected() -> dict[str, Any] | None:
            state = await self.driver.state(NAME)
            return state if state["connected"] else None

        state: dict[str, Any] = await until(is_connected)
        assert (await self.driver.ask(NAME, "whoami"))["node"] == server
        return state

    async def emit(self, server: str, options: dict[str, Any], *event: Any) -> None:
        """Emit an event, and wait until it is in Redis: servers write independently."""
        await self.driver.ask(server, "emit", options, *event)
        await self.driver.ask(server, "emit", {"rooms": [self.driver.ids[server]]}, "written")
        await self.driver.events_until(server, "written")

    async def events(self, last: str) -> list[list[Any]]:
        """Return the events of the client up to `last`, without offsets and other names."""
        found = await self.driver.events_until(NAME, last)
        return [event[:-1] for event in found if event[0] != "disconnected"]


@pytest.fixture
async def journey(redis: RedisServer) -> AsyncIterator[Journey]:
    redis.command("FLUSHALL")
    async with AsyncExitStack() as stack:
        common = ("--redis", redis.url, "--adapter", "streams", "--recovery")
        urls = {}
        for name in SERVERS:
            command = python_node if name.startswith("p") else node_node
            options = (*common, "--name", name, "--port", "0")
            urls[name] = await start_server(stack, *command(*options))
        driver = await stack.enter_async_context(clients())
        for name, url in urls.items():
            await driver.connect(name, url)

        async def is_complete() -> bool:
            return all([await driver.ask(name, "server-count") == 4 for name in SERVERS])

        await until(is_complete)
        proxy = CuttingProxy(int(urls["p1"].rpartition(":")[2]))
        port = await proxy.listen()
        stack.push_async_callback(proxy.close)
        await driver.connect(NAME, f"http://127.0.0.1:{port}", reconnection=True)
        journey = Journey(driver, urls, proxy, redis)
        await journey.refuse()
        stack.callback(journey.refusing.close)
        yield journey


async def test_client_recovers_on_each_kind_of_server_in_turn(journey: Journey) -> None:
    driver = journey.driver
    await driver.ask(NAME, "join", "room")
    await driver.ask(NAME, "set-data", {"name": "alice", "n": [1, None]})
    await driver.ask(NAME, "emit-back", "seen")
    await journey.events("seen")
    first = (await driver.state(NAME))["id"]
    for turn, server in enumerate(["n1", "p2", "p1", "n2", "n1", "p1"]):
        await journey.depart()
        await journey.emit("p2", {}, "all", turn, b"\x00\xff")
        await journey.emit("n2", {"rooms": ["room"]}, "room", turn, {"b": b"\x01"})
        await journey.emit("n1", {"rooms": ["other"]}, "another room", turn)
        await journey.emit("p1", {"except": ["room"]}, "excluded", turn)
        await journey.emit("p1", {"rooms": [first]}, "direct", turn)
        await journey.emit("n1", {"rooms": ["room", first]}, "end")
        state = await journey.arrive(server)
        assert state == {"id": first, "connected": True, "recovered": True}, server
        assert await journey.events("end") == [
            ["all", turn, b"\x00\xff"], ["room", turn, {"b": b"\x01"}], ["direct", turn],
        ], server  # fmt: skip
        found = await driver.ask(NAME, "whoami")
        assert found["recovered"], server
        assert sorted(found["rooms"]) == sorted([first, "room", "room1"]), server
        sockets = await driver.ask(NAME, "fetch", {"rooms": [first]})
        assert [each["data"] for each in sockets["sockets"]] == [{"name": "alice", "n": [1, None]}]
        # The connection works: events and acks in both directions, and offsets that recover.
        await driver.ask(NAME, "emit-back", "live", turn)
        await driver.ask(NAME, "emit-back", "end")
        assert await journey.events("end") == [["live", turn]], server
        await journey.emit("n2", {"rooms": ["room"]}, "end")
        assert await journey.events("end") == [], server


async def test_client_with_an_unknown_offset_gets_a_new_session_and_keeps_the_old_one(
    journey: Journey,
) -> None:
    driver = journey.driver
    await driver.ask(NAME, "emit-back", "seen")
    await journey.events("seen")
    first = (await driver.state(NAME))["id"]
    await journey.depart()
    journey.redis.command("XTRIM", "socket.io", "MAXLEN", "0")
    state = await journey.arrive("p1")
    assert not state["recovered"]
    assert state["id"] != first
    assert journey.redis.command("KEYS", "sio:session:*").count(b"sio:session:") == 1
