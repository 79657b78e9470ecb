"""The adapter of one namespace in a cluster: rooms in memory, and messages to the other servers.

Sends the messages of `message` over a transport; `receiver` executes those of other
servers. Delivery on this server takes place before a message is queued and does not depend on the
transport. `requests` has the bookkeeping of requests, `peers` the other servers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from socketio_core.acknowledgement import Completion
from socketio_core.adapters.cluster.message import (
    Message,
    MessageType,
    encode_message,
    target_options,
)
from socketio_core.adapters.cluster.receiver import ClusterReceiver
from socketio_core.adapters.cluster.requests import Request
from socketio_core.adapters.cluster.transport import ClusterTransport
from socketio_core.adapters.interface import (
    DONE,
    BroadcastTarget,
    ClusterNamespace,
    Encode,
    EncodeWithAck,
    RemoteAckCollector,
    RemoteMissing,
    RemoteState,
    ServerResults,
)
from socketio_core.adapters.recovery import RecoveryLog

REQUEST_TIMEOUT: Final = 5.0
HEARTBEAT_INTERVAL: Final = 5.0
HEARTBEAT_TIMEOUT: Final = 10.0
COUNT_INTERVAL: Final = 10.0


class ClusterAdapter(ClusterReceiver):
    """The rooms of one namespace on all servers of a cluster.

    `request_timeout` is how many seconds a request waits for other servers unless its caller sets
    a timeout. `heartbeat_interval` None turns heartbeats off, for transports that report the end
    of each peer.
    """

    __slots__ = ("_count_timer", "_on_closed", "last_count")

    def __init__(
        self,
        namespace: ClusterNamespace,
        transport: ClusterTransport,
        encode: Encode,
        encode_with_ack: EncodeWithAck,
        log: RecoveryLog | None = None,
        *,
        uid: str | None = None,
        request_timeout: float = REQUEST_TIMEOUT,
        heartbeat_interval: float | None = HEARTBEAT_INTERVAL,
        heartbeat_timeout: float = HEARTBEAT_TIMEOUT,
        on_close: Callable[[ClusterAdapter], None] | None = None,
    ) -> None:
        super().__init__(
            namespace, transport, encode, encode_with_ack, log, uid=uid,
            request_timeout=request_timeout, heartbeat_interval=heartbeat_interval,
            heartbeat_timeout=heartbeat_timeout,
        )  # fmt: skip
        self.last_count = 1
        """The number of servers that the broker reported last."""
        self._count_timer: Any = None
        self._on_closed = on_close
        transport.open(self)

    # -- to the other servers

    def broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event to the sockets in the target, on this server first."""
        super().broadcast(data, target)
        if not target.local:
            packet = {"type": 2, "data": data}
            self._publish(MessageType.BROADCAST, {"packet": packet, "opts": target_options(target)})

    def remote_broadcast_with_ack(
        self, data: list[Any], target: BroadcastTarget, collector: RemoteAckCollector
    ) -> None:
        """Send an event that requests acks to the sockets of other servers."""
        timeout = self._limit(collector.timeout)
        request = self._requests.open(timeout, collector.remote_acked, collector.remote_ended)
        collector.remote_started(request.finish)
        self._request(request, MessageType.BROADCAST, {
            "packet": {"type": 2, "data": data},
            "requestId": request.id,
            "opts": target_options(target, timeout),
        })  # fmt: skip

    def remote_join(self, target: BroadcastTarget, rooms: tuple[str, ...]) -> Awaitable[None]:
        """Add the sockets of other servers in the target to rooms."""
        content = {"opts": target_options(target), "rooms": list(rooms)}
        return self._publish(MessageType.SOCKETS_JOIN, content)

    def remote_leave(self, target: BroadcastTarget, rooms: tuple[str, ...]) -> Awaitable[None]:
        """Remove the sockets of other servers in the target from rooms."""
        content = {"opts": target_options(target), "rooms": list(rooms)}
        return self._publish(MessageType.SOCKETS_LEAVE, content)

    def remote_disconnect(self, target: BroadcastTarget, close: bool) -> Awaitable[None]:
        """Disconnect the sockets of other servers in the target."""
        content = {"opts": target_options(target), "close": close}
        return self._publish(MessageType.DISCONNECT_SOCKETS, content)

    def remote_sockets(
        self, target: BroadcastTarget, timeout: float | None
    ) -> Awaitable[ServerResults[RemoteState]]:
        """Return the sockets of other servers in the target that are reported in time."""
        found: list[RemoteState] = []
        completion = Completion[ServerResults[RemoteState]]()

        def end(missing: RemoteMissing) -> None:
            completion.set(ServerResults(found, missing.servers))

        request = self._requests.open(self._limit(timeout), found.extend, end)
        content = {"opts": target_options(target, timeout), "requestId": request.id}
        self._request(request, MessageType.FETCH_SOCKETS, content)
        return completion

    def server_side_emit(self, data: list[Any]) -> Awaitable[None]:
        """Send an event to the other servers. Raises as `encode_message`."""
        message = Message(
            MessageType.SERVER_SIDE_EMIT, {"packet": data}, self.uid, self._namespace.name
        )
        self._peers.sent()
        self._transport.publish(message)
        return DONE

    def server_side_emit_with_ack(
        self, data: list[Any], timeout: float | None
    ) -> Awaitable[ServerResults[Any]]:
        """Send an event to the other servers; return the answers that arrive in time."""
        encode_message(Message(0, {"packet": data}, "", ""))  # raises for an unsendable value
        answers: list[Any] = []
        completion = Completion[ServerResults[Any]]()

        def end(missing: RemoteMissing) -> None:
            completion.set(ServerResults(answers, missing.servers))

        request = self._requests.open(self._limit(timeout), answers.append, end)
        content = {"requestId": request.id, "packet": data}
        self._request(request, MessageType.SERVER_SIDE_EMIT, content)
        return completion

    def server_count(self) -> Awaitable[int]:
        """Return the number of servers; the last known one if the broker is unavailable."""
        completion = Completion[int]()
        if not self._transport.counts_servers:
            completion.set(1 + len(self._peers))
            return completion

        def counted(servers: int | None) -> None:
            self._note_count(servers)
            timer.cancel()
            completion.set(self.last_count)

        timer = self._namespace.clock.call_later(
            self._request_timeout, lambda: completion.set(self.last_count)
        )
        self._transport.count_servers(counted)
        return completion

    @property
    def namespace_name(self) -> str:
        """The name of the namespace."""
        return self._namespace.name

    @property
    def known_peers(self) -> int:
        """The number of other servers, as far as known."""
        return self.last_count - 1 if self._transport.counts_servers else len(self._peers)

    def _limit(self, timeout: float | None) -> float:
        return self._request_timeout if timeout is None else timeout

    def _request(self, request: Request, kind: int, content: dict[str, Any]) -> None:
        self._publish(kind, content)
        if self._transport.counts_servers:
            self._transport.count_servers(lambda servers: self._counted(request, servers))
        else:
            request.expect_peers(self._peers)

    def _counted(self, request: Request, servers: int | None) -> None:
        self._note_count(servers)
        if servers is None:
            request.finish()  # the broker is unavailable: return the results of this server
        else:
            request.expect_count(max(0, servers - 1))

    def _note_count(self, servers: int | None) -> None:
        if servers is not None:
            self.last_count = max(1, servers)

    # -- from the other servers (TransportListener)

    def on_connected(self) -> None:
        """Announce this server to the others, and count them."""
        if self._is_closed:
            return
        if self._transport.counts_servers:
            if self._namespace.name == "/" and self._count_timer is None:
                self._count_again()
        else:
            self._peers.start()
            self._publish(MessageType.INITIAL_HEARTBEAT, None)

    def _count_again(self) -> None:
        """Count the servers of "/" from time to time, for `known_peers`."""
        self._transport.count_servers(self._note_count)
        clock = self._namespace.clock
        self._count_timer = clock.call_later(COUNT_INTERVAL, self._count_again)

    def on_peer_left(self, uid: str) -> None:
        """Forget a server whose connection ended."""
        self._peers.remove(uid)

    def close(self) -> None:
        """Leave the cluster, end all requests, and release the rooms."""
        if not self._is_closed:
            if not self._transport.counts_servers:
                self._publish(MessageType.ADAPTER_CLOSE, None)
            self._is_closed = True
            if self._count_timer is not None:
                self._count_timer.cancel()
            self._peers.close()
            self._requests.close()
            for relay in list(self._relays):
                self._end_relay(relay)
            self._transport.close()
            if self._on_closed is not None:
                self._on_closed(self)
        super().close()
