"""Emitters on a real Redis reach the clients of servers with each adapter."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import BlockingEmitter, Emitter
from tests.helpers.redis_server import RedisServer
from tests.socketio_core.redis.conftest import ADAPTERS, Pair, until


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_emitters_reach_the_clients_of_all_servers(redis: RedisServer, adapter: str) -> None:
    kind: Any = adapter.partition("-")[0]
    async with Pair(redis.url, ADAPTERS[adapter]) as pair:
        seen: list[Any] = []
        pair.ios[1].on_server_event("note", lambda *args: seen.append(args))
        clients = [await server.connect() for server in pair.servers]
        async with Emitter(redis.url, adapter=kind) as emitter:
            await emitter.emit("all", b"\x00", 1)
            await emitter.to(clients[1].id).emit("one")
            await emitter.in_(clients[1].id).sockets_join("a")
            await emitter.server_side_emit("note", 1)
            await emitter.except_(clients[0].id).emit("end")
        with BlockingEmitter(redis.url, adapter=kind) as blocking:
            blocking.emit("last")
        for client in clients:
            await client.receive_event("last")
        assert [clients[0].received, clients[1].received] == [
            [("all", [b"\x00", 1])],
            [("all", [b"\x00", 1]), ("one", []), ("end", [])],
        ]
        socket = pair.ios[1].sockets[clients[1].id]
        await until(lambda: "a" in socket.rooms and seen == [(1,)])
        with BlockingEmitter(redis.url, adapter=kind) as blocking:
            blocking.in_("a").disconnect_sockets()
        await until(lambda: not pair.ios[1].sockets)
        assert len(pair.ios[0].sockets) == 1
