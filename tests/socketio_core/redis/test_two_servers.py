"""Two Python servers on one Redis: all operations in each mode of the adapters."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from socketio_core import RemoteSocket
from tests.helpers.redis_server import RedisServer
from tests.socketio_core.redis.conftest import Pair, until


async def test_broadcast_reaches_the_clients_of_both_servers_once(pair: Pair) -> None:
    here = await pair.servers[0].connect()
    there = await pair.servers[1].connect()
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    pair.ios[0].emit("news", 1, 2**53, 1.5, {"a": [None, True]}, b"\x00\xff", moment, "é€😀")
    pair.ios[0].emit("end")
    await there.receive_event("end")
    await here.receive_event("end")
    text = "2026-01-02T03:04:05.678Z"
    expected = [1, 2**53, 1.5, {"a": [None, True]}, b"\x00\xff", text, "é€😀"]
    assert here.received == there.received == [("news", expected)]


async def test_rooms_and_exceptions_apply_on_the_other_server(pair: Pair) -> None:
    clients = [await pair.servers[1].connect() for _ in range(3)]
    sockets = [pair.ios[1].sockets[client.id] for client in clients]
    sockets[0].join("a")
    sockets[1].join("a", "b", "a-20-characters-room")
    await asyncio.gather(pair.ios[1].server_count(), pair.ios[1].server_side_emit_with_ack("x"))
    emit = pair.ios[0].to("a-20-characters-room").emit
    emit("twenty")
    await clients[1].receive_event("twenty")
    # Subscriptions of rooms take effect after a moment.
    while not any(name == "x" for name, _ in clients[0].received):
        pair.ios[0].to("a").emit("x")
        await asyncio.sleep(0.01)
    await clients[1].receive_event("x")
    for client in clients:
        client.received.clear()
    pair.ios[0].to("a", "b").except_(clients[0].id).emit("y")
    pair.ios[0].local.emit("z")
    pair.ios[0].except_("a").emit("w")
    pair.ios[0].to(clients[2].id).emit("direct")
    pair.ios[0].to("nobody").emit("v")
    pair.ios[0].emit("end")
    for client in clients:
        await client.receive_event("end")
    names = [[name for name, _ in client.received if name != "x"] for client in clients]
    assert names == [[], ["y"], ["w", "direct"]]


async def test_sockets_join_leave_and_disconnect_on_the_other_server(pair: Pair) -> None:
    client = await pair.servers[1].connect()
    socket = pair.ios[1].sockets[client.id]
    await pair.ios[0].in_(client.id).sockets_join("a", "b")
    await until(lambda: socket.rooms == {client.id, "a", "b"})
    await pair.ios[0].in_("a").sockets_leave("b")
    await until(lambda: socket.rooms == {client.id, "a"})
    await pair.ios[0].in_("a").disconnect_sockets()
    await until(lambda: not pair.ios[1].sockets)


async def test_event_behind_sockets_join_reaches_the_room_on_the_other_server(pair: Pair) -> None:
    """With Node's sharded adapter, it does not (findings/redis-sharded-adapter-sockets-join.sh)."""
    client = await pair.servers[1].connect()
    for number in range(20):
        pair.ios[0].in_(client.id).sockets_join(f"room-{number}")
        pair.ios[0].to(f"room-{number}").emit("news", number)
    pair.ios[0].emit("end")
    await client.receive_event("end")
    assert client.received == [("news", [number]) for number in range(20)]


async def test_fetch_sockets_returns_the_sockets_of_both_servers(pair: Pair) -> None:
    here = await pair.servers[0].connect()
    there = await pair.servers[1].connect(auth={"token": "t"})
    pair.ios[1].sockets[there.id].data = {"user": 7}
    pair.ios[1].sockets[there.id].join("a")
    sockets = await pair.ios[0].fetch_sockets()
    assert [socket.id for socket in sockets] == [here.id, there.id]
    assert sockets.missing_servers == 0
    remote = sockets[1]
    assert isinstance(remote, RemoteSocket)
    assert (remote.data, remote.rooms) == ({"user": 7}, {there.id, "a"})
    assert remote.handshake.auth == {"token": "t"}
    assert [each.id for each in await pair.ios[0].in_("a").fetch_sockets()] == [there.id]
    there.auto_ack = lambda name, args: [name, *args]
    assert await remote.timeout(120).emit_with_ack("q", b"\x01") == ["q", b"\x01"]


async def test_broadcast_with_ack_collects_the_answers_of_both_servers(pair: Pair) -> None:
    clients = [await pair.servers[number].connect() for number in (0, 1, 1)]
    for number, client in enumerate(clients):
        client.auto_ack = lambda name, args, number=number: [number, *args]  # type: ignore[misc]
    answers = await pair.ios[0].timeout(120).emit_with_ack("q", b"\x01")
    assert sorted(answers.responses) == [[0, b"\x01"], [1, b"\x01"], [2, b"\x01"]]
    assert answers.is_complete
    assert (await pair.ios[0].in_("nobody").timeout(120).emit_with_ack("q")).responses == []


async def test_server_side_events_reach_the_other_server_only(pair: Pair) -> None:
    seen: list[Any] = []
    for number, io in enumerate(pair.ios):
        io.on_server_event("ping", lambda *args, number=number: seen.append((number, args)))
        io.on_server_event("sum", lambda *args, number=number: [number, sum(args)])
    await pair.ios[0].server_side_emit("ping", 1, "x")
    answers = await pair.ios[0].server_side_emit_with_ack("sum", 1, 2)
    assert (list(answers), answers.missing_servers) == ([[1, 3]], 0)
    assert seen == [(1, (1, "x"))]
    assert await pair.ios[0].server_count() == 2


async def test_namespaces_with_pattern_characters_are_separate(pair: Pair) -> None:
    for io in pair.ios:
        io.of("/a")
        io.of("/a[bc]")
        io.of("/ab")
    await until(lambda: True)
    client = await pair.servers[1].connect("/a[bc]")
    other = await pair.servers[1].connect("/ab")
    while not client.received:
        pair.ios[0].of("/a[bc]").emit("x")
        await asyncio.sleep(0.01)
    while not other.received:
        pair.ios[0].of("/ab").emit("y")
        await asyncio.sleep(0.01)
    assert {name for name, _ in client.received} == {"x"}
    assert {name for name, _ in other.received} == {"y"}


async def test_closing_server_leaves_no_subscriptions(pair: Pair, redis: RedisServer) -> None:
    client = await pair.servers[0].connect()
    pair.ios[0].sockets[client.id].join("a")
    for io in pair.ios:
        await io.shutdown()
    await until(lambda: redis.command("PUBSUB", "CHANNELS") == b"*0\r\n")
    await until(lambda: redis.command("PUBSUB", "SHARDCHANNELS") == b"*0\r\n")
    assert redis.command("PUBSUB", "NUMPAT") == b":0\r\n"
