"""Plugin of pytest: fixtures that serve and connect without network, on a virtual clock.

    async def test_hello(socketio_client):
        client = await socketio_client(io)
        assert await client.emit_with_ack("hello", "Ada") == "hello Ada"

pytest imports this module in every environment that has the package. It therefore imports the
server only when a test requests a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from socketio_core.testing import VirtualClock
    from socketio_core.testing_fixtures import ClientFactory as SocketioClient
    from socketio_core.testing_fixtures import ServerFactory as SocketioServer
    from socketio_core.testing_fixtures import TestServers


@pytest.fixture
def socketio_servers(request: pytest.FixtureRequest) -> TestServers:
    """Return the test servers of this test, which are shut down at its end."""
    from socketio_core.testing_fixtures import attach_servers  # noqa: PLC0415 - see above

    return attach_servers(request.node)


@pytest.fixture
def socketio_server(socketio_servers: TestServers) -> SocketioServer:
    """Return an async function that takes a SocketServer and returns its TestServer."""
    return socketio_servers.start


@pytest.fixture
def socketio_client(socketio_servers: TestServers) -> SocketioClient:
    """Return an async function that connects a client to a SocketServer and returns it."""
    return socketio_servers.connect


@pytest.fixture
def socketio_clock(socketio_servers: TestServers) -> VirtualClock:
    """Return the clock of all test servers: `await socketio_clock.advance(25)`."""
    return socketio_servers.clock
