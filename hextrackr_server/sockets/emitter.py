"""Everybody in a room, how services reach them, and how many rooms a socket may be in.

Knows: the server's namespaces and rooms.  Does not know: services, what is sent.
"""

from __future__ import annotations

from typing import Any

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.rooms import AUTHENTICATED, user_room
from hextrackr_server.sockets.authenticator import namespaces
from socketio_core import Socket, SocketServer
from socketio_core.adapters.interface import BroadcastTarget


class RoomEmitter:
    """The Rooms and the Announcer that services are given; rooms are those of `/`."""

    def __init__(self, io: SocketServer) -> None:
        self._io = io

    def emit(self, room: str | tuple[str, ...], event: str, payload: dict[str, Any]) -> None:
        """Send an event to everyone in a room, or in several, once."""
        self._io.to(room).emit(event, payload)

    def keep_only(self, room: str, rooms: tuple[str, ...]) -> None:
        """Put everyone out of a room who is in none of the others."""
        self._io.in_(room).except_(rooms).sockets_leave(room)

    def to_user(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """Send an event to all sockets of a user."""
        self._io.to(user_room(user_id)).emit(event, payload)

    def to_all(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event to everybody who is logged in."""
        self._io.to(AUTHENTICATED).emit(event, payload)

    def to_others(
        self, socket_id: str, event: str, payload: dict[str, Any], room: str | None = None
    ) -> None:
        """Send an event to everybody who is logged in, or is in a room, but to one socket."""
        self._io.to(room or AUTHENTICATED).except_(socket_id).emit(event, payload)

    def everywhere(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event to everybody in every namespace."""
        for namespace in namespaces(self._io):
            namespace.to(AUTHENTICATED).emit(event, payload)

    async def emit_to_user_with_ack(
        self, user_id: str, event: str, payload: dict[str, Any], seconds: float
    ) -> bool:
        """Send an event to all sockets of a user; whether one of them has acked in time."""
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
        """Send an event of a producer; how many sockets it goes to."""
        place = self._io.of(namespace)
        target = place.to(rooms).except_(except_) if except_ else place.to(rooms)
        (target.volatile if volatile else target).emit(event, *args)
        return len(place.adapter.sockets(BroadcastTarget(rooms, frozenset(except_))))


def check_rooms(socket: Socket, room: str, maximum: int) -> None:
    """Raise ServiceError CONFLICT where one more room is too many for a socket."""
    if room not in socket.rooms and len(socket.rooms) >= maximum:
        raise ServiceError(
            ErrorCode.CONFLICT, f"A socket is in {maximum} rooms at most: leave some"
        )
