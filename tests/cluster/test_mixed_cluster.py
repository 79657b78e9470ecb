"""Two Python and two Node servers on one Redis, driven by official clients in all directions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from socketio_core import Emitter
from tests.cluster.support import Clients, clients, node_node, python_node, start_server, until
from tests.helpers.redis_server import RedisServer

# The options of each cluster; Node's servers have options of the same names.
CLUSTERS = {
    "classic": ("--adapter", "classic"),
    "classic-specific": ("--adapter", "classic", "--specific"),
    "sharded-dynamic": ("--adapter", "sharded"),
    "sharded-private": ("--adapter", "sharded", "--mode", "dynamic-private"),
    "sharded-static": ("--adapter", "sharded", "--mode", "static"),
    "streams": ("--adapter", "streams"),
}
SERVERS = ("p1", "p2", "n1", "n2")


class MixedCluster:
    """Four servers with one client each, named like its server."""

    def __init__(self, driver: Clients, urls: dict[str, str], redis: str, adapter: str) -> None:
        self.driver = driver
        self.urls = urls
        self.redis = redis
        self.adapter = adapter
        self.ask = driver.ask

    async def settle(self, sender: str) -> dict[str, list[list[Any]]]:
        """Return the events of all clients up to the next event that reaches all clients."""
        await self.ask(sender, "emit", {}, "end")
        return {name: await self.driver.events_until(name, "end") for name in SERVERS}


@pytest.fixture(params=CLUSTERS)
async def cluster(
    request: pytest.FixtureRequest, redis: RedisServer
) -> AsyncIterator[MixedCluster]:
    redis.command("FLUSHALL")
    async with AsyncExitStack() as stack:
        common = ("--redis", redis.url, *CLUSTERS[request.param])
        urls = {}
        for name in SERVERS:
            command = python_node if name.startswith("p") else node_node
            options = (*common, "--name", name, "--port", "0")
            urls[name] = await start_server(stack, *command(*options))
        driver = await stack.enter_async_context(clients())
        for name, url in urls.items():
            await driver.connect(name, url)
        mixed = MixedCluster(driver, urls, redis.url, CLUSTERS[request.param][1])

        async def is_complete() -> bool:
            return all([await mixed.ask(name, "server-count") == 4 for name in SERVERS])

        await until(is_complete)
        yield mixed


async def test_four_servers_share_one_cluster(cluster: MixedCluster) -> None:
    """All operations in one test, because starting four processes takes longer than using them."""
    await check_broadcasts(cluster)
    await check_rooms(cluster)
    await check_fetch_and_remote_sockets(cluster)
    await check_acks(cluster)
    await check_server_events(cluster)
    await check_emitters(cluster)
    await check_namespaces(cluster)
    await check_joins(cluster)
    await check_disconnects(cluster)


async def check_broadcasts(cluster: MixedCluster) -> None:
    values = [
        0, -1, 127, 255, 256, 65_536, 2**32, 2**53, -(2**53), 1.5, 1e21, "é€😀", "", True, None,
        [], {}, [[None]], {"b": [b"\x00\xff", b""]}, b"\x00\x01\xff",
    ]  # fmt: skip
    for sender in SERVERS:
        await cluster.ask(sender, "emit", {}, "all", *values)
        for receiver, events in (await cluster.settle(sender)).items():
            if sender.startswith("n"):
                # notepack writes 1e21 as an unsigned integer of 64 bits, which does not hold it.
                for event in events:
                    event[11] = 1e21
            assert events == [["all", *values]], f"{sender} to {receiver}"


async def check_rooms(cluster: MixedCluster) -> None:
    ids = cluster.driver.ids
    for name in ("p2", "n2"):
        await cluster.ask(name, "join", "odd", "a-20-characters-room")
    for sender in SERVERS:

        async def has_arrived(sender: str = sender) -> bool:
            await cluster.ask(sender, "emit", {"rooms": ["odd"]}, "probe")
            received = await cluster.settle(sender)
            return bool(received["p2"] and received["n2"])

        await until(has_arrived)  # the subscriptions of a room take effect after a moment
        await cluster.ask(sender, "emit", {"rooms": ["odd"]}, "one")
        await cluster.ask(sender, "emit", {"rooms": ["odd", "room1"]}, "two")
        await cluster.ask(sender, "emit", {"rooms": ["a-20-characters-room"]}, "twenty")
        await cluster.ask(sender, "emit", {"except": ["odd"]}, "others")
        await cluster.ask(sender, "emit", {"rooms": ["room1"], "except": [ids["p1"]]}, "most")
        await cluster.ask(sender, "emit", {"rooms": [ids["p1"]]}, "direct-p")
        await cluster.ask(sender, "emit", {"rooms": [ids["n1"]]}, "direct-n")
        await cluster.ask(sender, "emit", {"rooms": ["nobody"]}, "none")
        await cluster.ask(sender, "emit", {"local": True}, "local")
        received = await cluster.settle(sender)
        expected = {
            "p1": ["two", "others", "direct-p"],
            "p2": ["one", "two", "twenty", "most"],
            "n1": ["two", "others", "most", "direct-n"],
            "n2": ["one", "two", "twenty", "most"],
        }
        expected[sender].append("local")
        for name, events in received.items():
            names = sorted(event[0] for event in events)
            assert names == sorted(expected[name]), f"{sender} to {name}"


async def check_fetch_and_remote_sockets(cluster: MixedCluster) -> None:
    ids = cluster.driver.ids
    for name in SERVERS:
        await cluster.ask(name, "set-data", {"name": name, "n": 7})
    for name in SERVERS:
        answer = await cluster.ask(name, "fetch", {})
        found = {each["id"]: each for each in answer["sockets"]}
        assert answer["servers"] == 0, name
        assert set(found) == set(ids.values()), name
        for other in SERVERS:
            socket = found[ids[other]]
            assert socket["data"] == {"name": other, "n": 7}, f"{name} fetches {other}"
            assert socket["auth"] == {"name": other}
            assert {"room1", ids[other]} <= set(socket["rooms"])
        odd = await cluster.ask(name, "fetch", {"rooms": ["odd"]})
        assert {each["id"] for each in odd["sockets"]} == {ids["p2"], ids["n2"]}
        local = await cluster.ask(name, "fetch", {"local": True})
        assert [each["id"] for each in local["sockets"]] == [ids[name]]
        for other in SERVERS:
            answer = await cluster.ask(name, "request-socket", ids[other], "q", b"\x01", "x")
            assert answer == [other, b"\x01", "x"], f"{name} asks {other}"


async def check_acks(cluster: MixedCluster) -> None:
    for sender in SERVERS:
        answer = await cluster.ask(sender, "request", {}, "q", b"\x00\xff", {"a": [1, None]})
        assert answer["clients"] == answer["servers"] == 0
        expected = [[name, b"\x00\xff", {"a": [1, None]}] for name in SERVERS]
        assert sorted(answer["responses"], key=lambda each: each[0]) == sorted(expected), sender
        answer = await cluster.ask(sender, "request", {"rooms": ["odd"]}, "nothing")
        assert (answer["responses"], answer["clients"]) == ([None, None], 0), sender
        answer = await cluster.ask(sender, "request", {"rooms": ["nobody"]}, "q")
        assert (answer["responses"], answer["clients"]) == ([], 0), sender
    for sender in ("p1", "n1"):
        answer = await cluster.ask(sender, "request", {"rooms": ["odd"], "timeout": 1}, "silent")
        assert answer["responses"] == []
        assert answer["clients"] > 0
        await cluster.settle(sender)  # a client may receive its request after the answer


async def check_server_events(cluster: MixedCluster) -> None:
    for sender in SERVERS:
        await cluster.ask(sender, "server-emit", "note", 1, "x", {"a": [None]})
        answer = await cluster.ask(sender, "server-request", "sum", 1, 2, 3)
        others = [name for name in SERVERS if name != sender]
        assert sorted(answer["answers"]) == [[name, 6] for name in sorted(others)], sender
        assert answer["servers"] == 0
        received = await cluster.settle(sender)
        for name, events in received.items():
            noted = [["noted", name, 1, "x", {"a": [None]}]] if name != sender else []
            assert events == noted, f"{sender} to {name}"


async def check_emitters(cluster: MixedCluster) -> None:
    ids = cluster.driver.ids
    use_official = cluster.driver.use_emitter
    if cluster.adapter == "classic":  # the official emitter does not reach other adapters
        await use_official(cluster.redis, ["emit", "all", b"\x00\xff", 1.5, {"a": None}])
        await use_official(cluster.redis, ["to", "odd"], ["except", ids["p2"]], ["emit", "odd"])
        await use_official(cluster.redis, ["serverSideEmit", "note", 7])
        for name, events in (await cluster.settle("p1")).items():
            expected = [["all", b"\x00\xff", 1.5, {"a": None}], ["noted", name, 7]]
            if name == "n2":
                expected.append(["odd"])
            assert sorted(events) == sorted(expected), name
    async with Emitter(cluster.redis, adapter=cluster.adapter) as emitter:  # type: ignore[arg-type]
        await emitter.emit("all", b"\x00\xff", 1.5, {"a": None})
        await emitter.to("odd").except_(ids["p2"]).emit("odd")
        await emitter.server_side_emit("note", 7)
        await emitter.in_("odd").sockets_join("by-emitter")
    for name, events in (await cluster.settle("n1")).items():
        expected = [["all", b"\x00\xff", 1.5, {"a": None}], ["noted", name, 7]]
        if name == "n2":
            expected.append(["odd"])
        assert sorted(events) == sorted(expected), name
        assert ("by-emitter" in (await cluster.ask(name, "whoami"))["rooms"]) == (name[1] == "2")


async def check_namespaces(cluster: MixedCluster) -> None:
    for name, url in cluster.urls.items():
        await cluster.driver.connect(f"{name}-chat", url, "/chat")
    for sender in SERVERS:
        await cluster.ask(f"{sender}-chat", "emit", {}, "chat", sender)
        await cluster.ask(f"{sender}-chat", "emit", {}, "end")
        for name in SERVERS:
            events = await cluster.driver.events_until(f"{name}-chat", "end")
            assert events == [["chat", sender]], f"{sender} to {name}"
        assert not any((await cluster.settle(sender)).values())
    for name in SERVERS:
        await cluster.driver.close(f"{name}-chat")


async def check_joins(cluster: MixedCluster) -> None:
    ids = cluster.driver.ids
    for sender in SERVERS:
        room = f"joined-{sender}"
        await cluster.ask(sender, "sockets-join", {"rooms": [ids["p1"], ids["n1"]]}, room, "x")
        for name in SERVERS:

            async def has_room(name: str = name, room: str = room) -> bool:
                rooms = (await cluster.ask(name, "whoami"))["rooms"]
                return (room in rooms) == (name in {"p1", "n1"})

            await until(has_room)
        await cluster.ask(sender, "sockets-leave", {"rooms": [room]}, room)
        for name in ("p1", "n1"):

            async def has_left(name: str = name, room: str = room) -> bool:
                return room not in (await cluster.ask(name, "whoami"))["rooms"]

            await until(has_left)


async def check_disconnects(cluster: MixedCluster) -> None:
    for sender in SERVERS:
        guests = {f"{name}-guest": cluster.urls[name] for name in SERVERS}
        for guest, url in guests.items():
            await cluster.driver.connect(guest, url)
            await cluster.ask(guest, "join", "guests")
        await cluster.ask(sender, "disconnect-sockets", {"rooms": ["guests"]}, sender > "o")
        for guest in guests:

            async def has_gone(guest: str = guest) -> bool:
                events = await cluster.driver.events(guest)
                return ["disconnected", "io server disconnect"] in events

            await until(has_gone)
    assert {name: (await cluster.ask(name, "whoami"))["node"] for name in SERVERS} == {
        name: name for name in SERVERS
    }
