"""The order and the offsets of local events that wait for their entries in the stream."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.adapters.interface import BroadcastTarget
from socketio_core.adapters.streams.entry import (
    NO_OFFSET,
    Cursor,
    format_position,
    parse_position,
)
from socketio_core.adapters.streams.order import (
    LATE_PATIENCE,
    LocalEvent,
    OrderedEvents,
    append_offset,
)
from tests.helpers.fake_clock import FakeClock

PATIENCE = 0.5


class Receiver:
    """A socket that keeps its packets."""

    _listens_outgoing = False

    def __init__(self, name: str = "a") -> None:
        self.id = name
        self.pid: str | None = f"pid of {name}"
        self.received: list[str] = []

    def _send_packet(self, packet: EncodedPacket) -> None:
        self.received.append(packet.payload.decode())

    def _send_volatile(self, packets: tuple[EncodedPacket, ...]) -> None:
        self.received += [f"volatile {packet.payload.decode()}" for packet in packets]


class Harness:
    """An event queue with one receiver."""

    def __init__(self, clock: FakeClock) -> None:
        self.late: list[int] = []
        self.clock = clock
        self.cursor = Cursor()
        self.events = OrderedEvents(lambda: clock, self.cursor, PATIENCE, self.late.append)
        self.receiver = Receiver()
        self.events.set_down(False)

    def emit(self, name: str, *, written: bool = True, **target: Any) -> None:
        packets = append_offset((EncodedPacket(b'42["%b"]' % name.encode()),))
        body = name.encode() if written else None
        recipients: list[Any] = [self.receiver]
        self.events.emit(LocalEvent(packets, recipients, BroadcastTarget(**target), body))

    def read_back(self, name: str, *position: int) -> None:
        self.cursor.position = (position[0], position[1])
        self.events.read_back(name.encode())


@pytest.fixture
def queue(clock: FakeClock) -> Harness:
    return Harness(clock)


def test_event_waits_for_its_entry(queue: Harness) -> None:
    queue.emit("a")
    assert queue.receiver.received == []
    queue.read_back("a", 7, 1)
    assert queue.receiver.received == ['42["a","7-1"]']
    assert queue.late == []
    assert len(queue.events) == 0


def test_offset_follows_the_arguments_of_a_binary_event() -> None:
    attachment = EncodedPacket(b"\x01", is_binary=True)
    text = EncodedPacket(b'451-["a",{"_placeholder":true,"num":0}]', compress=False)
    packets = append_offset((text, attachment))("7-1")
    assert packets[0].payload == b'451-["a",{"_placeholder":true,"num":0},"7-1"]'
    assert not packets[0].compress
    assert packets[1] is attachment


def test_event_outside_of_the_stream_keeps_its_place(queue: Harness) -> None:
    queue.emit("first", written=False)
    queue.emit("a")
    queue.emit("b", written=False)
    queue.emit("c")
    assert queue.receiver.received == ['42["first","0-0"]']
    queue.read_back("a", 7, 1)
    queue.read_back("c", 7, 2)
    assert queue.receiver.received[1:] == ['42["a","7-1"]', '42["b","7-1"]', '42["c","7-2"]']


def test_volatile_event_waits_as_well(queue: Harness) -> None:
    queue.emit("a")
    queue.emit("v", volatile=True)
    queue.read_back("a", 7, 1)
    queue.read_back("v", 7, 2)
    assert queue.receiver.received == ['42["a","7-1"]', 'volatile 42["v","7-2"]']


def test_late_event_is_delivered_without_a_valid_offset(queue: Harness) -> None:
    queue.emit("a")
    queue.clock.advance(PATIENCE)
    assert queue.receiver.received == ['42["a",""]']
    assert queue.late == [1]
    queue.read_back("a", 7, 1)
    assert queue.receiver.received == ['42["a",""]']


def test_events_have_no_valid_offset_until_all_late_ones_are_in_the_stream(queue: Harness) -> None:
    queue.emit("a")
    queue.clock.advance(PATIENCE)
    queue.emit("b")
    assert queue.events.offset == ""
    assert queue.receiver.received == ['42["a",""]', '42["b",""]']
    queue.read_back("a", 7, 1)
    assert queue.events.offset == ""
    queue.read_back("b", 7, 2)
    assert queue.events.offset == "7-2"
    queue.emit("c")
    queue.read_back("c", 7, 3)
    assert queue.receiver.received[-1] == '42["c","7-3"]'


def test_second_event_is_due_after_the_first_was_read(queue: Harness) -> None:
    queue.emit("a")
    queue.clock.advance(PATIENCE - 0.1)
    queue.emit("b")
    queue.read_back("a", 7, 1)
    queue.clock.advance(0.2)
    assert queue.receiver.received == ['42["a","7-1"]']
    queue.clock.advance(PATIENCE)
    assert queue.receiver.received[1:] == ['42["b",""]']


def test_nothing_waits_while_redis_is_down(queue: Harness) -> None:
    queue.emit("a")
    queue.events.set_down(True)
    queue.emit("b")
    queue.emit("c", written=False)
    assert queue.receiver.received == ['42["a",""]', '42["b",""]', '42["c",""]']
    queue.events.set_down(False)
    queue.read_back("a", 7, 1)
    queue.read_back("b", 7, 2)
    queue.emit("d")
    assert len(queue.receiver.received) == 3
    queue.read_back("d", 7, 3)
    assert queue.receiver.received[-1] == '42["d","7-3"]'


def test_nothing_waits_before_redis_is_connected(clock: FakeClock) -> None:
    queue = Harness(clock)
    queue.events = OrderedEvents(lambda: clock, queue.cursor, PATIENCE, queue.late.append)
    queue.emit("a")
    assert queue.receiver.received == ['42["a",""]']


def test_dropped_event_is_delivered_and_reported(queue: Harness) -> None:
    queue.emit("a")
    queue.events.drop(b"a")
    assert queue.receiver.received == ['42["a",""]']
    assert queue.events.lost_at == queue.clock.time()
    queue.emit("b")
    queue.read_back("b", 7, 1)
    assert queue.receiver.received[-1] == '42["b","7-1"]'


def test_entry_that_was_written_twice_is_delivered_once(queue: Harness) -> None:
    queue.emit("a")
    queue.read_back("a", 7, 1)
    queue.read_back("a", 7, 2)
    assert queue.receiver.received == ['42["a","7-1"]']
    assert queue.events.offset == "7-2"


def test_too_many_waiting_events_are_delivered(
    queue: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socketio_core.adapters.streams.order.MAX_WAITING", 2)
    for name in "abc":
        queue.emit(name)
    assert queue.receiver.received == [f'42["{name}",""]' for name in "abc"]


def test_leaving_socket_receives_its_waiting_events(queue: Harness) -> None:
    other = Receiver("b")
    packets = append_offset((EncodedPacket(b'42["a"]'),))
    recipients: list[Any] = [queue.receiver, other]
    queue.events.emit(LocalEvent(packets, recipients, BroadcastTarget(), b"a"))
    queue.events.flush(queue.receiver)  # type: ignore[arg-type]
    assert queue.receiver.received == ['42["a",""]']
    queue.read_back("a", 7, 1)
    assert other.received == ['42["a","7-1"]']
    assert len(queue.receiver.received) == 1


def test_returned_socket_receives_the_events_that_waited_when_it_returned(queue: Harness) -> None:
    back = Receiver("back")
    queue.emit("to all")
    queue.emit("to its room", rooms=("room",))
    queue.emit("to another room", rooms=("other",))
    queue.emit("not to it", except_=frozenset({"room"}))
    queue.events.returned(back, {"room", "back"})  # type: ignore[arg-type]
    queue.emit("later")
    for number, name in enumerate(
        ("to all", "to its room", "to another room", "not to it", "later")
    ):
        queue.read_back(name, 7, number)
    assert back.received == ['42["to all","7-0"]', '42["to its room","7-1"]']


def test_returned_socket_is_forgotten_when_no_event_waits(queue: Harness) -> None:
    for name in ("a", "b"):
        returned = Receiver("returned")
        queue.emit(name)
        queue.events.returned(returned, {"red"})
        queue.read_back(name, 7, ord(name))
        reference = weakref.ref(returned)
        del returned
        assert reference() is None


def test_returned_socket_that_leaves_receives_the_waiting_events_once(queue: Harness) -> None:
    returned = Receiver("returned")
    queue.emit("a")
    queue.emit("other", rooms=("blue",))
    queue.events.returned(returned, {"red"})
    queue.emit("later")
    queue.events.flush(returned)
    assert returned.received == ['42["a",""]']
    for number, name in enumerate(("a", "other", "later")):
        queue.read_back(name, 7, number)
    assert returned.received == ['42["a",""]']


def test_offsets_are_valid_again_when_entries_are_lost(queue: Harness, clock: FakeClock) -> None:
    queue.emit("a")
    clock.advance(PATIENCE)
    assert queue.events.offset == NO_OFFSET
    clock.advance(LATE_PATIENCE)
    assert queue.events.offset == format_position(queue.cursor.position)
    assert queue.events.lost_at == clock.time()
    assert len(queue.events) == 0
    assert clock.pending == 0


def test_late_events_are_kept_while_their_entries_arrive(queue: Harness, clock: FakeClock) -> None:
    for name in ("a", "b"):
        queue.emit(name)
    clock.advance(PATIENCE)
    clock.advance(LATE_PATIENCE - 1)
    queue.read_back("a", 7, 1)
    clock.advance(LATE_PATIENCE - 1)
    assert queue.events.offset == NO_OFFSET
    queue.read_back("b", 7, 2)
    assert queue.events.offset == "7-2"
    assert queue.events.lost_at is None
    clock.advance(LATE_PATIENCE)
    assert clock.pending == 0


def test_late_events_are_kept_while_redis_is_down(queue: Harness, clock: FakeClock) -> None:
    queue.emit("a")
    queue.events.set_down(True)
    clock.advance(10 * LATE_PATIENCE)
    assert len(queue.events) == 1
    queue.events.set_down(False)
    queue.read_back("a", 7, 1)
    assert queue.events.lost_at is None


def test_closed_queue_has_no_timer(queue: Harness, clock: FakeClock) -> None:
    queue.emit("a")
    clock.advance(PATIENCE)
    queue.emit("b")
    queue.events.close()
    assert clock.pending == 0


def test_event_of_a_handler_during_a_release_comes_last(queue: Harness) -> None:
    def emit_once(packet: EncodedPacket) -> None:
        if not queue.receiver.received:
            queue.receiver.received.append("begin")
            queue.emit("c")
        Receiver._send_packet(queue.receiver, packet)

    queue.receiver._send_packet = emit_once  # type: ignore[method-assign]
    queue.emit("a")
    queue.emit("b")
    queue.events.set_down(True)
    assert queue.receiver.received == ["begin", '42["a",""]', '42["b",""]', '42["c",""]']


def test_close_delivers_the_waiting_events(queue: Harness) -> None:
    queue.emit("a")
    queue.events.close()
    assert queue.receiver.received == ['42["a",""]']
    assert len(queue.events) == 0


@given(st.lists(st.sampled_from(["emit", "local", "read", "wait", "down", "up"]), max_size=40))
def test_events_are_delivered_once_and_in_order(steps: list[str]) -> None:
    queue = Harness(FakeClock())
    emitted: list[str] = []
    written: list[str] = []
    for number, step in enumerate(steps):
        if step in {"emit", "local"}:
            emitted.append(str(number))
            queue.emit(str(number), written=step == "emit")
            if step == "emit":
                written.append(str(number))
        elif step == "read" and written:
            queue.read_back(written.pop(0), 7, number)
        elif step == "wait":
            queue.clock.advance(PATIENCE / 2)
        elif step in {"down", "up"}:
            queue.events.set_down(step == "down")
    while written:
        queue.read_back(written.pop(0), 8, len(written))
    names = [packet.split('"')[1] for packet in queue.receiver.received]
    assert names == emitted
    assert len(queue.events) == 0
    assert not queue.events.is_waiting


def test_positions_have_the_order_of_the_stream() -> None:
    ids = ["9-9", "10-0", "10-2", "10-10"]
    positions = [parse_position(each) for each in ids]
    assert positions == sorted(p for p in positions if p is not None)
    assert [format_position(p) for p in positions if p is not None] == ids


@pytest.mark.parametrize("offset", ["", "name", "1", "1-", "-1", "1-1-1", " 1-1", "1-1\n", "٣-٣",
                                    "99999999999999999999-0"])  # fmt: skip
def test_text_that_is_not_an_entry_id_has_no_position(offset: str) -> None:
    assert parse_position(offset) is None
