"""Metrics of servers for Prometheus: `instrument_prometheus(io)`; needs the extra `prometheus`.

    from prometheus_client import make_asgi_app
    from socketio_core.prometheus import instrument_prometheus

    instrument_prometheus(io)
    io.mount(make_asgi_app())  # GET /metrics

`server_metrics` describes and reads the metrics.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, final

from engineio_core.counts import Histogram
from socketio_core.server import SocketServer
from socketio_core.server_metrics import METRICS, MetricInfo, Sample, ServerMetrics
from socketio_core.workers.environment import current_worker

try:
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "metrics need the Python package prometheus-client: "
        "pip install 'hextrackr-server[prometheus]'",
        name=error.name,
    ) from None

__all__ = ["current_worker", "instrument_prometheus"]

_FAMILIES: Final = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED: Final = {"le"} | {label for info in METRICS.values() for label in info.labels}


def instrument_prometheus(
    io: SocketServer,
    registry: CollectorRegistry = REGISTRY,
    *,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Add the metrics of a server to a registry of prometheus-client, before clients connect.

    `labels` are added to all metrics of this server, and distinguish several servers of one
    registry. In a worker of `python -m socketio_core --workers`, the label `worker` is added: each
    worker has a registry of its own.

    Raises RuntimeError if clients are connected, ValueError for an invalid label, for a server that
    the registry has already, and for a second server with the same labels.
    """
    if not isinstance(io, SocketServer):
        raise TypeError(f"instrument_prometheus() must receive a SocketServer, got {io!r}")
    constant = dict(labels or {})
    _check_labels(constant)
    worker = current_worker()
    if worker is not None:
        constant.setdefault("worker", str(worker))
    found = _collectors.get(registry)
    collector = None if found is None else found()
    if collector is None:
        collector = ServerCollector()
        registry.register(collector)
        _collectors[registry] = weakref.ref(collector)
    collector.add(io, constant)


@final
class ServerCollector:
    """Collector of all instrumented servers of one registry."""

    def __init__(self) -> None:
        self._servers: list[tuple[SocketServer, dict[str, str], ServerMetrics]] = []

    def add(self, io: SocketServer, labels: dict[str, str]) -> None:
        """Add a server. Raises ValueError if its samples could not be distinguished."""
        for other, taken, _ in self._servers:
            if other is io:
                raise ValueError("this server has metrics in this registry already")
            if taken == labels:
                raise ValueError(
                    f"two servers of one registry must differ in their labels, both have {labels}: "
                    'pass for example labels={"server": "chat"}'
                )
        self._servers.append((io, labels, ServerMetrics(io)))

    def describe(self) -> Iterable[Metric]:
        """Return all metrics without samples, so that the registry refuses duplicate names."""
        return [_family(info) for info in METRICS.values()]

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics with the samples of all servers."""
        yield from families(
            METRICS,
            (
                (name, {**labels, **own}, value)
                for _, labels, metrics in self._servers
                for name, own, value in metrics.samples()
            ),
        )


# Both references are weak, so that a registry without users is freed with its collectors. A
# collector refers to its server, and a server may refer to the registry, for example in a handler.
_collectors: Final[weakref.WeakKeyDictionary[CollectorRegistry, weakref.ref[ServerCollector]]] = (
    weakref.WeakKeyDictionary()
)


def _family(info: MetricInfo) -> Metric:
    family: Metric = _FAMILIES[info.kind](info.name, info.help, unit=info.unit)
    return family


def add_sample(family: Metric, labels: Mapping[str, str], value: float | Histogram) -> None:
    """Add a value with its labels to a family."""
    values = dict(labels)
    if isinstance(value, Histogram):
        numbers = list(accumulate(value.counts))
        for bound, number in zip((*map(str, value.bounds), "+Inf"), numbers, strict=True):
            family.add_sample(f"{family.name}_bucket", values | {"le": bound}, number)
        family.add_sample(f"{family.name}_count", values, numbers[-1])
        family.add_sample(f"{family.name}_sum", values, value.sum)
    else:
        suffix = "_total" if family.type == "counter" else ""
        family.add_sample(f"{family.name}{suffix}", values, value)


def families(infos: Mapping[str, MetricInfo], samples: Iterable[Sample]) -> Iterator[Metric]:
    """Yield the metrics of `infos` with their samples, in the order of `infos`."""
    found = {name: _family(info) for name, info in infos.items()}
    for name, labels, value in samples:
        add_sample(found[name], labels, value)
    yield from found.values()


def _check_labels(labels: Mapping[str, str]) -> None:
    for name in labels:
        if not _LABEL.fullmatch(name) or name in _RESERVED:
            raise ValueError(
                f"labels must have names of letters, digits and '_' that no metric of the server "
                f"has ({', '.join(sorted(_RESERVED))}), got {name!r}"
            )
