"""Connection state recovery: the log of a namespace's events, and the sessions that left.

Knows: offsets, what a session has missed, how long and how much is kept.
Does not know: sockets, connections, the wire; the clock is injected.

Every event that a server sends without asking for an ack ends with an offset: the client takes
any string at the end of an event for one, so an event without would corrupt its memory (volatile
events, which are not kept, repeat the current offset).
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from .adapter import BroadcastTarget, RestoredSession, SavedSession
from .options import Recovery


class _Entry(NamedTuple):
    number: int
    emitted_at: float
    size: int
    data: list[Any]
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

    def append(self, data: list[Any], target: BroadcastTarget) -> str:
        """Keep an event; return its offset."""
        now = self._time()
        self._last += 1
        size = _size_of(data)
        self._entries.append(_Entry(self._last, now, size, data, target.rooms, target.except_))
        self._size += size
        self._prune(now)
        return self.current()

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
        if self._rules.still_valid is not None and not self._rules.still_valid(saved.data):
            return None
        rooms = frozenset(saved.rooms)
        missed = [
            [*entry.data, f"{self._origin}-{entry.number}"]
            for entry in self._entries
            if entry.number > seen and entry.is_for(rooms)
        ]
        return RestoredSession(saved, missed)

    def _number_of(self, offset: str) -> int | None:
        origin, _, digits = offset.rpartition("-")
        if origin != self._origin or not digits.isdecimal() or len(digits) > 18:
            return None
        number = int(digits)
        return number if number <= self._last else None


def _size_of(data: list[Any]) -> int:
    """Estimate what an event holds, in bytes: its JSON, and its binary."""
    try:
        return len(orjson.dumps(data, default=_binary_length))
    except TypeError:
        return len(repr(data))


def _binary_length(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return "x" * len(value)
    return repr(value)
