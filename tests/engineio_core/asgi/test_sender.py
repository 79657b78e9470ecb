"""Packets on their way to an ASGI host: answers, broadcasts, slow and stalled clients."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from socketio_core import Socket, SocketServer
from tests.engineio_core.asgi.support import LIMIT, Host, websocket
from tests.helpers.waiting import settle


async def connect(stack: AsyncExitStack, io: SocketServer, app: Any) -> tuple[Host, Socket]:
    """Return a host whose client has joined the namespace `/`, and the socket of the client."""
    known = set(io.sockets)
    host = await stack.enter_async_context(websocket(app))
    host.deliver("websocket.receive", text="40")
    await host.wait_for(3)
    (sid,) = set(io.sockets) - known
    return host, io.sockets[sid]


def texts(host: Host) -> list[Any]:
    """Return the texts that the client has received after the CONNECT packet."""
    return [message.get("text", message["type"]) for message in host.sent[3:]]


async def test_answer_leaves_before_the_next_message_is_received() -> None:
    io = SocketServer()
    io.on("echo", lambda socket, number: number)
    app = io.asgi_app()
    async with AsyncExitStack() as stack:
        host, _ = await connect(stack, io, app)
        host.may_send.clear()
        host.deliver("websocket.receive", text='421["echo",1]')
        host.deliver("websocket.receive", text='422["echo",2]')
        await settle()
        assert host.undelivered == 1
        host.may_send.set()
        await host.wait_for(5)
        assert texts(host) == ["431[1]", "432[2]"]
    await io.shutdown()


async def test_broadcast_reaches_all_clients_with_one_task() -> None:
    io = SocketServer()
    tasks: list[asyncio.Task[Any]] = []

    def create_task(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.Task(coroutine, loop=loop, **options))
        return tasks[-1]

    app = io.asgi_app()
    async with AsyncExitStack() as stack:
        hosts = [(await connect(stack, io, app))[0] for _ in range(20)]
        loop = asyncio.get_running_loop()
        loop.set_task_factory(create_task)
        io.emit("news", 1)
        io.emit("news", 2)
        async with asyncio.timeout(LIMIT):
            for host in hosts:
                await host.wait_for(5)
        loop.set_task_factory(None)
        assert all(texts(host) == ['42["news",1]', '42["news",2]'] for host in hosts)
    assert [task.get_name() for task in tasks].count("asgi sender") == 1
    await io.shutdown()


async def test_packets_reach_other_clients_when_the_host_suspends_one() -> None:
    io = SocketServer()
    app = io.asgi_app()
    async with AsyncExitStack() as stack:
        (first, _), (slow, socket), (last, _) = [await connect(stack, io, app) for _ in range(3)]
        slow.may_send.clear()
        io.emit("news", 1)
        io.emit("news", 2)
        await first.wait_for(5)
        await last.wait_for(5)
        assert texts(slow) == []
        assert not socket.session.writable
        io.emit("news", 3)
        await last.wait_for(6)
        slow.may_send.set()
        await slow.wait_for(6)
        everything = ['42["news",1]', '42["news",2]', '42["news",3]']
        assert [texts(host) for host in (first, slow, last)] == [everything] * 3
        io.emit("news", 4)
        await asyncio.gather(*(host.wait_for(7) for host in (first, slow, last)))
    await io.shutdown()


async def test_application_ends_when_the_server_discards_a_client_that_does_not_read() -> None:
    io = SocketServer()
    io.on("echo", lambda socket, number: number)
    app = io.asgi_app()
    for is_answer in (True, False):
        async with AsyncExitStack() as stack:
            host, socket = await connect(stack, io, app)
            neighbor, _ = await connect(stack, io, app)
            host.may_send.clear()
            if is_answer:
                host.deliver("websocket.receive", text='421["echo",1]')
            else:
                io.emit("news")  # in the task of all clients
            await settle()
            socket.session.close(discard=True)  # as the ping timeout does
            assert texts(host) == []
            await host.ended()  # although the host reports no end of the client
            io.emit("later")
            await neighbor.wait_for(4 if is_answer else 5)
    await io.shutdown()


async def test_cancelled_application_ends_its_session_and_its_packets() -> None:
    io = SocketServer()
    app = io.asgi_app()
    async with AsyncExitStack() as stack:
        host, socket = await connect(stack, io, app)
        neighbor, _ = await connect(stack, io, app)
        host.may_send.clear()
        io.emit("news")
        await neighbor.wait_for(4)
        host.task.cancel()
        await asyncio.wait({host.task})
        assert host.task.cancelled()
        assert socket.id not in io.sockets
        host.may_send.set()
        io.emit("later")
        await neighbor.wait_for(5)
        assert texts(host) == []
    await io.shutdown()


async def test_failing_host_ends_no_other_client() -> None:
    io = SocketServer()
    app = io.asgi_app()
    async with AsyncExitStack() as stack:
        host, _ = await connect(stack, io, app)
        neighbor, _ = await connect(stack, io, app)
        host.failure = OSError("the client has left")
        io.emit("news")
        await neighbor.wait_for(4)
        io.emit("later")
        await neighbor.wait_for(5)
        assert texts(host) == []
    assert not io.sockets
    await io.shutdown()


def test_application_serves_one_event_loop_after_the_other() -> None:
    io = SocketServer()
    app = io.asgi_app()

    async def broadcast() -> list[Any]:
        async with AsyncExitStack() as stack:
            host, _ = await connect(stack, io, app)
            io.emit("news")
            await host.wait_for(4)
            return texts(host)

    assert [asyncio.run(broadcast()) for _ in range(2)] == [['42["news"]']] * 2
