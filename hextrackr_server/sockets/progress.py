"""Events of HexTrackr's front end for progress: `join-progress`, `leave-progress`, `ping`.

The front end chooses a session ID, joins its room and then uploads the file. Sockets may
therefore join rooms of sessions that do not exist yet. When a session begins with another owner,
the tracker removes other users from its room.
"""

from __future__ import annotations

from typing import Annotated, Any

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.imports.status import ImportView, check_session_id
from hextrackr_server.rooms import ADMINISTRATORS, PROGRESS_PREFIX, progress_room
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from hextrackr_server.sockets.payloads.common import Success
from hextrackr_server.sockets.payloads.imports import FollowedSession
from socketio_core import DocumentedAs, Socket, SocketServer

MAXIMUM_ROOMS = 32


def register(io: SocketServer, view: ImportView) -> None:
    """Handle the events of the front end."""

    async def connected(socket: Socket) -> None:
        principal = principal_of(socket)
        if principal.is_admin:
            await socket.join(ADMINISTRATORS)
        if socket.recovered:
            return
        # HexTrackr's page does not join again.
        for session_id, status in view.followed(principal)[:MAXIMUM_ROOMS]:
            await socket.join(progress_room(session_id))
            socket.emit("progress-status", status)

    async def join(
        socket: Socket, session_id: Annotated[Any, DocumentedAs(str)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(FollowedSession)]:
        """Receive the progress of a session, which may not exist yet."""
        with refusals_as_acks():
            room, principal = progress_room(check_session_id(session_id)), principal_of(socket)
            view.check_followed(session_id, principal)
            # Join before the database query, to receive a session that begins meanwhile. The
            # tracker removes the socket if the session belongs to another user.
            await _join(socket, room)
            try:
                status = await view.progress_status(session_id, principal)
            except ServiceError:
                await socket.leave(room)
                raise
            if status is not None:
                socket.emit("progress-status", status)
            return {"success": True, "status": status}

    async def leave(
        socket: Socket, session_id: Annotated[Any, DocumentedAs(str)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(Success)]:
        """Stop following a session."""
        with refusals_as_acks():
            await socket.leave(progress_room(check_session_id(session_id)))
            view.note_left(session_id, principal_of(socket))
            return {"success": True}

    def ping(socket: Socket) -> None:
        """Request the event `pong`."""
        socket.emit("pong")

    def disconnecting(socket: Socket) -> None:
        rooms = [room for room in socket.rooms if room.startswith(PROGRESS_PREFIX)]
        sessions = [room.removeprefix(PROGRESS_PREFIX) for room in rooms]
        socket.data["sessions"] = sessions
        for session_id in sessions:
            view.note_lost(session_id, principal_of(socket))

    io.on("connection", connected)
    io.on("disconnecting", disconnecting)
    io.on("join-progress", join)
    io.on("leave-progress", leave)
    io.on("ping", ping)


def may_recover(data: dict[str, Any], view: ImportView) -> bool:
    """Return whether the state of a disconnected socket may be restored, with its rooms.

    A session that the socket followed may belong to another user by now.
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
            ErrorCode.CONFLICT,
            f"A socket can follow at most {MAXIMUM_ROOMS} sessions: leave other sessions first",
        )
    await socket.join(room)
