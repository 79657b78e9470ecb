"""Equal questions have one answer, for a while."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import event

from hextrackr_server.errors import ServiceError
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.findings.statistics import MAXIMUM_ANSWERS, StatisticsService
from hextrackr_server.findings.store import VulnerabilityStore
from tests.hextrackr_server.support import FakeClock, Workbench, finding_row


class Desk:
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
def desk(workbench: Workbench) -> Desk:
    workbench.import_rows([finding_row()])
    return Desk(workbench)


async def test_all_who_ask_the_same_at_once_cost_one_query(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.findings({"vendor": "Other"}) for _ in range(20)))
    assert answers == [1] * 20
    assert desk.transactions == 1


async def test_an_answer_is_good_for_five_seconds(desk: Desk) -> None:
    await desk.findings()
    desk.clock.advance(4.9)
    await desk.findings()
    assert desk.transactions == 1
    desk.clock.advance(0.1)
    await desk.findings()
    assert desk.transactions == 2


async def test_different_questions_have_their_own_answers(desk: Desk) -> None:
    assert await desk.findings({"vendor": "CISCO"}) == 0
    assert await desk.findings() == 1


async def test_after_an_import_every_answer_is_new(desk: Desk, workbench: Workbench) -> None:
    assert await desk.findings() == 1
    workbench.import_rows([finding_row(), finding_row(host="web-2")])
    desk.service.forget()
    assert await desk.findings() == 2


async def test_one_who_leaves_does_not_take_the_answer_from_others(desk: Desk) -> None:
    impatient = asyncio.create_task(desk.findings())
    patient = asyncio.create_task(desk.findings())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == 1


async def test_an_answer_says_when_it_was_made(desk: Desk) -> None:
    assert isinstance((await desk.service.statistics())["generatedAt"], int)


async def test_a_question_with_unknown_filters_is_refused(desk: Desk) -> None:
    with pytest.raises(ServiceError):
        await desk.findings({"owner": "me"})
    assert desk.transactions == 0


async def test_the_number_of_remembered_answers_is_bounded(desk: Desk) -> None:
    for number in range(MAXIMUM_ANSWERS + 10):
        await desk.findings({"search": f"x{number}"})
    assert len(desk.service._answers) == MAXIMUM_ANSWERS
