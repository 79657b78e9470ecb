"""The sessions that the supervisor keeps: each belongs to one worker at most."""

from __future__ import annotations

import pytest

from socketio_core.workers.control import (
    Claim,
    Claimed,
    Drop,
    Find,
    Found,
    Hold,
    Left,
    Yield,
    Yielded,
)
from socketio_core.workers.session_table import EXPIRY_DELAY, SessionTable
from tests.helpers.fake_clock import FakeClock

KEY = "0 / pid"


class Table:
    """A table that records the messages to workers."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.start = self.clock.time()
        self.sent: list[tuple[int, object]] = []
        self.table = SessionTable(
            lambda worker, message: self.sent.append((worker, message)), lambda: self.clock
        )
        self.receive = self.table.receive

    def take(self) -> list[tuple[int, object]]:
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
def table() -> Table:
    return Table()


def test_session_of_a_killed_worker_is_found_and_claimed_once(table: Table) -> None:
    table.receive(1, Hold(KEY, b"state", 10))
    table.table.worker_ended(1)
    table.receive(2, Find(7, KEY))
    table.receive(3, Find(8, KEY))
    table.receive(2, Claim(9, KEY))
    table.receive(3, Claim(10, KEY))
    assert table.take() == [
        (2, Found(7, b"state")), (3, Found(8, b"state")),
        (2, Claimed(9, True)), (3, Claimed(10, False)),
    ]  # fmt: skip


def test_connected_client_is_yielded_by_its_former_worker(table: Table) -> None:
    table.receive(1, Hold(KEY, b"old", 10))
    table.receive(2, Find(7, KEY))
    ((worker, request),) = table.take()
    assert isinstance(request, Yield)
    assert (worker, request.key) == (1, KEY)
    table.receive(1, Left(KEY, b"new", 10))
    table.receive(1, Yielded(request.request))
    assert table.take() == [(2, Found(7, b"new"))]


def test_session_that_is_not_yielded_is_not_found(table: Table) -> None:
    table.receive(1, Hold(KEY, b"state", 10))
    table.receive(2, Find(7, KEY))
    ((_, request),) = table.take()
    assert isinstance(request, Yield)
    table.receive(1, Yielded(request.request))
    assert table.take() == [(2, Found(7, None, is_held=True))]


def test_former_worker_that_is_killed_while_it_yields_loses_no_session(table: Table) -> None:
    table.receive(1, Hold(KEY, b"state", 10))
    table.receive(2, Find(7, KEY))
    table.take()
    table.table.worker_ended(1)
    assert table.take() == [(2, Found(7, b"state"))]


def test_finder_that_is_killed_is_forgotten(table: Table) -> None:
    table.receive(1, Hold(KEY, b"state", 10))
    table.receive(2, Find(7, KEY))
    ((_, request),) = table.take()
    assert isinstance(request, Yield)
    table.table.worker_ended(2)
    table.receive(1, Yielded(request.request))
    assert table.take() == []


def test_late_messages_of_a_former_worker_do_not_change_a_claimed_session(table: Table) -> None:
    table.receive(1, Left(KEY, b"state", 10))
    table.receive(2, Claim(7, KEY))
    table.receive(1, Hold(KEY, b"late", 10))
    table.receive(1, Left(KEY, b"late", 10))
    table.receive(1, Drop(KEY))
    table.table.worker_ended(2)
    table.receive(3, Find(8, KEY))
    assert table.take() == [(2, Claimed(7, True)), (3, Found(8, b"state"))]


def test_client_that_left_for_good_is_forgotten(table: Table) -> None:
    table.receive(1, Hold(KEY, b"state", 10))
    table.receive(1, Drop(KEY))
    assert len(table.table) == 0


def test_absent_client_expires(table: Table) -> None:
    table.receive(1, Left(KEY, b"state", 10))
    table.clock.advance(9.0 - (table.clock.time() - table.start))
    table.receive(2, Find(7, KEY))
    table.clock.advance(11.0 - (table.clock.time() - table.start))
    table.receive(2, Find(8, KEY))
    assert table.take() == [(2, Found(7, b"state")), (2, Found(8, None))]
    assert len(table.table) == 0


def test_client_with_less_time_expires_before_one_that_left_earlier(table: Table) -> None:
    table.receive(1, Left("0 / other", b"state", 10))
    table.receive(1, Left(KEY, b"state", 2))
    table.clock.advance(3.0 - (table.clock.time() - table.start))
    table.receive(2, Find(7, KEY))
    table.receive(2, Claim(8, KEY))
    table.receive(2, Find(9, "0 / other"))
    assert table.take() == [
        (2, Found(7, None)), (2, Claimed(8, False)), (2, Found(9, b"state")),
    ]  # fmt: skip


def test_number_of_absent_clients_is_limited(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socketio_core.workers.session_table.MAX_ABSENT", 2)
    for number in range(4):
        table.receive(1, Left(f"0 / {number}", b"state", 10))
    assert len(table.table) == 2
    table.receive(1, Find(7, "0 / 3"))
    table.receive(1, Find(8, "0 / 1"))
    assert table.take() == [(1, Found(7, b"state")), (1, Found(8, None))]


def test_timer_drops_sessions_when_the_server_is_idle(table: Table) -> None:
    table.receive(1, Left("first", b"state", 10))
    table.receive(1, Left("second", b"state", 20))
    table.clock.advance(10 + EXPIRY_DELAY)
    assert len(table.table) == 1
    table.clock.advance(10)
    assert len(table.table) == 0
    assert table.table._timer is None
