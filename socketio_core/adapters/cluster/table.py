"""The adapters of one server by namespace, with their counters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from socketio_core.adapters.cluster.adapter import ClusterAdapter
from socketio_core.adapters.interface import AdapterStatus


@final
class AdapterTable:
    """The open adapters by namespace; the counters include those of closed adapters."""

    def __init__(self) -> None:
        self._open: dict[str, ClusterAdapter] = {}
        self._received = self._unsent = self._invalid = 0

    def __iter__(self) -> Iterator[ClusterAdapter]:
        return iter(list(self._open.values()))

    def get(self, namespace: str) -> ClusterAdapter | None:
        """Return the open adapter of a namespace; None without one."""
        return self._open.get(namespace)

    def check_unused(self, namespace: str) -> None:
        """Raise ValueError if a namespace has an adapter: two servers use one adapter object."""
        if namespace in self._open:
            raise ValueError(
                "an adapter must be used by one server only: create an object for each server"
            )

    def add(self, adapter: ClusterAdapter) -> None:
        """Add the adapter of a new namespace."""
        self._open[adapter.namespace_name] = adapter

    def remove(self, adapter: ClusterAdapter) -> None:
        """Forget the adapter of a namespace that was dropped, but not its counters."""
        del self._open[adapter.namespace_name]
        self._received += adapter.received
        self._unsent += adapter.unsent
        self._invalid += adapter.invalid

    def report_connected(self) -> None:
        """Inform the adapters that the connection to the other servers is open."""
        for adapter in self:
            adapter.on_connected()

    @property
    def known_peers(self) -> int:
        """The number of other servers in the namespace "/"."""
        main = self._open.get("/")
        return 0 if main is None else main.known_peers

    def complete(self, status: AdapterStatus) -> AdapterStatus:
        """Return the status of the connection with the counters of the adapters."""
        return status._replace(
            received=self._received + sum(adapter.received for adapter in self),
            dropped=status.dropped + self._unsent + sum(adapter.unsent for adapter in self),
            invalid=status.invalid + self._invalid + sum(adapter.invalid for adapter in self),
        )
