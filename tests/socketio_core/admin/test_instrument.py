"""Instrumented servers: options, modes, several admin namespaces and statistics."""

from __future__ import annotations

import asyncio
import os
import re
import socket as sockets
from typing import Any

import pytest

from engineio_core.session import Session
from socketio_core import InProcessCluster, Recovery, Socket, SocketServer, instrument
from socketio_core.admin.watcher import SWEEP
from socketio_core.testing import TestServer, settle
from tests.socketio_core.admin.support import connect, development, events, last
from tests.socketio_core.support import TcpServer


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, TypeError, "auth"),
        ({"auth": None}, TypeError, "auth must be a BasicAuth"),
        ({"auth": True}, TypeError, "auth must be a BasicAuth"),
        ({"auth": {"type": "basic"}}, TypeError, "auth must be a BasicAuth"),
        ({"auth": lambda password: True}, TypeError, "auth"),
        ({"auth": False, "mode": "debug"}, ValueError, "mode must be"),
        ({"auth": False, "read_only": 1}, TypeError, "read_only"),
        ({"auth": False, "server_id": ""}, TypeError, "server_id"),
        ({"auth": False, "namespace_name": "/"}, ValueError, "a new namespace, got '/'"),
        ({"auth": False, "namespace_name": "/chat"}, ValueError, "a new namespace"),
        ({"auth": False, "namespace_name": None}, TypeError, "namespace_name"),
    ],
)
def test_invalid_arguments_are_refused(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    io = SocketServer()
    io.of("/chat")
    with pytest.raises(error, match=text):
        instrument(io, **arguments)
    assert set(io.namespaces) == {"/", "/chat"}


def test_first_argument_must_be_a_server() -> None:
    with pytest.raises(TypeError, match="needs a SocketServer"):
        instrument(SocketServer().of("/"), auth=False)  # type: ignore[arg-type]


def test_a_namespace_is_instrumented_once() -> None:
    io = development(SocketServer())
    with pytest.raises(ValueError, match="choose another one"):
        instrument(io, auth=False)


async def test_mode_is_production_unless_chosen() -> None:
    io = SocketServer()
    instrument(io, auth=False)
    async with TestServer(io) as server:
        admin, client = await connect(server), await server.connect()
        client.emit("secret", "payload")
        io.sockets[client.id].data["user"] = "ann"
        await server.advance(2)
        assert {name for name, _ in admin.received} == {"config", "server_stats"}
        (config,) = last(admin, "config")
        assert "ALL_EVENTS" not in config["supportedFeatures"]
        assert "payload" not in str(admin.received)


async def test_statistics_are_sent_every_two_seconds() -> None:
    io = SocketServer()
    instrument(io, auth=False, server_id="srv-1")
    async with TestServer(io) as server:
        admin = await connect(server)
        for seconds in (1, 1, 1, 1):
            await server.advance(seconds)
        assert [name for name, _ in admin.received].count("server_stats") == 2
        client = await server.connect()
        client.emit("ev", "äöü")
        client.connection.cut()
        await server.advance(2)
        (stats,) = last(admin, "server_stats")
        assert stats["serverId"] == "srv-1"
        assert stats["hostname"] == sockets.gethostname()
        assert stats["pid"] == os.getpid()
        assert stats["uptime"] == 6.0
        assert stats["clientsCount"] == 1
        assert stats["namespaces"] == [
            {"name": "/", "socketsCount": 0},
            {"name": "/admin", "socketsCount": 1},
        ]
        totals: dict[tuple[str, str | None], int] = {}
        for each in stats["aggregatedEvents"]:
            assert each["timestamp"] % 1000 == 0
            key = (each["type"], each.get("subType"))
            totals[key] = totals.get(key, 0) + each["count"]
        assert totals["rawConnection", None] == 1
        assert totals["rawDisconnection", "transport close"] == 1
        assert totals["packetsIn", None] == 2
        assert totals["bytesIn", None] == len("0") + len('2["ev","äöü"]'.encode())
        assert totals["packetsOut", None] >= 1
        assert totals["bytesOut", None] > 100


async def test_statistics_end_with_the_server_and_start_again_with_a_client() -> None:
    io = development(SocketServer())
    async with TestServer(io) as server:
        await connect(server)
    await server.advance(10)
    assert not [timer for timer in server.clock._timers if timer[2]._callback is not None]
    async with TestServer(io, clock=server.clock) as again:
        await io.listen()
        admin = await connect(again)
        await again.advance(2)
        assert last(admin, "server_stats")[0]["clientsCount"] == 1


async def test_statistics_continue_while_the_server_drains() -> None:
    io = development(SocketServer())
    async with TestServer(io) as server:
        admin = await connect(server)
        io.begin_drain()
        await server.advance(2)
        assert last(admin, "server_stats")[0]["clientsCount"] == 1


async def test_polling_clients_are_counted() -> None:
    io = SocketServer()
    instrument(io, auth=False)
    tcp = TcpServer(io)
    admin = tcp.open_websocket()
    admin.send("0/admin,")
    tcp.open_polling()
    tcp.clock.advance(2)
    assert '"clientsCount":2,"pollingClientsCount":1' in str(admin.messages())


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [(False, sockets.gethostname()), (True, f"{sockets.gethostname()}#{os.getpid()}")],
    ids=["one server", "cluster"],
)
async def test_server_id_distinguishes_servers_of_a_cluster(adapter: bool, expected: str) -> None:
    io = SocketServer(adapter=InProcessCluster().join() if adapter else None)
    instrument(io, auth=False)
    async with TestServer(io) as server:
        admin = await connect(server)
        await server.advance(2)
        assert last(admin, "server_stats")[0]["serverId"] == expected


async def test_two_admin_namespaces_do_not_report_the_messages_of_each_other() -> None:
    io = development(SocketServer())
    development(io, namespace_name="/viewers", read_only=True)
    async with TestServer(io) as server:
        admin, viewer = await connect(server), await connect(server, "/viewers")
        client = await server.connect()
        admin.emit("emit", "/", client.id, "hello")
        viewer.emit("emit", "/", client.id, "refused")
        await settle()
        assert client.received == [("hello", [])]
        for each in (admin, viewer):
            assert events(each, "event_sent", "event_received") == [
                ("event_sent", ["/", client.id, ["hello"]])
            ]
        assert {each["nsp"] for each in last(viewer, "all_sockets")[0]} == {"/admin", "/viewers"}


async def test_namespaces_of_patterns_are_reported() -> None:
    io = development(SocketServer())
    io.of(re.compile(r"/org-\d+"))
    async with TestServer(io) as server:
        admin = await connect(server)
        client = await server.connect("/org-7")
        client.emit("ev", 1)
        client.disconnect()
        await settle()
        assert events(admin, "room_joined", "event_received", "socket_disconnected")[1:] == [
            ("room_joined", ["/org-7", client.id, client.id]),
            ("event_received", ["/org-7", client.id, ["ev", 1]]),
            ("socket_disconnected", ["/org-7", client.id, "client namespace disconnect"]),
        ]


async def test_own_listeners_of_the_application_still_run() -> None:
    io = development(SocketServer())
    seen: list[Any] = []

    @io.on("connection")
    def listen(socket: Socket) -> None:
        socket.on_any(lambda *event: seen.append(("in", event)))
        socket.on_any_outgoing(lambda *event: seen.append(("out", event)))

    @io.on("ev")
    def answer(socket: Socket, value: Any) -> Any:
        socket.emit("reply")
        return value

    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("ev", 1) == 1
    assert seen == [("in", ("ev", 1)), ("out", ("reply",))]


async def test_changes_of_data_are_found_in_turns() -> None:
    io = development(SocketServer())
    async with TestServer(io) as server:
        admin = await connect(server)
        clients = [await server.connect() for _ in range(3)]
        for number, client in enumerate(clients):
            io.sockets[client.id].data = {"number": number}
        await server.advance(1)
        assert events(admin, "socket_updated") == [
            ("socket_updated", [{"id": client.id, "nsp": "/", "data": {"number": number}}])
            for number, client in enumerate(clients)
        ]
        admin.received.clear()
        await server.advance(5)
        assert events(admin, "socket_updated") == []
    assert SWEEP > 3


async def test_sockets_without_a_disconnect_handler_are_forgotten() -> None:
    io = development(SocketServer())
    watcher = io.main._handlers.lifecycle.find("disconnect")[0].function.__self__
    async with TestServer(io) as server:
        await connect(server)
        client = await server.connect()
        io.off("disconnect")
        client.disconnect()
        await server.advance(2)
        assert len(watcher._reported) == 1


async def test_nothing_is_sent_without_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    io = development(SocketServer())
    sent: list[Any] = []
    monkeypatch.setattr(io.of("/admin").adapter.__class__, "broadcast", lambda *a: sent.append(a))
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("ev")
        await server.advance(4)
    assert sent == []


async def test_uninstrumented_server_has_plain_sessions_and_no_timer() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        assert type(client.connection.session) is Session
        assert not io.main._handlers.any
        assert io.sockets[client.id]._listeners is None


async def test_recovered_admin_receives_the_sockets_that_connected_meanwhile() -> None:
    io = development(SocketServer(recovery=Recovery()))
    async with TestServer(io) as server:
        admin = await connect(server)
        admin.connection.cut()
        client = await server.connect()
        again = await server.connect("/admin", recovering=admin)
        assert again.id == admin.id
        assert client.id in [each["id"] for each in last(again, "all_sockets")[0]]


async def test_unsendable_event_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    io = development(SocketServer())
    async with TestServer(io) as server:
        await connect(server)
        client = await server.connect()
        socket = io.sockets[client.id]
        for _ in range(2):
            socket._notify_outgoing(["ev", object()])
    assert [record.message for record in caplog.records[1:]] == [
        "an event 'event_sent' of the admin UI cannot be sent"
    ]


async def test_admin_that_leaves_during_the_request_receives_nothing() -> None:
    cluster = InProcessCluster(automatic=False)
    first, second = (development(SocketServer(adapter=cluster.join())) for _ in range(2))
    async with TestServer(first) as server, TestServer(second):
        cluster.deliver()
        joining = asyncio.create_task(connect(server))
        await settle()
        admin = await joining
        admin.disconnect()
        await settle()
        cluster.deliver()
        await server.advance(10)
        assert "all_sockets" not in [name for name, _ in admin.received]
