"""Events of administrators: maintenance windows and announcements.

system-maintenance, cancel-maintenance, list-maintenance, broadcast-announcement

New sockets of all namespaces receive the announced maintenance windows.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any

from hextrackr_server.collaboration.maintenance import Maintenance
from hextrackr_server.collaboration.notifications import Notifications
from hextrackr_server.errors import invalid
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from hextrackr_server.sockets.authenticator import namespaces
from hextrackr_server.sockets.payloads.collaboration import (
    Announcement,
    Created,
    MaintenanceRequest,
)
from hextrackr_server.sockets.payloads.common import Success
from hextrackr_server.sockets.payloads.lists import MaintenanceList
from hextrackr_server.telemetry import log_setup
from socketio_core import DocumentedAs, Socket, SocketServer

logger = logging.getLogger(__name__)


def register(io: SocketServer, maintenance: Maintenance, notifications: Notifications) -> None:
    """Handle the events of `/admin`, and send maintenance windows to each new socket."""

    def schedule(
        socket: Socket, payload: Annotated[Any, DocumentedAs(MaintenanceRequest)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(Created)]:
        """Schedule and announce a maintenance window."""
        with refusals_as_acks():
            fields, user = _object(payload), principal_of(socket).user_id
            number = maintenance.schedule(
                fields.get("startTime"), fields.get("duration"), fields.get("message"), user
            )
            _audit("maintenance scheduled", socket, number)
            return {"success": True, "id": number}

    def cancel(
        socket: Socket, number: Annotated[Any, DocumentedAs(str)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(Success)]:
        """Cancel or end a maintenance window."""
        with refusals_as_acks():
            maintenance.cancel(number)
            _audit("maintenance canceled", socket, str(number))
            return {"success": True}

    def list_windows(_: Socket) -> Annotated[dict[str, Any], DocumentedAs(MaintenanceList)]:
        """Return the planned and active maintenance windows."""
        return {"success": True, "data": maintenance.notices()}

    def announce(
        socket: Socket, payload: Annotated[Any, DocumentedAs(Announcement)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(Created)]:
        """Send an announcement to all namespaces."""
        with refusals_as_acks():
            fields, sender = _object(payload), principal_of(socket).username
            number = notifications.announce(fields.get("message"), fields.get("priority"), sender)
            _audit("announcement sent", socket, number)
            return {"success": True, "id": number}

    def connected(socket: Socket) -> None:
        for notice in maintenance.notices():
            socket.emit("maintenance-scheduled", notice)

    admin = io.of("/admin")
    admin.on("system-maintenance", schedule)
    admin.on("cancel-maintenance", cancel)
    admin.on("list-maintenance", list_windows)
    admin.on("broadcast-announcement", announce)
    for namespace in namespaces(io):
        namespace.on("connection", connected)


def _object(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise invalid("Invalid payload", [("", "must be an object")])
    return payload


def _audit(action: str, socket: Socket, number: str) -> None:
    user = principal_of(socket).user_id
    logger.info(
        action, extra=log_setup.fields(id=number, user=user, address=socket.handshake.address)
    )
