"""Names of rooms and namespaces, and the interfaces through which services reach clients.

`sockets.emitter` implements the interfaces; services depend on this module only.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

NAMESPACES = ("/", "/admin", "/users")

#: All sockets that are logged in join this room.
AUTHENTICATED = "authenticated"
#: Sockets of administrators, who may follow every import.
ADMINISTRATORS = "administrators"
USER_PREFIX = "user-"
IMPORT_PREFIX = "import-"
PROGRESS_PREFIX = "progress-"

#: Rooms that producers may name as receivers of an event.
_PRODUCER_ROOM = re.compile(
    rf"(?:{AUTHENTICATED}|(?:{USER_PREFIX}|vulnerability-|{IMPORT_PREFIX})[A-Za-z0-9._:@+-]{{1,128}})"
)
_PROGRESS_ROOM = re.compile(rf"{PROGRESS_PREFIX}([A-Za-z0-9._:-]{{1,128}})")


def user_room(user_id: str) -> str:
    """Return the name of the room of all sockets of a user."""
    return f"{USER_PREFIX}{user_id}"


def import_room(import_id: int) -> str:
    """Return the name of the room of the sockets that follow an import by its number."""
    return f"{IMPORT_PREFIX}{import_id}"


def progress_room(session_id: str) -> str:
    """Return the name of the room of the sockets that follow an import by its session ID."""
    return f"{PROGRESS_PREFIX}{session_id}"


def resource_room(resource_type: str, resource_id: str) -> str:
    """Return the name of the room of the sockets that watch a resource.

    Resource types contain no dash, so the ID may contain any character.
    """
    return f"resource-{resource_type}-{resource_id}"


def is_producer_room(name: str) -> bool:
    """Return whether producers may send events to a room of this name."""
    return _PRODUCER_ROOM.fullmatch(name) is not None


def progress_session_id(name: str) -> str | None:
    """Return the session ID of a room that `progress_room` names, or None for other rooms."""
    match = _PROGRESS_ROOM.fullmatch(name)
    return None if match is None else match[1]


class Emitter(Protocol):
    """Sends events to rooms of the namespace `/`."""

    def emit(self, room: str | tuple[str, ...], event: str, payload: dict[str, Any]) -> None:
        """Send an event once to each member of a room, or of several rooms.

        Do not wait for receivers, and do not raise because of one of them.
        """


class Rooms(Emitter, Protocol):
    """Emitter that also removes members from rooms."""

    def keep_only(self, room: str, rooms: tuple[str, ...]) -> None:
        """Remove all members of a room that are in none of the other rooms."""


class Announcer(Protocol):
    """Sends events to groups of users; does not raise because of one receiver."""

    def to_user(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """Send to all sockets of a user."""

    def to_all(self, event: str, payload: dict[str, Any]) -> None:
        """Send to all logged-in sockets of the namespace `/`."""

    def to_others(
        self, socket_id: str, event: str, payload: dict[str, Any], room: str | None = None
    ) -> None:
        """Send to all logged-in sockets of the namespace `/`, or of a room, except one socket."""

    def everywhere(self, event: str, payload: dict[str, Any]) -> None:
        """Send to all logged-in sockets of all namespaces."""


class AckEmitter(Protocol):
    """Sends events to a user and waits for an acknowledgement."""

    async def emit_to_user_with_ack(
        self, user_id: str, event: str, payload: dict[str, Any], seconds: float
    ) -> bool:
        """Send to all sockets of a user, and return whether one of them acknowledged in time.

        Return False immediately if the user has no socket.
        """


class Relay(Protocol):
    """Sends events of producers to rooms of any namespace."""

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
        """Send to the members of `rooms` that are in no room of `except_`.

        Return the number of sockets that the event goes to.
        """
