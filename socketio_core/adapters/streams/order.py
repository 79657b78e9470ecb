"""Local events of a namespace with recovery: delivered in the order of the stream, with offsets.

The offset of an event is the id of its entry, so an event waits until its entry is read back. That
takes one round trip to Redis. An event whose entry is late or cannot be written is delivered
without a valid offset. The clock is an argument; nothing here talks to Redis.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, final

from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.adapters.interface import BroadcastTarget, Recipient
from socketio_core.adapters.memory import _send_all, _send_volatile_all
from socketio_core.adapters.streams.entry import NO_OFFSET, Cursor, format_position

MAX_WAITING: Final = 10_000
"""The number of events of a namespace that wait for their entries."""
MAX_WAITING_DELIVERIES: Final = 1_000_000
"""The number of receivers of all waiting events."""
LATE_PATIENCE: Final = 30.0
"""Seconds without the entry of any late event, after which no entry of them is expected."""

WithOffset = Callable[[str], tuple[EncodedPacket, ...]]
"""Returns the packets of an event with an offset as the last argument."""


@final
class LocalEvent:
    """An event of this server.

    `body` is the field `data` of its entry; None for an event that is not written to the stream.
    """

    __slots__ = ("body", "due", "number", "packets", "recipients", "target")

    def __init__(
        self,
        packets: WithOffset,
        recipients: list[Recipient],
        target: BroadcastTarget,
        body: bytes | None,
    ) -> None:
        self.packets = packets
        self.recipients = recipients
        self.target = target
        self.body = body
        self.number = 0
        self.due = 0.0


@final
class OrderedEvents:
    """The events of this server whose entries have not been read back yet, in order of emission.

    `patience` is the number of seconds that an event waits for its entry; it is *late* if it was
    delivered before. While an event is late, no event has a valid offset: a client that recovers
    from a later offset would receive the late event twice. The entry of a late event may be lost,
    for example with the memory of Redis; after `LATE_PATIENCE`, offsets are valid again.
    """

    __slots__ = ("_clock", "_cursor", "_deliveries", "_has_progress", "_is_down", "_is_releasing",
                 "_late", "_late_timer", "_number", "_on_late", "_patience", "_returned", "_timer",
                 "_waiting", "lost_at")  # fmt: skip

    def __init__(
        self,
        clock: Callable[[], Clock],
        cursor: Cursor,
        patience: float,
        on_late: Callable[[int], None],
    ) -> None:
        """Create an empty queue; `on_late(events)` reports late events."""
        self._clock = clock
        self._cursor = cursor
        self._patience = patience
        self._on_late = on_late
        self._waiting: deque[LocalEvent] = deque()
        self._late: deque[bytes] = deque()  # the bodies of late events
        self._deliveries = 0  # the receivers of the waiting events
        self._number = 0
        self._is_down = True
        self._is_releasing = False
        self._timer: Any = None
        self._late_timer: Any = None  # while events are late and Redis is available
        self._has_progress = False  # an entry of a late event was read since the timer began
        # Sockets that returned while events waited: number of the last such event, socket, rooms
        self._returned: list[tuple[int, Recipient, frozenset[str]]] = []
        self.lost_at: float | None = None
        """The time at which an event was dropped that is not in the stream."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._late)

    @property
    def is_waiting(self) -> bool:
        """Whether an event waits, so that later events must wait as well."""
        return bool(self._waiting)

    @property
    def offset(self) -> str:
        """The offset of an event at the position of the cursor."""
        return NO_OFFSET if self._late else format_position(self._cursor.position)

    # -- events of this server

    def emit(self, event: LocalEvent) -> None:
        """Deliver an event when its entry is read, or at once if it has to wait for nothing."""
        self._number += 1
        event.number = self._number
        waiting = self._waiting
        if event.body is None and not waiting:
            self._deliver(event, self.offset)
            return
        waiting.append(event)
        self._deliveries += len(event.recipients)
        is_full = len(waiting) > MAX_WAITING or self._deliveries > MAX_WAITING_DELIVERIES
        if self._is_down or self._late or is_full:
            self._release()
            return
        clock = self._clock()
        event.due = clock.time() + self._patience
        if self._timer is None:
            self._timer = clock.call_at(event.due, self._check_due)

    def read_back(self, body: bytes) -> None:
        """Deliver the event of the own entry at the cursor; an unknown entry is a repetition."""
        late = self._late
        if late and body in late:
            late.remove(body)  # almost always the first one
            self._has_progress = True
            return
        # The first one, unless entries were lost
        event = next((event for event in self._waiting if event.body == body), None)
        if event is not None:
            self._waiting.remove(event)
            self._deliveries -= len(event.recipients)
            self._deliver(event, self.offset)
            self._deliver_unwritten()
            self._forget_returned()

    def drop(self, body: bytes) -> None:
        """Give up an event that will never be in the stream."""
        self._release()
        if self._late and self._late[-1] == body:  # the newest one is dropped
            self._late.pop()
        elif body in self._late:
            self._late.remove(body)
        else:
            return
        self.lost_at = self._clock().time()

    def set_down(self, is_down: bool) -> None:
        """Deliver events at once while Redis is unavailable."""
        self._is_down = is_down
        if is_down:
            self._release()
            self._cancel_late_timer()
        elif self._late:
            self._watch_late()

    def flush(self, recipient: Recipient) -> None:
        """Deliver the waiting events to a socket that is about to leave."""
        returned = [each for each in self._returned if each[1] is recipient]
        self._returned = [each for each in self._returned if each[1] is not recipient]
        for event in list(self._waiting):
            if recipient in event.recipients:
                event.recipients.remove(recipient)
                self._deliveries -= 1
            elif not any(_was_missed(event, number, rooms) for number, _, rooms in returned):
                continue
            _send([recipient], event.packets(NO_OFFSET), event.target.volatile)

    def close(self) -> None:
        """Deliver the waiting events, and forget all events."""
        self._release()
        self._late.clear()
        self._returned.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._cancel_late_timer()

    # -- returning sockets

    def returned(self, recipient: Recipient, rooms: Iterable[str]) -> None:
        """Deliver the waiting events to a socket that has returned: it has not missed them yet."""
        if self._waiting:
            self._returned.append((self._number, recipient, frozenset(rooms)))

    def _add_returned(self, event: LocalEvent) -> None:
        """Add the sockets that returned after an event was emitted."""
        self._returned = [each for each in self._returned if each[0] >= event.number]
        for number, recipient, rooms in self._returned:
            if _was_missed(event, number, rooms):
                event.recipients.append(recipient)

    def _forget_returned(self) -> None:
        """Forget the sockets that have received all events that waited when they returned."""
        if self._returned and not self._waiting:
            self._returned.clear()

    # -- delivery

    def _deliver(self, event: LocalEvent, offset: str) -> None:
        if self._returned and event.body is not None:
            self._add_returned(event)
        recipients, event.recipients = event.recipients, []
        if recipients:
            _send(recipients, event.packets(offset), event.target.volatile)

    def _deliver_unwritten(self) -> None:
        """Deliver the events at the front that have no entries."""
        while self._waiting and self._waiting[0].body is None:
            event = self._waiting.popleft()
            self._deliveries -= len(event.recipients)
            self._deliver(event, self.offset)

    def _release(self) -> None:
        """Deliver all waiting events without valid offsets."""
        if self._is_releasing:
            return  # an event of a handler that this method has caused: the loop below finds it
        self._is_releasing = True
        late = 0
        while self._waiting:
            event = self._waiting.popleft()
            self._deliveries -= len(event.recipients)
            if event.body is not None:
                self._late.append(event.body)
                late += 1
            self._deliver(event, NO_OFFSET)
        self._is_releasing = False
        self._forget_returned()
        if late:
            self._on_late(late)
            if not self._is_down:
                self._watch_late()

    def _watch_late(self) -> None:
        """Give the late events up if none of their entries is read in `LATE_PATIENCE` seconds."""
        if self._late_timer is None:
            self._has_progress = False
            self._late_timer = self._clock().call_later(LATE_PATIENCE, self._check_late)

    def _check_late(self) -> None:
        self._late_timer = None
        if not self._late:
            return
        if not self._has_progress:
            self._late.clear()
            self.lost_at = self._clock().time()
        else:
            self._watch_late()

    def _cancel_late_timer(self) -> None:
        if self._late_timer is not None:
            self._late_timer.cancel()
            self._late_timer = None

    def _check_due(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        clock, due = self._clock(), self._waiting[0].due
        if due <= clock.time():
            self._release()
        else:
            self._timer = clock.call_at(due, self._check_due)


def _was_missed(event: LocalEvent, number: int, rooms: frozenset[str]) -> bool:
    """Return whether a socket in these rooms that returned after event `number` gets an event."""
    target = event.target
    if event.body is None or event.number > number:
        return False
    is_addressed = not target.rooms or not rooms.isdisjoint(target.rooms)
    return is_addressed and rooms.isdisjoint(target.except_)


def _send(
    recipients: list[Recipient], packets: tuple[EncodedPacket, ...], is_volatile: bool
) -> None:
    deliver = _send_volatile_all if is_volatile else _send_all
    deliver(recipients, packets)


def append_offset(packets: tuple[EncodedPacket, ...]) -> WithOffset:
    """Return the packets of a JSON event with an offset: the array in the text gets one item."""

    def with_offset(offset: str) -> tuple[EncodedPacket, ...]:
        text = packets[0]
        payload = b'%b,"%b"]' % (text.payload[:-1], offset.encode())
        return (EncodedPacket(payload, compress=text.compress), *packets[1:])

    return with_offset
