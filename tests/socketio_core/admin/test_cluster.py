"""Admins of a cluster: each one sees the sockets and the statistics of all servers."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from socketio_core import RedisClassic, SocketServer
from socketio_core.adapters.cluster.message import decode_value
from socketio_core.testing import TestServer, settle
from tests.socketio_core.adapters.cluster_support import Cluster
from tests.socketio_core.adapters.redis_support import FakeLink, use_fake_link
from tests.socketio_core.admin.support import connect, development, last

RECORDED = json.loads(
    (Path(__file__).parents[2] / "vectors" / "recorded" / "admin-ui-over-redis.json").read_text()
)["messages"]


def make_cluster(**options: Any) -> Cluster:
    cluster = Cluster()
    for number, io in enumerate(cluster.ios):
        development(io, server_id=f"server-{number}", **options)
    return cluster


async def test_admin_receives_the_sockets_of_all_servers() -> None:
    async with make_cluster() as cluster:
        first, second = cluster.servers
        early = await connect(first)
        client = await second.connect("/")
        socket = second.io.sockets[client.id]
        socket.data["user"] = "ann"
        await socket.join("red")
        await settle()
        late = await connect(first)
        await settle()
        (sockets,) = last(late, "all_sockets")
        (listed,) = [each for each in sockets if each["id"] == client.id]
        connected = last(early, "socket_connected")
        assert [args for name, args in early.received if name == "socket_connected"][1][0][
            "clientId"
        ] == listed["clientId"]
        assert connected[0]["id"] == late.id
        assert listed["transport"] == "websocket"
        assert listed["data"] == {"user": "ann"}
        assert set(listed["rooms"]) == {client.id, "red"}


async def test_admin_receives_the_events_and_statistics_of_all_servers() -> None:
    async with make_cluster() as cluster:
        first, second = cluster.servers
        admin = await connect(first)
        client = await second.connect("/")
        client.emit("ev", 1, b"\x01")
        await cluster.advance(2)
        args = last(admin, "event_received")
        assert args[:3] == ["/", client.id, ["ev", 1, b"\x01"]]
        servers = {args[0]["serverId"] for name, args in admin.received if name == "server_stats"}
        assert servers == {"server-0", "server-1"}


async def test_application_does_not_see_the_entry_of_the_admin_ui() -> None:
    async with make_cluster() as cluster:
        first, second = cluster.servers
        client = await second.connect("/")
        second.io.sockets[client.id].data["user"] = "ann"
        fetching = asyncio.ensure_future(first.io.fetch_sockets())
        await settle()
        (remote,) = await fetching
        assert remote.data == {"user": "ann"}
        assert second.io.sockets[client.id].data == {"user": "ann"}


async def test_servers_without_a_namespace_or_with_other_data_are_listed() -> None:
    async with make_cluster() as cluster:
        first, second = cluster.servers
        client = await second.connect("/")
        second.io.sockets[client.id].data = ["a", "list"]
        admin = await connect(first)
        await settle()
        (sockets,) = last(admin, "all_sockets")
        (listed,) = [each for each in sockets if each["id"] == client.id]
        assert listed["data"] == ["a", "list"]
        assert "clientId" not in listed


# -- over classic Redis, as recorded with two Node servers


def make_redis_server() -> tuple[SocketServer, FakeLink]:
    factory = RedisClassic("redis://127.0.0.1")
    link = use_fake_link(factory, "self01")
    return development(SocketServer(adapter=factory), server_id="A"), link


def keys(value: Any) -> Any:
    """Return the structure of a value: keys, and the types of the others."""
    if isinstance(value, dict) and set(value) != {"$date"}:
        return {key: keys(each) for key, each in value.items() if key != "headers"}
    if isinstance(value, list):
        return [keys(each) for each in value]
    return datetime if isinstance(value, dict | datetime) else type(value)


async def test_messages_between_servers_have_the_recorded_form() -> None:
    io, link = make_redis_server()
    async with TestServer(io) as server:
        link.sent.clear()
        client = await server.connect("/")
        await server.advance(2)
        published = {
            (channel, decode_value(payload)[1]["data"][0]): decode_value(payload)
            for channel, payload in link.sent
        }
        for recorded in RECORDED[:3]:
            name = recorded["decoded"][1]["data"][0]
            message = published[recorded["channel"], name]
            expected = keys(recorded["decoded"])
            if name == "server_stats":
                # Numbers without a fraction are integers on Node, and the others vary.
                assert message[1]["data"][1].keys() == recorded["decoded"][1]["data"][1].keys()
            else:
                assert keys(message) == expected
        link.sent.clear()
        (request,) = [each for each in RECORDED if each["channel"] == "socket.io-request#/#"]
        link.deliver(request["channel"], base64.b64decode(request["payload_b64"]))
        (answer,) = [json.loads(payload) for _, payload in link.sent]
        (expected,) = [each for each in RECORDED if each["channel"] == "socket.io-response#/#"]
        assert keys(answer) == keys(expected["decoded"])
        assert answer["sockets"][0]["id"] == client.id
        assert answer["sockets"][0]["data"]["_admin"]["transport"] == "websocket"


async def test_recorded_messages_of_node_reach_the_admin() -> None:
    io, link = make_redis_server()
    async with TestServer(io) as server:
        joining = asyncio.create_task(connect(server))
        await server.advance(10)  # the request for the sockets of the other server is unanswered
        admin = await joining
        admin.received.clear()
        for recorded in RECORDED[:3]:
            payload = base64.b64decode(recorded["payload_b64"])
            link.deliver(recorded["channel"], payload)
        assert [name for name, _ in admin.received][-3:] == [
            "server_stats", "room_joined", "socket_connected",
        ]  # fmt: skip
        assert last(admin, "room_joined")[3] == "2026-11-28T04:30:24.434Z"
        assert last(admin, "socket_connected")[1] == "2026-11-28T04:30:24.435Z"


async def test_recorded_sockets_of_node_are_listed() -> None:
    io, link = make_redis_server()
    async with TestServer(io) as server:
        link.sent.clear()
        joining = asyncio.create_task(connect(server))
        await settle()
        requests = [
            (channel, json.loads(payload))
            for channel, payload in link.sent
            if channel.startswith("socket.io-request")
        ]
        for channel, request in requests:
            response = channel.replace("request", "response")
            (recorded,) = [each for each in RECORDED if each["channel"] == response]
            answer = {**recorded["decoded"], "requestId": request["requestId"]}
            link.deliver(response, json.dumps(answer).encode())
        await settle()
        admin = await joining
        (sockets,) = last(admin, "all_sockets")
        (listed,) = [each for each in sockets if each["id"] == "VmgYiJtU9jVlZWpAAAAA"]
        assert listed["clientId"] == "PhMWf_E17XHQ"
        assert listed["transport"] == "websocket"
        assert listed["data"] == {}
        assert listed["nsp"] == "/"
