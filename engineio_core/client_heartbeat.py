"""The heartbeat of revision 3 of Engine.IO: clients send pings, the server answers and waits.

`heartbeat` serves revision 4, in which the server sends the pings. Both have the same interface.
"""

from __future__ import annotations

from typing import final

from engineio_core.clock import Clock
from engineio_core.errors import ProtocolError
from engineio_core.heartbeat import Heartbeat, HeartbeatTarget


@final
class ClientHeartbeat:
    """Heartbeat of all sessions of revision 3 of an engine.

    A session closes if no ping arrives within `interval + timeout` seconds. Other packets do not
    extend this time, as on Node; a long transfer does, because the ping waits behind it.
    """

    __slots__ = ("_clock", "_patience", "_queue")

    def __init__(self, clock: Clock, interval: float, timeout: float) -> None:
        self._clock = clock
        self._patience = interval + timeout
        self._queue = Heartbeat(clock, interval, self._patience)

    def start(self, session: HeartbeatTarget) -> None:
        """Wait for the first ping of a session."""
        self._queue.expect(session, self._clock.time() + self._patience)

    def ping(self, session: HeartbeatTarget) -> None:
        """Answer a ping, and wait for the next."""
        if self.check(session):
            self.stop(session)
            self.start(session)
            session._send_pong()

    def pong(self, session: HeartbeatTarget) -> None:
        """Raise ProtocolError: only the server sends pongs."""
        raise ProtocolError("invalid heartbeat direction")

    def packet_received(self, session: HeartbeatTarget) -> bool:
        """Return whether the session is open; its time is not extended."""
        session._awaits_packet = False
        return self.check(session)

    def check(self, session: HeartbeatTarget) -> bool:
        """Close a session whose ping is overdue, before its timer; return whether it is open."""
        return self._queue.check(session)

    def stop(self, session: HeartbeatTarget) -> None:
        """Cancel the deadline of a session."""
        self._queue.stop(session)

    def close(self) -> None:
        """Cancel the timer and all deadlines."""
        self._queue.close()
