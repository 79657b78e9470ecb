"""A cluster of servers in one process, without a broker, for tests.

    cluster = InProcessCluster()
    first, second = SocketServer(adapter=cluster.join()), SocketServer(adapter=cluster.join())

All messages pass through the codec, in the order in which they were sent.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, final

from socketio_core.adapters.cluster.adapter import ClusterAdapter
from socketio_core.adapters.cluster.message import (
    Message,
    MessageError,
    decode_message,
    encode_message,
)
from socketio_core.adapters.cluster.table import AdapterTable
from socketio_core.adapters.cluster.transport import TransportListener
from socketio_core.adapters.interface import (
    AdapterStatus,
    ClusterNamespace,
    Encode,
    EncodeWithAck,
)
from socketio_core.adapters.recovery import RecoveryLog


@final
class InProcessCluster:
    """The broker: a queue of messages that `deliver` passes on.

    With `automatic`, the clock of the sender calls `deliver` soon after each message.
    """

    def __init__(self, *, automatic: bool = True) -> None:
        self._automatic = automatic
        self._transports: list[InProcessTransport] = []
        self.queue: deque[tuple[InProcessTransport, str | None, bytes]] = deque()
        """Messages on their way: the sender, the only receiver or None for all, the payload."""

    def join(self, **settings: Any) -> InProcessFactory:
        """Return the value of the option `adapter` for one more server.

        `settings` are durations in seconds, as those of `Postgres`: `request_timeout`,
        `heartbeat_interval` and `heartbeat_timeout`.
        """
        return InProcessFactory(self, settings)

    def deliver(self, count: int | None = None) -> None:
        """Deliver the queued messages, or the first `count` of them."""
        while self.queue and count != 0:
            sender, uid, payload = self.queue.popleft()
            for transport in list(self._transports):
                if transport is not sender and (uid is None or transport.uid == uid):
                    transport.receive(payload)
            count = None if count is None else count - 1

    def _send(self, sender: InProcessTransport, uid: str | None, payload: bytes) -> None:
        self.queue.append((sender, uid, payload))
        if self._automatic:
            sender.call_soon(self.deliver, 1)


@final
class InProcessFactory:
    """The adapters of one server in an `InProcessCluster`.

    `disconnect` cuts the connection of the server; what it sends meanwhile is lost.
    """

    def __init__(self, cluster: InProcessCluster, settings: dict[str, Any]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._connected = False
        self._since = time.time()
        self._dropped = 0
        self._published = 0
        self._adapters = AdapterTable()

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
        transport = InProcessTransport(self, namespace)
        adapter = ClusterAdapter(
            namespace, transport, encode, encode_with_ack, log,
            on_close=self._adapters.remove, **self._settings,
        )  # fmt: skip
        self._adapters.add(adapter)
        self._cluster._transports.append(transport)
        if self._connected:
            adapter.on_connected()
        return adapter

    def start(self) -> None:
        """Connect the server to the cluster."""
        self.reconnect()

    def reconnect(self) -> None:
        """Connect the server again after `disconnect`."""
        self._connected = True
        self._since = time.time()
        self._adapters.report_connected()

    def disconnect(self) -> None:
        """Cut the connection: no message is sent or received until `reconnect`."""
        self._connected = False
        self._since = time.time()

    async def close(self) -> None:
        """Disconnect at the end of the server."""
        self.disconnect()

    def status(self) -> AdapterStatus:
        """Return the state of the connection."""
        return self._adapters.complete(
            AdapterStatus(
                "in-process", self._connected, self._since, self._adapters.known_peers,
                published=self._published, dropped=self._dropped,
            )
        )  # fmt: skip


@final
class InProcessTransport:
    """The connection of one namespace of one server."""

    counts_servers = False

    def __init__(self, factory: InProcessFactory, namespace: ClusterNamespace) -> None:
        self._factory = factory
        self._namespace = namespace
        self._listener: TransportListener | None = None
        self.uid = ""

    def open(self, listener: TransportListener) -> None:
        """Deliver messages to the listener."""
        self._listener = listener

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Schedule a callback by the clock of the server."""
        self._namespace.clock.call_soon(callback, *args)

    def publish(self, message: Message) -> None:
        """Send a message to all other servers."""
        self._send(None, message)

    def publish_response(self, requester_uid: str, message: Message) -> None:
        """Send a message to one server."""
        self._send(requester_uid, message)

    def _send(self, uid: str | None, message: Message) -> None:
        self.uid = message.uid
        payload = encode_message(message)
        if self._factory._connected:
            self._factory._published += 1
            self._factory._cluster._send(self, uid, payload)
        else:
            self._factory._dropped += 1

    def receive(self, payload: bytes) -> None:
        """Pass a payload of another server on."""
        listener = self._listener
        if listener is None or not self._factory._connected:
            return
        try:
            listener.on_message(decode_message(payload))
        except MessageError as error:
            listener.on_invalid(error)

    def count_servers(self, on_count: Callable[[int | None], None]) -> None:
        """Report that the number is unknown: the adapter tracks the servers by heartbeats."""
        on_count(None)

    def close(self) -> None:
        """Leave the cluster: no further message arrives."""
        self._listener = None
        self._factory._cluster._transports.remove(self)
