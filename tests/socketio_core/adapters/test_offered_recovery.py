"""Recovery for a part of the clients: `Recovery(offered_to=...)`."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import SocketServer
from socketio_core.handshake import Handshake
from socketio_core.testing import TestClient, TestServer, settle
from tests.socketio_core.adapters.support import make_server


def wants_recovery(handshake: Handshake) -> bool:
    return handshake.query.get("recovery") == "1"


async def connect_both(server: TestServer) -> tuple[TestClient, TestClient]:
    """Return a client with recovery and one without."""
    return await server.connect(query="recovery=1"), await server.connect()


async def test_offset_is_sent_only_to_clients_with_recovery() -> None:
    io = make_server(offered_to=wants_recovery)
    async with TestServer(io) as server:
        offered, other = await connect_both(server)
        assert (offered.pid is not None, other.pid) == (True, None)
        io.emit("broadcast", 1, b"x")
        await settle()  # the transports can take a volatile event
        io.to(offered.id, other.id).volatile.emit("volatile", 2)
        for client in (offered, other):
            io.sockets[client.id].emit("direct", 3)
            await settle()
            io.sockets[client.id].volatile.emit("direct volatile", 4)
            io.sockets[client.id].compress(False).emit("uncompressed", 5)
        names = ["broadcast", "volatile", "direct", "direct volatile", "uncompressed"]
        arguments: list[list[Any]] = [[1, b"x"], [2], [3], [4], [5]]
        assert other.received == list(zip(names, arguments, strict=True))
        assert [(name, args[:-1]) for name, args in offered.received] == other.received
        assert all(isinstance(args[-1], str) for _, args in offered.received)


async def test_volatile_broadcast_after_an_event_is_dropped_with_and_without_recovery() -> None:
    io = make_server(offered_to=wants_recovery)
    async with TestServer(io) as server:
        offered, other = await connect_both(server)
        io.emit("regular", 1)
        io.volatile.emit("volatile", 2)
        await settle()
        for client in (offered, other):
            assert [name for name, _ in client.received] == ["regular"]


async def test_broadcast_to_clients_with_recovery_only_has_an_offset() -> None:
    io = make_server(offered_to=wants_recovery)
    async with TestServer(io) as server:
        offered, other = await connect_both(server)
        io.to(offered.id).emit("room", 1)
        ((name, args),) = offered.received
        assert (name, args[:-1], isinstance(args[-1], str)) == ("room", [1], True)
        assert other.received == []


async def test_client_with_recovery_gets_missed_events_when_only_others_are_connected() -> None:
    io = make_server(offered_to=wants_recovery)
    async with TestServer(io) as server:
        offered, other = await connect_both(server)
        offered.connection.cut()
        io.emit("missed", 1)
        assert other.received == [("missed", [1])]
        again = await server.connect(recovering=offered, query="recovery=1")
        assert again.id == offered.id
        assert [(name, args[:-1]) for name, args in again.received] == [("missed", [1])]


async def test_client_without_recovery_returns_as_a_new_client() -> None:
    io = make_server(offered_to=wants_recovery)
    async with TestServer(io) as server:
        _, other = await connect_both(server)
        other.connection.cut()
        assert (await server.connect(recovering=other)).id != other.id


async def test_outgoing_listeners_run_once_per_client_with_and_without_recovery() -> None:
    io = make_server(offered_to=wants_recovery)
    seen: list[tuple[str, Any]] = []
    async with TestServer(io) as server:
        for client in await connect_both(server):
            io.sockets[client.id].on_any_outgoing(lambda *data: seen.append(data))
        io.emit("x", 1)
        assert seen == [("x", 1), ("x", 1)]


async def test_value_that_cannot_be_sent_is_refused_in_a_room_without_members() -> None:
    io = make_server(offered_to=wants_recovery)
    async with TestServer(io) as server:
        await connect_both(server)
        with pytest.raises(TypeError):
            io.to("nobody").emit("x", object())


@pytest.mark.parametrize("answer", [1, "yes", None, (True,)])
async def test_recovery_is_not_offered_when_offered_to_cannot_decide(answer: Any) -> None:
    async with TestServer(make_server(offered_to=lambda handshake: answer)) as server:
        assert (await server.connect()).pid is None


async def test_recovery_is_not_offered_when_offered_to_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io: SocketServer = make_server(offered_to=lambda handshake: bool(1 / 0))
    async with TestServer(io) as server:
        assert (await server.connect()).pid is None
    assert "offered_to failed" in caplog.text
