"""What HexTrackr's own front end says of progress.

Knows: `join-progress`, `leave-progress`, `ping`.  Does not know: how an import is done.

The front end makes up a session id, joins its room, and uploads the file only then: a session that
does not exist is joined all the same.  When it comes to exist with somebody else as its owner, the
tracker puts out those who have no business there.
"""

from __future__ import annotations

from typing import Any

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.imports.status import ImportView, check_session_id
from hextrackr_server.rooms import ADMINISTRATORS, PROGRESS_PREFIX, progress_room
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from socketio_core import Socket, SocketServer

MAXIMUM_ROOMS = 32


def register(io: SocketServer, view: ImportView) -> None:
    """Answer the events of the front end."""

    async def connected(socket: Socket) -> None:
        if principal_of(socket).is_admin:
            await socket.join(ADMINISTRATORS)

    async def join(socket: Socket, session_id: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            room, principal = progress_room(check_session_id(session_id)), principal_of(socket)
            view.check_followed(session_id, principal)
            # Joined before the database is asked: a session that begins meanwhile is not missed,
            # and puts out whoever must not be in it.
            await _join(socket, room)
            try:
                status = await view.progress_status(session_id, principal)
            except ServiceError:
                await socket.leave(room)
                raise
            if status is not None:
                socket.emit("progress-status", status)
            return {"success": True, "status": status}

    async def leave(socket: Socket, session_id: Any = None) -> dict[str, Any]:
        with refusals_as_acks():
            await socket.leave(progress_room(check_session_id(session_id)))
            return {"success": True}

    def ping(socket: Socket) -> None:
        socket.emit("pong")

    def disconnecting(socket: Socket) -> None:
        rooms = [room for room in socket.rooms if room.startswith(PROGRESS_PREFIX)]
        socket.data["sessions"] = [room.removeprefix(PROGRESS_PREFIX) for room in rooms]

    io.on("connection", connected)
    io.on("disconnecting", disconnecting)
    io.on("join-progress", join)
    io.on("leave-progress", leave)
    io.on("ping", ping)


def may_return(data: dict[str, Any], view: ImportView) -> bool:
    """Whether the state of a socket that was cut off may be given back, rooms and all.

    A session that it followed may have begun meanwhile, as somebody else's.
    """
    try:
        for session_id in data.get("sessions", ()):
            view.check_followed(session_id, data["principal"])
    except ServiceError:
        return False
    return True


async def _join(socket: Socket, room: str) -> None:
    joined = sum(each.startswith(PROGRESS_PREFIX) for each in socket.rooms)
    if room not in socket.rooms and joined >= MAXIMUM_ROOMS:
        raise ServiceError(
            ErrorCode.CONFLICT, f"A socket follows {MAXIMUM_ROOMS} sessions at most: leave some"
        )
    await socket.join(room)
