"""The lag of the event loop of gateways: its measurement, and its way to the origin."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engineio_core.relay import loop_lag
from engineio_core.relay.loop_lag import LAG_INTERVAL, LoopLag
from socketio_core import SocketServer
from tests.engineio_core.relay.support import relayed
from tests.helpers.fake_clock import FakeClock


class BlockedClock(FakeClock):
    """A clock whose timers run late by `blocked` seconds."""

    blocked = 0.0

    def time(self) -> float:
        return super().time() + self.blocked


def test_delay_of_each_timer_is_reported_until_the_stop() -> None:
    clock = BlockedClock()
    delays: list[float] = []
    lag = LoopLag(clock, delays.append)
    clock.advance(LAG_INTERVAL)
    assert delays == [0.0]
    clock.blocked = 0.25
    clock.advance(LAG_INTERVAL)
    assert delays == [0.0, 0.25]
    lag.stop()
    clock.advance(10 * LAG_INTERVAL)
    assert len(delays) == 2


async def test_origin_receives_the_delays_of_gateways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_lag, "LAG_INTERVAL", 0.001)
    received: asyncio.Queue[float] = asyncio.Queue()
    async with relayed(SocketServer(), tmp_path, on_lag=received.put_nowait) as server:
        async with asyncio.timeout(60):
            delays = [await received.get() for _ in range(10)]
        assert min(delays) >= 0.0
        await server.stop_origin()
        while not received.empty():
            received.get_nowait()
        assert all(gateway._lag is None for gateway in server.gateways)
