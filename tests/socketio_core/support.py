"""Socket.IO server on fake TCP, for tests that depend on the transport."""

from __future__ import annotations

import json
from typing import Any

from socketio_core import SocketServer
from tests.helpers.client import Client, Server
from tests.helpers.fake_clock import FakeClock


class TcpServer(Server):
    """Server that runs `io` on a fake clock and opens HTTP and WebSocket clients."""

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
        """Open a session and join a namespace; the CONNECT response is consumed."""
        client = self.open(transport)
        join(client, namespace, auth)
        return client


def join(client: Client, namespace: str = "/", auth: Any = None) -> dict[str, Any]:
    """Join a namespace; return the data of the CONNECT response."""
    prefix = "" if namespace == "/" else f"{namespace},"
    client.send(f"0{prefix}{'' if auth is None else json.dumps(auth)}")
    *_, response = client.messages()
    assert isinstance(response, str)
    assert response.startswith(f"0{prefix}"), response
    body: dict[str, Any] = json.loads(response[1 + len(prefix) :])
    return body


class Journal:
    """Recorder of the disconnect reasons and descriptions in a namespace."""

    def __init__(self, io: SocketServer, namespace: str = "/") -> None:
        self.reasons: list[str] = []
        self.descriptions: list[str] = []
        io.of(namespace).on("disconnect", self._record)

    def _record(self, socket: Any, reason: str, description: str) -> None:
        self.reasons.append(reason)
        self.descriptions.append(description)
