"""Faults that users of the official clients saw, with these clients."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from typing import Any

import pytest

from engineio_core.session_state import UpgradeState
from socketio_core import MsgpackParser, Socket, SocketServer

from .support import run_node, serving

pytestmark = pytest.mark.interop

CLIENTS = ["socket.io-client", "socket.io-client-3"]
TRANSPORTS = ["polling", "websocket", "polling,websocket"]


@pytest.mark.parametrize("transports", TRANSPORTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_serialized_events_of_a_client_that_leaves_are_handled_before_disconnect(
    client: str, transports: str
) -> None:
    io = SocketServer(serialize_handlers=True)
    calls: list[Any] = []
    left = threading.Event()

    @io.on("x")
    async def handle(socket: Socket, number: int) -> None:
        await asyncio.sleep(0)
        calls.append(number)

    @io.on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        calls.append(reason)
        left.set()

    with serving(io) as (url, _):
        assert run_node("core_faults.js", client, transports, "leave", url) == [{}]
        assert left.wait(300)
    # With an upgrade, the client may leave while its last packets are in flight.
    *numbers, reason = calls
    assert numbers == list(range(1000))
    assert reason in {"client namespace disconnect", "transport close"}


@pytest.mark.parametrize("client", CLIENTS)
def test_volatile_events_arrive_while_the_client_upgrades(client: str) -> None:
    io = SocketServer()
    sent: list[int] = []

    @io.on("connection")
    async def connected(socket: Socket) -> None:
        number = 0
        while socket.session._upgrade_state is not UpgradeState.FINAL:
            await asyncio.sleep(0.001)
            if socket.session._upgrade_state is UpgradeState.PROBED:
                socket.volatile.emit("number", number)
                number += 1
        sent.append(number)
        await asyncio.sleep(0.02)
        socket.emit("end", socket.session.transport.name)

    received = 0
    with serving(io) as (url, _):
        for _ in range(10):
            (report,) = run_node("core_faults.js", client, "polling,websocket", "volatile", url)
            assert report["transport"] == "websocket"
            assert report["numbers"] == list(range(sent[-1]))
            received += sent[-1]
    assert received, "no client was observed during its upgrade"


@pytest.mark.parametrize("client", CLIENTS)
def test_client_reconnects_after_a_post_that_is_too_large(client: str) -> None:
    io = SocketServer(max_http_buffer_size=1000)
    with serving(io) as (url, _):
        (report,) = run_node("core_faults.js", client, "polling", "large", url)
    # Version 3 has no details of a disconnect.
    status = {"status": 413} if client == "socket.io-client" else {}
    assert report == {"reason": "transport error", **status}


def test_dates_of_javascript_do_not_close_a_connection_with_msgpack() -> None:
    io = SocketServer(parser=MsgpackParser())

    @io.on("dates")
    def dates(socket: Socket, *values: Any) -> tuple[Any, ...]:
        return tuple(
            f"{each:%Y-%m-%dT%H:%M:%S}.{each.microsecond // 1000:03d}Z"
            if isinstance(each, datetime)
            else each
            for each in values
        )

    with serving(io) as (url, _):
        (report,) = run_node("core_faults.js", "socket.io-client", "websocket", "dates", url)
    assert report["answer"] == report["expected"]
