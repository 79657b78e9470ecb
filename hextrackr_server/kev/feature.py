"""Known exploited vulnerabilities (KEV): the catalog, its schedule and its routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from starlette.routing import BaseRoute

from hextrackr_server.feature import Context, Feature
from hextrackr_server.http.kev_routes import kev_routes
from hextrackr_server.kev.fetcher import KevFetcher
from hextrackr_server.kev.parsing_process import parse_in_process
from hextrackr_server.kev.service import KevService
from hextrackr_server.kev.store import NOTED, KevStore
from hextrackr_server.telemetry.metrics import describe
from socketio_core.server_metrics import Sample


class KevFeature(Feature):
    """Synchronizes the catalog and informs clients about exploited findings."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._service: KevService | None = None

    def register(self) -> Sequence[BaseRoute]:
        """Build the service, which sends its events through findings; return the routes."""
        context, settings, services = self.context, self.context.settings, self.context.services
        self._service = KevService(
            KevStore(context.database),
            settings.kev_file or KevFetcher(settings.kev_url, settings.kev_hosts),
            context.rooms,
            services.vulnerabilities,
            context.clock,
            interval=settings.kev_interval,
            daily=settings.kev_time,
            maximum_changes=settings.changes_per_import,
            on_changed=services.statistics.forget,
            parse=parse_in_process,
        )
        context.unannounced.add(NOTED, self._announce)
        self._add_metrics(self._service)
        return kev_routes(services.identity, self._service)

    async def _announce(self, _key: str, _value: Any) -> None:
        assert self._service is not None
        await self._service.announce_left()

    def _add_metrics(self, service: KevService) -> None:
        metrics = self.context.metrics
        metrics.gauge("kev_syncing", lambda: service.is_running, "1 during a synchronization")
        metrics.group(
            [
                describe("kev_syncs_total", "Synchronizations with the KEV catalog", ("outcome",)),
                describe(
                    "kev_last_sync_timestamp_seconds",
                    "Time of the last synchronization that did not fail, in seconds since 1970",
                ),
            ],
            lambda: _samples(service),
        )

    async def start(self) -> None:
        """Begin to synchronize on schedule."""
        assert self._service is not None
        await self._service.start()

    async def stop(self) -> None:
        """End the schedule and a running synchronization."""
        assert self._service is not None
        await self._service.stop()


def _samples(service: KevService) -> Iterator[Sample]:
    for outcome, count in service.outcomes.items():
        yield "hextrackr_kev_syncs", {"outcome": outcome}, count
    if service.last_success_ms is not None:
        yield "hextrackr_kev_last_sync_timestamp_seconds", {}, service.last_success_ms / 1000
