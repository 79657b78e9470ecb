"""The metrics of the hub for Prometheus, in the format that the client requests.

The registry contains the metrics of the hub, of its Socket.IO server, and of the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from hextrackr_server.telemetry.metrics import Metrics
from socketio_core import SocketServer
from socketio_core.prometheus import families, instrument_prometheus


class Exposition:
    """The registry of one hub. Create it before clients connect."""

    def __init__(self, metrics: Metrics, io: SocketServer) -> None:
        # Not the registry of the process, because a program may run several hubs.
        self.registry = CollectorRegistry()
        self.registry.register(_HubCollector(metrics))
        instrument_prometheus(io, self.registry)
        ProcessCollector(registry=self.registry)

    def encode(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their content type, for the value of an Accept header."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _HubCollector:
    """Collector of the metrics that features of the hub have added."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        """Return no names: features add metrics later."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics with their samples."""
        return families(self._metrics.infos, self._metrics.samples())
