"""The official client with `forceBase64`, over each transport."""

from __future__ import annotations

import pytest

from socketio_core import Socket, SocketServer

from .support import run_node, serving

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("transports", ["websocket", "polling", "polling,websocket"])
@pytest.mark.parametrize("package", ["socket.io-client", "socket.io-client-3"])
def test_official_client_with_force_base64_exchanges_binary_data(
    transports: str, package: str
) -> None:
    io = SocketServer()

    @io.on("echo")
    def echo(socket: Socket, data: bytes) -> bytes:
        return data

    with serving(io) as (url, _):
        (seen,) = run_node("base64.js", url, transports, package)
    assert seen == {"echo": [0, 1, 254, 255], "disconnects": []}
