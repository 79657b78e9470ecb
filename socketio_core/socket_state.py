"""The states of a socket as a literal table.

An event without an entry in the row of a state is not legal in that state.
"""

from __future__ import annotations

from typing import Final

from engineio_core.state_table import TableKey


class SocketState(TableKey):
    """The stages of a socket's life."""

    CONNECTING = "connecting"  # middlewares run; outgoing packets wait for the CONNECT reply
    CONNECTED = "connected"
    LEAVING = "leaving"  # "disconnecting" handlers run; the socket still sends and has its rooms
    LEFT = "left"  # the socket sends nothing


class SocketEvent(TableKey):
    """The events that change the state of a socket."""

    ADMITTED = "admitted"
    LEAVE = "leave"
    ENDED = "ended"


SOCKET_TRANSITIONS: Final = {
    SocketState.CONNECTING: {
        SocketEvent.ADMITTED: SocketState.CONNECTED,
        SocketEvent.LEAVE: SocketState.LEFT,
    },
    SocketState.CONNECTED: {
        SocketEvent.LEAVE: SocketState.LEAVING,
    },
    SocketState.LEAVING: {
        SocketEvent.ENDED: SocketState.LEFT,
    },
    SocketState.LEFT: {},
}
