"""Methods of Node's server: operators of a socket, acks with a callback, events without an ack."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from socketio_core import (
    NO_ACK,
    AckTimeoutError,
    BroadcastAnswers,
    DisconnectedError,
    Socket,
    SocketServer,
)
from socketio_core.testing import TestClient, TestServer, settle


class Room:
    """A server with three clients: all in the lobby, the third also in the room "hidden"."""

    def __init__(self) -> None:
        self.io = SocketServer()
        self.server = TestServer(self.io)
        self.clients: list[TestClient] = []

    async def __aenter__(self) -> Room:
        for _ in range(3):
            self.clients.append(await self.server.connect())
        self.io.sockets_join("lobby")
        self.socket_of(2).join("hidden")
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.server.__aexit__(None, None, None)

    def socket_of(self, index: int) -> Socket:
        return self.io.sockets[self.clients[index].id]

    def receivers(self) -> list[int]:
        """Return the indexes of the clients that received an event."""
        return [index for index, client in enumerate(self.clients) if client.received]


SELECT: dict[str, tuple[Any, list[int]]] = {
    "socket.local": (lambda socket: socket.local, [1, 2]),
    "socket.local.to": (lambda socket: socket.local.to("hidden"), [2]),
    "socket.volatile.broadcast": (lambda socket: socket.volatile.broadcast, [1, 2]),
    "socket.volatile.local": (lambda socket: socket.volatile.local, [1, 2]),
    "socket.volatile.to": (lambda socket: socket.volatile.to("hidden"), [2]),
    "socket.volatile.except_": (lambda socket: socket.volatile.except_("hidden"), [1]),
    "socket.compress.to": (lambda socket: socket.compress(False).to("lobby"), [1, 2]),
    "socket.compress.in_": (lambda socket: socket.compress(True).in_("hidden"), [2]),
    "socket.timeout.to": (lambda socket: socket.timeout(1).to("lobby"), [1, 2]),
    "several rooms": (lambda socket: socket.timeout(1).to("a", "hidden").to(["b"]), [2]),
}


@pytest.mark.parametrize("name", SELECT)
async def test_operator_of_a_socket_selects_other_clients(name: str) -> None:
    select, expected = SELECT[name]
    async with Room() as room:
        select(room.socket_of(0)).emit("x")
        assert room.receivers() == expected


async def test_operator_of_a_socket_keeps_its_flags_for_other_clients() -> None:
    async with Room() as room:
        operator = room.socket_of(0).volatile.compress(False).timeout(3).to("lobby")
        _, target, timeout = operator._target()
        assert (target.volatile, target.compress, timeout) == (True, False, 3)
        assert room.socket_of(0).local._target()[1].local


async def test_volatile_broadcast_is_dropped_for_a_client_that_is_not_writable() -> None:
    async with Room() as room:
        room.clients[1].connection.pause()
        room.socket_of(0).volatile.broadcast.emit("x")
        room.clients[1].connection.resume()
        assert room.receivers() == [2]


async def test_leave_all_leaves_every_room_and_keeps_the_namespace() -> None:
    async with Room() as room:
        await room.socket_of(2).leave_all()
        assert room.socket_of(2).rooms == set()
        room.io.to("hidden").emit("x")
        room.io.to(room.clients[2].id).emit("x")
        assert room.receivers() == []
        room.io.emit("x")
        assert room.receivers() == [0, 1, 2]


@pytest.mark.parametrize("name", ["/chat", re.compile("/ch.*"), lambda name, auth: True])
async def test_second_argument_of_of_handles_connections(name: Any) -> None:
    io = SocketServer()
    connected: list[str] = []

    async def listen(socket: Socket) -> None:
        connected.append(socket.namespace.name)

    io.of(name, listen)
    async with TestServer(io) as server:
        await server.connect("/chat")
        await settle()
    assert connected == ["/chat"]


# -- acks with a callback


@pytest.mark.parametrize("is_async", [False, True])
async def test_ack_callback_with_a_timeout_receives_no_error_and_the_ack(is_async: bool) -> None:
    calls: list[Any] = []

    async def later(*args: Any) -> None:
        calls.append(args)

    async with Room() as room:
        room.clients[0].auto_ack = lambda name, args: "yes"
        ack = later if is_async else lambda *args: calls.append(args)
        room.socket_of(0).timeout(5).emit("sure?", 1, ack=ack)
        await settle()
        await room.server.advance(6)
    assert calls == [(None, "yes")]


async def test_ack_callback_receives_an_ack_timeout_error_once() -> None:
    calls: list[Any] = []
    async with Room() as room:
        room.clients[0].auto_ack = None
        room.socket_of(0).timeout(5).emit("sure?", ack=lambda *args: calls.append(args))
        await room.server.advance(4)
        assert calls == []
        await room.server.advance(2)
        room.clients[0].disconnect()
        await settle()
    ((error,),) = calls
    assert isinstance(error, AckTimeoutError)


async def test_ack_callback_with_a_timeout_receives_an_error_when_the_client_leaves() -> None:
    calls: list[Any] = []
    async with Room() as room:
        room.clients[0].auto_ack = None
        socket = room.socket_of(0)
        socket.timeout(5).emit("sure?", ack=lambda *args: calls.append(args))
        room.clients[0].disconnect()
        assert [type(error) for (error,) in calls] == [DisconnectedError]
        socket.timeout(5).emit("still?", ack=lambda *args: calls.append(args))
        await room.server.advance(6)
    assert [type(error) for (error,) in calls] == [DisconnectedError, DisconnectedError]


async def test_ack_callback_of_flags_without_a_timeout_receives_only_the_ack() -> None:
    calls: list[Any] = []
    async with Room() as room:
        room.clients[0].auto_ack = lambda name, args: "yes"
        room.socket_of(0).compress(False).emit("sure?", ack=lambda *args: calls.append(args))
        await settle()
    assert calls == [("yes",)]


@pytest.mark.parametrize("is_async", [False, True])
async def test_ack_callback_of_a_broadcast_receives_the_acks(is_async: bool) -> None:
    calls: list[Any] = []

    async def later(error: Any, answers: BroadcastAnswers) -> None:
        calls.append((error, answers.responses, answers.missing))

    def ack(error: Any, answers: BroadcastAnswers) -> Any:
        return later(error, answers) if is_async else calls.append((error, *answers))

    async with Room() as room:
        for client in room.clients:
            client.auto_ack = lambda name, args: name
        room.io.timeout(5).emit("all", ack=ack)
        room.socket_of(0).timeout(5).to("hidden").emit("hidden", ack=ack)
        room.io.of("/").emit("no timeout", ack=ack)
        await settle()
    assert calls == [
        (None, ["all"] * 3, []), (None, ["hidden"], []), (None, ["no timeout"] * 3, []),
    ]  # fmt: skip


async def test_ack_callback_of_a_broadcast_receives_an_error_when_an_ack_is_missing() -> None:
    calls: list[Any] = []
    async with Room() as room:
        room.clients[0].auto_ack = lambda name, args: "yes"
        for client in room.clients[1:]:
            client.auto_ack = None
        room.io.timeout(5).emit("all", ack=lambda *args: calls.append(args))
        await room.server.advance(6)
        ((error, answers),) = calls
        assert isinstance(error, AckTimeoutError)
        assert answers == (["yes"], [client.id for client in room.clients[1:]])


async def test_failing_ack_callback_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(error: Any, answers: Any) -> None:
        raise LookupError

    async with Room() as room:
        room.io.timeout(5).emit("all", ack=fail)
        await room.server.advance(6)
    assert "the ack callback of 'all' failed" in caplog.text


async def test_ack_that_cannot_be_called_is_refused_before_the_event_is_sent() -> None:
    async with Room() as room:
        for emit in (room.io.emit, room.socket_of(0).timeout(1).emit, room.socket_of(0).emit):
            with pytest.raises(TypeError, match="ack must be a function"):
                emit("x", ack=3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="does not accept"):
            room.io.emit("x", ack=lambda: None)
        assert room.receivers() == []


# -- events without an ack


@pytest.mark.parametrize("is_async", [False, True])
async def test_event_is_not_acked_when_its_handler_returns_no_ack(is_async: bool) -> None:
    io = SocketServer()

    async def later(socket: Socket) -> Any:
        await asyncio.sleep(0)
        return NO_ACK

    io.on("x", later if is_async else lambda socket: NO_ACK)
    async with TestServer(io) as server:
        client = await server.connect()
        waiting = asyncio.ensure_future(client.emit_with_ack("x"))
        await settle()
        assert not waiting.done()
        waiting.cancel()
        await settle()
        client.emit("x")
        await settle()
        assert client.connected


@pytest.mark.parametrize(
    ("results", "answer"),
    [([NO_ACK, "a"], "a"), (["a", NO_ACK], "a"), ([NO_ACK, None], None), ([None, NO_ACK], None)],
    ids=str,
)
async def test_event_is_acked_when_one_of_its_handlers_returns_a_value(
    results: list[Any], answer: Any
) -> None:
    io = SocketServer()
    for result in results:
        io.on("x", lambda socket, result=result: result)
    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x") == answer


async def test_event_is_not_acked_when_all_its_handlers_return_no_ack() -> None:
    io = SocketServer()
    for _ in range(2):
        io.on("x", lambda socket: NO_ACK)
    async with TestServer(io) as server:
        client = await server.connect()
        waiting = asyncio.ensure_future(client.emit_with_ack("x"))
        await settle()
        assert not waiting.done()
        waiting.cancel()
    assert repr(NO_ACK) == "NO_ACK"
