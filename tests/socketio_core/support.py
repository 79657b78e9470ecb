"""A Socket.IO server behind fake TCP: where it matters what carries the packets."""

from __future__ import annotations

import json
from typing import Any

from socketio_core import SocketServer
from tests.helpers.client import Client, Server
from tests.helpers.fake_clock import FakeClock


class TcpServer(Server):
    """Gives `io` a fake clock, and clients that speak HTTP and WebSocket."""

    def __init__(self, io: SocketServer) -> None:
        self.clock = FakeClock()
        io.use_clock(self.clock)
        self.io = io
        self.engine = io.engine
        self.path = io.engine.options.path
        self.sessions = []
        self.closed = []
        self.received = []
        self.errors = []
        self.engine.on("connection", self.sessions.append)

    def join(self, transport: str, namespace: str = "/", auth: Any = None) -> Client:
        """Open a session and join a namespace; its CONNECT has been taken."""
        client = self.open(transport)
        join(client, namespace, auth)
        return client


def join(client: Client, namespace: str = "/", auth: Any = None) -> dict[str, Any]:
    """Join a namespace; return what the server said."""
    where = "" if namespace == "/" else f"{namespace},"
    client.send(f"0{where}{'' if auth is None else json.dumps(auth)}")
    *_, answer = client.messages()
    assert isinstance(answer, str)
    assert answer.startswith(f"0{where}"), answer
    body: dict[str, Any] = json.loads(answer[1 + len(where) :])
    return body


class Journal:
    """Notes why sockets of a namespace leave."""

    def __init__(self, io: SocketServer, namespace: str = "/") -> None:
        self.reasons: list[str] = []
        self.descriptions: list[str] = []
        io.of(namespace).on("disconnect", self._note)

    def _note(self, socket: Any, reason: str, description: str) -> None:
        self.reasons.append(reason)
        self.descriptions.append(description)
