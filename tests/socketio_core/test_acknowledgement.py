"""Acks in both directions: values, errors, timeouts and missing acks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import AckError, AckTimeoutError, DisconnectedError, Socket, SocketServer
from socketio_core.acknowledgement import MAX_PENDING
from socketio_core.testing import TestServer, settle
from tests.socketio_core.support import TcpServer


async def test_result_of_a_handler_is_the_ack(transport: str) -> None:
    io = SocketServer()
    io.on("x", lambda socket, *args: args)
    client = TcpServer(io).join(transport)
    client.send('2456["x",1,"2",{"3":[false]}]')
    assert client.messages() == ['3456[1,"2",{"3":[false]}]']


@pytest.mark.parametrize(
    ("returned", "wire"),
    [
        (None, "30[]"), (0, "30[0]"), (False, "30[false]"), ("", '30[""]'), ([], "30[[]]"),
        ((), "30[]"), ((None,), "30[null]"), ((1, 2), "30[1,2]"), ([1, 2], "30[[1,2]]"),
    ],
)  # fmt: skip
async def test_ack_has_one_argument_per_tuple_item_and_none_for_none(
    returned: Any, wire: str
) -> None:
    io = SocketServer()
    io.on("x", lambda socket: returned)
    client = TcpServer(io).join("websocket")
    client.send('20["x"]')
    assert client.messages() == [wire]


async def test_event_without_an_ack_id_receives_no_ack() -> None:
    io = SocketServer()
    io.on("x", lambda socket: 1)
    client = TcpServer(io).join("websocket")
    client.send('2["x"]')
    assert client.messages() == []


async def test_ack_of_an_async_handler_is_sent_when_the_handler_returns() -> None:
    io = SocketServer()
    gate = asyncio.Event()

    @io.on("x")
    async def slow(socket: Socket) -> str:
        await gate.wait()
        return "done"

    async with TestServer(io) as server:
        client = await server.connect()
        ack = asyncio.ensure_future(client.emit_with_ack("x"))
        await settle()
        assert not ack.done()
        gate.set()
        assert await ack == "done"


async def test_ack_is_the_first_value_that_a_handler_returns() -> None:
    io = SocketServer()
    io.on("x", lambda socket: None)
    io.on("x", lambda socket: 2)
    io.on("x", lambda socket: 3)
    client = TcpServer(io).join("websocket")
    client.send('20["x"]')
    assert client.messages() == ["30[2]"]


async def test_ack_is_sent_once_when_several_handlers_return_none() -> None:
    io = SocketServer()
    io.on("x", lambda socket: None)
    io.on("x", lambda socket: None)
    client = TcpServer(io).join("websocket")
    client.send('20["x"]')
    assert client.messages() == ["30[]"]


async def test_ack_is_an_error_when_the_first_value_cannot_be_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()
    io.on("x", lambda socket: object())
    io.on("x", lambda socket: "later")
    client = TcpServer(io).join("websocket")
    client.send('20["x"]')
    (ack,) = client.messages()
    assert '"HANDLER_ERROR"' in str(ack)
    assert "cannot be sent" in caplog.text


async def test_late_ack_is_ignored_when_the_client_has_left() -> None:
    io = SocketServer()
    gate = asyncio.Event()

    @io.on("x")
    async def slow(socket: Socket) -> str:
        await gate.wait()
        return "late"

    async with TestServer(io) as server:
        client = await server.connect()
        ack = asyncio.ensure_future(client.emit_with_ack("x"))
        await settle()
        client.connection.cut()
        gate.set()
        with pytest.raises(DisconnectedError):
            await ack


async def test_ack_error_sends_code_message_and_data() -> None:
    io = SocketServer()

    @io.on("x")
    def fail(socket: Socket, data: Any = None) -> None:
        raise AckError("NOT_FOUND", "no such board", data)

    async with TestServer(io) as server:
        client = await server.connect()
        failed = {"success": False, "error": "no such board", "code": "NOT_FOUND"}
        assert await client.emit_with_ack("x") == failed
        assert await client.emit_with_ack("x", {"id": 7}) == {**failed, "id": 7}
        assert await client.emit_with_ack("x", [7]) == {**failed, "data": [7]}


async def test_error_ack_option_sets_the_error_format() -> None:
    io = SocketServer(error_ack=lambda error: {"failure": type(error).__name__})

    @io.on("x")
    def fail(socket: Socket) -> None:
        raise AckError("A", "b")

    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x") == {"failure": "AckError"}


async def test_emit_with_ack_returns_the_first_argument_of_the_ack(transport: str) -> None:
    io = SocketServer()
    client = TcpServer(io).join(transport)
    (socket,) = io.sockets.values()
    ack = asyncio.ensure_future(socket.emit_with_ack("x", 1, 2))
    await settle()
    assert client.messages() == ['20["x",1,2]']
    client.send('30["yes","more"]')
    assert await ack == "yes"


async def test_emit_with_ack_returns_none_for_an_ack_without_arguments() -> None:
    io = SocketServer()
    client = TcpServer(io).join("websocket")
    (socket,) = io.sockets.values()
    ack = asyncio.ensure_future(socket.emit_with_ack("x"))
    await settle()
    client.send("30[]")
    assert await ack is None


async def test_ack_callback_receives_all_arguments_once() -> None:
    io = SocketServer()
    seen: list[Any] = []
    client = TcpServer(io).join("websocket")
    (socket,) = io.sockets.values()
    socket.emit("x", ack=lambda *args: seen.append(args))
    client.send("30[1,2]")
    client.send("30[3]")
    assert seen == [(1, 2)]


async def test_error_in_an_ack_callback_keeps_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()
    client = TcpServer(io).join("websocket")
    (socket,) = io.sockets.values()
    socket.emit("x", ack=lambda: None)
    client.send("30[1,2]")
    assert "the ack callback" in caplog.text
    assert not client.is_over


async def test_emit_with_ack_raises_after_the_timeout() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        ack = asyncio.ensure_future(socket.timeout(5).emit_with_ack("x"))
        await server.advance(4.9)
        assert not ack.done()
        await server.advance(0.2)
        with pytest.raises(AckTimeoutError, match="timed out"):
            await ack
        client.answer(client.unanswered[0][2], "late")
        assert len(socket._pending_acks) == 0


async def test_timeout_of_zero_expires_immediately() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        ack = asyncio.ensure_future(io.sockets[client.id].timeout(0).emit_with_ack("x"))
        await server.advance(0)
        with pytest.raises(AckTimeoutError):
            await ack


async def test_ack_before_the_timeout_is_returned() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        client.auto_ack = lambda name, args: args[0] + 1
        assert await io.sockets[client.id].timeout(5).emit_with_ack("x", 41) == 42


@pytest.mark.parametrize("ending", ["leave", "cut", "server"])
async def test_pending_ack_fails_when_the_client_leaves(ending: str) -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        ack = asyncio.ensure_future(socket.emit_with_ack("x"))
        await settle()
        if ending == "leave":
            client.disconnect()
        elif ending == "cut":
            client.connection.cut()
        else:
            socket.disconnect()
        with pytest.raises(DisconnectedError):
            await ack


async def test_emit_with_ack_raises_when_the_client_has_left() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        client.disconnect()
        with pytest.raises(DisconnectedError):
            await socket.emit_with_ack("x")


async def test_cancelled_emit_with_ack_leaves_no_pending_ack() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        ack = asyncio.ensure_future(socket.emit_with_ack("x"))
        await settle()
        assert len(socket._pending_acks) == 1
        ack.cancel()
        await settle()
        assert len(socket._pending_acks) == 0


async def test_unexpected_acks_are_ignored() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        for number in range(2000):
            client.answer(number, number)
        assert client.connected


async def test_ack_of_another_socket_is_ignored() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client, other = await server.connect(), await server.connect()
        ack = asyncio.ensure_future(io.sockets[client.id].emit_with_ack("x"))
        await settle()
        other.answer(client.unanswered[0][2], "from another client")
        await settle()
        assert not ack.done()
        client.answer(client.unanswered[0][2], "from the client")
        assert await ack == "from the client"


async def test_number_of_pending_acks_is_limited() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        first = asyncio.ensure_future(socket.emit_with_ack("first"))
        await settle()
        for _ in range(MAX_PENDING):
            socket.emit("x", ack=print)
        assert len(socket._pending_acks) == MAX_PENDING
        with pytest.raises(DisconnectedError):
            await first


async def test_event_with_ack_is_sent_after_the_connect_when_emitted_before() -> None:
    io = SocketServer()
    seen: list[Any] = []

    @io.use
    def emit_early(socket: Socket) -> None:
        socket.emit("early", ack=seen.append)

    async with TestServer(io) as server:
        client = await server.connect()
        client.answer(client.unanswered[0][2], "ack")
    assert seen == ["ack"]


async def test_falsy_value_is_acked_unchanged() -> None:
    io = SocketServer()
    io.on("echo", lambda socket, each: each)
    async with TestServer(io) as server:
        client = await server.connect()
        values: list[Any] = [False, 0, "", []]
        for value in values:
            assert await client.emit_with_ack("echo", value) == value


async def test_failed_emit_with_ack_leaves_no_pending_ack() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        with pytest.raises(TypeError, match="cannot be sent"):
            await socket.timeout(1).emit_with_ack("x", object())
        with pytest.raises(TypeError, match="cannot be sent"):
            await io.timeout(1).emit_with_ack("x", object())
        assert len(socket._pending_acks) == 0
        await server.advance(2)
        assert client.connected


async def test_many_acks_reach_their_callers() -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    client = tcp.join("websocket")
    (socket,) = io.sockets.values()
    pending = [asyncio.ensure_future(socket.emit_with_ack("x")) for _ in range(8000)]
    await settle()
    client.messages()
    for ack_id in range(8000):
        client.send(f"3{ack_id}[{ack_id}]")
    assert await asyncio.gather(*pending) == list(range(8000))
    assert len(socket._pending_acks) == 0
