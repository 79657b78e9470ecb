"""The common part of the Redis adapters: options, the shared connections and the status."""

from __future__ import annotations

from typing import Any, Protocol

from engineio_core.options import check_at_least
from socketio_core.adapters.cluster.adapter import REQUEST_TIMEOUT, ClusterAdapter
from socketio_core.adapters.cluster.table import AdapterTable
from socketio_core.adapters.cluster.transport import ClusterTransport
from socketio_core.adapters.interface import (
    AdapterStatus,
    ClusterNamespace,
    Encode,
    EncodeWithAck,
)
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.adapters.redis.cluster import RedisClusterLink
from socketio_core.adapters.redis.link import MAX_QUEUE_BYTES, RedisLink
from socketio_core.misuse import check_duration


class RedisTransport(ClusterTransport, Protocol):
    """A transport over Redis, which uses the rooms of its adapter."""

    def attach(self, adapter: ClusterAdapter) -> None:
        """Subscribe to the channels of the namespace; called once, after `open`."""


class RedisFactory:
    """The value of the option `adapter`: the adapters of one server over Redis or Valkey."""

    kind = "redis"

    def __init__(
        self,
        url: str = "redis://localhost:6379",
        *,
        key: str = "socket.io",
        request_timeout: float = REQUEST_TIMEOUT,
        max_queue_bytes: int = MAX_QUEUE_BYTES,
        **options: Any,
    ) -> None:
        """Set the address and the limits; nothing is connected before the server starts.

        `url` has the scheme redis, rediss, unix, valkey or valkeys. `key` is the prefix of all
        channels: all servers of a cluster must have the same `key`. `request_timeout` is how many
        seconds a request waits for other servers. Messages wait for Redis up to a size of
        `max_queue_bytes`; above it the oldest are dropped. Other keywords go to the connections of
        redis-py.

        Raises ModuleNotFoundError without the package redis.
        """
        if not key:
            raise ValueError(f"key must be the prefix of channels, got {key!r}")
        check_duration("request_timeout", request_timeout)
        check_at_least("max_queue_bytes", max_queue_bytes, 1)
        self.key = key
        self.request_timeout = request_timeout
        self.max_queue_bytes = max_queue_bytes
        self._url = url
        self._options = options
        self.link = RedisLink(
            url, options, self._connected, on_lost=self._lost, max_queue_bytes=max_queue_bytes
        )
        self.broker: RedisLink | RedisClusterLink = self.link
        self._adapters = AdapterTable()

    def make_transport(self, namespace: str, uid: str) -> RedisTransport:
        """Return the transport of one namespace."""
        raise NotImplementedError

    def make_uid(self) -> str:
        """Return a new id of one namespace of this server."""
        raise NotImplementedError

    def create(
        self,
        namespace: ClusterNamespace,
        encode: Encode,
        encode_with_ack: EncodeWithAck,
        log: RecoveryLog | None,
    ) -> ClusterAdapter:
        """Return the adapter of a new namespace.

        Raises ValueError if the adapter object belongs to another server.
        """
        self._adapters.check_unused(namespace.name)
        uid = self.make_uid()
        transport = self.make_transport(namespace.name, uid)
        adapter = ClusterAdapter(
            namespace, transport, encode, encode_with_ack, log,
            uid=uid, request_timeout=self.request_timeout, on_close=self._adapters.remove,
        )  # fmt: skip
        transport.attach(adapter)
        self._adapters.add(adapter)
        return adapter

    def start(self) -> None:
        """Connect to Redis in the background."""
        self.broker.start()

    def _connected(self) -> None:
        self._adapters.report_connected()

    def _lost(self) -> None:
        """React to the loss of the connection; the base class has nothing to do."""

    async def close(self) -> None:
        """Send the queued messages, for a second at most, and close the connections."""
        await self.broker.close()

    def status(self) -> AdapterStatus:
        """Return the state of the connection."""
        link = self.broker
        return self._adapters.complete(
            AdapterStatus(
                self.kind, link.connected, link.since, self._adapters.known_peers,
                link.queued_bytes, link.published, dropped=link.dropped, error=link.error,
            )
        )  # fmt: skip


def read_count(reply: Any) -> int | None:
    """Return the number in the reply of PUBSUB NUMSUB for one channel."""
    if isinstance(reply, list) and len(reply) == 2 and isinstance(reply[1], int):
        return reply[1]
    return None
