"""Offsets that all workers understand, and the events that a client has missed."""

from __future__ import annotations

import pytest

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core import Recovery
from socketio_core.adapters.recovery import PRUNE_DELAY
from socketio_core.workers.vector_log import MAX_OFFSET, VectorLog
from tests.helpers.fake_clock import FakeClock

ROOMS = frozenset({"id", "all"})


class Worker:
    """The log of one worker; `emit` sends events to the others, `receive` takes them."""

    def __init__(self, own: int, clock: FakeClock, **rules: int) -> None:
        self.own = own
        recovery = Recovery(max_disconnection_duration=10, **rules)
        self.log = VectorLog(recovery, lambda: clock, 5.0, "c1c1c1c1", own)

    def _append(self, text: str, rooms: tuple[str, ...]) -> str:
        offset = self.log.following()
        self.log.append((EncodedPacket.message(text),), rooms, frozenset())
        self.log.end()
        return offset

    def emit(self, text: str, rooms: tuple[str, ...] = ("all",)) -> tuple[int, int, str]:
        self._append(text, rooms)
        return self.own, self.log.own_number, text

    def receive(self, event: tuple[int, int, str], rooms: tuple[str, ...] = ("all",)) -> str:
        origin, number, text = event
        self.log.begin(origin, number)
        return self._append(text, rooms)

    def missed(self, offset: str) -> list[str] | None:
        vector = self.log.parse(offset)
        assert vector is not None
        found = self.log.missed(vector, ROOMS)
        return None if found is None else [packets[0].payload[1:].decode() for packets in found]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_missed_events_are_the_same_at_each_worker_in_any_order_of_arrival(
    clock: FakeClock,
) -> None:
    first, second = Worker(0, clock), Worker(2, clock)
    one, two = first.emit("one"), second.emit("two")
    seen = first.log.current()  # a client of the first worker has received "one" only
    first.receive(two)
    second.receive(one)
    three = second.emit("three")
    first.receive(three)
    assert first.missed(seen) == ["two", "three"]
    assert second.missed(seen) == ["two", "three"]
    assert second.missed(first.log.current()) == []


def test_offset_of_an_event_is_the_current_one_after_it(clock: FakeClock) -> None:
    log = Worker(0, clock)
    offset = log.log.following()
    log.emit("one")
    assert log.log.current() == offset


def test_events_of_other_rooms_are_not_missed(clock: FakeClock) -> None:
    log = Worker(0, clock)
    start = log.log.current()
    log.emit("other", ("other",))
    log.emit("all sockets", ())
    assert log.missed(start) == ["all sockets"]


def test_restoring_waits_for_events_that_the_client_has_received(clock: FakeClock) -> None:
    first, second = Worker(0, clock), Worker(2, clock)
    second.log.learn(0, 0)
    event = first.emit("one")
    vector = second.log.parse(first.log.current())
    assert vector is not None
    assert not second.log.covers(vector)
    second.receive(event)
    assert second.log.covers(vector)


def test_restoring_does_not_wait_for_a_worker_that_has_ended(clock: FakeClock) -> None:
    first, second = Worker(0, clock), Worker(2, clock)
    second.log.learn(0, 0)
    first.emit("only its own clients received it")
    second.log.left(0)
    vector = second.log.parse(first.log.current())
    assert vector is not None
    assert second.log.covers(vector)
    assert second.missed(first.log.current()) == []


def test_client_gets_a_new_session_when_the_worker_started_after_its_events(
    clock: FakeClock,
) -> None:
    first, late = Worker(0, clock), Worker(4, clock)
    start = first.log.current()
    first.emit("before")
    late.log.learn(0, first.log.own_number)
    assert late.missed(start) is None
    assert late.missed(first.log.current()) == []


def test_new_worker_restores_clients_with_the_log_of_another(clock: FakeClock) -> None:
    first, second, late = Worker(0, clock), Worker(4, clock), Worker(2, clock)
    start = first.log.current()
    second.receive(first.emit("one"))
    second.receive(first.emit("two", ("other",)), ("other",))
    late.log.learn(0, first.log.own_number)
    late.log.learn(2, second.log.own_number)
    three = first.emit("three")
    for worker in (second, late):
        worker.receive(three)
    late.log.adopt(second.log.export(), second.log.position)
    late.receive(first.emit("four"))
    assert late.missed(start) == ["one", "three", "four"]
    second.receive((0, 4, "four"))
    assert second.missed(start) == ["one", "three", "four"]


def test_adopted_log_expires_with_the_age_of_its_events(clock: FakeClock) -> None:
    first, late = Worker(0, clock), Worker(4, clock)
    start = first.log.current()
    first.emit("old")
    clock.advance(14)
    late.log.adopt(first.log.export(), first.log.position)
    assert late.missed(start) == ["old"]
    clock.advance(2)
    late.emit("new")
    assert len(late.log.export()) == 1


def test_new_worker_learns_the_events_of_workers_that_have_ended(clock: FakeClock) -> None:
    first, second, late = Worker(0, clock), Worker(4, clock), Worker(2, clock)
    start = first.log.current()
    second.log.learn(0, 0)
    second.receive(first.emit("one"))
    second.log.left(0)
    assert second.log.gone == {0: 1}
    late.log.learn(2, second.log.own_number)
    for origin, number in second.log.gone.items():
        late.log.learn(origin, number)
        late.log.left(origin)
    assert late.missed(start) is None, "the late worker does not have the event"
    assert late.missed(first.log.current()) == []


def test_client_gets_a_new_session_when_events_were_dropped_for_lack_of_space(
    clock: FakeClock,
) -> None:
    log = Worker(0, clock, max_packets=2)
    start = log.log.current()
    log.emit("one")
    after_one = log.log.current()
    for text in ("two", "three"):
        log.emit(text)
    assert log.missed(start) is None
    assert log.missed(after_one) == ["two", "three"]


def test_worker_that_ended_stays_in_offsets_while_its_events_are_kept(clock: FakeClock) -> None:
    first, second = Worker(0, clock), Worker(2, clock)
    second.receive(first.emit("one"))
    second.log.left(0)
    clock.advance(29)
    second.emit("two")
    assert "-0.1" in second.log.current()
    clock.advance(2)
    second.emit("three")
    assert "-0.1" not in second.log.current()


def test_local_event_is_missed_by_the_clients_of_its_worker_only(clock: FakeClock) -> None:
    first, second = Worker(0, clock), Worker(2, clock)
    for worker, other in ((first, second), (second, first)):
        worker.log.learn(other.own, 0)
    at_first, at_second = first.log.current(), second.log.current()
    first.log.begin_local()
    first._append("local", ("all",))
    assert first.missed(at_first) == ["local"]
    assert first.missed(at_second) == []
    assert second.missed(at_first) == []
    vector = second.log.parse(first.log.current())
    assert vector is not None
    assert second.log.covers(vector), "no other worker receives the event"
    assert first.missed(first.log.current()) == []


@pytest.mark.parametrize(
    "offset",
    ["", "other-0.1", "c1c1c1c1-x.1", "c1c1c1c1-0.", "c1c1c1c1-0.1-", "c1c1c1c1-0." + "1" * 16,
     "c1c1c1c1" + "-0.1" * MAX_OFFSET],
)  # fmt: skip
def test_invalid_offset_is_refused(offset: str, clock: FakeClock) -> None:
    assert Worker(0, clock).log.parse(offset) is None


def test_timer_drops_old_events_and_ended_workers_when_the_server_is_idle(
    clock: FakeClock,
) -> None:
    first, second = Worker(2, clock), Worker(4, clock)
    second.receive(first.emit("x"))
    second.log.left(2)
    clock.advance(10 + 5 + PRUNE_DELAY)
    assert not second.log._events
    assert second.log.gone == {2: 1}
    clock.advance(10 + 5)
    assert second.log.gone == {}
    assert second.log._timer is None


def test_closed_log_has_no_timer(clock: FakeClock) -> None:
    worker = Worker(2, clock)
    worker.emit("x")
    worker.log.close()
    clock.advance(100)
    assert len(worker.log._events) == 1
