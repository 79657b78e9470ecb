"""The adapter of a worker process: its value of the option `adapter`."""

from __future__ import annotations

from itertools import count
from typing import Any, final

from socketio_core.adapters.cluster.adapter import ClusterAdapter
from socketio_core.adapters.cluster.table import AdapterTable
from socketio_core.adapters.interface import (
    AdapterStatus,
    ClusterNamespace,
    Encode,
    EncodeWithAck,
)
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.workers.bus import Bus, BusTransport
from socketio_core.workers.environment import WorkerEnvironment
from socketio_core.workers.recovery import WorkerRecoveryAdapter
from socketio_core.workers.sessions import Sessions
from socketio_core.workers.vector_log import VectorLog, origin_of

_servers = count()


@final
class WorkerAdapters:
    """The adapters of one server in a worker process; the processes of the server share a bus.

    The order in which an application creates its servers must be the same in all workers.
    """

    def __init__(self, environment: WorkerEnvironment, bus: Bus, sessions: Sessions) -> None:
        self._environment = environment
        self._bus = bus
        self._sessions = sessions
        self._server = next(_servers)
        self._adapters = AdapterTable()

    def create(
        self,
        namespace: ClusterNamespace,
        encode: Encode,
        encode_with_ack: EncodeWithAck,
        log: RecoveryLog | None,
    ) -> ClusterAdapter:
        """Return the adapter of a new namespace."""
        transport = BusTransport(self._bus, self._server, namespace.name)
        settings: dict[str, Any] = {
            "uid": self._bus.uid, "heartbeat_interval": None, "on_close": self._adapters.remove,
        }  # fmt: skip
        adapter: ClusterAdapter
        if log is None:
            adapter = ClusterAdapter(namespace, transport, encode, encode_with_ack, **settings)
        else:
            environment = self._environment
            vector_log = VectorLog(
                log.rules, lambda: namespace.clock, log.grace,  # no loop yet
                environment.cluster, origin_of(environment.generation),
            )  # fmt: skip
            adapter = WorkerRecoveryAdapter(
                namespace, transport, encode, encode_with_ack, vector_log, self._sessions,
                f"{self._server} {namespace.name}", **settings,
            )  # fmt: skip
        self._adapters.add(adapter)
        return adapter

    @property
    def is_synchronized(self) -> bool:
        """Whether the logs of all namespaces contain the events before the start of the worker."""
        return not self._bus.peers or all(
            adapter.is_synchronized
            for adapter in self._adapters
            if isinstance(adapter, WorkerRecoveryAdapter)
        )

    def start(self) -> None:
        """Do nothing: the worker opens the bus before it accepts connections."""

    async def close(self) -> None:
        """Do nothing: the worker closes the bus."""

    def status(self) -> AdapterStatus:
        """Return the state of the connections to the other workers."""
        bus = self._bus
        return self._adapters.complete(
            AdapterStatus(
                "workers", True, bus.since, bus.peers, bus.unsent, bus.published,
                dropped=bus.dropped,
            )
        )  # fmt: skip
