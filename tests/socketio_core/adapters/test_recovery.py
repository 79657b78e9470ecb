"""Connection state recovery: which sessions are recovered, by which rules and limits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core import ConnectError, Recovery, Socket, SocketServer
from socketio_core.adapters.interface import SavedSession
from socketio_core.adapters.recovery import PRUNE_DELAY, RecoveryLog
from socketio_core.testing import TestServer, settle
from tests.helpers.fake_clock import FakeClock
from tests.socketio_core.adapters.support import events, make_server


async def test_recovery_restores_the_socket_and_sends_the_missed_events() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        await socket.join("room")
        socket.data["user"] = "alice"
        io.emit("before")
        client.connection.cut()
        io.emit("missed by all", 1)
        io.to("room").emit("missed by the room", 2)
        socket.emit("missed by the socket", 3)
        io.to("other").emit("for another room")
        again = await server.connect(recovering=client)
        assert (again.id, again.pid) == (client.id, client.pid)
        assert events(again) == [
            ("missed by all", [1]), ("missed by the room", [2]), ("missed by the socket", [3]),
        ]  # fmt: skip
        back = io.sockets[again.id]
        assert back.recovered
        assert back.rooms == {client.id, "room"}
        assert back.data == {"user": "alice"}


async def test_recovery_is_disabled_by_default() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        assert client.pid is None
        io.emit("x", 1)
        assert client.received == [("x", [1])]
        client.connection.cut()
        again = await server.connect(auth={"pid": "abc", "offset": "1-1"})
        assert not io.sockets[again.id].recovered


@pytest.mark.parametrize("auth", [
    {"pid": "unknown", "offset": "a-1"}, {"pid": 7}, {"pid": ["a"]}, {"offset": "a-1"}, {"pid": ""},
])  # fmt: skip
async def test_unknown_pid_opens_a_new_session(auth: dict[str, Any]) -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect(auth=auth)
        assert client.pid
        assert client.pid != auth.get("pid")
        assert not io.sockets[client.id].recovered


@pytest.mark.parametrize("offset", ["", "1", "x-1", "{origin}-999", "{origin}--1", "{origin}-x", 7])
async def test_invalid_offset_is_not_recovered(offset: Any) -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("x")
        origin = str(client.last_offset).rpartition("-")[0]
        client.connection.cut()
        sent = offset.replace("{origin}", origin) if isinstance(offset, str) else offset
        again = await server.connect(auth={"pid": client.pid, "offset": sent})
        assert again.id != client.id


async def test_middleware_is_skipped_for_a_recovered_socket() -> None:
    io = make_server()
    seen: list[bool] = []
    io.use(lambda socket: seen.append(socket.recovered))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        await server.connect(recovering=client)
    assert seen == [False]


async def test_middleware_runs_for_a_recovered_socket_when_skip_middlewares_is_false() -> None:
    io = make_server(skip_middlewares=False)
    seen: list[bool] = []
    io.use(lambda socket: seen.append(socket.recovered))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        assert (await server.connect(recovering=client)).id == client.id
    assert seen == [False, True]


async def test_session_is_restored_after_a_middleware_refused_its_client() -> None:
    io, refusing = make_server(skip_middlewares=False), True

    @io.use
    def refuse(socket: Socket) -> None:
        if socket.recovered and refusing:
            raise ConnectError("revoked")

    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("seen")
        client.connection.cut()
        io.emit("missed", 1)
        for _ in range(2):
            with pytest.raises(ConnectError, match="revoked"):
                await server.connect(recovering=client)
            assert io.main.rooms == {}
        io.emit("missed", 2)
        refusing = False
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("missed", [1]), ("missed", [2])]


async def test_refusals_do_not_extend_the_time_of_a_session() -> None:
    io, refusing = make_server(skip_middlewares=False, max_disconnection_duration=60), True

    @io.use
    def refuse(socket: Socket) -> None:
        if socket.recovered and refusing:
            raise ConnectError("revoked")

    async with TestServer(io) as server:
        client, later = await server.connect(), await server.connect()
        client.connection.cut()
        await server.advance(40)
        later.connection.cut()
        with pytest.raises(ConnectError, match="revoked"):
            await server.connect(recovering=client)
        await server.advance(30)
        refusing = False
        assert (await server.connect(recovering=client)).id != client.id
        assert (await server.connect(recovering=later)).id == later.id


async def test_connection_handler_runs_after_a_recovery() -> None:
    io = make_server()
    seen: list[bool] = []
    io.on("connection", lambda socket: seen.append(socket.recovered))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        await server.connect(recovering=client)
    assert seen == [False, True]


async def test_client_without_received_events_recovers() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        io.emit("missed", 1)
        assert client.last_offset is None
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("missed", [1])]


async def test_client_that_was_idle_longer_than_the_window_recovers() -> None:
    io = make_server(max_disconnection_duration=60)
    async with TestServer(io) as server:
        client, other = await server.connect(), await server.connect()
        io.emit("seen")
        await server.advance(10_000)
        io.to(other.id).emit("for another room")
        await server.advance(10_000)
        client.connection.cut()
        io.emit("missed")
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("missed", [])]


async def test_client_receives_a_new_session_after_the_maximum_disconnection() -> None:
    io = make_server(max_disconnection_duration=60)
    async with TestServer(io) as server:
        early, late = await server.connect(), await server.connect()
        early.connection.cut()
        late.connection.cut()
        await server.advance(59)
        assert (await server.connect(recovering=early)).id == early.id
        await server.advance(2)
        assert (await server.connect(recovering=late)).id != late.id


async def test_recovery_replaces_a_connection_that_is_still_open() -> None:
    io = make_server()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("seen")
        client.connection.pause()  # the connection is lost, but the server has not noticed
        io.emit("missed", 1)
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("missed", [1])]
        assert client.connection.is_closed
        assert list(io.sockets) == [again.id]
        assert reasons == ["forced close"]
        io.emit("now")
        assert events(again)[-1] == ("now", [])


async def test_session_is_restored_for_one_connection_only() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        first, second = await asyncio.gather(
            server.connect(recovering=client), server.connect(recovering=client)
        )
        # The later connection replaces the earlier: both sent the pid, so the earlier is obsolete.
        assert len(io.sockets) == 1
        assert second.connected != first.connected


async def test_restored_session_is_not_restored_again_after_an_intended_disconnect() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        again = await server.connect(recovering=client)
        assert again.id == client.id
        again.disconnect()
        for former in (client, again):
            assert (await server.connect(recovering=former)).id != client.id


async def test_client_recovers_repeatedly() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        received: list[int] = []
        for number in range(20):
            client.connection.cut()
            io.emit("x", number)
            again = await server.connect(recovering=client)
            received += [args[0] for _, args in again.received]
            assert again.id == client.id
            client = again
        assert received == list(range(20))


async def test_client_recovers_again_when_the_connect_response_is_lost() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        io.emit("missed")
        lost = await server.connect(recovering=client)
        lost.connection.cut()
        io.emit("missed as well")
        # The client did not receive the response to `lost`.
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("missed", []), ("missed as well", [])]


async def test_client_recovers_when_the_connection_ends_during_the_middleware() -> None:
    io = make_server(skip_middlewares=False)
    gate = asyncio.Event()
    gate.set()

    @io.use
    async def slow(socket: Socket) -> None:
        await gate.wait()

    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        gate.clear()
        connection = server.open_connection()
        attempt = asyncio.ensure_future(server.connect(recovering=client, on_connection=connection))
        await settle()
        connection.cut()
        gate.set()
        await asyncio.gather(attempt, return_exceptions=True)
        await settle()
        assert (await server.connect(recovering=client)).id == client.id


async def test_pending_ack_fails_when_the_connection_is_lost() -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        pending = asyncio.ensure_future(io.sockets[client.id].emit_with_ack("x"))
        await settle()
        client.connection.cut()
        assert isinstance((await asyncio.gather(pending, return_exceptions=True))[0], Exception)


@pytest.mark.parametrize("ending", ["client", "server", "parse error"])
async def test_session_is_not_recovered_after_an_intended_disconnect(ending: str) -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        if ending == "client":
            client.disconnect()
        elif ending == "server":
            io.sockets[client.id].disconnect()
        else:
            from engineio_core.errors import CloseReason

            client.connection.session._transport_closed(CloseReason.PARSE_ERROR, "test")
        assert (await server.connect(recovering=client)).id != client.id


@pytest.mark.parametrize("ending", ["cut", "invalid packet", "violation", "ping timeout", "closed"])
async def test_session_is_recovered_after_an_unintended_disconnect(ending: str) -> None:
    io = make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        connection = client.connection
        if ending == "cut":
            connection.cut()
        elif ending == "invalid packet":
            connection.send_text("2{}")
        elif ending == "violation":
            connection.send_text("0")
        elif ending == "ping timeout":
            connection.answers_pings = False
            await server.advance(60)
        else:
            io.sockets[client.id].session.close()
        assert not io.sockets
        assert (await server.connect(recovering=client)).id == client.id


async def test_session_is_not_recovered_when_still_valid_returns_false() -> None:
    revoked: set[str] = set()
    io = make_server(still_valid=lambda data: data["user"] not in revoked)
    io.use(lambda socket: socket.data.update(user=socket.handshake.auth["user"]))
    async with TestServer(io) as server:
        client = await server.connect(auth={"user": "alice"})
        client.connection.cut()
        revoked.add("alice")
        again = await server.connect(recovering=client, auth={"user": "alice"})
        assert again.id != client.id


async def test_session_is_not_recovered_when_still_valid_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = make_server(still_valid=lambda data: bool(1 / 0))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        assert (await server.connect(recovering=client)).id != client.id
    assert "still_valid failed" in caplog.text


@pytest.mark.parametrize("rules", [{"max_packets": 3}, {"max_bytes": 60}])
async def test_client_receives_a_new_session_when_its_missed_events_exceed_the_limit(
    rules: dict[str, int],
) -> None:
    io = make_server(**rules)
    async with TestServer(io) as server:
        client, late = await server.connect(), await server.connect()
        io.emit("seen")
        client.connection.cut()
        for number in range(10):
            io.emit("x", number)
        late.connection.cut()
        assert (await server.connect(recovering=client)).id != client.id
        assert (await server.connect(recovering=late)).id == late.id


async def test_oldest_session_is_dropped_when_max_sessions_is_exceeded() -> None:
    io = make_server(max_sessions=2)
    async with TestServer(io) as server:
        clients = [await server.connect() for _ in range(3)]
        for client in clients:
            client.connection.cut()
        again = [await server.connect(recovering=client) for client in clients]
        assert [a.id == b.id for a, b in zip(again, clients, strict=True)] == [False, True, True]


@pytest.mark.parametrize(
    "rules",
    [{"max_disconnection_duration": 0}, {"max_sessions": 0}, {"max_packets": 0}, {"max_bytes": 0}],
)
def test_invalid_limit_is_rejected(rules: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Recovery(**rules)


def test_timer_drops_events_and_sessions_when_the_server_is_idle() -> None:
    clock = FakeClock()
    log = RecoveryLog(Recovery(max_disconnection_duration=10), lambda: clock, 5.0)
    log.append((EncodedPacket.message("x"),), (), frozenset())
    log.save(SavedSession("pid", "socket", ("room",), {}, "", left_at=None))
    clock.advance(10 + PRUNE_DELAY)
    assert not log.has_sessions
    assert not log.has_socket("socket")
    assert len(log._entries) == 1
    clock.advance(5)
    assert not log._entries
    assert log._size == 0
    assert log._timer is None
