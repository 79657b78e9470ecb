"""The test servers of one test, for the fixtures of the pytest plugin `pytest_socketio_core`.

A server must shut down in the event loop of its test. The plugin has no event loop: it wraps the
test function, so that it works with pytest-asyncio, in both of its modes, and with anyio.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from socketio_core.testing import TestClient, TestConnection, TestServer, VirtualClock

if TYPE_CHECKING:
    from socketio_core.server import SocketServer


class ServerFactory(Protocol):
    """The function behind the fixture `socketio_server`, for annotations of tests."""

    async def __call__(self, io: SocketServer) -> TestServer:
        """Start a test server, or return the running one."""


class ClientFactory(Protocol):
    """The function behind the fixture `socketio_client`, for annotations of tests."""

    async def __call__(
        self,
        io: SocketServer,
        namespace: str = "/",
        *,
        auth: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        query: str = "",
        on_connection: TestConnection | None = None,
        recovering: TestClient | None = None,
    ) -> TestClient:
        """Connect a client; start the server if it is not running."""


class TestNode(Protocol):
    """The item of pytest, as this module uses it."""

    obj: Any
    """The test function."""
    nodeid: str


class TestServers:
    """The test servers of one test, on one clock."""

    __test__ = False  # pytest must not collect the class

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self._servers: dict[int, TestServer] = {}

    async def start(self, io: SocketServer) -> TestServer:
        """Start a test server, or return the running one of the same `SocketServer`.

        Raises RuntimeError outside of asyncio.
        """
        _check_loop()
        server = self._servers.get(id(io))
        if server is None:
            server = TestServer(io, clock=self.clock)
            await server.__aenter__()
            self._servers[id(io)] = server
        return server

    async def connect(self, io: SocketServer, namespace: str = "/", **options: Any) -> TestClient:
        """Connect a client, with the parameters of `TestServer.connect`.

        Raises ConnectError if the server refuses the client.
        """
        server = await self.start(io)
        return await server.connect(namespace, **options)

    async def close(self) -> None:
        """Shut down all servers, the last one first."""
        for server in reversed(self._servers.values()):
            await server.__aexit__(None, None, None)
        self._servers.clear()


def attach_servers(node: TestNode) -> TestServers:
    """Return the servers of a test, and shut them down when its function ends.

    Raises TypeError for a function that is not a coroutine function.
    """
    test = node.obj
    if not inspect.iscoroutinefunction(inspect.unwrap(test)):
        raise TypeError(
            f"{node.nodeid} must be an async function to use the fixtures of Socket.IO: write "
            "async def, and install pytest-asyncio or anyio"
        )
    servers = TestServers()
    node.obj = _then_close(test, servers)
    return servers


def _then_close(test: Callable[..., Any], servers: TestServers) -> Callable[..., Any]:
    @functools.wraps(test)
    async def run(*args: Any, **fixtures: Any) -> None:
        try:
            await test(*args, **fixtures)
        finally:
            await servers.close()

    return run


def _check_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "the fixtures of Socket.IO need asyncio: with anyio, let the fixture anyio_backend "
            "return 'asyncio'"
        ) from None
