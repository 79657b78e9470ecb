"""Departure of a client: handlers run for the received events, then for "disconnect"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from socketio_core import Socket, SocketServer
from socketio_core.testing import TestClient, TestServer, settle

LEAVE: dict[str, Callable[[TestClient], None]] = {
    "client namespace disconnect": lambda client: client.disconnect(),
    "transport close": lambda client: client.connection.cut(),
}


class Recorder:
    """Recorder of handler calls; the handler of "x" waits until `gate` is set."""

    def __init__(self, io: SocketServer) -> None:
        self.calls: list[Any] = []
        self.gate = asyncio.Event()
        io.on("x", self._event)
        io.on("disconnecting", lambda socket, reason: self.calls.append("disconnecting"))
        io.on("disconnect", lambda socket, reason: self.calls.append(reason))

    async def _event(self, socket: Socket, number: int) -> None:
        self.calls.append(number)
        await self.gate.wait()
        self.calls.append(f"end {number}")


@pytest.mark.parametrize("reason", LEAVE)
async def test_serialized_events_are_handled_before_disconnect_when_the_client_leaves(
    reason: str,
) -> None:
    io = SocketServer(serialize_handlers=True)
    recorder = Recorder(io)
    async with TestServer(io) as server:
        client = await server.connect()
        for number in range(5):
            client.emit("x", number)
        await settle()
        LEAVE[reason](client)
        await settle()
        assert recorder.calls == [0, "disconnecting"]
        assert not io.main.sockets
        recorder.gate.set()
        await settle()
    ended = [each for number in range(1, 5) for each in (number, f"end {number}")]
    assert recorder.calls == [0, "disconnecting", "end 0", *ended, reason]


async def test_serialized_disconnect_waits_for_the_last_handler() -> None:
    io = SocketServer(serialize_handlers=True)
    recorder = Recorder(io)
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x", 0)
        await settle()
        client.disconnect()
        await settle()
        assert recorder.calls == [0, "disconnecting"]
        recorder.gate.set()
        await settle()
    assert recorder.calls == [0, "disconnecting", "end 0", "client namespace disconnect"]


@pytest.mark.parametrize("kind", ["namespace", "socket"])
async def test_events_queued_for_a_middleware_are_handled_when_the_client_leaves(
    kind: str,
) -> None:
    io = SocketServer()
    calls: list[Any] = []
    gate = asyncio.Event()

    @io.on("connection")
    def connected(socket: Socket) -> None:
        async def slow(event: list[Any]) -> None:
            await gate.wait()

        if kind == "socket":
            socket.use(slow)

    if kind == "namespace":
        io.use_event(lambda socket, event: gate.wait())
    io.on("x", lambda socket, number: calls.append(number))
    io.on("disconnect", lambda socket, reason: calls.append(reason))
    async with TestServer(io) as server:
        client = await server.connect()
        for number in range(3):
            client.emit("x", number)
        client.disconnect()
        await settle()
        assert calls == []
        gate.set()
        await settle()
    assert calls == [0, 1, 2, "client namespace disconnect"]


async def test_disconnect_does_not_wait_without_serialize_handlers() -> None:
    io = SocketServer()
    recorder = Recorder(io)
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x", 0)
        await settle()
        client.disconnect()
        await settle()
        assert recorder.calls == [0, "disconnecting", "client namespace disconnect"]
        recorder.gate.set()


async def test_queued_events_are_dropped_and_logged_when_the_server_disconnects_the_socket(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "socketio_core")
    io = SocketServer(serialize_handlers=True)
    recorder = Recorder(io)
    async with TestServer(io) as server:
        client = await server.connect()
        for number in range(3):
            client.emit("x", number)
        await settle()
        for socket in list(io.main.sockets.values()):
            socket.disconnect()
        recorder.gate.set()
        await settle()
    assert recorder.calls == [0, "disconnecting", "end 0", "server namespace disconnect"]
    assert caplog.text.count("was dropped") == 2


@pytest.mark.parametrize("waits", [False, True])
async def test_handler_that_disconnects_its_socket_ends_before_disconnect(waits: bool) -> None:
    io = SocketServer(serialize_handlers=True)
    calls: list[Any] = []

    @io.on("x")
    async def leave(socket: Socket, number: int) -> None:
        socket.disconnect()
        if waits:
            await asyncio.sleep(0)
        calls.append(number)

    io.on("disconnect", lambda socket, reason: calls.append(reason))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x", 1)
        client.emit("x", 2)
        await settle()
    assert calls == [1, "server namespace disconnect"]


async def test_middleware_that_disconnects_the_socket_ends_its_departure() -> None:
    io = SocketServer()
    calls: list[Any] = []

    @io.use_event
    async def refuse(socket: Socket, event: list[Any]) -> None:
        socket.disconnect()

    io.on("x", lambda socket: calls.append("never"))
    io.on("disconnect", lambda socket, reason: calls.append(reason))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x")
        await settle()
    assert calls == ["server namespace disconnect"]


async def test_received_events_are_handled_within_the_grace_of_a_shutdown() -> None:
    io = SocketServer(serialize_handlers=True)
    recorder = Recorder(io)
    server = TestServer(io)
    async with server:
        client = await server.connect()
        for number in range(3):
            client.emit("x", number)
        await settle()
        ending = asyncio.ensure_future(io.shutdown(grace=60))
        await settle()
        recorder.gate.set()
        await ending
    numbers = [each for each in recorder.calls if isinstance(each, int)]
    assert numbers == [0, 1, 2]
    assert recorder.calls[-1] == "server shutting down"


async def test_shutdown_without_grace_ends_the_departure_of_each_socket() -> None:
    io = SocketServer(serialize_handlers=True)
    recorder = Recorder(io)
    later: list[str] = []

    @io.on("disconnect")
    async def disconnected(socket: Socket) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            later.append("cancelled")

    async with TestServer(io) as server:
        client = await server.connect()
        for number in range(3):
            client.emit("x", number)
        await settle()
        await io.shutdown(grace=0)
        assert recorder.calls == [0, "disconnecting", "server shutting down"]
        assert later == ["cancelled"]
