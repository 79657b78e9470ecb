"""The states of a server from its start to its end, as a table.

`waves` closes the clients of a server that drains.
"""

from __future__ import annotations

from typing import Final

from engineio_core.state_table import TableKey


class ServerState(TableKey):
    """The states of a server."""

    SERVING = "serving"
    DRAINING = "draining"  # sessions continue, new sessions receive 503
    CLOSED = "closed"  # all sessions have ended; the server may serve again


class ServerEvent(TableKey):
    """The events that change the state of a server."""

    STARTED = "started"  # it listens, or its ASGI host has started
    DRAIN_BEGUN = "drain begun"
    ENDED = "ended"


SERVER_TRANSITIONS: Final = {
    ServerState.SERVING: {
        ServerEvent.DRAIN_BEGUN: ServerState.DRAINING,
    },
    ServerState.DRAINING: {
        ServerEvent.STARTED: ServerState.SERVING,
        ServerEvent.ENDED: ServerState.CLOSED,
    },
    ServerState.CLOSED: {
        ServerEvent.STARTED: ServerState.SERVING,
    },
}
