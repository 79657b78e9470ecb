"""An instrumented test server, and what its admin has received."""

from __future__ import annotations

from typing import Any

from socketio_core import SocketServer, instrument
from socketio_core.testing import TestClient, TestServer


def development(io: SocketServer, **options: Any) -> SocketServer:
    """Instrument a server with all events and without authentication."""
    instrument(io, **{"auth": False, "mode": "development", **options})
    return io


def events(admin: TestClient, *names: str) -> list[tuple[str, list[Any]]]:
    """Return the received events of these names, in order, without their dates."""
    return [
        (name, args[:-1] if name not in {"all_sockets", "server_stats", "socket_updated"} else args)
        for name, args in admin.received
        if name in names
    ]


def last(admin: TestClient, name: str) -> list[Any]:
    """Return the arguments of the last event of a name."""
    return [args for each, args in admin.received if each == name][-1]


async def connect(server: TestServer, namespace: str = "/admin", **auth: Any) -> TestClient:
    """Connect an admin; `auth` is its auth data."""
    return await server.connect(namespace, auth=auth)
