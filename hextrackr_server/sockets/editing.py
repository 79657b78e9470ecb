"""Events of editing: `start-editing`, `stop-editing`, `watch-resource`, `unwatch-resource`.

This module joins and leaves the rooms of resources; `collaboration.presence` stores the editors
and informs the other clients.
"""

from __future__ import annotations

from typing import Annotated, Any

from hextrackr_server.collaboration.presence import EditingSessions, watch_room
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from hextrackr_server.sockets.emitter import check_rooms
from hextrackr_server.sockets.payloads.collaboration import Editors, ResourceId, ResourceType
from hextrackr_server.sockets.payloads.common import Success
from socketio_core import DocumentedAs, Socket, SocketServer

# `collaboration.presence` validates the values.
AnyType = Annotated[Any, DocumentedAs(ResourceType)]
AnyId = Annotated[Any, DocumentedAs(ResourceId)]
#: After these disconnect reasons a socket is not recovered.
_FINAL = frozenset({"client namespace disconnect", "server namespace disconnect"})


def register(io: SocketServer, editing: EditingSessions, maximum_rooms: int) -> None:
    """Handle the events of editors and watchers."""

    async def start(
        socket: Socket, resource_type: AnyType = None, resource_id: AnyId = None
    ) -> Annotated[dict[str, Any], DocumentedAs(Editors)]:
        """Start or continue to edit a resource."""
        with refusals_as_acks():
            room = watch_room(resource_type, resource_id)
            check_rooms(socket, room, maximum_rooms)
            editors = editing.start(socket.id, principal_of(socket), resource_type, resource_id)
            await socket.join(room)
            return {"success": True, "currentEditors": editors}

    async def stop(
        socket: Socket, resource_type: AnyType = None, resource_id: AnyId = None
    ) -> Annotated[dict[str, Any], DocumentedAs(Success)]:
        """Stop editing a resource."""
        with refusals_as_acks():
            room = watch_room(resource_type, resource_id)
            editing.stop(socket.id, resource_type, resource_id)
            if room not in _watched(socket):
                await socket.leave(room)
            return {"success": True}

    async def watch(
        socket: Socket, resource_type: AnyType = None, resource_id: AnyId = None
    ) -> Annotated[dict[str, Any], DocumentedAs(Editors)]:
        """Receive the changes of the editors of a resource."""
        with refusals_as_acks():
            room = watch_room(resource_type, resource_id)
            check_rooms(socket, room, maximum_rooms)
            await socket.join(room)
            _watched(socket).add(room)
            editors = editing.current(socket.id, resource_type, resource_id)
            return {"success": True, "currentEditors": editors}

    async def unwatch(
        socket: Socket, resource_type: AnyType = None, resource_id: AnyId = None
    ) -> Annotated[dict[str, Any], DocumentedAs(Success)]:
        """Stop watching a resource."""
        with refusals_as_acks():
            room = watch_room(resource_type, resource_id)
            _watched(socket).discard(room)
            if not editing.is_editing(socket.id, resource_type, resource_id):
                await socket.leave(room)
            return {"success": True}

    def connected(socket: Socket) -> None:
        if socket.recovered:
            editing.returned(socket.id)

    def disconnected(socket: Socket, reason: str) -> None:
        editing.lost(socket.id, may_return=socket.pid is not None and reason not in _FINAL)

    handlers = {"start-editing": start, "stop-editing": stop}
    handlers |= {"watch-resource": watch, "unwatch-resource": unwatch}
    for event, handler in handlers.items():
        io.on(event, handler)
    io.on("connection", connected)
    io.on("disconnect", disconnected)


def _watched(socket: Socket) -> set[str]:
    """Return the rooms that a socket joined by `watch-resource`."""
    watched: set[str] = socket.data.setdefault("watched", set())
    return watched
