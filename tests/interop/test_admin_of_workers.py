"""The admin UI of several worker processes."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from socketio_core.client import AsyncClient
from tests.helpers.waiting import until

from .worker_processes import serve

PATIENCE = 300.0
LOGIN = {"username": "admin", "password": "s3cret"}


class Page:
    """A client with the events of the admin UI."""

    def __init__(self, url: str, auth: dict[str, Any]) -> None:
        self.client = AsyncClient(f"{url}/admin", transports=["websocket"], auth=auth)
        self.events: list[tuple[Any, ...]] = []
        self._changed = asyncio.Event()
        self.client.on_any(self._received)

    def _received(self, *event: Any) -> None:
        self.events.append(event)
        self._changed.set()

    async def wait(self, condition: Callable[[], Any]) -> Any:
        """Return the result of a condition as soon as it is true."""
        async with asyncio.timeout(PATIENCE):
            while not (result := condition()):
                self._changed.clear()
                await self._changed.wait()
        return result

    def find(self, name: str) -> list[Any]:
        """Return the first arguments of the events of a name."""
        return [each[1] for each in self.events if each[0] == name]


async def test_admin_of_a_worker_sees_and_disconnects_the_clients_of_all(tmp_path: Path) -> None:
    with serve(tmp_path, 2, ADMIN_PASSWORD="s3cret") as server:
        clients: list[AsyncClient] = []
        processes: set[int] = set()
        while len(processes) < 2:  # Linux selects the worker of a connection
            client = AsyncClient(server.url, transports=["websocket"])
            await client.connect()
            clients.append(client)
            processes.add(await client.call("process"))
        page = Page(server.url, LOGIN)
        await page.client.connect()
        (listed,) = await page.wait(lambda: page.find("all_sockets"))
        ids = {client.main.id for client in clients}
        assert ids <= {each["id"] for each in listed}
        assert all(len(each["clientId"]) == 12 for each in listed)
        expected = {f"{sockets.gethostname()}#{pid}" for pid in server.workers()}
        await page.wait(
            lambda: {each["serverId"] for each in page.find("server_stats")} == expected
        )
        for client in clients:
            page.client.emit("_disconnect", "/", False, client.main.id)
        await page.wait(
            lambda: {each[2] for each in page.events if each[0] == "socket_disconnected"} >= ids
        )
        await until(lambda: not any(client.main.connected for client in clients))
        # Connections are spread over the workers, which share the session of the login.
        (session_id,) = page.find("session")
        for _ in range(6):
            again = Page(server.url, {"sessionId": session_id})
            await again.client.connect()
            await again.client.close()
        for each in (page.client, *clients):
            await each.close()
