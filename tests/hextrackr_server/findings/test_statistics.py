"""Tests of the statistics cache."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import event

from hextrackr_server.errors import ServiceError
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.findings.statistics import MAXIMUM_ANSWERS, StatisticsService
from hextrackr_server.findings.store import VulnerabilityStore
from tests.hextrackr_server.support import FakeClock, Workbench, finding_row


class StatisticsHarness:
    def __init__(self, bench: Workbench) -> None:
        self.clock = FakeClock()
        store = VulnerabilityStore(bench.database)
        self.service = StatisticsService(store, QueryExecutor(), self.clock.monotonic)
        self.transactions = 0
        event.listen(bench.database._engine, "begin", self._count)

    def _count(self, _: object) -> None:
        self.transactions += 1

    async def findings(self, filters: object = None) -> int:
        data = await self.service.statistics(filters)
        return int(data["totals"]["findings"])


@pytest.fixture
def harness(workbench: Workbench) -> StatisticsHarness:
    workbench.import_rows([finding_row()])
    return StatisticsHarness(workbench)


async def test_concurrent_requests_with_equal_filters_share_one_query(
    harness: StatisticsHarness,
) -> None:
    answers = await asyncio.gather(*(harness.findings({"vendor": "Other"}) for _ in range(20)))
    assert answers == [1] * 20
    assert harness.transactions == 1


async def test_answer_is_cached_for_five_seconds(harness: StatisticsHarness) -> None:
    await harness.findings()
    harness.clock.advance(4.9)
    await harness.findings()
    assert harness.transactions == 1
    harness.clock.advance(0.1)
    await harness.findings()
    assert harness.transactions == 2


async def test_answers_differ_for_different_filters(harness: StatisticsHarness) -> None:
    assert await harness.findings({"vendor": "CISCO"}) == 0
    assert await harness.findings() == 1


async def test_answers_are_recomputed_after_forget(
    harness: StatisticsHarness, workbench: Workbench
) -> None:
    assert await harness.findings() == 1
    workbench.import_rows([finding_row(), finding_row(host="web-2")])
    harness.service.forget()
    assert await harness.findings() == 2


async def test_shared_query_continues_when_one_request_is_canceled(
    harness: StatisticsHarness,
) -> None:
    impatient = asyncio.create_task(harness.findings())
    patient = asyncio.create_task(harness.findings())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == 1


async def test_answer_contains_its_generation_time(harness: StatisticsHarness) -> None:
    assert isinstance((await harness.service.statistics())["generatedAt"], int)


async def test_unknown_filters_are_refused_without_a_query(harness: StatisticsHarness) -> None:
    with pytest.raises(ServiceError):
        await harness.findings({"owner": "me"})
    assert harness.transactions == 0


async def test_cache_size_is_bounded(harness: StatisticsHarness) -> None:
    for number in range(MAXIMUM_ANSWERS + 10):
        await harness.findings({"search": f"x{number}"})
    assert len(harness.service._answers) == MAXIMUM_ANSWERS
