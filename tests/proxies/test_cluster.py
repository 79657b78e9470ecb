"""Two servers on Redis behind the proxies of docs/scaling.md, with sticky polling clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import Clients, clients, python_node, start_server, until
from tests.helpers.redis_server import running_redis
from tests.proxies.plain_proxies import NAMES, run_proxy

TRANSPORTS = (["polling"], ["polling", "websocket"], ["websocket"])
CLIENTS = 18

pytestmark = [pytest.mark.redis, pytest.mark.node, pytest.mark.timeout(900)]


@asynccontextmanager
async def running_cluster(
    name: str, folder: Path, edit: Callable[[str], str] = lambda text: text
) -> AsyncIterator[tuple[Clients, str]]:
    """Run two servers behind a proxy; yield the clients and the URL of the proxy."""
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(running_redis(folder))
        command = python_node("--port", "0", "--redis", redis.url, "--name")
        one, two = [await start_server(stack, *command, each) for each in ("one", "two")]
        addresses = {"10.0.0.5:3000": one, "10.0.0.6:3000": two}
        url = stack.enter_context(run_proxy(name, folder / name, addresses, edit))
        yield await stack.enter_async_context(clients()), url


@pytest.mark.parametrize("name", NAMES)
async def test_clients_stay_on_one_of_two_servers_behind_the_proxy(
    tmp_path: Path, name: str
) -> None:
    names = [f"client-{number}" for number in range(CLIENTS)]
    async with running_cluster(name, tmp_path) as (driver, url):
        for number, client in enumerate(names):
            await driver.connect(
                client, url, transports=TRANSPORTS[number % len(TRANSPORTS)],
                address=f"127.0.0.{number + 2}", credentials=True,
            )  # fmt: skip
        nodes = [(await driver.ask(client, "whoami"))["node"] for client in names]
        assert set(nodes) == {"one", "two"}
        # Broadcasts reach all clients as soon as both servers have joined the cluster.
        await until(lambda: _all_count_two(driver, names))
        for number, client in enumerate(names):
            await driver.ask(client, "emit", {}, "news", number)
        for client in names:
            await driver.ask(client, "emit", {}, "last", client)
        assert [(await driver.ask(client, "whoami"))["node"] for client in names] == nodes
        for client in names:
            found = await _received(driver, client, len(names))
            assert sorted(number for event, number in found if event == "news") == list(
                range(CLIENTS)
            )


async def _received(driver: Clients, client: str, senders: int) -> list[list[Any]]:
    """Return the events of a client up to the last one of each sender, which follows its news."""
    found: list[list[Any]] = []

    async def is_complete() -> bool:
        found.extend(await driver.events(client))
        return sum(event[0] == "last" for event in found) == senders

    await until(is_complete)
    return found


async def _all_count_two(driver: Clients, names: list[str]) -> bool:
    return all([await driver.ask(client, "server-count") == 2 for client in names])


async def test_polling_client_is_refused_without_stickiness(tmp_path: Path) -> None:
    def spread(configuration: str) -> str:
        lines = configuration.splitlines(keepends=True)
        kept = [line for line in lines if "hash $remote_addr" not in line]
        assert len(kept) == len(lines) - 1
        return "".join(kept)

    async with running_cluster("nginx", tmp_path, spread) as (driver, url):
        with pytest.raises(RuntimeError, match="xhr"):
            await driver.connect("client", url, transports=["polling"])
