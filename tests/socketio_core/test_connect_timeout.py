"""A connection that is in no namespace does not stay."""

from __future__ import annotations

import asyncio
from typing import Any

from socketio_core import Socket, SocketServer
from socketio_core.testing import settle
from tests.helpers.client import Client
from tests.socketio_core.support import TcpServer, join


def make(**options: Any) -> SocketServer:
    return SocketServer(**options, ping_interval=1000)


def stays(client: Client, seconds: float) -> bool:
    """Let time pass; tell whether the connection is still there."""
    client.server.clock.advance(seconds)
    return not client.is_over


async def test_a_client_that_joins_nothing_is_closed(transport: str) -> None:
    client = TcpServer(make(connect_timeout=10)).open(transport)
    assert stays(client, 9)
    assert not stays(client, 2)


async def test_a_client_that_has_joined_stays(transport: str) -> None:
    client = TcpServer(make(connect_timeout=10)).join(transport)
    assert stays(client, 60)


async def test_a_client_that_left_its_last_namespace_has_as_long_again(transport: str) -> None:
    io = make(connect_timeout=10)
    io.of("/a")
    client = TcpServer(io).join(transport)
    join(client, "/a")
    stays(client, 20)
    client.send("1")
    assert stays(client, 20), "it is still in another"
    client.send("1/a,")
    assert stays(client, 9)
    join(client)
    assert stays(client, 20)
    client.send("1")
    assert not stays(client, 11)


async def test_a_client_that_was_refused_has_less_time(transport: str) -> None:
    client = TcpServer(make(connect_timeout=45, refused_timeout=5)).open(transport)
    client.send("0/unknown")
    assert stays(client, 4)
    client.send("0/unknown")
    assert not stays(client, 2), "trying again does not prolong it"


async def test_a_client_that_was_refused_may_join_another_namespace(transport: str) -> None:
    client = TcpServer(make(refused_timeout=5)).open(transport)
    client.send("0/unknown")
    client.messages()
    join(client)
    assert stays(client, 60)


async def test_a_client_in_a_namespace_stays_when_another_refuses_it(transport: str) -> None:
    client = TcpServer(make(refused_timeout=5)).join(transport)
    client.send("0/unknown")
    assert stays(client, 60)


async def test_a_middleware_that_never_ends_does_not_keep_the_connection() -> None:
    io = make(connect_timeout=10)

    @io.use
    async def endless(socket: Socket) -> None:
        await asyncio.Event().wait()

    client = TcpServer(io).open("websocket")
    client.send("0")
    await settle()
    assert not stays(client, 11)
    await settle()
    await io.shutdown(grace=0)


async def test_a_connection_that_has_ended_leaves_no_timer_behind() -> None:
    io = make()
    io.of("/a")
    io.on("disconnect", lambda socket, reason: io.of("/a").disconnect_sockets())
    client = TcpServer(io).join("websocket")
    join(client, "/a")
    client.send_packet("1")
    client.server.clock.advance(40)
    assert not io._connections
    assert client.server.clock.pending <= 1, "the heartbeat's own"
