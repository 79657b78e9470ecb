"""Deletion of history and imports that the settings do not keep."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from starlette.routing import BaseRoute

from hextrackr_server.feature import Context, Feature
from hextrackr_server.retention.rules import RetentionRules
from hextrackr_server.retention.service import RetentionService
from hextrackr_server.retention.store import KINDS, RetentionStore


class RetentionFeature(Feature):
    """Deletes expired rows in the background, and counts them."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        store = RetentionStore(context.database, RetentionRules.of(context.settings))
        self._service = RetentionService(store, context.clock)

    def register(self) -> Sequence[BaseRoute]:
        """Add the counters of deleted rows."""
        service, metrics = self._service, self.context.metrics
        for kind in KINDS:
            read = partial(service.deleted.__getitem__, kind)
            metrics.gauge(
                f"retention_{kind}_deleted_total",
                read,
                f"Deleted by retention: {kind}",
            )
        metrics.gauge("retention_runs_total", lambda: service.runs, "Runs of retention")
        return ()

    async def start(self) -> None:
        """Schedule the first run, a minute from now."""
        self._service.start()

    async def stop(self) -> None:
        """End the schedule and its thread."""
        await self._service.stop()
