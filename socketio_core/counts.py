"""Counters of a server's rare events, which metrics read: connects, disconnects, rare packets.

The server always keeps these counters, because no event of a client with a plain handler passes
them. `engineio_core.counts` has those of the engine.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final, final

from socketio_core.acknowledgement import AckObserver

ACCEPTED: Final = "accepted"
RECOVERED: Final = "recovered"
REFUSED: Final = "refused"
INVALID_NAMESPACE: Final = "invalid_namespace"
TOO_MANY: Final = "too_many_namespaces"
TIMEOUT: Final = "timeout"
ERROR: Final = "error"
GONE: Final = "gone"
CONNECT_OUTCOMES: Final = (
    ACCEPTED, RECOVERED, REFUSED, INVALID_NAMESPACE, TOO_MANY, TIMEOUT, ERROR, GONE,
)  # fmt: skip
UNKNOWN_NAMESPACE: Final = ""


@final
class ServerCounts:
    """Counters of one server since its creation, and the instruments that follow acks.

    A namespace that a client's request creates counts under the pattern of its parent, so that
    clients cannot choose the keys.
    """

    __slots__ = ("ack_observers", "acks_in", "connects", "disconnects", "other_in")

    def __init__(self) -> None:
        self.connects: defaultdict[tuple[str, str], int] = defaultdict(int)
        """CONNECT packets by the label of the namespace and by outcome."""
        self.disconnects: defaultdict[tuple[str, str], int] = defaultdict(int)
        """Sockets that have left, by the label of the namespace and by `DisconnectReason`."""
        self.acks_in = 0
        """Received acks."""
        self.other_in = 0
        """Received messages that are neither acks nor complete events: CONNECT and DISCONNECT
        packets, messages whose attachments follow, invalid messages."""
        self.ack_observers: list[AckObserver] = []
