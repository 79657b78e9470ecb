"""Delivery of pending notifications to users who connect again."""

from __future__ import annotations

from hextrackr_server.collaboration.delivery import NotificationDelivery
from hextrackr_server.sockets.answers import principal_of
from socketio_core import Socket, SocketServer


def register(io: SocketServer, delivery: NotificationDelivery) -> None:
    """Start the delivery for each new socket, which is in the room of its user by then."""

    def connected(socket: Socket) -> None:
        delivery.returned(principal_of(socket).user_id)

    io.on("connection", connected)
