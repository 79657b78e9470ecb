"""State tables of a client session and of its upgrade to WebSocket.

An event that a state's row does not contain changes nothing in that state.
"""

from __future__ import annotations

from typing import Final

from engineio_core.state_table import TableKey


class ClientState(TableKey):
    """The states of a client session, which connects once."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"  # an orderly close waits until the queued packets have been sent
    CLOSED = "closed"


class ClientEvent(TableKey):
    """The events that change the state of a client session."""

    HANDSHAKE_RECEIVED = "handshake received"
    CLOSE_BEGUN = "close begun"
    ENDED = "ended"


class ProbeState(TableKey):
    """The states of the upgrade from polling to WebSocket."""

    NONE = "none"
    CONNECTING = "connecting"  # the WebSocket of the upgrade is being opened
    PROBING = "probing"  # the client has sent its probe
    PAUSING = "pausing"  # the server has answered; the pending requests of polling must end
    UPGRADED = "upgraded"


class ProbeEvent(TableKey):
    """The events that change the state of an upgrade."""

    STARTED = "upgrade offered"
    CONNECTED = "WebSocket opened"
    ANSWERED = "probe answered"
    POLLING_PAUSED = "polling paused"
    FAILED = "WebSocket failed"


CLIENT_TRANSITIONS: Final = {
    ClientState.OPENING: {
        ClientEvent.HANDSHAKE_RECEIVED: ClientState.OPEN,
        ClientEvent.ENDED: ClientState.CLOSED,
    },
    ClientState.OPEN: {
        ClientEvent.CLOSE_BEGUN: ClientState.CLOSING,
        ClientEvent.ENDED: ClientState.CLOSED,
    },
    ClientState.CLOSING: {
        ClientEvent.ENDED: ClientState.CLOSED,
    },
    ClientState.CLOSED: {},
}

PROBE_TRANSITIONS: Final = {
    ProbeState.NONE: {
        ProbeEvent.STARTED: ProbeState.CONNECTING,
    },
    ProbeState.CONNECTING: {
        ProbeEvent.CONNECTED: ProbeState.PROBING,
        ProbeEvent.FAILED: ProbeState.NONE,
    },
    ProbeState.PROBING: {
        ProbeEvent.ANSWERED: ProbeState.PAUSING,
        ProbeEvent.FAILED: ProbeState.NONE,
    },
    ProbeState.PAUSING: {
        ProbeEvent.POLLING_PAUSED: ProbeState.UPGRADED,
        # The client may have stopped polling: the session cannot continue.
        ProbeEvent.FAILED: ProbeState.NONE,
    },
    ProbeState.UPGRADED: {},
}
