"""The commands of the admin UI, also for sockets of other servers."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from socketio_core import SocketServer, instrument
from socketio_core.testing import TestServer, settle
from tests.socketio_core.adapters.cluster_support import Cluster
from tests.socketio_core.admin.support import connect, development


@pytest.fixture(params=["development", "production"])
def io(request: pytest.FixtureRequest) -> SocketServer:
    return development(SocketServer(), mode=request.param)


@pytest.mark.parametrize("target", ["id", "room", "all"])
async def test_commands_act_on_a_socket_a_room_or_all(io: SocketServer, target: str) -> None:
    async with TestServer(io) as server:
        admin, client, other = await connect(server), *[await server.connect() for _ in range(2)]
        await io.sockets[client.id].join("red")
        chosen = {"id": [client.id], "room": ["red"], "all": [None]}[target]
        reaches_other = target == "all"
        admin.emit("emit", "/", *chosen, "hello", 1, {"a": [2]})
        admin.emit("join", "/", "blue", *chosen)
        await settle()
        assert client.received == [("hello", [1, {"a": [2]}])]
        assert bool(other.received) is reaches_other
        assert "blue" in io.sockets[client.id].rooms
        assert ("blue" in io.sockets[other.id].rooms) is reaches_other
        admin.emit("leave", "/", "blue", *chosen)
        await settle()
        assert "blue" not in io.sockets[client.id].rooms
        admin.emit("_disconnect", "/", False, *chosen)
        await settle()
        assert not client.connected
        assert not client.connection.is_closed
        assert other.connected is not reaches_other


async def test_filter_may_be_absent(io: SocketServer) -> None:
    async with TestServer(io) as server:
        admin, client = await connect(server), await server.connect()
        admin.emit("join", "/", "blue")
        await settle()
        assert "blue" in io.sockets[client.id].rooms
        admin.emit("_disconnect", "/", True)
        await settle()
        assert client.connection.is_closed
        assert admin.connected


async def test_commands_reach_the_sockets_of_other_servers() -> None:
    cluster = Cluster()
    for io in cluster.ios:
        development(io)
    async with cluster:
        first, second = cluster.servers
        admin, client = await connect(first), await second.connect()
        socket = second.io.sockets[client.id]
        admin.emit("emit", "/", client.id, "hello", 1)
        admin.emit("join", "/", "blue", client.id)
        await settle()
        assert client.received == [("hello", [1])]
        assert "blue" in socket.rooms
        admin.emit("leave", "/", "blue", client.id)
        await settle()
        assert "blue" not in socket.rooms
        admin.emit("_disconnect", "/", False, client.id)
        await settle()
        assert not client.connected


@pytest.mark.parametrize(
    "command",
    [
        ("emit", "/", None, "connect"),
        ("emit", "/", None, ""),
        ("emit", "/unknown", None, "hello"),
        ("emit", 1, None, "hello"),
        ("emit", "/", 1, "hello"),
        ("emit", "/", None, 2),
        ("emit", "/"),
        ("join", "/", None),
        ("leave", None, "red"),
        ("_disconnect", "/", "yes"),
        ("_disconnect", {"a": 1}, False),
    ],
)
async def test_invalid_command_has_no_effect(io: SocketServer, command: tuple[Any, ...]) -> None:
    async with TestServer(io) as server:
        admin, client = await connect(server), await server.connect()
        names = list(io.namespaces)
        admin.emit(*command)
        await settle()
        if command[:3] != ("emit", "/", None) or command[3] != "":
            assert client.received == []
        assert client.connected
        assert admin.connected
        assert io.sockets[client.id].rooms == {client.id}
        assert list(io.namespaces) == names


async def test_sockets_cannot_join_the_room_of_another_socket(
    io: SocketServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with TestServer(io) as server:
        admin, client, other = await connect(server), *[await server.connect() for _ in range(2)]
        with caplog.at_level(logging.INFO, "socketio_core"):
            admin.emit("join", "/", other.id, client.id)
            await settle()
        assert io.sockets[client.id].rooms == {client.id}
    assert "was refused: a room must not be named after another socket" in caplog.text


async def test_command_for_a_pattern_creates_no_lasting_namespace() -> None:
    io = SocketServer(cleanup_empty_child_namespaces=True)
    io.of(re.compile(r"/org-\d+"))
    development(io)
    async with TestServer(io) as server:
        admin = await connect(server)
        admin.emit("emit", "/org-7", None, "hello")
        await settle()
        assert "/org-7" not in io.namespaces


async def test_command_cannot_create_a_namespace_that_no_client_can_name() -> None:
    io = SocketServer()
    io.of(lambda name, auth: True)
    development(io)
    async with TestServer(io) as server:
        admin = await connect(server)
        names = set(io.namespaces)
        for name in ("a", "/a,b", "/" + "x" * 10_000, "/\x1e", ""):
            admin.emit("emit", name, None, "hello")
        await settle()
        assert set(io.namespaces) == names


async def test_command_for_a_pattern_reaches_another_server() -> None:
    cluster = Cluster()
    for io in cluster.ios:
        io.of(re.compile(r"/org-\d+"))
        development(io)
    async with cluster:
        first, second = cluster.servers
        admin, client = await connect(first), await second.connect("/org-7")
        admin.emit("emit", "/org-7", None, "hello")
        await settle()
        assert client.received == [("hello", [])]


async def test_read_only_server_executes_no_command() -> None:
    io = development(SocketServer(), read_only=True)
    async with TestServer(io) as server:
        admin, client = await connect(server), await server.connect()
        for command in (
            ("emit", "/", client.id, "hello"),
            ("join", "/", "blue", client.id),
            ("_disconnect", "/", True, client.id),
        ):
            admin.emit(*command)
        await settle()
        assert client.received == []
        assert client.connected
        assert io.sockets[client.id].rooms == {client.id}
        (config,) = [args for name, args in admin.received if name == "config"]
        assert config == [{"supportedFeatures": ["AGGREGATED_EVENTS", "ALL_EVENTS"]}]


async def test_commands_are_logged_with_the_admin(
    io: SocketServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with TestServer(io) as server:
        admin, client = await connect(server), await server.connect()
        with caplog.at_level(logging.INFO, "socketio_core"):
            admin.emit("_disconnect", "/", False, client.id)
            admin.emit("join", "/", "a\nb", None)
            await settle()
        expected = f"admin {admin.id} at 127.0.0.1: 'disconnect' in namespace '/', "
        assert f"{expected}room or socket {client.id!r}" in caplog.text
        assert r"'join a\nb' in namespace '/', all sockets" in caplog.text


async def test_namespace_of_the_admin_is_not_in_the_documents_of_the_application() -> None:
    io = SocketServer()
    before = io.typescript()
    instrument(io, auth=False)
    assert io.typescript() == before
    assert "admin" not in str(io.asyncapi())
