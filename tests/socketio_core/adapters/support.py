"""Helpers for the tests of connection state recovery."""

from __future__ import annotations

from typing import Any

from socketio_core import Recovery, SocketServer
from socketio_core.testing import TestClient


def make_server(**rules: Any) -> SocketServer:
    return SocketServer(recovery=Recovery(**rules), ping_interval=25, ping_timeout=20)


def events(client: TestClient) -> list[tuple[str, list[Any]]]:
    """Return the received events without their offsets."""
    return [(name, args[:-1]) for name, args in client.received]
