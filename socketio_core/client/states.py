"""State tables of a client: its connection to the server, and each of its sockets.

An event that a state's row does not contain changes nothing in that state.
"""

from __future__ import annotations

from typing import Final

from engineio_core.state_table import TableKey


class ConnectionState(TableKey):
    """The states of the connection that all sockets of a client share."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    WAITING = "waiting"  # for the next attempt


class ConnectionEvent(TableKey):
    """The events that change the state of the connection."""

    STARTED = "attempt started"
    OPENED = "session open"
    RETRY_SCHEDULED = "next attempt scheduled"
    ENDED = "ended without a next attempt"


class ClientSocketState(TableKey):
    """The states of one socket, which is one namespace of the connection."""

    INACTIVE = "inactive"  # not connected, refused, or disconnected by the server or the user
    WAITING = "waiting"  # for the connection, and for the result of `auth`
    CONNECTING = "connecting"  # the client has sent CONNECT
    CONNECTED = "connected"


class ClientSocketEvent(TableKey):
    """The events that change the state of a socket."""

    CONNECT = "connect"
    CONNECT_SENT = "CONNECT sent"
    ACCEPTED = "CONNECT received"
    LOST = "connection lost"
    LEFT = "refused or disconnected"


CONNECTION_TRANSITIONS: Final = {
    ConnectionState.CLOSED: {
        ConnectionEvent.STARTED: ConnectionState.OPENING,
    },
    ConnectionState.OPENING: {
        ConnectionEvent.OPENED: ConnectionState.OPEN,
        ConnectionEvent.RETRY_SCHEDULED: ConnectionState.WAITING,
        ConnectionEvent.ENDED: ConnectionState.CLOSED,
    },
    ConnectionState.OPEN: {
        ConnectionEvent.RETRY_SCHEDULED: ConnectionState.WAITING,
        ConnectionEvent.ENDED: ConnectionState.CLOSED,
    },
    ConnectionState.WAITING: {
        ConnectionEvent.STARTED: ConnectionState.OPENING,
        ConnectionEvent.ENDED: ConnectionState.CLOSED,
    },
}

CLIENT_SOCKET_TRANSITIONS: Final = {
    ClientSocketState.INACTIVE: {
        ClientSocketEvent.CONNECT: ClientSocketState.WAITING,
    },
    ClientSocketState.WAITING: {
        ClientSocketEvent.CONNECT_SENT: ClientSocketState.CONNECTING,
        ClientSocketEvent.LEFT: ClientSocketState.INACTIVE,
    },
    ClientSocketState.CONNECTING: {
        ClientSocketEvent.ACCEPTED: ClientSocketState.CONNECTED,
        ClientSocketEvent.LOST: ClientSocketState.WAITING,
        ClientSocketEvent.LEFT: ClientSocketState.INACTIVE,
    },
    ClientSocketState.CONNECTED: {
        ClientSocketEvent.LOST: ClientSocketState.WAITING,
        ClientSocketEvent.LEFT: ClientSocketState.INACTIVE,
    },
}
