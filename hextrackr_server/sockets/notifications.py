"""Who comes back is brought what he has not acknowledged.

Knows: new sockets.  Does not know: what is brought, how often.
"""

from __future__ import annotations

from hextrackr_server.collaboration.delivery import NotificationDelivery
from hextrackr_server.sockets.answers import principal_of
from socketio_core import Socket, SocketServer


def register(io: SocketServer, delivery: NotificationDelivery) -> None:
    """Tell of every new socket, which is in the room of its user then."""

    def connected(socket: Socket) -> None:
        delivery.returned(principal_of(socket).user_id)

    io.on("connection", connected)
