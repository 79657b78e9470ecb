"""Connection state recovery: the log of a namespace's events, and the sessions that left.

Knows: offsets, what a session has missed, how long and how much is kept.
Does not know: sockets, connections, the wire; the clock is injected.

Every event that a server sends without asking for an ack ends with an offset: the client takes
any string at the end of an event for one, so an event without would corrupt its memory (volatile
events, which are not kept, repeat the current offset).
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.adapters.interface import RestoredSession, SavedSession
from socketio_core.misuse import refuse_awaitable
from socketio_core.options import Recovery

logger = logging.getLogger("socketio_core")


class _Entry(NamedTuple):
    number: int
    emitted_at: float
    size: int
    messages: list[tuple[bytes, bool]]
    """Each message of the packet, and whether it is binary: no frames are kept."""
    rooms: tuple[str, ...]
    except_: frozenset[str]

    def is_for(self, rooms: frozenset[str]) -> bool:
        if self.except_ and not rooms.isdisjoint(self.except_):
            return False
        return not self.rooms or not rooms.isdisjoint(self.rooms)


class RecoveryLog:
    """What one namespace keeps: bounded in time, number and bytes.

    `grace` is how long a client may be gone before the server knows: what was sent to it then may
    never have arrived, so it is kept that much longer.
    """

    __slots__ = (
        "_entries", "_grace", "_last", "_lost", "_origin", "_rules", "_sessions", "_size", "_time",
    )  # fmt: skip

    def __init__(self, rules: Recovery, time: Callable[[], float], grace: float) -> None:
        self._rules = rules
        self._time = time
        self._grace = grace
        # Offsets of another server, or of this one before a restart, are not ours.
        self._origin = secrets.token_hex(4)
        self._last = 0
        self._lost = 0  # the last event that went for lack of space: not even old enough
        self._entries: deque[_Entry] = deque()
        self._size = 0
        self._sessions: OrderedDict[str, tuple[float, SavedSession]] = OrderedDict()

    def current(self) -> str:
        """Return the offset of the last event."""
        return f"{self._origin}-{self._last}"

    def following(self) -> str:
        """Return the offset that the next event will have."""
        return f"{self._origin}-{self._last + 1}"

    def append(
        self, packets: tuple[EncodedPacket, ...], rooms: tuple[str, ...], except_: frozenset[str]
    ) -> None:
        """Keep an event, encoded with the offset that `following` gave."""
        now = self._time()
        self._last += 1
        size = sum(len(packet.payload) for packet in packets)
        messages = [(packet.payload, packet.is_binary) for packet in packets]
        self._entries.append(_Entry(self._last, now, size, messages, rooms, except_))
        self._size += size
        self._prune(now)

    @property
    def has_sessions(self) -> bool:
        """Whether anybody may come back."""
        return bool(self._sessions)

    def _prune(self, now: float) -> None:
        rules, entries = self._rules, self._entries
        oldest = now - rules.max_disconnection_duration - self._grace
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
        oldest = now - self._rules.max_disconnection_duration
        while sessions:
            pid = next(iter(sessions))
            if sessions[pid][0] >= oldest and len(sessions) <= self._rules.max_sessions:
                break
            del sessions[pid]

    def save(self, session: SavedSession) -> None:
        """Keep a session that has left."""
        now = self._time()
        self._sessions[session.pid] = (now, session)
        self._expire_sessions(now)

    def restore(self, pid: str, offset: str | None) -> RestoredSession | None:
        """Give a session back, once. None if it is unknown, too old, or not complete any more.

        Without an offset the client has seen no event: it is given what came since it connected.
        """
        now = self._time()
        self._prune(now)
        kept = self._sessions.pop(pid, None)
        if kept is None:
            return None
        saved = kept[1]
        seen = self._number_of(saved.offset if offset is None else offset)
        if seen is None or seen < self._lost:
            return None
        if not self._is_valid(saved):
            return None
        rooms = frozenset(saved.rooms)
        missed = [
            tuple(EncodedPacket(payload, is_binary=binary) for payload, binary in entry.messages)
            for entry in self._entries
            if entry.number > seen and entry.is_for(rooms)
        ]
        return RestoredSession(saved, missed)

    def _is_valid(self, saved: SavedSession) -> bool:
        if self._rules.still_valid is None:
            return True
        try:
            result = self._rules.still_valid(saved.data)
            refuse_awaitable("still_valid", result)
            return bool(result)
        except Exception:
            logger.exception("still_valid failed: the session is not restored")
            return False

    def _number_of(self, offset: str) -> int | None:
        origin, _, digits = offset.rpartition("-")
        if origin != self._origin or not digits.isdecimal() or len(digits) > 18:
            return None
        number = int(digits)
        return number if number <= self._last else None
