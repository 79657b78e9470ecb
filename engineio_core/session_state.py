"""The life of a session and of its upgrade, as two tables.

Knows: states, events, and which event leads where.  Does not know: what anybody does on the way.
An event that is absent from a state's row is not legal there. The tables serve the rare events;
messages are guarded by `state is SessionState.OPEN`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class SessionState(Enum):
    """Where a session stands in its life."""

    OPEN = "open"
    CLOSING = "closing"  # an orderly close waits until the client has fetched what is left
    CLOSED = "closed"


class SessionEvent(Enum):
    """What moves a session on."""

    CLOSE_BEGUN = "close begun"
    ENDED = "ended"


class UpgradeState(Enum):
    """How far the change from polling to WebSocket has come."""

    POLLING = "polling"
    CANDIDATE = "candidate"  # a WebSocket is there and has said nothing yet
    PROBED = "probed"  # it was probed: polls are released at once
    FINAL = "final"  # upgraded, or born as a WebSocket


class UpgradeEvent(Enum):
    """What moves an upgrade on."""

    CANDIDATE_CAME = "candidate came"
    PROBE = "probe"
    UPGRADE = "upgrade"
    CANDIDATE_LEFT = "candidate left"


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
        # Node takes "5" without a probe, and the protocol's own suite sends both at once.
        UpgradeEvent.UPGRADE: UpgradeState.FINAL,
        UpgradeEvent.CANDIDATE_LEFT: UpgradeState.POLLING,
    },
    UpgradeState.PROBED: {
        UpgradeEvent.UPGRADE: UpgradeState.FINAL,
        UpgradeEvent.CANDIDATE_LEFT: UpgradeState.POLLING,
    },
    UpgradeState.FINAL: {},
}
