"""Disconnect reasons: one test per reason, over each transport."""

from __future__ import annotations

import pytest

from socketio_core import Socket, SocketServer
from tests.helpers.client import PollingClient
from tests.socketio_core.support import Journal, TcpServer, join


async def test_reason_is_client_namespace_disconnect_when_the_client_leaves(transport: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.send("1")
    assert journal.reasons == ["client namespace disconnect"]
    assert not client.is_over


async def test_reason_is_server_namespace_disconnect_when_the_server_disconnects_the_socket(
    transport: str,
) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    io.disconnect_sockets()
    assert journal.reasons == ["server namespace disconnect"]
    assert client.messages() == ["1"]
    assert not client.is_over


async def test_reason_is_server_namespace_disconnect_in_all_namespaces_when_the_connection_closes(
    transport: str,
) -> None:
    io = SocketServer()
    journal, other = Journal(io), Journal(io, "/a")
    client = TcpServer(io).join(transport)
    join(client, "/a")
    (socket,) = io.sockets.values()
    socket.disconnect(close=True)
    assert journal.reasons == other.reasons == ["server namespace disconnect"]
    assert [m for m in client.messages() if str(m).startswith("1")] == ["1", "1/a,"]
    assert client.is_over


async def test_reason_is_transport_close_when_the_client_ends_the_session(transport: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.send_packet("1")
    assert journal.reasons == ["transport close"]


async def test_reason_is_transport_close_when_the_websocket_ends() -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join("websocket")
    client.connection.tcp.finish()  # type: ignore[union-attr]
    client.server.clock.run()
    assert journal.reasons == ["transport close"]


async def test_reason_is_transport_close_when_tcp_is_reset() -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join("websocket")
    client.connection.tcp.lose(ConnectionResetError())  # type: ignore[union-attr]
    # Node (ws 8.21) reports a reset as a close as well.
    assert journal.reasons == ["transport close"]


async def test_reason_is_transport_error_when_two_polls_overlap() -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join("polling")
    assert isinstance(client, PollingClient)
    client.poll()
    client.poll()
    assert journal.reasons == ["transport error"]


async def test_reason_is_ping_timeout_when_the_client_sends_no_pong(transport: str) -> None:
    io = SocketServer(ping_interval=25, ping_timeout=20)
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.server.clock.advance(44.9)
    assert journal.reasons == []
    client.server.clock.advance(5)
    assert journal.reasons == ["ping timeout"]


async def test_reason_is_parse_error_when_the_packet_is_not_engine_io(transport: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.send_packet("abc")
    assert journal.reasons == ["parse error"]
    assert client.is_over


async def test_reason_is_forced_close_when_the_packet_is_invalid(transport: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.send("2{}")
    assert journal.reasons == ["forced close"]
    assert journal.descriptions == ["invalid payload"]
    assert client.is_over


async def test_reason_is_forced_close_when_the_server_closes_the_session(transport: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.messages()
    (socket,) = io.sockets.values()
    socket.session.close()
    assert client.is_over
    assert journal.reasons == ["forced close"]


async def test_reason_is_forced_server_close_when_the_packet_is_not_allowed(transport: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    client.send("0")
    assert journal.reasons == ["forced server close"]
    assert "second CONNECT" in journal.descriptions[0]
    assert client.is_over


async def test_reason_is_server_shutting_down_at_the_shutdown(transport: str) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    await io.shutdown()
    assert journal.reasons == ["server shutting down"]
    assert client.is_over


async def test_reason_is_slow_consumer_when_the_client_does_not_fetch_its_packets() -> None:
    io = SocketServer(max_outbox_size=10_000)
    journal = Journal(io)
    TcpServer(io).join("polling")
    for _ in range(20):
        io.emit("x", "a" * 1000)
    assert journal.reasons == ["slow consumer"]


@pytest.mark.parametrize("times", [1, 3])
async def test_disconnect_handler_runs_once_when_the_server_disconnects_repeatedly(
    transport: str, times: int
) -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).join(transport)
    (socket,) = io.sockets.values()
    for _ in range(times):
        socket.disconnect()
        socket.disconnect(close=True)
    client.server.clock.advance(100)
    assert journal.reasons == ["server namespace disconnect"]


async def test_disconnecting_handler_runs_before_disconnect_with_the_same_reason() -> None:
    io = SocketServer()
    seen: list[tuple[str, str]] = []
    io.on("disconnecting", lambda socket, reason: seen.append(("disconnecting", reason)))
    io.on("disconnect", lambda socket, reason: seen.append(("disconnect", reason)))

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on("disconnecting", lambda reason: seen.append(("own disconnecting", reason)))
        socket.once("disconnect", lambda reason: seen.append(("own disconnect", reason)))

    client = TcpServer(io).join("websocket")
    client.send("1")
    reason = "client namespace disconnect"
    assert seen == [
        ("disconnecting", reason), ("own disconnecting", reason),
        ("disconnect", reason), ("own disconnect", reason),
    ]  # fmt: skip


async def test_disconnect_handler_does_not_run_when_the_client_never_connected() -> None:
    io = SocketServer()
    journal = Journal(io)
    client = TcpServer(io).open("websocket")
    client.send_packet("1")
    assert journal.reasons == []


async def test_handler_continues_when_it_disconnects_its_own_socket() -> None:
    io = SocketServer()
    journal = Journal(io)

    @io.on("leave")
    async def leave(socket: Socket) -> str:
        socket.disconnect()
        socket.emit("never")
        await socket.join("never")
        return "late"

    client = TcpServer(io).join("websocket")
    client.send('20["leave"]')
    assert client.messages() == ["1", '30["late"]']
    assert journal.reasons == ["server namespace disconnect"]
    assert io.main.rooms == {}


async def test_connect_packet_precedes_the_disconnect_of_the_connection_handler() -> None:
    io = SocketServer()
    io.on("connection", lambda socket: socket.disconnect())
    client = TcpServer(io).open("websocket")
    client.send("0")
    connected, disconnected = client.messages()
    assert str(connected).startswith('0{"sid"')
    assert disconnected == "1"


async def test_disconnect_handlers_run_once_when_they_disconnect_again(
    transport: str,
) -> None:
    io = SocketServer()
    calls: list[str] = []

    @io.on("disconnecting")
    def disconnecting(socket: Socket, reason: str) -> None:
        calls.append(f"disconnecting: {reason}")
        socket.disconnect(close=True)
        socket.join("late")

    @io.on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        calls.append(f"disconnect: {reason}")
        socket.disconnect()
        socket.join("later")

    client = TcpServer(io).join(transport)
    client.send("1")
    reason = "client namespace disconnect"
    assert calls == [f"disconnecting: {reason}", f"disconnect: {reason}"]
    assert (io.sockets, io.main.rooms) == ({}, {})
