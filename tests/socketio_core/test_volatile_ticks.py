"""Volatile events of one iteration of the event loop, and during the upgrade to WebSocket."""

from __future__ import annotations

from typing import Any

from socketio_core import Socket, SocketServer
from socketio_core.testing import TestServer, settle
from tests.helpers.client import Client, PollingClient, WebSocketClient
from tests.socketio_core.support import TcpServer


def connect(transport: str) -> tuple[SocketServer, Socket, Client]:
    io = SocketServer()
    client = TcpServer(io).join(transport)
    client.messages()  # a polling client now has a pending poll
    (socket,) = io.sockets.values()
    return io, socket, client


def received(client: Client) -> list[Any]:
    return [message for message in client.messages() if str(message).startswith(("2", "5"))]


async def test_second_volatile_event_of_an_iteration_is_dropped_over_each_transport(
    transport: str,
) -> None:
    io, socket, client = connect(transport)
    socket.volatile.emit("first")
    socket.volatile.emit("second")
    io.volatile.emit("third")
    assert received(client) == ['2["first"]']


async def test_volatile_event_of_the_next_iteration_is_sent_over_each_transport(
    transport: str,
) -> None:
    _, socket, client = connect(transport)
    for number in range(3):
        socket.volatile.emit("x", number)
        assert received(client) == [f'2["x",{number}]']


async def test_volatile_event_of_another_client_is_not_counted(transport: str) -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    clients = [tcp.join(transport) for _ in range(2)]
    for client in clients:
        client.messages()
    first, second = io.sockets.values()
    first.volatile.emit("a")
    second.volatile.emit("b")
    io.volatile.emit("c")
    assert [received(client) for client in clients] == [['2["a"]'], ['2["b"]']]


async def test_regular_event_is_sent_after_a_dropped_volatile_event(transport: str) -> None:
    _, socket, client = connect(transport)
    socket.volatile.emit("one")
    socket.volatile.emit("dropped")
    socket.emit("two")
    assert received(client) == ['2["one"]', '2["two"]']


async def test_test_server_sends_one_volatile_event_per_iteration() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        for number in range(2):
            io.volatile.emit("x", number)
            io.volatile.emit("dropped", number)
            await settle()
        assert client.received == [("x", [0]), ("x", [1])]


async def test_volatile_event_is_dropped_after_a_regular_event_of_the_iteration(
    transport: str,
) -> None:
    io, socket, client = connect(transport)
    socket.emit("regular")
    socket.volatile.emit("dropped")
    io.volatile.emit("dropped as well")
    assert received(client) == ['2["regular"]']
    socket.volatile.emit("next")
    assert received(client) == ['2["next"]']


async def test_volatile_event_is_dropped_after_a_broadcast_of_the_iteration(
    transport: str,
) -> None:
    io, socket, client = connect(transport)
    io.emit("regular")
    socket.volatile.emit("dropped")
    assert received(client) == ['2["regular"]']


async def test_volatile_event_is_sent_before_a_regular_event_of_the_iteration(
    transport: str,
) -> None:
    _, socket, client = connect(transport)
    socket.volatile.emit("volatile")
    socket.emit("regular")
    assert received(client) == ['2["volatile"]', '2["regular"]']


async def test_test_server_drops_a_volatile_event_after_a_regular_event() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        await settle()
        io.emit("regular")
        io.volatile.emit("dropped")
        await settle()
        assert client.received == [("regular", [])]


# -- upgrade


def begin_upgrade() -> tuple[Socket, PollingClient, WebSocketClient]:
    """Return a socket, its client after the last poll, and the WebSocket after the probe."""
    io = SocketServer()
    client = TcpServer(io).open_polling()
    client.send("0")
    client.messages()
    candidate = client.upgrade()
    candidate.send_packet("2probe")
    client.poll().response()
    assert candidate.texts() == ["3probe"]
    (socket,) = io.sockets.values()
    return socket, client, candidate


def emit(socket: Socket, *args: Any) -> None:
    socket.volatile.emit("x", *args)
    socket.session._context.clock.run()  # type: ignore[attr-defined]  # the fake clock


async def test_volatile_events_during_an_upgrade_arrive_over_the_websocket() -> None:
    socket, _, candidate = begin_upgrade()
    emit(socket, 1)
    emit(socket, 2)
    assert candidate.texts() == []
    candidate.send_packet("5")
    assert candidate.texts() == ['42["x",1]', '42["x",2]']


async def test_volatile_binary_events_during_an_upgrade_arrive_with_their_attachments() -> None:
    socket, _, candidate = begin_upgrade()
    emit(socket, b"\x01", [b"\x02"])
    emit(socket, b"\x03", [])
    socket.emit("regular")
    candidate.send_packet("5")
    one, two = (f'{{"_placeholder":true,"num":{number}}}' for number in range(2))
    assert candidate.messages() == [
        f'52-["x",{one},[{two}]]', b"\x01", b"\x02", f'51-["x",{one},[]]', b"\x03", '2["regular"]',
    ]  # fmt: skip


async def test_volatile_binary_event_during_a_failed_upgrade_arrives_with_the_next_poll() -> None:
    socket, client, candidate = begin_upgrade()
    emit(socket, b"\x01")
    candidate.connection.tcp.lose()
    assert client.messages() == ['51-["x",{"_placeholder":true,"num":0}]', b"\x01"]


async def test_volatile_event_during_a_failed_upgrade_arrives_with_the_next_poll() -> None:
    socket, client, candidate = begin_upgrade()
    emit(socket, 1)
    candidate.connection.tcp.lose()
    assert received(client) == ['2["x",1]']


async def test_volatile_event_is_dropped_during_an_upgrade_when_many_bytes_are_queued() -> None:
    socket, _, candidate = begin_upgrade()
    socket.emit("long", "x" * 70_000)
    emit(socket, 1)
    candidate.send_packet("5")
    assert len(candidate.texts()) == 1


async def test_second_volatile_event_of_an_iteration_is_dropped_during_an_upgrade() -> None:
    socket, _, candidate = begin_upgrade()
    socket.volatile.emit("x", 1)
    socket.volatile.emit("x", 2)
    candidate.send_packet("5")
    assert candidate.texts() == ['42["x",1]']
