"""Servers of one cluster in one process, on virtual clocks."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from socketio_core import InProcessCluster, SocketServer
from socketio_core.testing import TestServer, settle


class Cluster:
    """Two or more servers in an `InProcessCluster`; the context manager starts and stops them."""

    def __init__(self, servers: int = 2, *, settings: Any = None, **options: Any) -> None:
        self.broker = InProcessCluster()
        self.factories = [self.broker.join(**(settings or {})) for _ in range(servers)]
        self.ios = [SocketServer(adapter=each, **options) for each in self.factories]
        self.servers = [TestServer(io) for io in self.ios]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Cluster:
        for server in self.servers:
            await self._stack.enter_async_context(server)
        await settle()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def advance(self, seconds: float, *, without: int | None = None) -> None:
        """Advance the clocks of all servers, or of all but one, in steps of a second."""
        for _ in range(int(seconds)):
            for number, server in enumerate(self.servers):
                if number != without:
                    await server.advance(1)
            await settle()
