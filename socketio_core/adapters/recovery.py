"""Connection state recovery: the event log of a namespace and the sessions of absent clients.

Each event without an ack ends with an offset, for clients that have recovery. The official client
takes any string at the end of an event for the offset, so an event without one would corrupt the
client's state. Volatile events,
which the log does not keep, repeat the current offset.
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.adapters.interface import RestoredSession, SavedSession
from socketio_core.handshake import Handshake
from socketio_core.misuse import refuse_awaitable
from socketio_core.options import Recovery

logger = logging.getLogger("socketio_core")

#: Seconds after the end of a time in the log until the timer drops old events and sessions.
PRUNE_DELAY: Final = 1.0


class _Entry(NamedTuple):
    number: int
    emitted_at: float
    size: int
    messages: list[tuple[bytes, bool]]
    """Each message of the packet and whether it is binary, without cached frames."""
    rooms: tuple[str, ...]
    except_: frozenset[str]

    def is_for(self, rooms: frozenset[str]) -> bool:
        if self.except_ and not rooms.isdisjoint(self.except_):
            return False
        return not self.rooms or not rooms.isdisjoint(self.rooms)


class RecoveryLog:
    """The events and sessions of one namespace, bounded in time, number and bytes.

    `grace` is how many seconds the server may take to notice that a client is gone. Events sent in
    that time may be lost, so the log keeps all events that much longer.
    """

    __slots__ = (
        "_clock", "_entries", "_last", "_lost", "_origin", "_sessions", "_size", "_socket_ids",
        "_timer", "_timer_at", "grace", "is_selective", "rules",
    )  # fmt: skip

    def __init__(self, rules: Recovery, clock: Callable[[], Clock], grace: float) -> None:
        self.rules = rules
        self.grace = grace
        self._clock = clock
        self._timer: Any = None  # while anything is kept
        self._timer_at = 0.0
        self.is_selective = False
        """Whether clients without recovery may be among the receivers of an event."""
        # Rejects offsets of other servers and of this server before a restart.
        self._origin = secrets.token_hex(4)
        self._last = 0
        self._lost = 0  # number of the last event dropped for lack of space before it was too old
        self._entries: deque[_Entry] = deque()
        self._size = 0
        self._sessions: OrderedDict[str, tuple[float, SavedSession]] = OrderedDict()
        self._socket_ids: set[str] = set()

    def time(self) -> float:
        """Return the monotonic time in seconds."""
        return self._clock().time()

    def close(self) -> None:
        """Cancel the timer; the log is not used any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def current(self) -> str:
        """Return the offset of the last event."""
        return f"{self._origin}-{self._last}"

    def following(self) -> str:
        """Return the offset of the next event."""
        return f"{self._origin}-{self._last + 1}"

    def append(
        self, packets: tuple[EncodedPacket, ...], rooms: tuple[str, ...], except_: frozenset[str]
    ) -> None:
        """Keep an event that was encoded with the offset of `following`."""
        now = self.time()
        self._last += 1
        size = sum(len(packet.payload) for packet in packets)
        messages = [(packet.payload, packet.is_binary) for packet in packets]
        self._entries.append(_Entry(self._last, now, size, messages, rooms, except_))
        self._size += size
        self._prune(now)
        if self._timer is None:
            self._set_timer()

    @property
    def has_sessions(self) -> bool:
        """Whether any client may return."""
        return bool(self._sessions)

    def has_socket(self, socket_id: str) -> bool:
        """Return whether the socket with this id may return."""
        return socket_id in self._socket_ids

    def _set_timer(self) -> None:
        """Prune again when the first event or session is too old, even if the server is idle."""
        end = self._next_end()
        if end is not None:
            self._timer_at = end + PRUNE_DELAY
            self._timer = self._clock().call_at(self._timer_at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._prune(self.time())
        self._set_timer()

    def _next_end(self) -> float | None:
        """Return the time at which the first event or session is too old; None without any."""
        duration = self.rules.max_disconnection_duration
        ends = []
        if self._entries:
            ends.append(self._entries[0].emitted_at + duration + self.grace)
        if self._sessions:
            ends.append(next(iter(self._sessions.values()))[0] + duration)
        return min(ends, default=None)

    def _prune(self, now: float) -> None:
        """Drop events and sessions that are too old or too many."""
        rules, entries = self.rules, self._entries
        oldest = now - rules.max_disconnection_duration - self.grace
        while entries:
            is_old = entries[0].emitted_at < oldest
            if not (is_old or self._size > rules.max_bytes or len(entries) > rules.max_packets):
                break
            entry = entries.popleft()
            self._size -= entry.size
            if not is_old:
                self._lost = entry.number
        if self._sessions:
            self._expire_sessions(now)

    def _expire_sessions(self, now: float) -> None:
        sessions = self._sessions
        oldest = now - self.rules.max_disconnection_duration
        while sessions:
            pid = next(iter(sessions))
            if sessions[pid][0] >= oldest and len(sessions) <= self.rules.max_sessions:
                break
            self._socket_ids.discard(sessions.pop(pid)[1].socket_id)

    def save(self, session: SavedSession) -> None:
        """Save the session of a socket that has left."""
        now = self.time()
        left_at = now if session.left_at is None else session.left_at
        self._sessions[session.pid] = (left_at, session)
        self._socket_ids.add(session.socket_id)
        self._expire_sessions(now)
        # Sessions end before the events of their time.
        if (
            self._timer is None
            or self._timer_at > now + self.rules.max_disconnection_duration + PRUNE_DELAY
        ):
            self.close()
            self._set_timer()

    def restore(self, pid: str, offset: str | None) -> RestoredSession | None:
        """Return a saved session once; None if it is unknown, too old or incomplete.

        A client without an offset has seen no event: it gets all events since it connected.
        """
        now = self.time()
        self._prune(now)
        kept = self._sessions.pop(pid, None)
        if kept is None:
            return None
        saved = kept[1]._replace(left_at=kept[0])
        self._socket_ids.discard(saved.socket_id)
        if kept[0] < now - self.rules.max_disconnection_duration:
            return None  # saved again after a refused attempt, behind sessions that expire later
        seen = self._number_of(saved.offset if offset is None else offset)
        if seen is None or seen < self._lost:
            return None
        if not self.is_valid(saved):
            return None
        rooms = frozenset(saved.rooms)
        missed = [
            tuple(EncodedPacket(payload, is_binary=binary) for payload, binary in entry.messages)
            for entry in self._entries
            if entry.number > seen and entry.is_for(rooms)
        ]
        return RestoredSession(saved, missed)

    def is_valid(self, saved: SavedSession) -> bool:
        """Return whether the application allows to restore a session."""
        still_valid = self.rules.still_valid
        return still_valid is None or _decide("still_valid", still_valid, saved.data)

    def _number_of(self, offset: str) -> int | None:
        origin, _, digits = offset.rpartition("-")
        if origin != self._origin or not digits.isdecimal() or len(digits) > 18:
            return None
        number = int(digits)
        return number if number <= self._last else None


def is_offered(rules: Recovery, handshake: Handshake) -> bool:
    """Return whether a client gets recovery; no if `offered_to` cannot decide."""
    return rules.offered_to is None or _decide("offered_to", rules.offered_to, handshake)


def _decide(name: str, function: Callable[[Any], bool], subject: Any) -> bool:
    """Return what a function of the application decides; False, with a log entry, if it fails."""
    try:
        result: Any = function(subject)
        refuse_awaitable(name, result)
        if result is not None and not isinstance(result, bool):
            raise TypeError(f"{name} must return True or False, got {result!r:.100}")
        return result is True
    except Exception:
        logger.exception("%s failed: the client gets no recovery", name)
        return False
