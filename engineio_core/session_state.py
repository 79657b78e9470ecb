"""State tables of a session and of its upgrade to WebSocket.

An event that a state's row does not contain is not legal in that state. The tables serve rare
events only; the path of a message checks `state is SessionState.OPEN`.
"""

from __future__ import annotations

from typing import Final

from engineio_core.state_table import TableKey


class SessionState(TableKey):
    """The states of a session."""

    OPEN = "open"
    CLOSING = "closing"  # an orderly close waits until the client has fetched the queued packets
    CLOSED = "closed"


class SessionEvent(TableKey):
    """The events that change the state of a session."""

    CLOSE_BEGUN = "close begun"
    ENDED = "ended"


class UpgradeState(TableKey):
    """The states of the upgrade from polling to WebSocket."""

    POLLING = "polling"
    CANDIDATE = "candidate"  # a WebSocket has connected and has not sent a packet
    PROBED = "probed"  # the WebSocket has sent its probe; each poll is answered immediately
    FINAL = "final"  # the session uses WebSocket, after an upgrade or from the beginning


class UpgradeEvent(TableKey):
    """The events that change the state of an upgrade."""

    CANDIDATE_CAME = "candidate connected"
    PROBE = "probe"
    UPGRADE = "upgrade"
    CANDIDATE_LEFT = "candidate closed"


SESSION_TRANSITIONS: Final = {
    SessionState.OPEN: {
        SessionEvent.CLOSE_BEGUN: SessionState.CLOSING,
        SessionEvent.ENDED: SessionState.CLOSED,
    },
    SessionState.CLOSING: {
        SessionEvent.ENDED: SessionState.CLOSED,
    },
    SessionState.CLOSED: {},
}

UPGRADE_TRANSITIONS: Final = {
    UpgradeState.POLLING: {
        UpgradeEvent.CANDIDATE_CAME: UpgradeState.CANDIDATE,
    },
    UpgradeState.CANDIDATE: {
        UpgradeEvent.PROBE: UpgradeState.PROBED,
        # Node accepts "5" without a probe, and the test suite of the protocol sends both at once.
        UpgradeEvent.UPGRADE: UpgradeState.FINAL,
        UpgradeEvent.CANDIDATE_LEFT: UpgradeState.POLLING,
    },
    UpgradeState.PROBED: {
        UpgradeEvent.UPGRADE: UpgradeState.FINAL,
        UpgradeEvent.CANDIDATE_LEFT: UpgradeState.POLLING,
    },
    UpgradeState.FINAL: {},
}
