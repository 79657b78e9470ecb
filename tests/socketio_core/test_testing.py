"""Test server, test client and test clock of `socketio_core.testing`."""

from __future__ import annotations

import asyncio

import pytest

from socketio_core import (
    DisconnectedError,
    MsgpackParser,
    Recovery,
    Socket,
    SocketServer,
    testing,
)
from socketio_core.testing import TestServer


async def test_receive_event_waits_and_keeps_the_order_of_other_events() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        waiting = asyncio.ensure_future(client.receive_event("b"))
        io.emit("a", 1)
        io.emit("b", 2)
        io.emit("a", 3)
        assert await waiting == [2]
        assert await client.receive_event("a") == [1]
        assert list(client.events("a")) == [[3]]


async def test_receive_event_lists_other_events_when_it_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(testing, "PATIENCE", 0.01)
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        with pytest.raises(TimeoutError, match=r"'b' did not arrive .*; other events: none"):
            await client.receive_event("b")
        io.emit("a")
        with pytest.raises(TimeoutError, match=r"'b' did not arrive .*; other events: 'a'"):
            await client.receive_event("b")


async def test_emit_with_ack_raises_when_the_client_has_left() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        client.disconnect()
        with pytest.raises(DisconnectedError):
            await client.emit_with_ack("x")


async def test_clock_moves_only_in_advance() -> None:
    io = SocketServer(ping_interval=25, ping_timeout=20)
    async with TestServer(io) as server:
        client = await server.connect()
        await server.advance(1000)
        assert client.connected, "the client sends pongs"
        client.connection.answers_pings = False
        await server.advance(19)
        assert client.connected
        await server.advance(60)
        assert not client.connected


async def test_paused_client_receives_queued_packets_when_it_resumes() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.pause()
        io.emit("x", 1)
        io.volatile.emit("lost")
        assert client.received == []
        client.connection.resume()
        assert client.received == [("x", [1])]


async def test_client_acks_explicitly_or_with_auto_ack() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        pending = asyncio.ensure_future(socket.emit_with_ack("x", 1))
        assert await client.receive_event("x") == [1]
        ((name, args, ack_id),) = client.unanswered
        assert (name, args) == ("x", [1])
        client.answer(ack_id, "explicit")
        assert await pending == "explicit"
        client.auto_ack = lambda name, args: f"{name} {args}"
        assert await socket.emit_with_ack("x", 2) == "x [2]"


async def test_pending_ack_fails_when_the_server_shuts_down() -> None:
    io = SocketServer()
    io.on("x", lambda socket: socket.disconnect())
    async with TestServer(io) as server:
        client = await server.connect()

        @io.on("y")
        async def y(socket: Socket) -> None:
            socket.session.close()
            await asyncio.Event().wait()

        with pytest.raises(DisconnectedError):
            await client.emit_with_ack("y")
        with pytest.raises(DisconnectedError):
            await server.connect(on_connection=client.connection)


async def test_client_recovers_after_cut() -> None:
    io = SocketServer(recovery=Recovery())
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        assert not client.connected
        io.emit("missed")
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert [name for name, _ in again.received] == ["missed"]


async def test_client_uses_the_parser_of_the_server() -> None:
    io = SocketServer(parser=MsgpackParser())
    io.on("echo", lambda socket, value: value)
    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("echo", {"a": b"\x01"}) == {"a": b"\x01"}


async def test_clock_change_is_rejected_when_sessions_are_open() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        await server.connect()
        with pytest.raises(RuntimeError, match="clock"):
            TestServer(io)


async def test_exit_of_the_test_server_ends_connections_and_tasks() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
    assert not client.connected
    assert not io._connections
    assert not io._dispatch.runner.tasks
