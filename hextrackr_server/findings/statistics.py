"""Statistics as dashboards ask for them: often, all at once, and after every import.

Knows: how long an answer stays good, that equal questions have one answer.
Does not know: sockets; what the numbers mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hextrackr_server.clock import epoch_ms
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.findings.store import Filters, VulnerabilityStore, parse_filters

GOOD_FOR_SECONDS = 5.0
MAXIMUM_ANSWERS = 128


class _Answer:
    """One answer, or the task that will have it."""

    __slots__ = ("asked_at", "task")

    def __init__(self, task: asyncio.Task[dict[str, Any]], asked_at: float) -> None:
        self.task = task
        self.asked_at = asked_at


class StatisticsService:
    """Answers questions, with one query for all who ask the same; on the loop's thread."""

    def __init__(
        self, store: VulnerabilityStore, executor: QueryExecutor, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._answers: dict[Filters, _Answer] = {}

    async def statistics(self, filters: Any = None, user_id: str = "") -> dict[str, Any]:
        """The statistics of the open findings; ServiceError for unknown filters."""
        question = parse_filters(filters)
        answer = self._answers.get(question)
        if answer is None or self._is_stale(answer):
            task = asyncio.create_task(self._query(question, user_id), name="statistics")
            answer = _Answer(task, self._clock())
            self._remember(question, answer)
        # Shielded: one client that leaves must not take the answer from the others.
        return await asyncio.shield(answer.task)

    def forget(self) -> None:
        """The findings have changed: every answer is old."""
        self._answers.clear()

    async def _query(self, question: Filters, user_id: str) -> dict[str, Any]:
        # What all dashboards ask waits behind nobody's other questions.
        line = user_id if question else ""
        data = await self._executor.run(line, self._store.statistics, question)
        return data | {"generatedAt": epoch_ms()}

    def _is_stale(self, answer: _Answer) -> bool:
        if not answer.task.done():
            return False
        failed = answer.task.cancelled() or answer.task.exception() is not None
        return failed or self._clock() - answer.asked_at >= GOOD_FOR_SECONDS

    def _remember(self, question: Filters, answer: _Answer) -> None:
        self._answers.pop(question, None)
        self._answers[question] = answer
        while len(self._answers) > MAXIMUM_ANSWERS:
            del self._answers[next(iter(self._answers))]
