"""Metrics, the readiness check, and the optional log of events."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from hextrackr_server.feature import Context, Feature
from hextrackr_server.http.metrics_routes import metrics_routes
from hextrackr_server.sockets import clients, observation
from hextrackr_server.telemetry.event_log import EventLog
from hextrackr_server.telemetry.exposition import Exposition
from socketio_core.adapters.interface import AdapterFactory


class TelemetryFeature(Feature):
    """Counts and logs connections and events; serves `/ready` and the metrics."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        path, every = context.settings.event_log, context.settings.event_log_every
        now = context.clock.monotonic
        self._event_log = None if path is None else EventLog(path, now, every=every)

    def register(self) -> Sequence[BaseRoute]:
        """Observe all namespaces; add the events about clients; return the routes of operators."""
        context = self.context
        observation.register(context.io, context.metrics, self._event_log)
        clients.register(context.io, context.metrics)
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

    def _add_cluster_gauges(self, adapter: AdapterFactory) -> None:
        gauge, status = self.context.metrics.gauge, adapter.status
        gauge("cluster_connected", lambda: status().connected, "1 if connected to Redis, else 0")
        gauge("cluster_peers", lambda: status().peers, "Other servers in Redis")
        gauge("cluster_queued_bytes", lambda: status().queued_bytes, "Bytes that wait for Redis")
        gauge("cluster_sent_total", lambda: status().published, "Messages to other servers")
        gauge("cluster_received_total", lambda: status().received, "Messages of other servers")
        gauge("cluster_dropped_total", lambda: status().dropped, "Messages lost without Redis")

    async def stop(self) -> None:
        """Close the log of events."""
        if self._event_log is not None:
            self._event_log.close()
