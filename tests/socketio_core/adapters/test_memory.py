"""Memory adapter: volatile broadcasts with acks, and sessions without recovery."""

from __future__ import annotations

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core import SocketServer
from socketio_core.adapters.interface import SavedSession
from socketio_core.testing import TestServer


async def test_volatile_broadcast_with_ack_returns_the_responses() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect("/")
        client.auto_ack = lambda name, args: args[0] + 1
        result = await io.volatile.timeout(5).emit_with_ack("x", 1)
        assert result == ([2], [])


async def test_adapter_saves_no_session_without_recovery() -> None:
    io = SocketServer()
    async with TestServer(io):
        adapter = io.of("/").adapter
        adapter.save_session(SavedSession("pid", "id", (), None, ""))
        assert adapter.restore_session("pid", None) is None
        assert adapter.current_offset() == ""


async def test_adapter_is_the_only_server_and_delays_no_packet() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect("/")
        adapter = io.of("/").adapter
        assert await adapter.server_count() == 1
        (socket,) = io.sockets.values()
        packets = (EncodedPacket(b'42["late"]'),)
        adapter.send_later(socket, packets)
        assert await client.receive_event("late") == []
