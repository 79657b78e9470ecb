"""Replays of many bytes: the client receives all missed events or a new session, never a part."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from socketio_core import Recovery, Socket, SocketServer
from socketio_core.testing import settle
from tests.helpers.client import Client
from tests.socketio_core.support import Journal, TcpServer, join

LARGE = "x" * 100_000


def recovering(pid: str, namespace: str = "/") -> str:
    where = "" if namespace == "/" else f"{namespace},"
    return f"0{where}{json.dumps({'pid': pid})}"


def texts(client: Client) -> list[str]:
    return [str(message) for message in client.messages()]


def test_default_outbox_holds_all_events_that_recovery_keeps() -> None:
    # The last event may exceed the limit of the log by its own size.
    options = SocketServer().engine.options
    room = Recovery().max_bytes + options.max_http_buffer_size
    assert options.max_outbox_size > room


async def test_client_that_missed_200_large_events_receives_all_of_them(transport: str) -> None:
    io = SocketServer(recovery=Recovery())
    journal = Journal(io)
    tcp = TcpServer(io)
    pid = join(tcp.open(transport))["pid"]
    tcp.session.close(discard=True)
    for number in range(200):
        io.emit("x", number, LARGE)
    again = tcp.open(transport)
    again.send(recovering(pid))
    received: list[str] = []
    while not received or not received[-1].startswith("0"):
        news = texts(again)
        assert news, "the server stopped before the CONNECT"
        received += news
    *events, connect = received
    assert [json.loads(event[1:])[1] for event in events] == list(range(200))
    assert json.loads(connect[1:])["pid"] == pid
    assert journal.reasons == ["forced close"]


async def test_client_gets_a_new_session_when_the_missed_events_exceed_the_outbox(
    transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    io = SocketServer(recovery=Recovery(), max_outbox_size=1000)
    journal = Journal(io)
    tcp = TcpServer(io)
    pid = join(tcp.open(transport))["pid"]
    tcp.session.close(discard=True)
    for _ in range(10):
        io.emit("x", "y" * 300)
    again = tcp.open(transport)
    again.send(recovering(pid))
    (connect,) = texts(again)
    assert json.loads(connect[1:])["pid"] != pid
    (socket,) = io.sockets.values()
    assert not socket.recovered
    assert "exceed max_outbox_size" in caplog.text
    assert journal.reasons == ["forced close"]  # the reason of the first connection


async def test_replays_of_several_namespaces_share_the_room_of_the_outbox() -> None:
    io = SocketServer(recovery=Recovery(skip_middlewares=False), max_outbox_size=1000)
    gate = asyncio.Event()
    recovered: dict[str, bool] = {}

    async def wait(socket: Socket) -> None:
        if socket.recovered:
            await gate.wait()

    for name in ("/", "/b"):
        io.of(name).use(wait)
        io.of(name).on(
            "connection", lambda socket: recovered.update({socket.namespace.name: socket.recovered})
        )
    tcp = TcpServer(io)
    client = tcp.open("websocket")
    pids: dict[str, Any] = {}
    for name in ("/", "/b"):
        client.send("0" if name == "/" else f"0{name},")
        await settle()
        *_, connect = texts(client)
        pids[name] = json.loads(connect[connect.index("{") :])["pid"]
    tcp.session.close(discard=True)
    for name in ("/", "/b"):
        io.of(name).emit("x", "y" * 600)
    again = tcp.open("websocket")
    for name in ("/", "/b"):
        again.send(recovering(pids[name], name))
    await settle()
    gate.set()
    for _ in range(5):
        await settle()
    assert recovered == {"/": True, "/b": False}
    (connection,) = io._connections
    assert connection._reserved == 0
    await io.shutdown(grace=0)
