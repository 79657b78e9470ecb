"""Waves in which a server closes its clients, on a fake clock."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engineio_core.waves import LONGEST_DEFAULT, WAVE_SECONDS, Waves, drain_window, plan_waves
from socketio_core.testing import settle
from tests.helpers.fake_clock import FakeClock


class Closed:
    """A recorder of closed clients with the times on a fake clock."""

    def __init__(self, busy: set[int] | None = None) -> None:
        self.clock = FakeClock()
        self.busy = busy or set()
        self.began = 0.0
        self.times: dict[int, float] = {}
        self.waves = Waves(
            self.clock, self.close, lambda client: client in self.busy, Random(1).random
        )

    def close(self, client: int) -> None:
        assert client not in self.times
        self.times[client] = self.clock.time() - self.began

    async def run(self, clients: int, seconds: float) -> list[int]:
        self.began = self.clock.time()
        task = asyncio.ensure_future(self.waves.run(range(clients), seconds))
        while not task.done():
            await settle()
            self.clock.advance(0.01)
        return await task


@example(167, 217.5, 0.9999999999999998)
@given(
    st.integers(0, 5000),
    st.floats(0.001, 300),
    st.floats(0, 1, exclude_max=True),
)
def test_waves_contain_all_clients_in_the_window(clients: int, seconds: float, at: float) -> None:
    waves = plan_waves(clients, seconds, lambda: at)
    assert sum(size for _, size in waves) == clients
    assert all(size >= 1 for _, size in waves)
    assert all(0 <= time <= seconds for time, _ in waves)
    assert all(former <= later for (former, _), (later, _) in pairwise(waves))
    sizes = {size for _, size in waves}
    assert not sizes or max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("seconds", "clients", "window"),
    [(None, 0, 0), (None, 10, 0.2), (None, 10_000, LONGEST_DEFAULT), (0, 10, 0), (30, 1, 30)],
)
def test_default_window_grows_with_the_clients(
    seconds: float | None, clients: int, window: float
) -> None:
    assert drain_window(seconds, clients) == pytest.approx(window)


async def test_thousand_clients_leave_evenly_within_the_window() -> None:
    closed = Closed()
    assert await closed.run(1000, 5) == []
    assert set(closed.times) == set(range(1000))
    assert max(closed.times.values()) < 5 + WAVE_SECONDS
    per_second = [0] * 6
    for time in closed.times.values():
        per_second[int(time)] += 1
    assert all(150 <= count <= 250 for count in per_second[:5]), per_second
    order = sorted(closed.times, key=lambda client: closed.times[client])
    assert order != sorted(order), "clients that connected together leave together"


async def test_all_clients_leave_at_once_when_the_window_is_zero() -> None:
    closed = Closed(busy={1})
    assert await closed.run(3, 0) == []
    assert closed.times == {0: 0, 1: 0, 2: 0}


async def test_busy_clients_wait_for_a_later_wave() -> None:
    closed = Closed(busy={0, 1})
    closed.began = closed.clock.time()
    task = asyncio.ensure_future(closed.waves.run(range(2), 10))
    while closed.clock.time() < closed.began + 9.5:
        await settle()
        closed.clock.advance(0.1)
    assert not closed.times
    closed.busy.discard(1)
    while not task.done():
        await settle()
        closed.clock.advance(0.1)
    assert await task == [0]
    assert list(closed.times) == [1]
