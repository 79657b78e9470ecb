"""Redis Streams with recovery: two Python servers on one Redis."""

from __future__ import annotations

import asyncio
import logging
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import suppress
from copy import copy
from pathlib import Path
from socket import create_connection
from typing import Any, Self

import pytest

from socketio_core import (
    ConnectError,
    DisconnectedError,
    Handshake,
    MsgpackParser,
    Recovery,
    Socket,
    SocketServer,
)
from socketio_core.adapters.streams import recovery as recovery_module
from socketio_core.adapters.streams import sessions as sessions_module
from socketio_core.adapters.streams.adapter import RedisStreams
from socketio_core.adapters.streams.entry import parse_position
from socketio_core.adapters.streams.recovery import REQUEST_SECONDS, StreamsRecoveryAdapter
from socketio_core.adapters.streams.sessions import MAX_PID
from socketio_core.testing import TestClient, TestServer
from tests.helpers.redis_server import RedisServer, running_redis
from tests.helpers.waiting import settle
from tests.socketio_core.redis.conftest import PATIENCE, Pair, until

MAIN = "/"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time to restore a session."""
    monkeypatch.setattr(sessions_module, "RESTORE_TIMEOUT", PATIENCE)


@pytest.fixture
def own_redis(tmp_path: Path) -> Any:
    """Run a Redis server that the test may stop."""
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture
async def pair(redis: RedisServer) -> AsyncIterator[Pair]:
    redis.command("FLUSHALL")
    async with Pair(redis.url, RedisStreams, recovery=Recovery()) as servers:
        yield servers


def names(client: TestClient) -> list[str]:
    return [name for name, _ in client.received]


def sessions(redis: RedisServer) -> int:
    return redis.command("KEYS", "sio:session:*").count(b"sio:session:")


def position(pair: Pair) -> tuple[int, int]:
    """Return the position of the last entry that the first server has read."""
    return parse_position(pair.ios[0].main.adapter.current_offset()) or (0, 0)


class Traffic:
    """Events that both servers emit while a client changes servers.

    Redis sets the pace: the events that follow ten others wait until a server has read one of
    them. The events that follow 40 others wait until the client has changed servers again.
    """

    def __init__(self, pair: Pair, total: int) -> None:
        self._pair = pair
        self._total = total
        self._sent = 0
        self._changes = 0
        self._task = asyncio.ensure_future(self._emit())

    async def _emit(self) -> None:
        while self._sent < self._total:
            read = position(self._pair)
            for _ in range(10):
                self._pair.ios[self._sent % 2].emit("x", self._sent)
                self._sent += 1
                await asyncio.sleep(0)
            await until(lambda read=read: position(self._pair) > read)  # type: ignore[misc]
            await until(lambda: self._changes >= self._sent // 40)

    async def next_change(self) -> bool:
        """Wait until events follow the last change; return False if all events were emitted."""
        sent = self._sent
        await until(lambda: self._sent > sent or self._task.done())
        if self._task.done():
            self._task.result()
            return False
        return True

    def changed(self) -> None:
        """Note that the client has changed servers."""
        self._changes += 1


class SwitchingProxy:
    """The address of a Redis that fails over: `target` is the port of the primary."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, to_redis), (from_redis, writer)):
            task = asyncio.ensure_future(self._copy(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: StreamReader, sink: StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
        sink.close()


async def leave(pair: Pair, client: TestClient, redis: RedisServer) -> None:
    """Cut the connection of a client and wait until its session is in Redis."""
    client.connection.cut()
    await until(lambda: sessions(redis) == 1)


async def test_events_end_with_the_id_of_their_entry_on_both_servers(
    pair: Pair, redis: RedisServer
) -> None:
    here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
    pair.ios[0].emit("a", 1)
    pair.ios[0].emit("b", b"\x01")
    pair.ios[0].emit("end")
    for client in (here, there):
        await client.receive_event("end")
    assert here.received == there.received
    offsets = [args[-1] for _, args in here.received]
    assert [args[:-1] for _, args in here.received] == [[1], [b"\x01"]]
    for offset in offsets:
        assert offset.encode() in redis.command("XRANGE", "socket.io", offset, offset)


async def test_local_events_arrive_in_the_order_of_emission(pair: Pair) -> None:
    client = await pair.servers[0].connect()
    socket = pair.ios[0].sockets[client.id]
    client.auto_ack = lambda name, args: name
    pair.ios[0].emit("1")
    socket.emit("2")
    answers: list[str] = []
    socket.emit("3", ack=answers.append)
    pair.ios[0].local.emit("4")
    socket.compress(False).emit("5")
    pair.ios[0].to(client.id).emit("6")
    await until(lambda: len(client.received) == 6 and answers == ["3"])
    assert names(client) == ["1", "2", "3", "4", "5", "6"]
    positions = [parse_position(args[-1]) for name, args in client.received if name != "3"]
    assert all(positions)
    assert positions == sorted(positions, key=lambda each: each or (0, 0))
    assert client.received[2] == ("3", [])


async def test_offsets_increase_while_both_servers_emit(pair: Pair) -> None:
    """Node delivers own events at the reply of XADD (findings/redis-streams-adapter-order.sh)."""
    clients = [await server.connect() for server in pair.servers]
    for number in range(300):
        read = position(pair)
        for io in pair.ios:
            io.emit("x")
        await asyncio.sleep(0)
        if number % 10 == 0:
            await until(lambda read=read: position(pair) > read)  # type: ignore[misc]
    for client in clients:
        await until(lambda client=client: len(client.received) == 600)  # type: ignore[misc]
        positions = [parse_position(args[-1]) or (0, 0) for _, args in client.received]
        assert positions == sorted(set(positions))


async def test_event_reaches_the_members_at_the_time_of_its_emission(pair: Pair) -> None:
    leaving, joining = await pair.servers[0].connect(), await pair.servers[0].connect()
    pair.ios[0].sockets[leaving.id].join("room")
    pair.ios[0].to("room").emit("x")
    pair.ios[0].sockets[leaving.id].leave("room")
    pair.ios[0].sockets[joining.id].join("room")
    pair.ios[0].emit("end")
    for client in (leaving, joining):
        await client.receive_event("end")
    assert (names(leaving), names(joining)) == (["x"], [])


async def test_events_before_a_disconnect_arrive(pair: Pair) -> None:
    client = await pair.servers[0].connect()
    socket = pair.ios[0].sockets[client.id]
    pair.ios[0].emit("to all")
    socket.emit("bye")
    socket.disconnect()
    assert client.received == [("to all", [""]), ("bye", [""])]
    assert not client.connected


async def test_client_recovers_on_the_other_server_and_back(pair: Pair, redis: RedisServer) -> None:
    client = await pair.servers[0].connect()
    socket = pair.ios[0].sockets[client.id]
    socket.join("room")
    socket.data["user"] = {"name": "alice", "key": b"\x01"}
    pair.ios[0].emit("seen")
    await client.receive_event("seen")
    for number in (1, 0, 1):
        await leave(pair, client, redis)
        pair.ios[0].emit("all", 0)
        pair.ios[1].to("room").emit("room", b"\x01")
        pair.ios[0].to("other").emit("another room")
        pair.ios[1].except_("room").emit("excluded")
        pair.ios[0].volatile.emit("volatile")
        pair.ios[0].of("/chat").emit("another namespace")
        pair.ios[1].to(client.id).emit("direct")
        pair.ios[1].emit("end")
        await until(lambda: redis.command("XREVRANGE", "socket.io", "+", "-").count(b'"end"') > 0)
        again = await pair.servers[number].connect(recovering=client)
        assert (again.id, again.pid) == (client.id, client.pid)
        assert names(again) == ["all", "room", "direct", "end"]
        assert again.received[1][1][0] == b"\x01"
        socket = pair.ios[number].sockets[again.id]
        assert socket.recovered
        assert socket.rooms == {client.id, "room"}
        assert socket.data == {"user": {"name": "alice", "key": b"\x01"}}
        assert sessions(redis) == 0
        client = again
        redis.command("XTRIM", "socket.io", "MAXLEN", "1")


async def test_client_that_has_received_no_event_recovers(pair: Pair, redis: RedisServer) -> None:
    client = await pair.servers[0].connect()
    await leave(pair, client, redis)
    pair.ios[1].emit("missed", 1)
    await until(lambda: b"missed" in redis.command("XRANGE", "socket.io", "-", "+"))
    again = await pair.servers[1].connect(recovering=client)
    assert again.id == client.id
    assert again.received[0][1][0] == 1


async def test_client_does_not_recover_when_entries_were_removed(
    pair: Pair, redis: RedisServer
) -> None:
    client = await pair.servers[0].connect()
    await leave(pair, client, redis)
    for number in range(3):
        pair.ios[1].emit("x", number)
    await until(lambda: redis.command("XLEN", "socket.io") == b":3\r\n")
    redis.command("XTRIM", "socket.io", "MAXLEN", "2")
    again = await pair.servers[1].connect(recovering=client)
    assert again.id != client.id
    assert again.received == []


@pytest.mark.parametrize("offset", ["1-1", "name", "", "0-1"])
async def test_refused_restore_keeps_the_session(
    pair: Pair, redis: RedisServer, offset: str
) -> None:
    client = await pair.servers[0].connect()
    pair.ios[0].emit("seen")
    await client.receive_event("seen")
    await leave(pair, client, redis)
    auth = {"pid": client.pid, "offset": offset}
    assert (await pair.servers[1].connect(auth=auth)).id != client.id
    assert sessions(redis) == 1
    assert (await pair.servers[1].connect(recovering=client)).id == client.id


async def test_invalidated_session_is_kept_and_not_restored(
    redis: RedisServer,
) -> None:
    redis.command("FLUSHALL")
    blocked = True
    recovery = Recovery(still_valid=lambda data: not blocked)
    async with Pair(redis.url, RedisStreams, recovery=recovery) as pair:
        client = await pair.servers[0].connect()
        await leave(pair, client, redis)
        assert (await pair.servers[1].connect(recovering=client)).id != client.id
        blocked = False
        assert (await pair.servers[1].connect(recovering=client)).id == client.id


async def test_session_is_restored_by_one_of_two_servers(pair: Pair, redis: RedisServer) -> None:
    for _ in range(20):
        client = await pair.servers[0].connect()
        pair.ios[0].emit("seen")
        await client.receive_event("seen")
        await leave(pair, client, redis)
        pair.ios[0].emit("missed")
        pair.ios[1].emit("missed")
        connections = [server.open_connection() for server in pair.servers]
        attempts = [
            server.connect(recovering=client, on_connection=connection)
            for server, connection in zip(pair.servers, connections, strict=True)
        ]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        # An attempt may take the session of the other attempt, which then ends.
        holders = [
            result for io, result in zip(pair.ios, results, strict=True) if client.id in io.sockets
        ]
        assert len(holders) == 1
        for result, connection in zip(results, connections, strict=True):
            assert connection.is_closed or not isinstance(result, BaseException), result
        holder = holders[0]
        assert isinstance(holder, TestClient)
        pair.ios[0].emit("end")
        await holder.receive_event("end")
        assert names(holder) == ["missed", "missed"]
        for io in pair.ios:
            for socket in list(io.sockets.values()):
                socket.disconnect(close=True)
        assert sessions(redis) == 0


def lost(client: TestClient) -> TestClient:
    """Return a client that has lost its connection, which its server considers open."""
    return copy(client)


async def test_client_recovers_before_another_server_notices_the_loss(pair: Pair) -> None:
    client = await pair.servers[0].connect()
    socket = pair.ios[0].sockets[client.id]
    socket.join("room")
    socket.data["user"] = "alice"
    pair.ios[0].emit("seen")
    await client.receive_event("seen")
    for number in (1, 0, 1):
        absent = lost(client)
        pair.ios[1 - number].emit("all", 0)
        pair.ios[number].to("room").emit("room", 1)
        pair.ios[1 - number].to(client.id).emit("end")
        again = await pair.servers[number].connect(recovering=absent)
        assert (again.id, again.pid) == (client.id, client.pid)
        await until(lambda again=again: len(again.received) == 3)  # type: ignore[misc]
        assert sorted(names(again)) == ["all", "end", "room"]
        assert client.connection.is_closed
        assert client.id not in pair.ios[1 - number].sockets
        socket = pair.ios[number].sockets[again.id]
        assert socket.recovered
        assert socket.rooms == {client.id, "room"}
        assert socket.data == {"user": "alice"}
        client = again


async def test_client_recovers_when_its_attempt_on_another_server_is_not_complete(
    redis: RedisServer,
) -> None:
    redis.command("FLUSHALL")
    arrived = asyncio.Event()

    async def wait(socket: Socket) -> None:
        arrived.set()
        await asyncio.Event().wait()

    options: dict[str, Any] = {"recovery": Recovery(skip_middlewares=False)}
    async with Pair(redis.url, RedisStreams, **options) as pair:
        client = await pair.servers[0].connect()
        pair.ios[0].emit("seen")
        await client.receive_event("seen")
        absent = lost(client)
        pair.ios[0].emit("missed")
        pair.ios[1].use(wait)
        attempt = asyncio.ensure_future(pair.servers[1].connect(recovering=absent))
        await arrived.wait()  # the other server has the session
        again = await pair.servers[0].connect(recovering=absent)
        assert again.id == client.id
        assert names(again) == ["missed"]
        with pytest.raises(DisconnectedError):
            await attempt


async def test_no_event_is_lost_or_doubled_while_a_client_changes_servers_unnoticed(
    pair: Pair,
) -> None:
    client = await pair.servers[0].connect()
    pair.ios[0].emit("begin")
    await client.receive_event("begin")
    total, number = 400, 0
    traffic = Traffic(pair, total)
    received: list[int] = []
    while await traffic.next_change():
        number = 1 - number
        received += [args[0] for _, args in client.received]
        again = await pair.servers[number].connect(recovering=lost(client))
        assert again.id == client.id
        client = again
        traffic.changed()
    await until(lambda: len(received) + len(client.received) >= total)
    received += [args[0] for _, args in client.received]
    assert sorted(received) == list(range(total))


async def test_unknown_session_is_not_waited_for_when_all_servers_have_answered(
    pair: Pair,
) -> None:
    client = await pair.servers[0].connect(auth={"pid": "unknown", "offset": "0-0"})
    assert client.connected
    assert client.pid != "unknown"


async def test_server_that_does_not_answer_is_not_waited_for_longer_than_the_limit(
    pair: Pair, redis: RedisServer
) -> None:
    """A server on Node ignores the request."""
    adapter = pair.ios[0].main.adapter
    assert isinstance(adapter, StreamsRecoveryAdapter)
    with create_connection(("127.0.0.1", redis.port)) as node:
        node.sendall(b"SUBSCRIBE socket.io#/#\r\n")
        node.recv(1000)
        auth = {"pid": "unknown", "offset": "0-0"}
        attempt = asyncio.ensure_future(pair.servers[0].connect(auth=auth))
        await until(lambda: len(adapter._requests) == 1)
        await pair.servers[0].advance(REQUEST_SECONDS)
        assert (await attempt).pid != "unknown"
        assert len(adapter._requests) == 0


async def test_requests_of_sessions_are_limited(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery_module, "MAX_SESSION_REQUESTS", 0)
    client = await pair.servers[0].connect()
    pair.ios[0].emit("seen")
    await client.receive_event("seen")
    again = await pair.servers[1].connect(recovering=lost(client))
    assert again.id != client.id
    assert client.connected


async def test_long_recovery_id_is_not_sent_to_other_servers(pair: Pair) -> None:
    other = pair.ios[1].main.adapter
    assert isinstance(other, StreamsRecoveryAdapter)
    before = other.received
    for length in (MAX_PID + 1, MAX_PID):
        await pair.servers[0].connect(auth={"pid": "x" * length})
    assert other.received == before + 1


async def test_invalid_request_of_a_session_is_counted(pair: Pair, redis: RedisServer) -> None:
    message = b'{"type":102,"uid":"x","nsp":"/","data":{"requestId":"1"}}'
    redis.command("PUBLISH", "socket.io#/#", message.decode())
    await until(lambda: all(each.status().invalid == 1 for each in pair.factories))


async def test_session_keeps_its_time_in_redis_when_a_middleware_refuses_its_client(
    redis: RedisServer,
) -> None:
    redis.command("FLUSHALL")
    refusing = True

    async def refuse(socket: Socket) -> None:
        if socket.recovered and refusing:
            raise ConnectError("revoked")

    recovery = Recovery(skip_middlewares=False, max_disconnection_duration=1000)
    async with Pair(redis.url, RedisStreams, recovery=recovery) as pair:
        pair.ios[1].use(refuse)
        client = await pair.servers[0].connect()
        await leave(pair, client, redis)
        key = f"sio:session:{client.pid}"
        redis.command("PEXPIRE", key, "500000")
        with pytest.raises(ConnectError, match="revoked"):
            await pair.servers[1].connect(recovering=client)
        await until(lambda: sessions(redis) == 1)
        assert 0 < int(redis.command("PTTL", key)[1:]) <= 500_000
        refusing = False
        assert (await pair.servers[1].connect(recovering=client)).id == client.id


async def test_invalid_session_is_not_restored(pair: Pair, redis: RedisServer) -> None:
    redis.command("SET", "sio:session:x", "AAAA")
    client = await pair.servers[0].connect(auth={"pid": "x", "offset": "1-1"})
    assert client.connected
    assert client.pid != "x"


async def test_no_event_is_lost_or_doubled_while_a_client_changes_servers(
    pair: Pair, redis: RedisServer
) -> None:
    client = await pair.servers[0].connect()
    pair.ios[0].emit("begin")
    await client.receive_event("begin")
    total, number = 400, 0
    traffic = Traffic(pair, total)
    received: list[int] = []
    while await traffic.next_change():
        client.connection.cut()
        number = 1 - number
        await until(lambda: sessions(redis) == 1)
        again = await pair.servers[number].connect(recovering=client)
        received += [args[0] for _, args in client.received]
        assert again.id == client.id
        client = again
        traffic.changed()
    last = client
    await until(lambda: len(received) + len(last.received) >= total)
    received += [args[0] for _, args in last.received]
    assert sorted(received) == list(range(total))
    for parity in (0, 1):
        own = [each for each in received if each % 2 == parity]
        assert own == sorted(own)


async def test_recovery_works_with_another_parser(redis: RedisServer) -> None:
    redis.command("FLUSHALL")
    options: dict[str, Any] = {"recovery": Recovery(), "parser": MsgpackParser()}
    async with Pair(redis.url, RedisStreams, **options) as pair:
        client = await pair.servers[0].connect()
        state = {"n": 1}
        pair.ios[0].emit("seen", state, b"\x01")
        pair.ios[0].local.emit("local", state)
        state["n"] = 2  # the event has the value that it had when it was emitted
        assert (await client.receive_event("seen"))[:-1] == [{"n": 1}, b"\x01"]
        assert (await client.receive_event("local"))[:-1] == [{"n": 1}]
        await leave(pair, client, redis)
        pair.ios[1].emit("missed")
        await until(lambda: b"missed" in redis.command("XRANGE", "socket.io", "-", "+"))
        assert names(await pair.servers[1].connect(recovering=client)) == ["missed"]


async def test_clients_without_recovery_do_not_wait_and_receive_no_offset(
    redis: RedisServer,
) -> None:
    def offered(handshake: Handshake) -> bool:
        return "recovery" in handshake.auth

    recovery = Recovery(offered_to=offered)
    async with Pair(redis.url, RedisStreams, recovery=recovery) as pair:
        plain = await pair.servers[0].connect()
        other = await pair.servers[1].connect()
        full = await pair.servers[0].connect(auth={"recovery": 1})
        pair.ios[0].emit("x")
        pair.ios[0].sockets[plain.id].emit("direct")
        assert plain.received == [("x", []), ("direct", [])]
        assert await other.receive_event("x") == []
        assert len(await full.receive_event("x")) == 1


async def test_outgoing_listeners_receive_events_of_both_servers(pair: Pair) -> None:
    client = await pair.servers[0].connect()
    seen: list[tuple[Any, ...]] = []
    pair.ios[0].sockets[client.id].on_any_outgoing(lambda *args: seen.append(args))
    pair.ios[0].emit("here", 1)
    pair.ios[1].emit("there", 2)
    await client.receive_event("there")
    assert seen == [("here", 1), ("there", 2)]


async def test_session_with_unsendable_data_is_not_saved(
    pair: Pair, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = await pair.servers[0].connect()
    pair.ios[0].sockets[client.id].data["handle"] = object()
    client.connection.cut()
    assert (await pair.servers[1].connect(recovering=client)).id != client.id
    assert "socket.data" in caplog.text


async def test_local_delivery_continues_without_redis_and_resumes_in_order(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with Pair(own_redis.url, RedisStreams, recovery=Recovery()) as pair:
        here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
        pair.ios[0].emit("before")
        await there.receive_event("before")
        await here.receive_event("before")
        own_redis.stop()
        await until(lambda: not any(each.status().connected for each in pair.factories))
        for number in range(5):
            pair.ios[0].emit("x", number)
        assert here.received == [("x", [number, ""]) for number in range(5)]
        assert there.received == []
        assert "before Redis had them" in caplog.text
        own_redis.start()
        await pair.connected()
        await until(lambda: pair.ios[0].main.adapter.current_offset() != "")  # all are written
        pair.ios[0].emit("after")
        await there.receive_event("after")
        assert [args[0] for _, args in there.received] == list(range(5))
        assert parse_position((await here.receive_event("after"))[-1])
        assert len(here.received) == 5


async def test_events_of_a_broken_connection_are_written_once(redis: RedisServer) -> None:
    """Commands whose replies are lost are found in the stream, or sent again."""
    redis.command("FLUSHALL")
    async with Pair(redis.url, RedisStreams, recovery=Recovery()) as pair:
        here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
        sent = 0
        for _ in range(20):
            for _ in range(20):
                pair.ios[0].emit("x", sent)
                sent += 1
            await asyncio.sleep(0)
            redis.command("CLIENT", "KILL", "TYPE", "normal")
            await pair.connected()
        pair.ios[0].emit("end")
        for client in (here, there):
            await client.receive_event("end")
            assert [args[0] for _, args in client.received] == list(range(sent))


async def test_restart_of_redis_under_load_loses_no_event(own_redis: RedisServer) -> None:
    async with Pair(own_redis.url, RedisStreams, recovery=Recovery()) as pair:
        here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
        sent = 0

        async def emit(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                pair.ios[0].emit("x", sent)
                sent += 1
                await settle()

        await emit(200)
        own_redis.stop()
        loading = asyncio.ensure_future(emit(1000))
        await until(lambda: not any(each.status().connected for each in pair.factories))
        before = sent
        await until(lambda: sent > before + 200)
        assert len(here.received) == sent  # each event is delivered before `emit` returns
        own_redis.start()
        await loading
        await pair.connected()
        await emit(100)
        pair.ios[0].emit("end")
        # This Redis has no persistence: entries that were written before it stopped may be lost.
        # One that the other server had read, without a reply to its author, is written again.
        await there.receive_event("end")
        await here.receive_event("end")
        received = [args[0] for _, args in there.received]
        assert list(dict.fromkeys(received)) == sorted(set(received))
        assert [each for each in received if each >= before] == list(range(before, sent))
        assert max(map(received.count, range(before))) <= 2
        assert [args[0] for _, args in here.received] == list(range(sent))
        assert pair.factories[0].status().queued_bytes == 0


async def test_client_recovers_after_a_failover_to_a_replica(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as replica:
        own_redis.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        replica.command("REPLICAOF", "127.0.0.1", str(own_redis.port))
        await until(lambda: b"master_link_status:up" in replica.command("INFO", "replication"))
        async with (
            SwitchingProxy(own_redis.port) as proxy,
            Pair(f"redis://127.0.0.1:{proxy.port}", RedisStreams, recovery=Recovery()) as pair,
        ):
            here, absent = await pair.servers[0].connect(), await pair.servers[1].connect()
            pair.ios[0].emit("seen")
            await absent.receive_event("seen")
            await leave(pair, absent, own_redis)
            pair.ios[0].emit("missed")
            await until(
                lambda: (
                    sessions(replica) == 1
                    and b"missed" in replica.command("XRANGE", "socket.io", "-", "+")
                )
            )
            own_redis.stop()
            await until(lambda: not any(each.status().connected for each in pair.factories))
            pair.ios[0].emit("meanwhile")
            replica.command("REPLICAOF", "NO", "ONE")
            proxy.target = replica.port
            await pair.connected()
            pair.ios[1].emit("after")
            await here.receive_event("after")
            assert names(here) == ["seen", "missed", "meanwhile"]
            await until(lambda: b"meanwhile" in replica.command("XRANGE", "socket.io", "-", "+"))
            again = await pair.servers[0].connect(recovering=absent)
            assert again.id == absent.id
            assert names(again)[0] == "missed"
            assert sorted(names(again)) == ["after", "meanwhile", "missed"]


AHEAD = 4_000_000_000_000
"""A time of a Redis whose clock is ahead: its entries continue from there."""


def put_clock_ahead(redis: RedisServer) -> None:
    """Add entries to an empty stream: an old one, and one of a clock that is ahead."""
    for entry_id in ("1-1", f"{AHEAD}-1"):
        redis.command("XADD", "socket.io", entry_id, "note", "x")


async def test_events_arrive_after_redis_restarted_empty_with_an_older_clock(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    put_clock_ahead(own_redis)
    async with Pair(own_redis.url, RedisStreams, recovery=Recovery()) as pair:
        here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
        pair.ios[0].emit("before")
        for client in (here, there):
            assert await client.receive_event("before") == [f"{AHEAD}-2"]
        own_redis.stop()
        await until(lambda: not any(each.status().connected for each in pair.factories))
        own_redis.start()
        await pair.connected()
        for number in range(20):
            pair.ios[number % 2].emit("x", number)
        pair.ios[0].emit("end")
        pair.ios[1].emit("end")
        for client in (here, there):
            await client.receive_event("end")
            await client.receive_event("end")
            assert sorted(args[0] for _, args in client.received) == list(range(20))
        assert f"has lost the entry {AHEAD}-2, which this server read last" in caplog.text


async def test_events_arrive_after_the_stream_was_deleted_and_the_clock_was_put_back(
    pair: Pair, redis: RedisServer
) -> None:
    redis.command("FLUSHALL")
    put_clock_ahead(redis)
    here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
    pair.ios[0].emit("before")
    for client in (here, there):
        await client.receive_event("before")
    redis.command("FLUSHALL")
    for number in range(20):
        pair.ios[0].emit("x", number)
    pair.ios[0].emit("end")
    for client in (here, there):
        await client.receive_event("end")
        assert [args[0] for _, args in client.received] == list(range(20))


async def test_events_arrive_after_the_clock_was_put_back_if_the_user_may_not_read_it(
    own_redis: RedisServer,
) -> None:
    own_redis.command("ACL", "SETUSER", "u", "on", ">p", "&*", "~*", "+@all", "-time")
    put_clock_ahead(own_redis)
    async with Pair(own_redis.url.replace("//", "//u:p@"), RedisStreams) as pair:
        there = await pair.servers[1].connect()
        own_redis.command("FLUSHALL")
        await pair.send_until_received(there, "x")


async def test_lost_offset_leads_to_a_new_session_when_another_entry_has_its_id(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """A replica that lacks the last entry, and whose clock is behind, gives its id again."""
    put_clock_ahead(own_redis)
    with running_redis(tmp_path) as replica:
        own_redis.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        replica.command("REPLICAOF", "127.0.0.1", str(own_redis.port))
        await until(lambda: b"master_link_status:up" in replica.command("INFO", "replication"))
        async with (
            SwitchingProxy(own_redis.port) as proxy,
            Pair(f"redis://127.0.0.1:{proxy.port}", RedisStreams, recovery=Recovery()) as pair,
        ):
            here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
            absent = await pair.servers[1].connect()
            pair.ios[0].emit("kept")
            await absent.receive_event("kept")
            await leave(pair, absent, own_redis)
            await until(
                lambda: (
                    sessions(replica) == 1
                    and b"kept" in replica.command("XRANGE", "socket.io", "-", "+")
                )
            )
            replica.command("REPLICAOF", "NO", "ONE")
            pair.ios[0].emit("lost")
            for client in (here, there):
                assert await client.receive_event("lost") == [f"{AHEAD}-3"]
            own_redis.stop()
            await until(lambda: not any(each.status().connected for each in pair.factories))
            proxy.target = replica.port
            await pair.connected()
            there.connection.cut()
            await until(lambda: sessions(replica) == 2)
            pair.ios[0].emit("new")
            assert await here.receive_event("new") == [f"{AHEAD}-3"]
            assert names(here) == ["kept"]
            again = await pair.servers[0].connect(recovering=there)
            assert again.id != there.id
            assert again.received == []
            again = await pair.servers[0].connect(recovering=absent)
            assert again.id == absent.id
            assert again.received == [("new", [f"{AHEAD}-3"])]


async def test_client_recovers_when_the_last_entry_was_deleted(
    pair: Pair, redis: RedisServer
) -> None:
    redis.command("XADD", "socket.io", "1-1", "note", "x")
    client, other = await pair.servers[0].connect(), await pair.servers[0].connect()
    pair.ios[0].emit("seen")
    await client.receive_event("seen")
    await other.receive_event("seen")
    await leave(pair, client, redis)
    pair.ios[0].emit("deleted")
    (offset,) = await other.receive_event("deleted")
    redis.command("XDEL", "socket.io", offset)
    again = await pair.servers[0].connect(recovering=client)
    assert again.id == client.id
    assert again.received == []


async def test_client_of_a_server_that_shuts_down_recovers_on_the_other(
    pair: Pair, redis: RedisServer
) -> None:
    client = await pair.servers[0].connect()
    pair.ios[0].sockets[client.id].join("room")
    pair.ios[0].emit("last")  # not delivered yet when the server stops
    await pair.ios[0].shutdown()
    assert sessions(redis) == 1
    pair.ios[1].to("room").emit("missed")
    await until(lambda: b"missed" in redis.command("XRANGE", "socket.io", "-", "+"))
    again = await pair.servers[1].connect(recovering=client)
    assert again.id == client.id
    assert [*names(client), *names(again)] == ["last", "missed"]


async def test_client_that_returns_before_the_server_is_connected_recovers(
    redis: RedisServer,
) -> None:
    redis.command("FLUSHALL")
    async with Pair(redis.url, RedisStreams, recovery=Recovery()) as pair:
        client = await pair.servers[0].connect()
        await leave(pair, client, redis)
        io = SocketServer(adapter=RedisStreams(redis.url), recovery=Recovery())
        async with TestServer(io) as server:
            assert (await server.connect(recovering=client)).id == client.id


async def test_session_of_an_outage_is_restored_afterwards(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Pair(own_redis.url, RedisStreams, recovery=Recovery()) as pair:
        client = await pair.servers[0].connect()
        own_redis.stop()
        await until(lambda: not any(each.status().connected for each in pair.factories))
        client.connection.cut()
        with monkeypatch.context() as patch:
            patch.setattr(sessions_module, "RESTORE_TIMEOUT", 0.0)
            assert (await pair.servers[0].connect(recovering=client)).id != client.id
        own_redis.start()
        await pair.connected()
        await until(lambda: sessions(own_redis) == 1)
        pair.ios[1].emit("missed")
        await until(lambda: b"missed" in own_redis.command("XRANGE", "socket.io", "-", "+"))
        again = await pair.servers[1].connect(recovering=client)
        assert again.id == client.id
        assert names(again) == ["missed"]


async def test_queue_is_bounded_and_lost_events_prevent_a_recovery(
    own_redis: RedisServer,
) -> None:
    def create(url: str) -> RedisStreams:
        return RedisStreams(url, max_queue_bytes=10_000)

    async with Pair(own_redis.url, create, recovery=Recovery()) as pair:
        here, there = await pair.servers[0].connect(), await pair.servers[1].connect()
        own_redis.stop()
        await until(lambda: not any(each.status().connected for each in pair.factories))
        for number in range(200):
            pair.ios[0].emit("x", number, "." * 500)
        status = pair.factories[0].status()
        assert len(here.received) == 200
        assert status.queued_bytes <= 10_000
        assert status.dropped > 150
        here.connection.cut()
        own_redis.start()
        await pair.connected()
        pair.ios[0].emit("end")
        await there.receive_event("end")
        assert [args[0] for _, args in there.received] == list(range(200 - status.dropped))
        assert sessions(own_redis) == 0


async def test_emitted_value_that_cannot_be_sent_raises(pair: Pair) -> None:
    client = await pair.servers[0].connect()
    with pytest.raises(TypeError):
        pair.ios[0].emit("x", object())
    pair.ios[0].emit("end")
    await client.receive_event("end")
    assert client.received == []


@pytest.mark.parametrize("command", ["xadd", "xread", "subscribe", "publish", "set", "get", "eval"])
async def test_local_delivery_continues_and_the_log_names_a_denied_command(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    own_redis.command("ACL", "SETUSER", "u", "on", ">p", "&*", "~*", "+@all", f"-{command}")
    url = own_redis.url.replace("//", "//u:p@")
    io, other = (SocketServer(adapter=RedisStreams(url), recovery=Recovery()) for _ in range(2))
    async with TestServer(io) as here, TestServer(other) as there:
        client = await here.connect()
        if command in {"set", "get", "eval"}:
            await until(lambda: io.adapter_status().connected and other.adapter_status().connected)
            client.connection.cut()
            auth = {"pid": client.pid, "offset": "0-0"}
            client = await there.connect(auth=auth)
            assert client.pid != auth["pid"]
        else:
            io.emit("x")
            await io.server_side_emit("x")
            await here.advance(1)  # the event does not wait for the stream any longer
            assert names(client) == ["x"]
        assert client.connected
        await until(lambda: f"permissions to run the '{command}' command" in caplog.text)
        assert [each for each in caplog.records if each.exc_info] == []
