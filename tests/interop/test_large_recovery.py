"""Recovery of the official client after it missed many bytes."""

from __future__ import annotations

import pytest

from socketio_core import Recovery, Socket, SocketServer

from .support import run_node, serving

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
def test_official_client_that_missed_200_large_events_receives_all_of_them(transports: str) -> None:
    io = SocketServer(recovery=Recovery())

    @io.on("connection")
    async def connected(socket: Socket) -> None:
        if not socket.recovered:
            await socket.join("readers")
            socket.emit("start")

    @io.on("disconnect")
    def left(socket: Socket, reason: str) -> None:
        if reason == "transport close":
            for number in range(200):
                io.to("readers").emit("number", number, "x" * 100_000)
            io.to("readers").emit("end")

    with serving(io) as (url, _):
        (report,) = run_node("large_recovery.js", url, transports)
    assert report == {"numbers": list(range(200)), "recovered": True}
