"""The heartbeat: sends pings and closes sessions whose pong is overdue.

All sessions share two intervals, so a queue in order of arrival is also in order of deadline: two
deques and one timer serve all sessions. A session has at most one deadline. A canceled deadline
releases its session immediately and stays in its queue, empty, until it is due.
"""

from __future__ import annotations

from collections import deque
from typing import Any, final

from engineio_core.clock import Clock
from engineio_core.errors import ProtocolError
from engineio_core.options import MIN_BODY_RATE


@final
class Deadline:
    """An entry of a queue: a session and the time of its next ping or of its overdue pong."""

    __slots__ = ("due", "is_pinged", "session", "transferred")

    def __init__(self, due: float, session: HeartbeatTarget, *, is_pinged: bool) -> None:
        self.due = due
        self.session: HeartbeatTarget | None = session
        self.is_pinged = is_pinged
        self.transferred = session._measure_transfer() if is_pinged else 0


class HeartbeatTarget:
    """The base of sessions: the members that both heartbeats use.

    A base class, not a protocol: a compiled build reads its fields and calls its methods directly.
    """

    __slots__ = ("_awaits_packet", "_deadline", "_is_reading_paused")

    _deadline: Deadline | None
    """The current deadline of the session, if any."""

    _awaits_packet: bool
    """Whether the next packet restarts the ping timeout: a ping is sent, nothing has arrived. The
    heartbeat sets it to True with the ping, and to False with the first packet."""

    _is_reading_paused: bool
    """Whether the server does not read from the client, so that it cannot receive the pong."""

    def _send_ping(self) -> None:
        """Send a ping packet."""
        raise NotImplementedError

    def _send_pong(self) -> None:
        """Answer a ping of a client of revision 3 with a pong packet without data."""
        raise NotImplementedError

    def _pong_overdue(self) -> None:
        """Close with reason "ping timeout"."""
        raise NotImplementedError

    def _measure_transfer(self) -> int:
        """Return a number that grows by each byte of a long transfer that may delay the pong."""
        raise NotImplementedError


@final
class Heartbeat:
    """Heartbeat of all sessions of an engine.

    It sends a ping `interval` seconds after the last pong and waits `timeout` seconds for the next.
    The first other packet restarts this timeout once, like engine.io 6.6.11. A transfer of at least
    MIN_BODY_RATE restarts it as well: the pong waits behind a long message.
    """

    __slots__ = (
        "_armed_for",
        "_awaiting_pong",
        "_clock",
        "_interval",
        "_slack",
        "_timeout",
        "_timer",
        "_to_ping",
    )

    def __init__(self, clock: Clock, interval: float, timeout: float) -> None:
        self._clock = clock
        self._interval = interval
        self._timeout = timeout
        # One timer serves all deadlines within this time, so that thousands of sessions with close
        # deadlines do not need thousands of timers.
        self._slack = min(0.25, interval / 50, timeout / 50)
        self._to_ping: deque[Deadline] = deque()
        self._awaiting_pong: deque[Deadline] = deque()
        self._timer: Any = None
        self._armed_for = 0.0

    def start(self, session: HeartbeatTarget) -> None:
        """Begin the ping interval of a session."""
        deadline = Deadline(self._clock.time() + self._interval, session, is_pinged=False)
        session._deadline = deadline
        self._to_ping.append(deadline)
        # If the timeout is longer than the interval, the timer may be set for a pong that is due
        # later than this ping.
        if self._timer is None or deadline.due < self._armed_for:
            self._arm()

    def expect(self, session: HeartbeatTarget, due: float) -> None:
        """Close a session at `due`, a time that is not before those of earlier calls."""
        self._await_pong(session, due)
        if self._timer is None:
            self._arm()

    def ping(self, session: HeartbeatTarget) -> None:
        """Raise ProtocolError: only the server sends pings."""
        raise ProtocolError("invalid heartbeat direction")

    def pong(self, session: HeartbeatTarget) -> None:
        """Begin the ping interval again; ignore a pong without a ping."""
        deadline = session._deadline
        if deadline is not None and deadline.is_pinged and self.check(session):
            session._awaits_packet = False
            self.stop(session)
            self.start(session)

    def packet_received(self, session: HeartbeatTarget) -> bool:
        """Restart the ping timeout of a session that awaits a packet.

        Returns False if the timeout is over and the session has closed.
        """
        session._awaits_packet = False
        if not self.check(session):
            return False
        self.stop(session)
        self._await_pong(session, self._clock.time() + self._timeout)
        return True

    def check(self, session: HeartbeatTarget) -> bool:
        """Close a session whose pong is overdue, before its timer; return whether it is open."""
        deadline = session._deadline
        if deadline is None or not deadline.is_pinged:
            return deadline is not None
        now = self._clock.time()
        if deadline.due < now and not self._is_blocked(now - deadline.due):
            self.stop(session)
            self._overdue(session, deadline, now)
        return session._deadline is not None

    def stop(self, session: HeartbeatTarget) -> None:
        """Cancel the deadline of a session."""
        if session._deadline is not None:
            session._deadline.session = None
            session._deadline = None

    def close(self) -> None:
        """Cancel the timer and all deadlines."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._to_ping.clear()
        self._awaiting_pong.clear()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        dues = [queue[0].due for queue in (self._to_ping, self._awaiting_pong) if queue]
        if dues:
            self._armed_for = min(dues)
            self._timer = self._clock.call_at(self._armed_for + self._slack, self._tick)

    def _tick(self) -> None:
        now = self._clock.time()
        self._timer = None
        planned = min(queue[0].due for queue in (self._to_ping, self._awaiting_pong) if queue)
        self._close_overdue(now, self._is_blocked(now - planned))
        self._ping_due(now)
        # A callback may have opened a session, which sets the timer.
        if self._timer is None:
            self._arm()

    def _is_blocked(self, late: float) -> bool:
        """Return whether the event loop was blocked: pongs may then be unread in the kernel."""
        return late - self._slack > self._timeout / 2

    def _ping_due(self, now: float) -> None:
        queue = self._to_ping
        while queue and queue[0].due <= now:
            deadline = queue.popleft()
            if (session := deadline.session) is not None:
                session._awaits_packet = True
                # From the planned time of the ping: a late timer does not extend the deadline.
                sent = now if self._is_blocked(now - deadline.due) else deadline.due
                self._await_pong(session, sent + self._timeout)
                session._send_ping()

    def _close_overdue(self, now: float, was_blocked: bool) -> None:
        queue = self._awaiting_pong
        while queue and queue[0].due <= now:
            deadline = queue.popleft()
            session = deadline.session
            if session is None:
                continue
            if was_blocked:
                self._await_pong(session, now + self._timeout)
            else:
                session._deadline = None
                self._overdue(session, deadline, now)

    def _overdue(self, session: HeartbeatTarget, deadline: Deadline, now: float) -> None:
        """Close a session without a pong, or wait on if a transfer or the server delays it."""
        transferred = session._measure_transfer() - deadline.transferred
        if session._is_reading_paused or transferred >= MIN_BODY_RATE * self._timeout:
            self._await_pong(session, now + self._timeout)
        else:
            session._pong_overdue()

    def _await_pong(self, session: HeartbeatTarget, due: float) -> None:
        session._deadline = Deadline(due, session, is_pinged=True)
        self._awaiting_pong.append(session._deadline)
