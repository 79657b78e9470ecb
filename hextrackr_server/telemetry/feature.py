"""Metrics, the readiness check, and the optional traces and log of events."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

from hextrackr_server.feature import Context, Feature
from hextrackr_server.http.metrics_routes import metrics_routes
from hextrackr_server.sockets import clients, observation
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.event_log import EventLog
from hextrackr_server.telemetry.exposition import Exposition
from hextrackr_server.telemetry.tracing import (
    ImportSpans,
    create_tracer_provider,
    end_tracing,
)
from socketio_core.adapters.interface import AdapterFactory

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class TelemetryFeature(Feature):
    """Counts, traces and logs connections and events; serves `/ready` and the metrics."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        path, every = context.settings.event_log, context.settings.event_log_every
        now = context.clock.monotonic
        self._event_log = None if path is None else EventLog(path, now, every=every)
        self._provider: TracerProvider | None = None
        if context.settings.tracing:
            self._provider = create_tracer_provider(os.environ)

    def register(self) -> Sequence[BaseRoute]:
        """Observe all namespaces; add the events about clients; return the routes of operators."""
        context = self.context
        observation.register(context.io, context.metrics, self._event_log)
        clients.register(context.io, context.metrics)
        gauge = context.metrics.gauge
        gauge("log_lines_omitted_total", log_setup.omitted_lines, "Lines above the limit of a kind")
        gauge("log_lines_dropped_total", log_setup.dropped_lines, "Lines that the output refused")
        if self._provider is not None:
            self._trace(self._provider)
        if context.io.options.adapter is not None:
            self._add_cluster_gauges(context.io.options.adapter)
        return metrics_routes(
            context.metrics,
            Exposition(context.metrics, context.io),
            context.database.check,
            context.settings.metrics_token,
            is_draining=lambda: context.io.is_draining,
            dev=context.settings.dev,
        )

    def _trace(self, provider: TracerProvider) -> None:
        from socketio_core.opentelemetry import instrument_opentelemetry  # noqa: PLC0415 - an extra

        instrument_opentelemetry(self.context.io, tracer_provider=provider)
        spans = ImportSpans(provider)
        self.context.services.tracker.observers.append(spans)
        self.context.services.imports.scope = spans.scope

    def _add_cluster_gauges(self, adapter: AdapterFactory) -> None:
        gauge, status = self.context.metrics.gauge, adapter.status
        gauge("cluster_connected", lambda: status().connected, "1 if connected to Redis, else 0")
        gauge("cluster_peers", lambda: status().peers, "Other servers in Redis")
        gauge("cluster_queued_bytes", lambda: status().queued_bytes, "Bytes that wait for Redis")
        gauge("cluster_sent_total", lambda: status().published, "Messages to other servers")
        gauge("cluster_received_total", lambda: status().received, "Messages of other servers")
        gauge("cluster_dropped_total", lambda: status().dropped, "Messages lost without Redis")

    async def stop(self) -> None:
        """Export the last spans, and close the log of events."""
        if self._provider is not None:
            await asyncio.to_thread(end_tracing, self._provider)
        if self._event_log is not None:
            self._event_log.close()
