"""Server shutdown: sockets leave cleanly, and no task keeps running."""

from __future__ import annotations

import asyncio
import json
import socket as sockets

import pytest

from socketio_core import DisconnectedError, Socket, SocketServer
from socketio_core.testing import TestServer, settle
from tests.helpers.ports import reserve_port
from tests.socketio_core.support import Journal, TcpServer, join


async def test_shutdown_ends_all_sockets_without_disconnect_packets(transport: str) -> None:
    io = SocketServer()
    root, other = Journal(io), Journal(io, "/a")
    client = TcpServer(io).join(transport)
    join(client, "/a")
    await io.shutdown()
    assert root.reasons == other.reasons == ["server shutting down"]
    assert "1" not in [p[1:] for p in client.packets() if str(p).startswith("4")]
    assert client.is_over
    assert not io._connections


async def test_shutdown_sends_disconnect_packets_when_disconnect_is_true() -> None:
    io = SocketServer()
    io.of("/a")
    async with TestServer(io) as server:
        client = await server.connect()
        other = await server.connect("/a", on_connection=client.connection)
        disconnected: list[str] = []
        client._lost = lambda: disconnected.append("root")  # type: ignore[method-assign]
        other._lost = lambda: disconnected.append("a")  # type: ignore[method-assign]
        await io.shutdown(disconnect=True)
    assert disconnected[:2] == ["root", "a"]


async def test_pending_poll_receives_the_last_events_at_the_shutdown() -> None:
    io = SocketServer()
    seen: asyncio.Queue[str] = asyncio.Queue()
    io.engine.use(lambda request: seen.put_nowait(request.method))

    @io.use
    async def admit(socket: Socket) -> None:
        await asyncio.sleep(0)  # the shutdown finds no task to wait for

    listener = await io.listen("127.0.0.1", 0)
    target = "/socket.io/?EIO=4&transport=polling"

    async def request(target: str, body: bytes = b"") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        method = "POST" if body else "GET"
        head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        _, _, length = (await reader.readuntil(b"\r\n\r\n")).partition(b"Content-Length: ")
        response = await reader.readexactly(int(length.split()[0]))
        writer.close()
        return response

    opened = await request(target)
    target += "&sid=" + json.loads(opened[1:])["sid"]
    await request(target, b"40")
    await request(target)
    waiting = asyncio.ensure_future(request(target))
    for _ in range(4):
        await seen.get()  # the fourth request is the pending poll
    io.emit("last")
    await io.shutdown(disconnect=True)
    assert await asyncio.wait_for(waiting, 300) == b'42["last"]\x1e41'


async def test_port_is_free_after_the_shutdown() -> None:
    io = SocketServer()
    port = reserve_port()
    await io.listen("127.0.0.1", port)
    await io.shutdown()
    with sockets.socket() as probe:
        probe.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


async def test_shutdown_succeeds_when_the_server_never_listened_or_has_ended() -> None:
    io = SocketServer()
    await io.shutdown()
    await io.shutdown()


async def test_handshake_receives_503_while_the_server_shuts_down() -> None:
    io = SocketServer()
    tcp = TcpServer(io)
    tcp.join("websocket")
    tcp.join("websocket")
    shutdown = asyncio.ensure_future(io.shutdown(drain=10))
    await settle()
    assert not shutdown.done()
    assert tcp.get(transport="polling").response().status == 503
    tcp.clock.advance(60)
    await shutdown


async def test_drain_spreads_the_disconnects_over_the_time() -> None:
    io = SocketServer()
    leave_times: list[float] = []
    async with TestServer(io) as server:
        io.on("disconnect", lambda socket: leave_times.append(server.clock.time()))
        for _ in range(5):
            await server.connect()
        start = server.clock.time()
        shutdown = asyncio.ensure_future(io.shutdown(drain=10))
        await server.advance(20)
        await shutdown
        # One client in each fifth of the time, at a random point in it.
        assert [int((when - start) / 2) for when in leave_times] == [0, 1, 2, 3, 4]


async def test_drain_of_some_clients_is_short_by_default() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        for _ in range(5):
            await server.connect()
        start = server.clock.time()
        shutdown = asyncio.ensure_future(io.shutdown(drain=None))
        while not shutdown.done():
            await server.advance(0.01)
        assert server.clock.time() - start < 0.2


async def test_connected_clients_are_served_while_the_server_drains() -> None:
    io = SocketServer()
    io.on("double", lambda socket, number: 2 * number)
    async with TestServer(io) as server:
        client = await server.connect()
        await server.connect()
        assert not io.is_draining
        shutdown = asyncio.ensure_future(io.shutdown(drain=10))
        await settle()
        assert io.is_draining
        assert await client.emit_with_ack("double", 21) == 42
        await server.advance(20)
        await shutdown
        assert not client.connected


async def test_client_with_a_running_handler_gets_its_ack_before_the_end() -> None:
    io = SocketServer()
    release = asyncio.Event()

    @io.on("save")
    async def save(socket: Socket) -> str:
        await release.wait()
        return "saved"

    async with TestServer(io) as server:
        client = await server.connect()
        saving = asyncio.ensure_future(client.emit_with_ack("save"))
        await settle()
        shutdown = asyncio.ensure_future(io.shutdown(drain=2))
        await server.advance(2.5)  # the window has ended
        assert client.connected
        release.set()
        assert await saving == "saved"
        await server.advance(1)
        await shutdown
        assert not client.connected


async def test_client_that_owes_an_ack_stays_until_it_answers() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        confirming = asyncio.ensure_future(io.sockets[client.id].emit_with_ack("confirm"))
        await settle()
        shutdown = asyncio.ensure_future(io.shutdown(drain=10))
        await server.advance(9)
        assert client.connected
        client.answer(0, "yes")
        await server.advance(1)  # the time of its wave is random
        assert await confirming == "yes"
        assert not client.connected
        await server.advance(10)
        await shutdown


async def test_handler_without_an_end_delays_the_shutdown_by_grace_only() -> None:
    io = SocketServer()

    @io.on("x")
    async def endless(socket: Socket) -> None:
        await asyncio.Event().wait()

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        await settle()
        start = server.clock.time()
        shutdown = asyncio.ensure_future(io.shutdown(drain=4, grace=2))
        while not shutdown.done():
            await server.advance(0.1)
        assert server.clock.time() - start < 6.5


async def test_server_that_drains_closes_idle_connections_without_a_session() -> None:
    io = SocketServer()
    listener = await io.listen("127.0.0.1", 0)

    writers: list[asyncio.StreamWriter] = []

    async def request(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writers.append(writer)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        await reader.readexactly(length)
        return reader, writer, head

    idle, *_ = await request("/other")
    polling, writer, _ = await request("/socket.io/?EIO=4&transport=polling")
    io.begin_drain()
    assert await idle.read() == b""
    writer.write(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"connection: close" in (await polling.readuntil(b"\r\n\r\n")).lower()
    _, _, head = await request("/socket.io/?EIO=4&transport=polling")
    assert b" 503 " in head
    assert b"retry-after: " in head.lower()
    await io.shutdown()
    for each in writers:
        each.close()


async def test_shutdown_waits_for_running_handlers() -> None:
    io = SocketServer()
    ended: list[str] = []

    @io.on("disconnect")
    async def disconnected(socket: Socket) -> None:
        await asyncio.sleep(0.01)
        ended.append("saved")

    async with TestServer(io) as server:
        await server.connect()
        await asyncio.gather(io.shutdown(), asyncio.sleep(0.03))
    assert ended == ["saved"]


async def test_handlers_that_do_not_end_are_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    io = SocketServer()
    ended: list[str] = []

    @io.on("x")
    async def endless(socket: Socket) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        await settle()
    assert ended == ["cancelled"]
    assert "failed" not in caplog.text


async def test_handler_shuts_the_server_down() -> None:
    io = SocketServer()
    done = asyncio.Event()

    @io.on("stop")
    async def stop(socket: Socket) -> None:
        await io.shutdown()
        done.set()

    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("stop")
        await asyncio.wait_for(done.wait(), 300)
        assert not io._connections


async def test_pending_ack_fails_when_the_server_shuts_down() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        pending = asyncio.ensure_future(io.sockets[client.id].emit_with_ack("x"))
        await settle()
        await io.shutdown()
        with pytest.raises(DisconnectedError):
            await pending


async def test_server_serves_again_after_a_shutdown() -> None:
    io = SocketServer()
    for _ in range(2):
        listener = await io.listen("127.0.0.1", 0)
        assert listener.port
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()
        await io.shutdown()
