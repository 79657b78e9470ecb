"""Clients that have joined no namespace have a smaller budget for unfinished messages."""

from __future__ import annotations

from engineio_core.budgets import STRANGERS
from socketio_core import SocketServer
from tests.helpers.client import WebSocketClient
from tests.helpers.wire import TEXT, client_frame
from tests.socketio_core.support import TcpServer, join

MESSAGE = client_frame(TEXT, b"42" + b'["x","' + b"y" * 100_000 + b'"]')


def make_server() -> TcpServer:
    return TcpServer(SocketServer(max_total_unfinished_size=STRANGERS * len(MESSAGE)))


def begin(server: TcpServer, *, joins: bool) -> WebSocketClient:
    client = server.open_websocket()
    if joins:
        join(client)
    client.feed(MESSAGE[:-1])
    return client


def test_client_without_a_namespace_uses_a_quarter_of_the_budget() -> None:
    server = make_server()
    first, second = (begin(server, joins=False) for _ in range(2))
    assert first.close_code is None
    assert second.close_code == 1013


def test_client_of_a_namespace_uses_the_whole_budget() -> None:
    server = make_server()
    clients = [begin(server, joins=True) for _ in range(STRANGERS + 1)]
    assert [each.close_code for each in clients] == [None] * STRANGERS + [1013]
