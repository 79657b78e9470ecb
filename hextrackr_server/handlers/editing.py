"""Who edits what, as clients say it.

Knows: `start-editing`, `stop-editing`, sockets that go and come back.
Does not know: who is told.
"""

from __future__ import annotations

from typing import Any

from hextrackr_server.editing_sessions import EditingSessions
from hextrackr_server.handlers.answers import principal_of, refusals_as_acks
from socketio_core import Socket, SocketServer

#: Whoever goes so does not come back as the same socket.
_FINAL = frozenset({"client namespace disconnect", "server namespace disconnect"})


def register(io: SocketServer, editing: EditingSessions) -> None:
    """Answer the events of editors."""

    def start(socket: Socket, resource_type: Any = None, resource_id: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            editors = editing.start(socket.id, principal_of(socket), resource_type, resource_id)
            return {"success": True, "currentEditors": editors}

    def stop(socket: Socket, resource_type: Any = None, resource_id: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            editing.stop(socket.id, resource_type, resource_id)
            return {"success": True}

    def connected(socket: Socket) -> None:
        if socket.recovered:
            editing.returned(socket.id)

    def disconnected(socket: Socket, reason: str) -> None:
        editing.lost(socket.id, may_return=socket.pid is not None and reason not in _FINAL)

    io.on("start-editing", start)
    io.on("stop-editing", stop)
    io.on("connection", connected)
    io.on("disconnect", disconnected)
