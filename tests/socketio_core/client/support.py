"""Clients and a server in memory, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from socketio_core import SocketServer
from socketio_core.client import AsyncClient
from socketio_core.testing import VirtualClock
from tests.engineio_core.client.support import settle
from tests.helpers.memory_network import MemoryNetwork

URL = "http://server.example"


class World:
    """A server, the network to it, and its clients."""

    def __init__(self, **server: Any) -> None:
        self.clock = VirtualClock()
        self.io = SocketServer(**server)
        self.io.use_clock(self.clock)
        self.network = MemoryNetwork(self.io.engine._make_connection, self.clock)
        self.clients: list[AsyncClient] = []

    def client(self, namespace: str = "", **options: Any) -> AsyncClient:
        client = AsyncClient(URL + namespace, _clock=self.clock, _network=self.network, **options)
        self.clients.append(client)
        return client

    async def connect(self, namespace: str = "", **options: Any) -> AsyncClient:
        client = self.client(namespace, **options)
        await client.connect()
        await settle()
        return client

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await settle()

    async def run(self, awaitable: Any, limit: float = 100) -> Any:
        """Await something while the clock advances."""
        task = asyncio.ensure_future(awaitable)
        await settle()
        for _ in range(int(limit * 10)):
            if task.done():
                break
            await self.clock.advance(0.1)
        return await task

    async def end(self) -> None:
        """Close everything; fail if a task is left."""
        for client in self.clients:
            await self.run(client.close())
        await self.run(self.io.shutdown())
        await settle()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left


@asynccontextmanager
async def world(**server: Any) -> AsyncIterator[World]:
    """Run a world, and check that it leaves no task."""
    created = World(**server)
    yield created
    await created.end()
