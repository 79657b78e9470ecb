"""The reasons with which sockets leave: the strings of Node's server and two additions."""

from __future__ import annotations

from enum import StrEnum


class DisconnectReason(StrEnum):
    """The first argument of "disconnecting" and "disconnect" handlers."""

    CLIENT_NAMESPACE_DISCONNECT = "client namespace disconnect"
    """The client sent a DISCONNECT packet."""
    SERVER_NAMESPACE_DISCONNECT = "server namespace disconnect"
    """The server called `disconnect`."""
    SERVER_SHUTTING_DOWN = "server shutting down"
    FORCED_SERVER_CLOSE = "forced server close"
    """The client violated the Socket.IO protocol."""
    FORCED_CLOSE = "forced close"
    """The client sent an invalid Socket.IO packet, or the server closed the session."""
    PARSE_ERROR = "parse error"
    """The client sent an invalid Engine.IO packet."""
    PING_TIMEOUT = "ping timeout"
    TRANSPORT_CLOSE = "transport close"
    """The client closed the connection, or the network did."""
    TRANSPORT_ERROR = "transport error"
    SLOW_CONSUMER = "slow consumer"
    """The client read too slowly (`max_outbox_size`). Not a reason of Node's server."""
    REFUSED = "refused"
    """The client was refused before it was connected. Handlers never receive this reason."""
