"""Connect timeout: the server closes connections that are in no namespace."""

from __future__ import annotations

import asyncio
from typing import Any

from socketio_core import Socket, SocketServer
from socketio_core.testing import settle
from tests.helpers.client import Client
from tests.socketio_core.support import TcpServer, join


def make_server(**options: Any) -> SocketServer:
    return SocketServer(**options, ping_interval=1000)


def is_open_after(client: Client, seconds: float) -> bool:
    """Advance the clock; return whether the connection is still open."""
    client.server.clock.advance(seconds)
    return not client.is_over


async def test_client_without_a_namespace_is_closed_after_the_connect_timeout(
    transport: str,
) -> None:
    client = TcpServer(make_server(connect_timeout=10)).open(transport)
    assert is_open_after(client, 9)
    assert not is_open_after(client, 2)


async def test_client_in_a_namespace_stays_connected(transport: str) -> None:
    client = TcpServer(make_server(connect_timeout=10)).join(transport)
    assert is_open_after(client, 60)


async def test_connect_timeout_restarts_when_the_client_leaves_its_last_namespace(
    transport: str,
) -> None:
    io = make_server(connect_timeout=10)
    io.of("/a")
    client = TcpServer(io).join(transport)
    join(client, "/a")
    is_open_after(client, 20)
    client.send("1")
    assert is_open_after(client, 20), "the client is still in another namespace"
    client.send("1/a,")
    assert is_open_after(client, 9)
    join(client)
    assert is_open_after(client, 20)
    client.send("1")
    assert not is_open_after(client, 11)


async def test_refused_client_is_closed_after_the_refused_timeout(transport: str) -> None:
    client = TcpServer(make_server(connect_timeout=45, refused_timeout=5)).open(transport)
    client.send("0/unknown")
    assert is_open_after(client, 4)
    client.send("0/unknown")
    assert not is_open_after(client, 2), "another attempt does not extend the timeout"


async def test_refused_client_stays_connected_when_it_joins_another_namespace(
    transport: str,
) -> None:
    client = TcpServer(make_server(refused_timeout=5)).open(transport)
    client.send("0/unknown")
    client.messages()
    join(client)
    assert is_open_after(client, 60)


async def test_client_in_a_namespace_stays_connected_when_another_refuses_it(
    transport: str,
) -> None:
    client = TcpServer(make_server(refused_timeout=5)).join(transport)
    client.send("0/unknown")
    assert is_open_after(client, 60)


async def test_client_is_closed_when_a_middleware_never_ends() -> None:
    io = make_server(connect_timeout=10)

    @io.use
    async def endless(socket: Socket) -> None:
        await asyncio.Event().wait()

    client = TcpServer(io).open("websocket")
    client.send("0")
    await settle()
    assert not is_open_after(client, 11)
    await settle()
    await io.shutdown(grace=0)


async def test_ended_connection_leaves_no_timer() -> None:
    io = make_server()
    io.of("/a")
    io.on("disconnect", lambda socket, reason: io.of("/a").disconnect_sockets())
    client = TcpServer(io).join("websocket")
    join(client, "/a")
    client.send_packet("1")
    client.server.clock.advance(40)
    assert not io._connections
    assert client.server.clock.pending <= 1, "the timer of the heartbeat"
