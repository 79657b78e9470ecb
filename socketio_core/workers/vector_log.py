"""The event log of one namespace in one worker, whose offsets all workers of a server understand.

Every worker numbers the events that it sends, and receives those of each other worker in their
order. An offset contains the number of the last logged event of each worker, so that any worker can
determine which events a client has missed, even if the client's former worker has been killed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, final

from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.options import Recovery

MAX_OFFSET: Final = 4096
"""The length of the longest offset that a client may send, in characters."""
_MAX_DIGITS: Final = 15


class _Entry(NamedTuple):
    origin: int
    number: int
    logged_at: float
    size: int
    messages: list[tuple[bytes, bool]]
    """Each message of the packet and whether it is binary, without cached frames."""
    rooms: tuple[str, ...]
    except_: frozenset[str]

    def is_for(self, rooms: frozenset[str]) -> bool:
        if self.except_ and not rooms.isdisjoint(self.except_):
            return False
        return not self.rooms or not rooms.isdisjoint(self.rooms)


@final
class VectorLog(RecoveryLog):
    """The events of one namespace, bounded in time, number and bytes; it keeps no sessions.

    An origin is a sequence of numbered events: of all events that a worker sends to all workers, or
    of those that it sends to its own clients only (`origin_of`, plus 1 for local events).
    """

    __slots__ = ("_cluster", "_events", "_gone", "_incoming", "_losses", "_numbers", "_own")

    def __init__(
        self, rules: Recovery, clock: Callable[[], Clock], grace: float, cluster: str, own: int
    ) -> None:
        super().__init__(rules, clock, grace)
        self._cluster = cluster
        self._own = own
        self._events: deque[_Entry] = deque()
        # origin -> the number of its last event, and of its last event that is not in the log
        self._numbers = {own: 0, own + 1: 0}
        self._losses = {own: 0, own + 1: 0}
        self._gone: dict[int, float] = {}  # workers that have ended, and when
        self._incoming: tuple[int, int] | None = None  # the event that is appended next

    @property
    def own_number(self) -> int:
        """The number of the last event of this worker."""
        return self._numbers[self._own]

    @property
    def gone(self) -> dict[int, int]:
        """The workers that have ended, with the numbers of their last events."""
        return {origin: self._numbers[origin] for origin in self._gone}

    # -- other workers

    def begin(self, origin: int, number: int) -> None:
        """Set the number of the event that is appended next, which another worker has sent."""
        self._incoming = (origin, number)

    def begin_local(self) -> None:
        """Append the next event as an event for the clients of this worker only."""
        self._incoming = (self._own + 1, self._numbers[self._own + 1] + 1)

    def end(self) -> None:
        """Append the next event as an event of this worker."""
        self._incoming = None

    def learn(self, origin: int, number: int) -> None:
        """Note the last event that an unknown worker sent before its connection was opened."""
        if origin not in self._numbers:
            self._numbers[origin] = self._losses[origin] = number

    def left(self, origin: int) -> None:
        """Note that a worker has ended. Its number stays in offsets while its events are kept."""
        if origin in self._numbers:
            self._gone[origin] = self.time()
            self._renew_timer()

    def export(self) -> list[list[Any]]:
        """Return the events for a worker that has just started; `adopt` takes them."""
        now = self.time()
        return [
            [entry.origin, entry.number, now - entry.logged_at, entry.messages, entry.rooms,
             list(entry.except_)]
            for entry in self._events
            if not is_local(entry.origin)
        ]  # fmt: skip

    @property
    def position(self) -> list[list[int]]:
        """The workers with the numbers of their last events, and of their last lost events."""
        return [
            [origin, number, self._losses[origin]]
            for origin, number in self._numbers.items()
            if not is_local(origin)
        ]

    def adopt(self, events: list[list[Any]], position: list[list[int]]) -> None:
        """Put the events of another worker's log before the events of this log.

        `position` is that of the other log: this log has all later events since its connections
        were opened.
        """
        now = self.time()
        vector = {origin: number for origin, number, _ in position}
        later = [each for each in self._events if each.number > vector.get(each.origin, 0)]
        self._events.clear()
        self._size = 0
        for origin, number, age, messages, rooms, except_ in events:
            pairs = [(bytes(payload), bool(binary)) for payload, binary in messages]
            size = sum(len(payload) for payload, _ in pairs)
            rooms, except_ = tuple(rooms), frozenset(except_)
            self._events.append(_Entry(origin, number, now - age, size, pairs, rooms, except_))
        self._events.extend(later)
        self._size = sum(each.size for each in self._events)
        for origin, number, loss in position:
            if self._losses.get(origin, 0) <= number:
                self._losses[origin] = loss
            self._numbers[origin] = max(number, self._numbers.get(origin, 0))
        self._prune(now)
        self._renew_timer()

    def covers(self, vector: Mapping[int, int]) -> bool:
        """Return whether this worker has received all events that a client has received.

        Events that a worker sent to its own clients only, before it ended, never arrive.
        """
        return all(
            number <= self._numbers.get(origin, 0) or origin in self._gone or is_local(origin)
            for origin, number in vector.items()
        )

    # -- RecoveryLog

    @property
    def has_sessions(self) -> bool:
        """Whether any client may return: clients of other workers may."""
        return True

    def current(self) -> str:
        """Return the offset of the last event."""
        return self._encode(None)

    def following(self) -> str:
        """Return the offset of the next event."""
        return self._encode(self._incoming or (self._own, self.own_number + 1))

    def _encode(self, following: tuple[int, int] | None) -> str:
        numbers = self._numbers
        if following is not None:
            origin, number = following
            numbers = {**numbers, origin: max(number, numbers.get(origin, 0))}
        parts = [f"-{origin:x}.{number:x}" for origin, number in numbers.items()]
        return self._cluster + "".join(parts)

    def append(
        self, packets: tuple[EncodedPacket, ...], rooms: tuple[str, ...], except_: frozenset[str]
    ) -> None:
        """Keep an event that was encoded with the offset of `following`."""
        now = self.time()
        origin, number = self._incoming or (self._own, self.own_number + 1)
        if origin not in self._numbers:
            self._losses[origin] = number - 1
        self._numbers[origin] = max(number, self._numbers.get(origin, 0))
        size = sum(len(packet.payload) for packet in packets)
        messages = [(packet.payload, packet.is_binary) for packet in packets]
        self._events.append(_Entry(origin, number, now, size, messages, rooms, except_))
        self._size += size
        self._prune(now)
        if self._timer is None:
            self._set_timer()

    def _renew_timer(self) -> None:
        self.close()
        self._set_timer()

    def _next_end(self) -> float | None:
        """Return the time at which the first event or worker can be dropped; None without any."""
        kept = self.rules.max_disconnection_duration + self.grace
        ends = [self._events[0].logged_at + kept] if self._events else []
        ends += [since + 2 * kept for since in self._gone.values()]
        return min(ends, default=None)

    def _prune(self, now: float) -> None:
        """Drop events that are too old or too many, and workers that ended long ago."""
        rules, events = self.rules, self._events
        oldest = now - rules.max_disconnection_duration - self.grace
        while events:
            is_old = events[0].logged_at < oldest
            if not (is_old or self._size > rules.max_bytes or len(events) > rules.max_packets):
                break
            entry = events.popleft()
            self._size -= entry.size
            if not is_old:
                self._losses[entry.origin] = entry.number
        # Twice the time: no worker may keep events of a worker that is not in another's offsets.
        while self._gone:
            origin, since = next(iter(self._gone.items()))
            if since >= now - 2 * (now - oldest):
                break
            del self._gone[origin], self._numbers[origin], self._losses[origin]

    # -- restoring

    def parse(self, offset: str) -> dict[int, int] | None:
        """Return the numbers in an offset; None if it is invalid or of another cluster."""
        cluster, *parts = offset[: MAX_OFFSET + 1].split("-")
        if cluster != self._cluster or len(offset) > MAX_OFFSET:
            return None
        vector: dict[int, int] = {}
        for part in parts:
            origin, _, number = part.partition(".")
            if len(origin) > _MAX_DIGITS or len(number) > _MAX_DIGITS:
                return None
            try:
                vector[int(origin, 16)] = int(number, 16)
            except ValueError:
                return None
        return vector

    def missed(
        self, vector: Mapping[int, int], rooms: frozenset[str]
    ) -> list[tuple[EncodedPacket, ...]] | None:
        """Return the events for these rooms that are not in the vector; None if some are lost."""
        for origin, loss in self._losses.items():
            if vector.get(origin, loss if is_local(origin) else 0) < loss:
                return None
        if any(origin not in self._numbers and not is_local(origin) for origin in vector):
            return None
        return [
            tuple(EncodedPacket(payload, is_binary=binary) for payload, binary in entry.messages)
            for entry in self._events
            # A client of another worker is not in the audience of a local event.
            if (entry.origin in vector or not is_local(entry.origin))
            and entry.number > vector.get(entry.origin, 0)
            and entry.is_for(rooms)
        ]


def origin_of(generation: int) -> int:
    """Return the origin of the events that a worker sends to all workers."""
    return 2 * generation


def is_local(origin: int) -> bool:
    """Return whether a worker sent the events of an origin to its own clients only."""
    return origin % 2 == 1
