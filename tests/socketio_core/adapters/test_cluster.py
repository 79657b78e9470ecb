"""Two servers in one cluster: broadcasts, bulk operations, requests and their answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from socketio_core import (
    AckTimeoutError,
    InProcessCluster,
    Postgres,
    Recovery,
    RedisClassic,
    RedisSharded,
    RedisStreams,
    RemoteSocket,
    SocketServer,
)
from socketio_core.testing import settle
from tests.socketio_core.adapters.cluster_support import Cluster


async def test_broadcast_reaches_the_clients_of_both_servers_once() -> None:
    async with Cluster() as cluster:
        here = await cluster.servers[0].connect()
        there = await cluster.servers[1].connect()
        cluster.ios[0].emit("news", 1, {"a": None}, b"\x00\xff")
        await settle()
        assert here.received == there.received == [("news", [1, {"a": None}, b"\x00\xff"])]


async def test_local_delivery_takes_place_before_emit_returns() -> None:
    async with Cluster() as cluster:
        client = await cluster.servers[0].connect()
        cluster.factories[0].disconnect()
        cluster.ios[0].emit("news")
        assert client.received == [("news", [])]


async def test_rooms_and_exceptions_apply_on_the_other_server() -> None:
    async with Cluster() as cluster:
        clients = [await cluster.servers[1].connect() for _ in range(3)]
        sockets = [cluster.ios[1].sockets[client.id] for client in clients]
        sockets[0].join("a")
        sockets[1].join("a", "b")
        cluster.ios[0].to("a").emit("x")
        cluster.ios[0].to("a", "b").except_(clients[0].id).emit("y")
        cluster.ios[0].local.emit("z")
        cluster.ios[0].except_("a").emit("w")
        cluster.ios[0].to(clients[2].id).emit("direct")
        await settle()
        assert [[name for name, _ in client.received] for client in clients] == [
            ["x"], ["x", "y"], ["w", "direct"],
        ]  # fmt: skip


async def test_namespaces_are_separate() -> None:
    async with Cluster() as cluster:
        cluster.ios[1].of("/chat")
        chat = await cluster.servers[1].connect("/chat")
        main = await cluster.servers[1].connect()
        cluster.ios[0].of("/chat").emit("x")
        await settle()
        assert chat.received == [("x", [])]
        assert main.received == []


async def test_sockets_join_leave_and_disconnect_on_the_other_server() -> None:
    async with Cluster() as cluster:
        client = await cluster.servers[1].connect()
        socket = cluster.ios[1].sockets[client.id]
        await cluster.ios[0].in_(client.id).sockets_join("a", "b")
        await settle()
        assert socket.rooms == {client.id, "a", "b"}
        await cluster.ios[0].in_("a").sockets_leave("b")
        await settle()
        assert socket.rooms == {client.id, "a"}
        await cluster.ios[0].local.sockets_join("c")
        await settle()
        assert socket.rooms == {client.id, "a"}
        await cluster.ios[0].in_("a").disconnect_sockets()
        await settle()
        assert cluster.ios[1].sockets == {}


async def test_fetch_sockets_returns_the_sockets_of_both_servers() -> None:
    async with Cluster() as cluster:
        here = await cluster.servers[0].connect()
        there = await cluster.servers[1].connect(auth={"token": "t"})
        cluster.ios[1].sockets[there.id].data = {"user": 7}
        cluster.ios[1].sockets[there.id].join("a")
        sockets = await cluster.ios[0].fetch_sockets()
        assert [socket.id for socket in sockets] == [here.id, there.id]
        assert sockets.missing_servers == 0
        remote = sockets[1]
        assert isinstance(remote, RemoteSocket)
        assert remote.data == {"user": 7}
        assert remote.rooms == {there.id, "a"}
        assert remote.handshake.auth == {"token": "t"}
        assert remote.handshake.query["EIO"] == "4"
        assert [each.id for each in await cluster.ios[0].in_("a").fetch_sockets()] == [there.id]
        assert [each.id for each in await cluster.ios[0].local.fetch_sockets()] == [here.id]


async def test_data_that_cannot_be_sent_does_not_hide_the_socket() -> None:
    async with Cluster() as cluster:
        first = await cluster.servers[1].connect()
        second = await cluster.servers[1].connect()
        cluster.ios[1].sockets[first.id].data = {"lock": asyncio.Lock()}
        cluster.ios[1].sockets[second.id].data = {"ok": 1}
        sockets = await cluster.ios[0].fetch_sockets()
        assert {socket.id: socket.data for socket in sockets} == {
            first.id: {},
            second.id: {"ok": 1},
        }


async def test_remote_socket_can_be_used_like_a_socket() -> None:
    async with Cluster() as cluster:
        there = await cluster.servers[1].connect()
        (remote,) = await cluster.ios[0].fetch_sockets()
        assert isinstance(remote, RemoteSocket)
        there.auto_ack = lambda name, args: f"answer to {args[0]}"
        assert await remote.timeout(5).emit_with_ack("question", "x") == "answer to x"
        remote.emit("hello", 1)
        await remote.join("a")
        await settle()
        assert ("hello", [1]) in there.received
        assert "a" in cluster.ios[1].sockets[there.id].rooms
        await remote.leave("a")
        await settle()
        assert "a" not in cluster.ios[1].sockets[there.id].rooms
        await remote.disconnect()
        await settle()
        assert cluster.ios[1].sockets == {}
        with pytest.raises(AckTimeoutError):
            await remote.timeout(5).emit_with_ack("question", "x")


async def test_broadcast_with_ack_collects_the_answers_of_both_servers() -> None:
    async with Cluster() as cluster:
        here = await cluster.servers[0].connect()
        there = [await cluster.servers[1].connect() for _ in range(2)]
        for number, client in enumerate([here, *there]):
            client.auto_ack = lambda name, args, number=number: [number, *args]  # type: ignore[misc]
        answers = await cluster.ios[0].timeout(5).emit_with_ack("q", "x")
        assert sorted(answers.responses) == [[0, "x"], [1, "x"], [2, "x"]]
        assert answers.is_complete
        assert (await cluster.ios[0].in_("nobody").timeout(5).emit_with_ack("q")).responses == []


async def test_broadcast_with_ack_reports_the_clients_that_do_not_answer() -> None:
    async with Cluster() as cluster:
        silent = await cluster.servers[1].connect()
        talker = await cluster.servers[1].connect()
        talker.auto_ack = lambda name, args: "yes"
        task = asyncio.create_task(cluster.ios[0].timeout(3).emit_with_ack("q"))
        await cluster.advance(4)
        answers = await task
        assert answers.responses == ["yes"]
        assert answers.missing == []
        assert answers.missing_remote == (1, 0)
        # The other server has forgotten the pending ack as well.
        assert len(cluster.ios[1].sockets[silent.id]._pending_acks) == 0


async def test_server_side_emit_reaches_only_the_other_servers() -> None:
    async with Cluster(servers=3) as cluster:
        seen: list[Any] = []
        for number, io in enumerate(cluster.ios):
            io.on_server_event("ping", lambda *args, number=number: seen.append((number, args)))
        await cluster.ios[0].server_side_emit("ping", 1, b"\x01")
        await settle()
        assert sorted(seen) == [(1, (1, b"\x01")), (2, (1, b"\x01"))]


async def test_server_side_emit_with_ack_returns_the_answers() -> None:
    async with Cluster(servers=3) as cluster:
        for number, io in enumerate(cluster.ios):
            io.on_server_event("sum", lambda a, b, number=number: [number, a + b])
        answers = await cluster.ios[0].server_side_emit_with_ack("sum", 1, 2)
        assert sorted(answers) == [[1, 3], [2, 3]]
        assert answers.missing_servers == 0
        assert await cluster.ios[0].server_count() == 3


async def test_requests_report_a_server_that_does_not_answer() -> None:
    async with Cluster(servers=3) as cluster:
        there = await cluster.servers[1].connect()
        cluster.ios[1].on_server_event("q", lambda: "yes")
        cluster.factories[2].disconnect()  # it is still known
        fetch = asyncio.create_task(cluster.ios[0].fetch_sockets())
        emit = asyncio.create_task(cluster.ios[0].timeout(2).server_side_emit_with_ack("q"))
        ask = asyncio.create_task(cluster.ios[0].in_("nobody").timeout(2).emit_with_ack("q"))
        await cluster.advance(6)
        sockets, answers, acks = await fetch, await emit, await ask
        assert [socket.id for socket in sockets] == [there.id]
        assert sockets.missing_servers == 1
        assert answers == ["yes"]
        assert answers.missing_servers == 1
        assert acks.missing_remote == (0, 1)


async def test_request_ends_early_when_the_missing_server_is_gone() -> None:
    async with Cluster() as cluster:
        cluster.factories[1].disconnect()
        await cluster.advance(9)  # its last message is almost 10 seconds old
        fetch = asyncio.create_task(cluster.ios[0].timeout(60).fetch_sockets())
        await cluster.advance(3)
        sockets = await fetch
        assert (list(sockets), sockets.missing_servers) == ([], 0)
        assert await cluster.ios[0].server_count() == 1


async def test_closing_server_is_forgotten_at_once() -> None:
    async with Cluster() as cluster:
        assert await cluster.ios[0].server_count() == 2
        await cluster.ios[1].shutdown()
        await settle()
        assert await cluster.ios[0].server_count() == 1


async def test_heartbeats_keep_an_idle_cluster_together() -> None:
    async with Cluster() as cluster:
        await cluster.advance(60)
        assert [await io.server_count() for io in cluster.ios] == [2, 2]


async def test_server_returns_after_a_broken_connection() -> None:
    async with Cluster() as cluster:
        cluster.factories[1].disconnect()
        await cluster.advance(12)
        assert [await io.server_count() for io in cluster.ios] == [1, 1]
        cluster.factories[1].reconnect()
        await settle()
        assert [await io.server_count() for io in cluster.ios] == [2, 2]


async def test_status_reports_the_connection_and_its_counters() -> None:
    async with Cluster() as cluster:
        cluster.ios[0].emit("x")
        await settle()
        status = cluster.ios[1].adapter_status()
        assert status is not None
        assert (status.connected, status.peers) == (True, 1)
        assert status.received >= 1
        cluster.factories[1].disconnect()
        cluster.ios[1].emit("lost")
        status = cluster.ios[1].adapter_status()
        assert status is not None
        assert (status.connected, status.dropped) == (False, 1)
    assert SocketServer().adapter_status() is None


async def test_status_includes_the_counters_of_dropped_namespaces() -> None:
    async with Cluster(cleanup_empty_child_namespaces=True) as cluster:
        for io in cluster.ios:
            io.of(re.compile("/room-.*"))
        here = await cluster.servers[0].connect("/room-1")
        there = await cluster.servers[1].connect("/room-1")
        cluster.ios[0].of("/room-1").emit("x")
        await settle()
        assert there.received == [("x", [])]
        before = cluster.factories[1].status().received
        there.disconnect()
        await settle()
        assert cluster.factories[1]._adapters.get("/room-1") is None
        assert cluster.factories[1].status().received >= before
        # The name is free for a new namespace.
        there = await cluster.servers[1].connect("/room-1")
        cluster.ios[0].of("/room-1").emit("y")
        await settle()
        assert there.received == [("y", [])]
        assert here.received == [("x", []), ("y", [])]


@pytest.mark.parametrize("payload", [
    b"{", b"\xc1", b"[]", b'{"type":3}', b'{"type":3,"uid":"x","nsp":"/","data":[]}',
    b'{"type":3,"uid":"x","nsp":"/","data":{}}',
    b'{"type":3,"uid":"x","nsp":"/","data":{"packet":{"type":2,"data":["connect"]},"opts":{}}}',
    b'{"type":3,"uid":"x","nsp":"/","data":{"packet":{"type":3,"data":["a"]},"opts":{}}}',
    b'{"type":3,"uid":"x","nsp":"/","data":{"packet":{"type":2,"data":["a"]},"opts":{"rooms":[{}]}}}',
    b'{"type":4,"uid":"x","nsp":"/","data":{"opts":{},"rooms":"a"}}',
    b'{"type":9,"uid":"x","nsp":"/","data":{"packet":[1]}}',
])  # fmt: skip
async def test_unusable_message_is_counted_and_logged_once(
    payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with Cluster() as cluster:
        client = await cluster.servers[0].connect()
        transport = cluster.broker._transports[0]
        before = len(caplog.records)
        transport.receive(payload)
        transport.receive(payload)
        status = cluster.ios[0].adapter_status()
        assert status is not None
        assert status.invalid == 2
        assert len(caplog.records) == before + 1
        assert client.received == []


async def test_unknown_type_is_ignored() -> None:
    async with Cluster() as cluster:
        transport = cluster.broker._transports[0]
        transport.receive(b'{"type":99,"uid":"x","nsp":"/","data":{"future":true}}')
        status = cluster.ios[0].adapter_status()
        assert status is not None
        assert status.invalid == 0


async def test_value_that_cannot_be_sent_raises_and_reaches_no_server() -> None:
    async with Cluster() as cluster:
        client = await cluster.servers[1].connect()
        for call in (cluster.ios[0].emit, cluster.ios[0].server_side_emit):
            with pytest.raises(TypeError, match="cannot be sent"):
                call("x", object())
        with pytest.raises(TypeError, match="cannot be sent"):
            await cluster.ios[0].server_side_emit_with_ack("x", object())
        await settle()
        assert client.received == []


async def test_answer_that_cannot_be_sent_still_ends_the_request() -> None:
    async with Cluster() as cluster:
        cluster.ios[1].on_server_event("q", object)
        assert await cluster.ios[0].server_side_emit_with_ack("q") == [None]


async def test_recovery_replays_the_events_of_other_servers() -> None:
    async with Cluster(recovery=Recovery()) as cluster:
        client = await cluster.servers[1].connect()
        cluster.ios[0].emit("first")
        await settle()
        assert client.received[0][0] == "first"
        assert client.received[0][1][-1].endswith("-1")


@pytest.mark.parametrize("make", [
    RedisSharded, RedisClassic, RedisStreams, lambda: Postgres("postgresql://localhost/app"),
    lambda: InProcessCluster().join(),
], ids=["sharded", "classic", "streams", "postgres", "in-process"])  # fmt: skip
def test_adapter_of_another_server_is_rejected(make: Callable[[], Any]) -> None:
    adapter = make()
    SocketServer(adapter=adapter)
    with pytest.raises(ValueError, match="create an object for each server"):
        SocketServer(adapter=adapter)


@pytest.mark.parametrize("options", [
    {"key": ""}, {"request_timeout": -1}, {"request_timeout": 5000}, {"max_queue_bytes": 0},
    {"subscription_mode": "private"},
])  # fmt: skip
def test_invalid_option_of_a_redis_adapter_is_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        RedisSharded(**options)


@pytest.mark.parametrize("value", ["redis://localhost", object(), dict])
def test_adapter_of_another_type_is_rejected(value: Any) -> None:
    with pytest.raises(TypeError, match="adapter must be an object such as"):
        SocketServer(adapter=value)
