"""The sessions of two workers, which share the table of their supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from socketio_core.workers import sessions as sessions_module
from socketio_core.workers.session_table import SessionTable
from socketio_core.workers.sessions import Sessions

KEY = "0 / pid"


class Workers:
    """Two workers; messages between them and the supervisor arrive in the next iteration."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.both = Sessions(), Sessions()
        self.table = SessionTable(
            lambda worker, message: loop.call_soon(self.both[worker].receive, message),
            asyncio.get_running_loop,
        )
        for number, each in enumerate(self.both):
            each.send = lambda message, number=number: loop.call_soon(  # type: ignore[misc]
                self.table.receive, number, message
            )

    def when_withdrawn(self, action: Callable[[], object]) -> None:
        """Let the first worker call a function when the second one requests its session."""
        self.both[0].register("0 /", lambda pid: action())


@pytest.fixture
async def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    monkeypatch.setattr(sessions_module, "TIMEOUT", 300.0)  # for a busy machine
    return Workers()


async def test_session_is_claimed_by_one_of_two_workers(workers: Workers) -> None:
    workers.both[0].left(KEY, b"state", 300.0)
    found = await asyncio.gather(*(each.find(KEY) for each in workers.both))
    assert found == [b"state", b"state"]
    claimed = await asyncio.gather(*(each.claim(KEY) for each in workers.both))
    assert claimed == [True, False]


async def test_session_is_found_when_the_attempt_of_another_worker_saves_it_later(
    workers: Workers,
) -> None:
    workers.both[0].left(KEY, b"state", 300.0)
    assert await workers.both[0].claim(KEY)
    loop = asyncio.get_running_loop()
    workers.when_withdrawn(
        lambda: loop.call_later(0.001, workers.both[0].left, KEY, b"again", 300.0)
    )
    assert await workers.both[1].find(KEY) == b"again"
    assert await workers.both[1].claim(KEY)


async def test_session_is_not_found_when_another_worker_keeps_it(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "HELD_INTERVAL", 0.0)
    requests: list[None] = []
    workers.both[0].hold(KEY, b"state", 300.0)
    workers.when_withdrawn(lambda: requests.append(None))
    assert await workers.both[1].find(KEY) is None
    assert len(requests) == sessions_module.HELD_ATTEMPTS
