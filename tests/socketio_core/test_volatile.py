"""Volatile events: the server sends them immediately or drops them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from socketio_core import Socket, SocketServer
from socketio_core.testing import settle
from tests.helpers.client import Client, WebSocketClient
from tests.socketio_core.support import TcpServer


def received_events(client: Client) -> list[Any]:
    return [message for message in client.messages() if str(message).startswith(("2", "5"))]


@contextmanager
def stalled(client: Client) -> Iterator[None]:
    """Stall TCP until the end of the block, because uvloop also writes once per iteration."""
    if isinstance(client, WebSocketClient):
        client.tcp.stall()
    yield
    if isinstance(client, WebSocketClient):
        client.tcp.unstall()


def connect(transport: str) -> tuple[SocketServer, Socket, Client]:
    io = SocketServer()
    client = TcpServer(io).join(transport)
    client.messages()  # a polling client now has a pending poll
    (socket,) = io.sockets.values()
    return io, socket, client


async def test_volatile_event_is_sent_when_the_transport_is_writable(transport: str) -> None:
    _, socket, client = connect(transport)
    socket.volatile.emit("x", 1)
    assert received_events(client) == ['2["x",1]']


async def test_volatile_event_is_dropped_after_a_queued_event(transport: str) -> None:
    _, socket, client = connect(transport)
    with stalled(client):
        socket.emit("regular")
        socket.volatile.emit("volatile")
    assert received_events(client) == ['2["regular"]']


async def test_second_volatile_event_is_dropped_when_both_are_sent_together(transport: str) -> None:
    _, socket, client = connect(transport)
    with stalled(client):
        socket.volatile.emit("first")
        socket.volatile.emit("second")
    assert received_events(client) == ['2["first"]']


async def test_volatile_broadcast_is_dropped_after_a_queued_event(transport: str) -> None:
    io, _, client = connect(transport)
    with stalled(client):
        io.emit("regular")
        io.volatile.emit("volatile")
    assert received_events(client) == ['2["regular"]']
    with stalled(client):
        io.volatile.emit("first")
        io.volatile.emit("second")
    assert received_events(client) == ['2["first"]']


async def test_volatile_broadcast_with_ack_is_dropped_after_a_queued_event(transport: str) -> None:
    io, socket, client = connect(transport)
    with stalled(client):
        io.emit("regular")
        pending = asyncio.ensure_future(io.volatile.emit_with_ack("volatile"))
        await settle()
    assert received_events(client) == ['2["regular"]']
    socket.disconnect()
    assert await pending == ([], [socket.id])


async def test_regular_events_arrive_when_a_volatile_event_is_dropped(transport: str) -> None:
    _, socket, client = connect(transport)
    with stalled(client):
        socket.emit("one")
        socket.volatile.emit("dropped")
        socket.emit("two")
    assert received_events(client) == ['2["one"]', '2["two"]']


async def test_volatile_event_is_dropped_while_the_client_does_not_read() -> None:
    _, socket, client = connect("websocket")
    client.connection.tcp.stall()  # type: ignore[union-attr]
    socket.emit("x", "a" * 100_000)
    client.server.clock.run()
    socket.volatile.emit("volatile")
    client.connection.tcp.unstall()  # type: ignore[union-attr]
    assert len(received_events(client)) == 1


async def test_volatile_event_is_dropped_while_no_poll_is_pending() -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    client = tcp.open_polling()
    client.send("0")
    (socket,) = io.sockets.values()
    socket.volatile.emit("volatile")
    assert received_events(client) == []


@pytest.mark.parametrize("count", [1, 2])
async def test_volatile_binary_event_is_sent_or_dropped_as_a_whole(
    transport: str, count: int
) -> None:
    _, socket, client = connect(transport)
    with stalled(client):
        for _ in range(count):
            socket.volatile.emit("x", b"1", b"2")
    messages = client.messages()
    assert len(messages) == 3
    assert messages[1:] == [b"1", b"2"]


async def test_volatile_event_before_the_connect_is_dropped() -> None:
    io = SocketServer()
    io.use(lambda socket: socket.volatile.emit("x"))
    client = TcpServer(io).open("websocket")
    client.send("0")
    assert received_events(client) == []
