"""Queries and statistics of findings, and events about changes of findings."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.routing import BaseRoute

from hextrackr_server.feature import Context, Feature
from hextrackr_server.findings.batcher import UpdateBatcher
from hextrackr_server.findings.events import VulnerabilityEvents
from hextrackr_server.findings.export import FindingExporter
from hextrackr_server.findings.queries import QueryService
from hextrackr_server.findings.query_executor import QueryExecutor
from hextrackr_server.findings.query_store import QueryStore
from hextrackr_server.findings.statistics import StatisticsService
from hextrackr_server.findings.store import VulnerabilityStore
from hextrackr_server.http.finding_routes import finding_routes
from hextrackr_server.imports.formats.profile import load_profiles
from hextrackr_server.sockets import vulnerabilities


class FindingsFeature(Feature):
    """Answers queries of dashboards and sends changes to them."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        services = context.services
        self._executor = QueryExecutor()
        services.batcher = UpdateBatcher(context.rooms, context.clock)
        services.vulnerabilities = VulnerabilityEvents(
            context.rooms, services.batcher, context.clock
        )
        services.statistics = StatisticsService(
            VulnerabilityStore(context.database), self._executor, time.monotonic
        )

    def register(self) -> Sequence[BaseRoute]:
        """Add the events of dashboards; return the route of exports."""
        services = self.context.services
        queries = QueryService(
            QueryStore(self.context.database),
            services.imports.view,
            services.editing,
            self._executor,
            {profile.id: profile.title for profile in load_profiles().values()},
        )
        vulnerabilities.register(self.context.io, services.statistics, queries)
        exporter = FindingExporter(self.context.database, self._executor)
        return finding_routes(services.identity, exporter)

    def flush(self) -> None:
        """Send the updates that wait in batches."""
        self.context.services.batcher.close()

    async def stop(self) -> None:
        """Stop the threads of queries and the timers of batches."""
        self.context.services.batcher.close()
        self._executor.close()
