"""Timers that share one timer of the event loop, compared with the timers of the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_core.timers import SPARE, TimerQueue
from tests.helpers.fake_clock import FakeClock


class Stage:
    """A queue, and the names of its timers that have run with their times."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.began = self.clock.time()
        self.queue = TimerQueue(self.clock)
        self.ran: list[tuple[str, float]] = []

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.ran.append((name, self.clock.time() - self.began))


def test_timers_run_in_the_order_of_their_times() -> None:
    stage = Stage()
    for name, delay in (("c", 3), ("a", 1), ("b", 2), ("a2", 1)):
        stage.queue.call_later(delay, stage.note(name))
    stage.clock.advance(2)
    assert stage.ran == [("a", 1), ("a2", 1), ("b", 2)]
    stage.clock.advance(1)
    assert stage.ran[3:] == [("c", 3)]


def test_many_timers_use_one_timer_of_the_clock() -> None:
    stage = Stage()
    timers = [stage.queue.call_later(10 + number, stage.note("")) for number in range(100)]
    assert stage.clock.pending == 1
    for timer in timers:
        timer.cancel()
    assert (stage.clock.pending, stage.queue.active) == (0, 0)
    stage.clock.advance(200)
    assert stage.ran == []


def test_canceled_timers_do_not_stay_in_memory() -> None:
    stage = Stage()
    stage.queue.call_later(45, stage.note("stays"))
    for _ in range(10 * SPARE):
        stage.queue.call_later(45, stage.note("")).cancel()
    assert len(stage.queue._heap) <= SPARE + 2
    stage.clock.advance(45)
    assert stage.ran == [("stays", 45)]


def test_cancel_has_no_effect_when_the_timer_has_run() -> None:
    stage = Stage()
    first = stage.queue.call_later(1, stage.note("first"))
    stage.queue.call_later(2, stage.note("second"))
    stage.clock.advance(1)
    first.cancel()
    first.cancel()
    assert stage.queue.active == 1
    stage.clock.advance(1)
    assert stage.ran == [("first", 1), ("second", 2)]


def test_timer_can_cancel_and_start_others() -> None:
    stage = Stage()
    canceled = stage.queue.call_later(1, stage.note("canceled"))

    def run() -> None:
        canceled.cancel()
        stage.queue.call_later(0, stage.note("now"))
        stage.queue.call_later(1, stage.note("later"))

    stage.queue.call_at(stage.began + 0.5, run)
    stage.clock.advance(2)
    assert stage.ran == [("now", 0.5), ("later", 1.5)]


def test_exception_reaches_the_event_loop_and_loses_no_timer() -> None:
    stage = Stage()

    def fail() -> None:
        raise RuntimeError("a defect")

    stage.queue.call_later(1, fail)
    stage.queue.call_later(1, stage.note("other"))
    with pytest.raises(RuntimeError, match="a defect"):
        stage.clock.advance(1)
    stage.clock.advance(0)
    assert stage.ran == [("other", 1)]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("start"), st.integers(0, 5)),
            st.tuples(st.just("cancel"), st.integers(0, 30)),
            st.tuples(st.just("advance"), st.integers(0, 3)),
        ),
        max_size=40,
    )
)
def test_queue_runs_the_same_timers_as_the_clock(steps: list[tuple[str, int]]) -> None:
    stage = Stage()
    plain = FakeClock()
    expected: list[tuple[str, float]] = []
    pairs: list[tuple[Any, Any]] = []
    for kind, number in steps:
        if kind == "start":
            name = str(len(pairs))
            pairs.append(
                (
                    stage.queue.call_later(number, stage.note(name)),
                    plain.call_later(
                        number, lambda name=name: expected.append((name, plain.time() - 1000))
                    ),
                )
            )
        elif kind == "cancel" and pairs:
            for timer in pairs[number % len(pairs)]:
                timer.cancel()
        elif kind == "advance":
            stage.clock.advance(number)
            plain.advance(number)
    stage.clock.advance(10)
    plain.advance(10)
    assert stage.ran == expected
    assert stage.queue.active == 0
