"""Caches the statistics of open findings for dashboards.

Requests with equal filters share one query, and its result for five seconds or until an import
changes the findings. `store` computes the statistics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hextrackr_server.clock import epoch_ms
from hextrackr_server.findings.filters import Filters, parse_filters
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.findings.store import VulnerabilityStore

CACHE_SECONDS = 5.0
MAXIMUM_ANSWERS = 128


class _Answer:
    """A task that computes an answer, and the time of the request that started it."""

    __slots__ = ("asked_at", "task")

    def __init__(self, task: asyncio.Task[dict[str, Any]], asked_at: float) -> None:
        self.task = task
        self.asked_at = asked_at


class StatisticsService:
    """A cache of statistics by filters; used on the event loop's thread."""

    def __init__(
        self, store: VulnerabilityStore, executor: QueryExecutor, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._answers: dict[Filters, _Answer] = {}

    async def statistics(self, filters: Any = None, user_id: str = "") -> dict[str, Any]:
        """Return the statistics of the open findings; raise ServiceError for unknown filters."""
        parsed = parse_filters(filters)
        answer = self._answers.get(parsed)
        if answer is None or self._is_stale(answer):
            task = asyncio.create_task(self._query(parsed, user_id), name="statistics")
            answer = _Answer(task, self._clock())
            self._remember(parsed, answer)
        # Shielded, so that a canceled request does not cancel the query of other requests.
        return await asyncio.shield(answer.task)

    def forget(self) -> None:
        """Discard all answers, because the findings have changed."""
        self._answers.clear()

    async def _query(self, filters: Filters, user_id: str) -> dict[str, Any]:
        # The unfiltered statistics serve all dashboards, so they do not queue behind the
        # other queries of one user.
        owner = user_id if filters else ""
        data = await self._executor.run(owner, self._store.statistics, filters)
        return data | {"generatedAt": epoch_ms()}

    def _is_stale(self, answer: _Answer) -> bool:
        if not answer.task.done():
            return False
        failed = answer.task.cancelled() or answer.task.exception() is not None
        return failed or self._clock() - answer.asked_at >= CACHE_SECONDS

    def _remember(self, filters: Filters, answer: _Answer) -> None:
        self._answers.pop(filters, None)
        self._answers[filters] = answer
        while len(self._answers) > MAXIMUM_ANSWERS:
            del self._answers[next(iter(self._answers))]
