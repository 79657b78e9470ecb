"""Two servers that share a PostgreSQL database, driven by official clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.cluster.support import Clients, clients, python_node, start_server, until
from tests.hextrackr_server.postgres.server import running_postgres

SERVERS = ("p1", "p2")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture
async def driver(postgres: str) -> AsyncIterator[Clients]:
    """Start two servers with one client each, named like its server."""
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(clients())
        for name in SERVERS:
            options = ("--adapter", "postgres", "--postgres", postgres, "--name", name)
            url = await start_server(stack, *python_node(*options, "--port", "0"))
            await found.connect(name, url)

        async def is_complete() -> bool:
            return all([await found.ask(name, "server-count") == 2 for name in SERVERS])

        await until(is_complete)
        yield found


async def test_two_servers_share_one_database(driver: Clients) -> None:
    ids = driver.ids
    await driver.ask("p2", "join", "even")
    for sender, receiver in (("p1", "p2"), ("p2", "p1")):
        values = [2**53, 1.5, "é€😀", None, {"b": [b"\x00\xff"]}, "x" * 20_000]
        await driver.ask(sender, "emit", {}, "all", *values)
        await driver.ask(sender, "emit", {"rooms": ["even"]}, "even")
        await driver.ask(sender, "emit", {"except": [ids[receiver]]}, "others")
        await driver.ask(sender, "emit", {"rooms": [ids[receiver]]}, "direct")
        await driver.ask(sender, "server-emit", "note", 1)
        await driver.ask(sender, "emit", {}, "end")
        expected = [["all", *values], ["direct"], ["noted", receiver, 1]]
        if receiver == "p2":
            expected.insert(1, ["even"])
        assert await driver.events_until(receiver, "end") == expected
        await driver.events_until(sender, "end")

        answer = await driver.ask(sender, "request", {}, "q", b"\x01")
        assert sorted(answer["responses"]) == [["p1", b"\x01"], ["p2", b"\x01"]]
        assert (answer["clients"], answer["servers"]) == (0, 0)
        answer = await driver.ask(sender, "server-request", "sum", 1, 2)
        assert answer == {"answers": [[receiver, 3]], "servers": 0}
        sockets = (await driver.ask(sender, "fetch", {"rooms": ["room1"]}))["sockets"]
        assert {each["id"] for each in sockets} == set(ids.values())
        for name in SERVERS:
            await driver.events(name)

    await driver.ask("p1", "disconnect-sockets", {"rooms": ["even"]}, False)

    async def has_gone() -> bool:
        return ["disconnected", "io server disconnect"] in await driver.events("p2")

    await until(has_gone)
    status = await driver.ask("p1", "status")
    assert (status["kind"], status["connected"], status["dropped"]) == ("postgres", True, 0)
