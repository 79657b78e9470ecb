"""Handlers start in the order of their packets, optionally one at a time."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from socketio_core import Socket, SocketServer
from socketio_core.testing import TestServer, settle
from tests.helpers.client import PollingClient, WebSocketClient
from tests.helpers.wire import text_frame
from tests.socketio_core.support import TcpServer


@pytest.mark.eager_start
async def test_handlers_start_in_the_order_of_their_events() -> None:
    io = SocketServer()
    seen: list[Any] = []

    @io.on("slow")
    async def slow(socket: Socket, number: int) -> None:
        seen.append(number)
        await asyncio.sleep(0)
        seen.append(f"end {number}")

    @io.on("fast")
    def fast(socket: Socket, number: int) -> None:
        seen.append(number)

    async with TestServer(io) as server:
        client = await server.connect()
        for number in range(0, 6, 2):
            client.emit("slow", number)
            client.emit("fast", number + 1)
        assert seen == [0, 1, 2, 3, 4, 5], "each handler runs up to its first await"
        await settle()
    assert seen[6:] == ["end 0", "end 2", "end 4"]


async def test_connection_handler_starts_before_any_event_handler() -> None:
    io = SocketServer()
    seen: list[str] = []
    io.on("connection", lambda socket: seen.append("connection"))
    io.on("x", lambda socket: seen.append("x"))
    client = TcpServer(io).open("polling")
    client.send_packet('40\x1e42["x"]')
    assert seen == ["connection", "x"]


async def test_handlers_run_concurrently_unless_serialize_handlers_is_true() -> None:
    for serialize, most in ((False, 3), (True, 1)):
        io = SocketServer(serialize_handlers=serialize)
        running: list[int] = []
        peak: list[int] = []

        @io.on("x")
        async def handler(socket: Socket, running: Any = running, peak: Any = peak) -> None:
            running.append(1)
            peak.append(len(running))
            await asyncio.sleep(0)
            running.pop()

        async with TestServer(io) as server:
            client = await server.connect()
            for _ in range(3):
                client.emit("x")
            await settle()
        assert max(peak) == most


async def test_serialized_handlers_keep_the_order_and_ack_all_events() -> None:
    io = SocketServer(serialize_handlers=True)
    seen: list[Any] = []

    @io.on("x")
    async def handler(socket: Socket, number: int) -> int:
        seen.append(number)
        for _ in range(3 - number):
            await asyncio.sleep(0)
        seen.append(f"end {number}")
        return number

    async with TestServer(io) as server:
        client, other = await server.connect(), await server.connect()
        results = await asyncio.gather(
            *(client.emit_with_ack("x", number) for number in range(3)),
            other.emit_with_ack("x", 3),
        )
    assert results == [0, 1, 2, 3]
    own = [each for each in seen if each not in {3, "end 3"}]
    assert own == [0, "end 0", 1, "end 1", 2, "end 2"]


async def test_serialized_handler_emits_with_ack_to_its_own_client() -> None:
    io = SocketServer(serialize_handlers=True)

    @io.on("x")
    async def handler(socket: Socket) -> Any:
        return await socket.emit_with_ack("confirm")

    async with TestServer(io) as server:
        client = await server.connect()
        client.auto_ack = lambda name, args: "yes"
        assert await client.emit_with_ack("x") == "yes"


@pytest.mark.eager_start
async def test_reading_is_paused_when_too_many_handlers_run() -> None:
    io = SocketServer(max_pending_handlers=3)
    seen: list[int] = []
    gate = asyncio.Event()

    @io.on("x")
    async def handler(socket: Socket, number: int) -> None:
        seen.append(number)
        await gate.wait()

    tcp = TcpServer(io)
    client, other = tcp.join("websocket"), tcp.join("websocket")
    for number in range(10):
        client.send(f'2["x",{number}]')
    other.send('2["x",100]')
    assert seen == [0, 1, 2, 100]
    gate.set()
    for _ in range(10):
        await settle()
        tcp.clock.run()
    assert sorted(seen) == [*range(10), 100]
    await io.shutdown(grace=0)


async def test_handler_is_cancelled_and_acked_after_the_handler_timeout() -> None:
    io = SocketServer(handler_timeout=5)
    ended: list[str] = []
    errors: list[BaseException] = []
    io.on_error(lambda error, socket, event: errors.append(error))

    @io.on("x")
    async def endless(socket: Socket) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with TestServer(io) as server:
        client = await server.connect()
        response = asyncio.ensure_future(client.emit_with_ack("x"))
        await server.advance(4.9)
        assert ended == []
        await server.advance(0.2)
        assert (await response)["code"] == "HANDLER_ERROR"
        assert ended == ["cancelled"]
        assert client.connected
    assert [type(error) for error in errors] == [TimeoutError]


async def test_handler_timeout_has_no_effect_when_the_handler_has_ended() -> None:
    io = SocketServer(handler_timeout=5)

    @io.on("x")
    async def fast(socket: Socket) -> str:
        await asyncio.sleep(0)
        return "done"

    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x") == "done"
        await server.advance(10)
        assert client.connected


async def test_handler_continues_in_its_own_task_when_it_starts_another_handler() -> None:
    io = SocketServer()
    seen: list[str] = []
    gate = asyncio.Event()

    @io.on("disconnect")
    async def disconnected(socket: Socket) -> None:
        async with asyncio.timeout(300):
            await gate.wait()
        seen.append("disconnect")

    @io.on("leave")
    async def leave(socket: Socket) -> None:
        async with asyncio.timeout(300):
            socket.disconnect()
            await asyncio.sleep(0)
            seen.append("leave")

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("leave")
        await settle()
        gate.set()
        await settle()
    assert seen == ["leave", "disconnect"]


async def test_context_variable_of_a_handler_is_private_to_the_handler() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="anonymous")
    io = SocketServer()

    @io.on("login")
    async def login(socket: Socket) -> str:
        token = user.set("alice")
        await asyncio.sleep(0)
        assert user.get() == "alice"
        user.reset(token)  # raises in a context other than that of `set`
        return user.get()

    @io.on("fast login")
    async def fast(socket: Socket) -> None:
        user.set("mallory")

    @io.on("read user")
    async def read_user(socket: Socket) -> str:
        return user.get()

    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("login") == "anonymous"
        client.emit("fast login")
        assert await client.emit_with_ack("read user") == "anonymous"


@pytest.mark.parametrize("waits", [False, True])
async def test_handler_has_its_own_task_from_the_first_step(waits: bool) -> None:
    io = SocketServer()
    tasks: list[Any] = []

    @io.on("x")
    async def handler(socket: Socket) -> None:
        tasks.append(asyncio.current_task())
        async with asyncio.timeout(300), asyncio.TaskGroup() as group:
            if waits:
                group.create_task(asyncio.sleep(0))
        tasks.append(asyncio.current_task())

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        await settle()
        assert asyncio.current_task() not in tasks
        assert tasks[0] is tasks[1] is not None


@pytest.mark.parametrize("serializes", [False, True])
async def test_events_of_one_chunk_run_in_order_within_the_limit(
    transport: str, serializes: bool
) -> None:
    io = SocketServer(max_pending_handlers=4, serialize_handlers=serializes)
    seen: list[int] = []
    running = most = 0

    @io.on("x")
    async def handler(socket: Socket, number: int) -> None:
        nonlocal running, most
        seen.append(number)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    tcp = TcpServer(io)
    client = tcp.join(transport)
    packets = [f'42["x",{number}]' for number in range(50)]
    if isinstance(client, PollingClient):
        held = client.post("\x1e".join(packets))
    else:
        client.feed(b"".join(map(text_frame, packets)))
    for _ in range(200):
        await settle()
        tcp.clock.run()
    assert seen == list(range(50))
    assert most == (1 if serializes else 4)
    if isinstance(client, PollingClient):
        assert held.response().text == "ok"
    await io.shutdown(grace=0)


async def test_events_queued_for_a_middleware_run_before_later_events() -> None:
    io = SocketServer(max_pending_handlers=3)
    seen: list[int] = []

    @io.use_event
    async def middleware(socket: Socket, event: list[Any]) -> None:
        await asyncio.sleep(0)

    io.on("x", lambda socket, number: seen.append(number))
    tcp = TcpServer(io)
    client = tcp.join("websocket")
    assert isinstance(client, WebSocketClient)
    client.feed(b"".join(text_frame(f'42["x",{number}]') for number in range(20)))
    for _ in range(100):
        await settle()
        tcp.clock.run()
    assert seen == list(range(20))
    await io.shutdown(grace=0)
