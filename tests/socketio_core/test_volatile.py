"""Volatile events: they leave at once, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from socketio_core import Socket, SocketServer
from tests.helpers.client import Client, WebSocketClient
from tests.socketio_core.support import TcpServer


def arrived(client: Client) -> list[Any]:
    return [message for message in client.messages() if str(message).startswith(("2", "5"))]


@contextmanager
def busy(client: Client) -> Iterator[None]:
    """Let the kernel take nothing before the end: as uvloop, which writes once a round."""
    if isinstance(client, WebSocketClient):
        client.tcp.stall()
    yield
    if isinstance(client, WebSocketClient):
        client.tcp.unstall()


def connect(transport: str) -> tuple[SocketServer, Socket, Client]:
    io = SocketServer()
    client = TcpServer(io).join(transport)
    client.messages()  # a polling client now waits in its GET
    (socket,) = io.sockets.values()
    return io, socket, client


async def test_a_volatile_event_arrives_where_nothing_is_in_its_way(transport: str) -> None:
    _, socket, client = connect(transport)
    socket.volatile.emit("x", 1)
    assert arrived(client) == ['2["x",1]']


async def test_a_volatile_event_right_behind_another_event_is_dropped(transport: str) -> None:
    _, socket, client = connect(transport)
    with busy(client):
        socket.emit("regular")
        socket.volatile.emit("volatile")
    assert arrived(client) == ['2["regular"]']


async def test_of_two_volatile_events_at_once_the_first_arrives(transport: str) -> None:
    _, socket, client = connect(transport)
    with busy(client):
        socket.volatile.emit("first")
        socket.volatile.emit("second")
    assert arrived(client) == ['2["first"]']


async def test_volatile_broadcasts_obey_the_same_rule(transport: str) -> None:
    io, _, client = connect(transport)
    with busy(client):
        io.emit("regular")
        io.volatile.emit("volatile")
    assert arrived(client) == ['2["regular"]']
    with busy(client):
        io.volatile.emit("first")
        io.volatile.emit("second")
    assert arrived(client) == ['2["first"]']


async def test_regular_events_around_a_dropped_one_arrive(transport: str) -> None:
    _, socket, client = connect(transport)
    with busy(client):
        socket.emit("one")
        socket.volatile.emit("dropped")
        socket.emit("two")
    assert arrived(client) == ['2["one"]', '2["two"]']


async def test_a_volatile_event_is_dropped_while_the_client_does_not_read() -> None:
    _, socket, client = connect("websocket")
    client.connection.tcp.stall()  # type: ignore[union-attr]
    socket.emit("x", "a" * 100_000)
    client.server.clock.run()
    socket.volatile.emit("volatile")
    client.connection.tcp.unstall()  # type: ignore[union-attr]
    assert len(arrived(client)) == 1


async def test_a_volatile_event_is_dropped_while_no_poll_waits() -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    client = tcp.open_polling()
    client.send("0")
    (socket,) = io.sockets.values()
    socket.volatile.emit("volatile")
    assert arrived(client) == []


@pytest.mark.parametrize("count", [1, 2])
async def test_volatile_binary_is_all_or_nothing(transport: str, count: int) -> None:
    _, socket, client = connect(transport)
    with busy(client):
        for _ in range(count):
            socket.volatile.emit("x", b"1", b"2")
    messages = client.messages()
    assert len(messages) == 3
    assert messages[1:] == [b"1", b"2"]


async def test_a_volatile_event_before_the_connect_is_dropped() -> None:
    io = SocketServer()
    io.use(lambda socket: socket.volatile.emit("x"))
    client = TcpServer(io).open("websocket")
    client.send("0")
    assert arrived(client) == []
