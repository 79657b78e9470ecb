"""One deadline queue for the pings and pongs of all sessions.

Knows: when a session is to be pinged and when its pong is overdue.
Does not know: transports, what a ping looks like; the clock is injected.

All sessions share the same two intervals, so that a queue in order of arrival is a queue in order
of deadline: two deques and one timer serve any number of sessions. A session has one entry at a
time; an entry that is not wanted any more lets go of its session at once.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from engineio_core.clock import Clock


class Deadline:
    """An entry of the queues: who is due, and when."""

    __slots__ = ("due", "is_pinged", "session")

    def __init__(self, due: float, session: HeartbeatTarget, *, is_pinged: bool) -> None:
        self.due = due
        self.session: HeartbeatTarget | None = session
        self.is_pinged = is_pinged


class HeartbeatTarget(Protocol):
    """What the heartbeat asks of a session."""

    _deadline: Deadline | None
    """Its entry in one of the queues."""

    _has_received: bool
    """Set by the session when anything arrives; reset here."""

    def _send_ping(self) -> None:
        """Send a ping."""

    def _pong_overdue(self) -> None:
        """Close: no pong came in time."""


class Heartbeat:
    """Pings every `interval` seconds after the last pong, waits `timeout` seconds for the next."""

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
        # One timer serves all that is due within this time, so that thousands of sessions that
        # connected one after the other do not make thousands of timers.
        self._slack = min(0.25, interval / 50, timeout / 50)
        self._to_ping: deque[Deadline] = deque()
        self._awaiting_pong: deque[Deadline] = deque()
        self._timer: Any = None
        self._armed_for = 0.0

    def start(self, session: HeartbeatTarget) -> None:
        """Begin the interval of a session."""
        beat = Deadline(self._clock.time() + self._interval, session, is_pinged=False)
        session._deadline = beat
        self._to_ping.append(beat)
        # Where the timeout is longer than the interval, the timer may stand for a pong that is
        # due later than this ping.
        if self._timer is None or beat.due < self._armed_for:
            self._arm()

    def pong(self, session: HeartbeatTarget) -> None:
        """Begin the interval again. A pong that nobody asked for changes nothing."""
        if session._deadline is not None and session._deadline.is_pinged:
            self.stop(session)
            self.start(session)

    def stop(self, session: HeartbeatTarget) -> None:
        """Forget a session; its empty entry goes when it comes due."""
        if session._deadline is not None:
            session._deadline.session = None
            session._deadline = None

    def close(self) -> None:
        """Stop the timer and forget everybody."""
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
        # A loop that was held up finds pongs still unread in the kernel: give it one more timeout
        # instead of blaming the clients for it.
        planned = min(queue[0].due for queue in (self._to_ping, self._awaiting_pong) if queue)
        was_held_up = now - planned - self._slack > self._timeout / 2
        self._close_overdue(now, was_held_up)
        self._ping_due(now)
        # A listener that ran meanwhile may have armed it, by opening a session.
        if self._timer is None:
            self._arm()

    def _ping_due(self, now: float) -> None:
        queue = self._to_ping
        while queue and queue[0].due <= now:
            beat = queue.popleft()
            if (session := beat.session) is not None:
                session._has_received = False
                self._await_pong(session, now)
                session._send_ping()

    def _close_overdue(self, now: float, was_held_up: bool) -> None:
        queue = self._awaiting_pong
        while queue and queue[0].due <= now:
            session = queue.popleft().session
            if session is None:
                continue
            if was_held_up or session._has_received:
                # Whoever sends anything is alive: one more timeout for the pong that is late.
                session._has_received = False
                self._await_pong(session, now)
            else:
                session._pong_overdue()

    def _await_pong(self, session: HeartbeatTarget, now: float) -> None:
        session._deadline = Deadline(now + self._timeout, session, is_pinged=True)
        self._awaiting_pong.append(session._deadline)
