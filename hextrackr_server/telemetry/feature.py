"""Metrics, the readiness check, and the optional log of events."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from hextrackr_server.feature import Context, Feature
from hextrackr_server.http.metrics_routes import metrics_routes
from hextrackr_server.sockets import clients, observation
from hextrackr_server.telemetry.event_log import EventLog
from socketio_core.adapters.interface import AdapterFactory


class TelemetryFeature(Feature):
    """Counts and logs connections and events; serves `/ready` and the metrics."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        path = context.settings.event_log
        self._event_log = None if path is None else EventLog(path, context.clock.monotonic)

    def register(self) -> Sequence[BaseRoute]:
        """Observe all namespaces; add the events about clients; return the routes of operators."""
        context = self.context
        observation.register(context.io, context.metrics, self._event_log)
        clients.register(context.io, context.metrics)
        if context.io.options.adapter is not None:
            self._add_cluster_gauges(context.io.options.adapter)
        return metrics_routes(
            context.metrics,
            context.database.check,
            context.settings.metrics_token,
            dev=context.settings.dev,
        )

    def _add_cluster_gauges(self, adapter: AdapterFactory) -> None:
        metrics = self.context.metrics
        metrics.gauge("cluster_connected", lambda: adapter.status().connected)
        metrics.gauge("cluster_peers", lambda: adapter.status().peers)
        metrics.gauge("cluster_queued_bytes", lambda: adapter.status().queued_bytes)
        metrics.gauge("cluster_sent_total", lambda: adapter.status().published)
        metrics.gauge("cluster_received_total", lambda: adapter.status().received)
        metrics.gauge("cluster_dropped_total", lambda: adapter.status().dropped)

    async def stop(self) -> None:
        """Close the log of events."""
        if self._event_log is not None:
            self._event_log.close()
