"""Tests of the per-user concurrency limit for database queries."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.findings import query_executor
from hextrackr_server.findings.query_executor import (
    MAXIMUM_RUNNING_PER_USER,
    MAXIMUM_UNFINISHED_PER_USER,
    QueryExecutor,
)


class BlockedQueries:
    """An executor whose queries end when the test sets `may_end`."""

    def __init__(self) -> None:
        self.executor = QueryExecutor()
        self.may_end = threading.Event()
        self.begun = threading.Semaphore(0)

    def query(self) -> str:
        self.begun.release()
        assert self.may_end.wait(300)
        return "answer"

    def start(self, number: int, user_id: str = "7") -> list[asyncio.Task[str]]:
        return [asyncio.create_task(self.executor.run(user_id, self.query)) for _ in range(number)]

    async def wait_until_begun(self, number: int) -> None:
        for _ in range(number):
            assert await asyncio.to_thread(self.begun.acquire, timeout=300)


@pytest.fixture
def blocked() -> Iterator[BlockedQueries]:
    blocked = BlockedQueries()
    yield blocked
    blocked.may_end.set()
    blocked.executor.close()


async def test_queries_of_another_user_run_when_one_user_has_many(blocked: BlockedQueries) -> None:
    many = blocked.start(20)
    await blocked.wait_until_begun(MAXIMUM_RUNNING_PER_USER)
    assert await blocked.executor.run("8", lambda: "at once") == "at once"
    assert not blocked.begun.acquire(blocking=False)
    blocked.may_end.set()
    assert await asyncio.gather(*many) == ["answer"] * 20


async def test_query_is_refused_when_its_user_has_too_many(blocked: BlockedQueries) -> None:
    many = blocked.start(MAXIMUM_UNFINISHED_PER_USER)
    await blocked.wait_until_begun(MAXIMUM_RUNNING_PER_USER)
    with pytest.raises(ServiceError) as refusal:
        await blocked.executor.run("7", blocked.query)
    assert refusal.value.code is ErrorCode.RATE_LIMITED
    blocked.may_end.set()
    await asyncio.gather(*many)
    assert await blocked.executor.run("7", blocked.query) == "answer"
    assert not blocked.executor._queues


async def test_canceled_query_keeps_its_slot_until_its_thread_is_free(
    blocked: BlockedQueries,
) -> None:
    canceled = blocked.start(MAXIMUM_RUNNING_PER_USER)
    await blocked.wait_until_begun(MAXIMUM_RUNNING_PER_USER)
    for task in canceled:
        task.cancel()
    (queued,) = blocked.start(1)
    await asyncio.wait(canceled)
    assert not blocked.begun.acquire(blocking=False)
    blocked.may_end.set()
    assert await queued == "answer"


async def test_queued_query_times_out_when_it_does_not_start(
    blocked: BlockedQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = blocked.start(MAXIMUM_RUNNING_PER_USER)
    await blocked.wait_until_begun(MAXIMUM_RUNNING_PER_USER)
    monkeypatch.setattr(query_executor, "WAIT_SECONDS", 0.0)
    with pytest.raises(ServiceError) as refusal:
        await blocked.executor.run("7", blocked.query)
    assert refusal.value.code is ErrorCode.TIMEOUT
    blocked.may_end.set()
    await asyncio.gather(*running)


async def test_exception_of_a_query_reaches_its_caller(blocked: BlockedQueries) -> None:
    with pytest.raises(ZeroDivisionError):
        await blocked.executor.run("7", lambda: 1 / 0)
    assert not blocked.executor._queues
