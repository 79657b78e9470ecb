"""JSONP with the official clients 3.1 and 2.5; Node evaluates the responses as scripts."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import Cors, Socket, SocketServer

from .support import run_node, serving

pytestmark = pytest.mark.interop


def make_server(**options: Any) -> SocketServer:
    io = SocketServer(**options)

    @io.on("echo")
    def echo(socket: Socket, value: Any) -> Any:
        return value

    @io.on("leave")
    def leave(socket: Socket) -> None:
        socket.disconnect(True)

    return io


@pytest.mark.parametrize("cors", [None, Cors(origins=["https://example.com"])], ids=["", "cors"])
@pytest.mark.parametrize("client", ["socket.io-client-3", "socket.io-client-2"])
def test_client_exchanges_texts_and_binary_data_over_jsonp(client: str, cors: Cors | None) -> None:
    with serving(make_server(jsonp=True, allow_eio3=True, cors=cors)) as (url, _):
        (report,) = run_node("jsonp.js", client, url)
    assert report["different"] == []
    assert report["binary"] == [0, 1, 254, 255]
    assert report["reason"] == "io server disconnect"
    assert report["scripts"] == ["text/javascript; charset=UTF-8"]
    assert report["posts"] == ["text/html"]


def test_response_is_not_a_script_when_jsonp_is_off() -> None:
    with serving(make_server()) as (url, _):
        (report,) = run_node("jsonp.js", "socket.io-client-3", url)
    assert report["error"].startswith("SyntaxError")
