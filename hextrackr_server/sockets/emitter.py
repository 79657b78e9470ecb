"""Implementation of the interfaces of `rooms`, and the limit of rooms per socket."""

from __future__ import annotations

from typing import Any

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.rooms import AUTHENTICATED, user_room
from hextrackr_server.sockets.authenticator import namespaces
from socketio_core import Socket, SocketServer
from socketio_core.adapters.interface import BroadcastTarget


class RoomEmitter:
    """Sender to rooms and users; room names without a namespace belong to `/`."""

    def __init__(self, io: SocketServer) -> None:
        self._io = io

    def emit(self, room: str | tuple[str, ...], event: str, payload: dict[str, Any]) -> None:
        """Send an event once to each member of a room, or of several rooms."""
        self._io.to(room).emit(event, payload)

    def keep_only(self, room: str, rooms: tuple[str, ...]) -> None:
        """Remove all members of a room that are in none of the other rooms."""
        self._io.in_(room).except_(rooms).sockets_leave(room)

    def to_user(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """Send an event to all sockets of a user."""
        self._io.to(user_room(user_id)).emit(event, payload)

    def to_all(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event to all logged-in sockets of `/`."""
        self._io.to(AUTHENTICATED).emit(event, payload)

    def to_others(
        self, socket_id: str, event: str, payload: dict[str, Any], room: str | None = None
    ) -> None:
        """Send an event to all logged-in sockets, or to a room, except one socket."""
        self._io.to(room or AUTHENTICATED).except_(socket_id).emit(event, payload)

    def everywhere(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event to all logged-in sockets of all namespaces."""
        for namespace in namespaces(self._io):
            namespace.to(AUTHENTICATED).emit(event, payload)

    async def emit_to_user_with_ack(
        self, user_id: str, event: str, payload: dict[str, Any], seconds: float
    ) -> bool:
        """Send an event to a user; return whether one of the sockets acknowledged in time."""
        user = self._io.to(user_room(user_id)).timeout(seconds)
        return bool((await user.emit_with_ack(event, payload)).responses)

    def relay(
        self,
        namespace: str,
        rooms: tuple[str, ...],
        except_: tuple[str, ...],
        event: str,
        args: list[Any],
        *,
        volatile: bool,
    ) -> int:
        """Send an event of a producer; return the number of sockets that it goes to."""
        place = self._io.of(namespace)
        target = place.to(rooms).except_(except_) if except_ else place.to(rooms)
        (target.volatile if volatile else target).emit(event, *args)
        return len(place.adapter.sockets(BroadcastTarget(rooms, frozenset(except_))))


def check_rooms(socket: Socket, room: str, maximum: int) -> None:
    """Raise ServiceError CONFLICT if joining a room would exceed the limit of a socket."""
    if room not in socket.rooms and len(socket.rooms) >= maximum:
        raise ServiceError(
            ErrorCode.CONFLICT,
            f"A socket can join at most {maximum} rooms: leave other rooms first",
        )
