"""The adapter of one namespace in a cluster: rooms in memory, and messages to the other servers.

Sends and executes the messages of `cluster_message` over a transport. Delivery on this server takes
place before a message is queued and does not depend on the transport. `cluster_requests` has the
bookkeeping of requests, `cluster_peers` the other servers.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from socketio_core.acknowledgement import Completion
from socketio_core.adapters.cluster_message import (
    EMITTER_UID,
    Message,
    MessageError,
    MessageType,
    describe_socket,
    encode_message,
    read_event,
    read_rooms,
    read_server_event,
    read_sockets,
    read_target,
    read_timeout,
    target_options,
)
from socketio_core.adapters.cluster_peers import Peers
from socketio_core.adapters.cluster_requests import Request, Requests
from socketio_core.adapters.cluster_transport import ClusterTransport
from socketio_core.adapters.interface import (
    DONE,
    BroadcastTarget,
    ClusterNamespace,
    ClusterSocket,
    Encode,
    EncodeWithAck,
    RemoteAckCollector,
    RemoteMissing,
    RemoteState,
    ServerResults,
)
from socketio_core.adapters.memory import MemoryAdapter
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.misuse import EMITTED

logger = logging.getLogger("socketio_core")

REQUEST_TIMEOUT: Final = 5.0
HEARTBEAT_INTERVAL: Final = 5.0
HEARTBEAT_TIMEOUT: Final = 10.0
COUNT_INTERVAL: Final = 10.0
MAX_CLIENTS: Final = 10_000_000
"""The largest number of clients that another server may report."""


class ClusterAdapter(MemoryAdapter):
    """The rooms of one namespace on all servers of a cluster.

    `request_timeout` is how many seconds a request waits for other servers unless its caller sets
    a timeout. `heartbeat_interval` None turns heartbeats off, for transports that report the end
    of each peer.
    """

    __slots__ = ("_count_timer", "_handlers", "_is_closed", "_kinds_logged", "_namespace",
                 "_on_closed", "_peers", "_relays", "_request_timeout", "_requests", "_transport",
                 "invalid", "last_count", "received", "uid", "unsent")  # fmt: skip

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
        super().__init__(encode, encode_with_ack, log)
        self.uid = secrets.token_hex(8) if uid is None else uid
        self.received = 0
        self.invalid = 0
        self.unsent = 0
        """The number of messages that were not sent because of a value in them."""
        self.last_count = 1
        """The number of servers that the broker reported last."""
        self._namespace = namespace
        self._transport = transport
        self._request_timeout = request_timeout
        self._is_closed = False
        self._count_timer: Any = None
        self._on_closed = on_close
        self._kinds_logged: set[str] = set()
        self._requests = Requests(lambda: namespace.clock)
        self._relays: set[AckRelay] = set()
        interval = None if transport.counts_servers else heartbeat_interval
        self._peers = Peers(
            lambda: namespace.clock, interval, heartbeat_timeout, self._beat,
            self._requests.peer_left,
        )  # fmt: skip
        self._handlers: dict[int, Callable[[str, dict[str, Any]], None]] = {
            MessageType.INITIAL_HEARTBEAT: self._on_initial_heartbeat,
            MessageType.HEARTBEAT: _ignore,
            MessageType.BROADCAST: self._on_broadcast,
            MessageType.SOCKETS_JOIN: self._on_join,
            MessageType.SOCKETS_LEAVE: self._on_leave,
            MessageType.DISCONNECT_SOCKETS: self._on_disconnect,
            MessageType.FETCH_SOCKETS: self._on_fetch,
            MessageType.FETCH_SOCKETS_RESPONSE: self._on_fetch_response,
            MessageType.SERVER_SIDE_EMIT: self._on_server_event,
            MessageType.SERVER_SIDE_EMIT_RESPONSE: self._on_server_response,
            MessageType.BROADCAST_CLIENT_COUNT: self._on_client_count,
            MessageType.BROADCAST_ACK: self._on_ack,
            MessageType.ADAPTER_CLOSE: self._on_close,
        }
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

    def _publish(self, kind: MessageType, content: dict[str, Any] | None) -> Awaitable[None]:
        self._peers.sent()
        try:
            self._transport.publish(Message(kind, content, self.uid, self._namespace.name))
        except (TypeError, ValueError) as error:
            self._could_not_send(error)
        return DONE

    def _request(self, request: Request, kind: MessageType, content: dict[str, Any]) -> None:
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

    def _respond(self, uid: str, kind: MessageType, content: dict[str, Any]) -> None:
        message = Message(kind, content, self.uid, self._namespace.name)
        self._peers.sent()
        self._transport.publish_response(uid, message)

    def _could_not_send(self, error: Exception) -> None:
        self.unsent += 1
        self._log_once(f"unsent {type(error).__name__}", "a message to other servers", error)

    def _beat(self) -> None:
        self._publish(MessageType.HEARTBEAT, None)

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

    def on_invalid(self, error: Exception) -> None:
        """Count a payload that cannot be used; log each kind once."""
        self.invalid += 1
        self._log_once(str(error)[:100], "a message of another server", error)

    def on_message(self, message: Message) -> None:
        """Execute a message of another server."""
        kind, data, uid, namespace = message
        if namespace != self._namespace.name or uid == self.uid or self._is_closed:
            return
        self.received += 1
        if uid not in ("", EMITTER_UID) and not self._transport.counts_servers:
            self._peers.saw(uid)
        handler = self._handlers.get(kind)
        if handler is None:
            return  # a type of a later version
        try:
            handler(uid, data or {})
        except Exception as error:  # the sender must not be able to stop the receiver
            self.on_invalid(error)

    def _log_once(self, kind: str, subject: str, error: Exception) -> None:
        if kind not in self._kinds_logged and len(self._kinds_logged) < 100:
            self._kinds_logged.add(kind)
            trace = None if isinstance(error, MessageError) else error
            logger.warning(
                "%s in namespace %s cannot be used: %s (further ones are only counted)",
                subject, self._namespace.name, error, exc_info=trace,
            )  # fmt: skip

    def _on_initial_heartbeat(self, uid: str, data: dict[str, Any]) -> None:
        self._beat()

    def _on_close(self, uid: str, data: dict[str, Any]) -> None:
        self._peers.remove(uid)

    def _on_broadcast(self, uid: str, data: dict[str, Any]) -> None:
        event = read_event(data.get("packet"))
        options = data.get("opts")
        target = read_target(options)
        request_id = data.get("requestId")
        if request_id is None:
            super().broadcast(event, target)
            return
        relay = AckRelay(self._respond_ack, uid, request_id)
        asked = super().broadcast_with_ack(event, target, relay)
        count = {"requestId": request_id, "clientCount": len(asked)}
        self._respond(uid, MessageType.BROADCAST_CLIENT_COUNT, count)
        if asked:
            timeout = read_timeout(options, self._request_timeout)
            relay.sockets = asked
            relay.timer = self._namespace.clock.call_later(timeout, self._end_relay, relay)
            self._relays.add(relay)

    def _respond_ack(self, relay: AckRelay, data: list[Any]) -> None:
        content = {"requestId": relay.request_id}
        if data:
            content["packet"] = data[0]  # the key is absent for an ack without arguments
        try:
            self._respond(relay.uid, MessageType.BROADCAST_ACK, content)
        except (TypeError, ValueError) as error:
            self._could_not_send(error)

    def _end_relay(self, relay: AckRelay) -> None:
        self._relays.discard(relay)
        relay.timer.cancel()
        for socket_id in relay.sockets:
            socket = self._namespace.sockets.get(socket_id)
            if socket is not None:
                socket._forget_ack(relay)

    def _matching(self, data: dict[str, Any]) -> list[ClusterSocket]:
        target = read_target(data.get("opts"))
        found = (self._namespace.sockets.get(each) for each in self.sockets(target))
        return [socket for socket in found if socket is not None]

    def _on_join(self, uid: str, data: dict[str, Any]) -> None:
        rooms = read_rooms(data.get("rooms"))
        for socket in self._matching(data):
            socket.join(*rooms)

    def _on_leave(self, uid: str, data: dict[str, Any]) -> None:
        rooms = read_rooms(data.get("rooms"))
        for socket in self._matching(data):
            socket.leave(*rooms)

    def _on_disconnect(self, uid: str, data: dict[str, Any]) -> None:
        for socket in self._matching(data):
            socket.disconnect(data.get("close") is True)

    def _on_fetch(self, uid: str, data: dict[str, Any]) -> None:
        kind = MessageType.FETCH_SOCKETS_RESPONSE
        request_id = data.get("requestId")
        sockets = [describe_socket(socket) for socket in self._matching(data)]
        try:
            self._respond(uid, kind, {"requestId": request_id, "sockets": sockets})
        except (TypeError, ValueError) as error:
            self._could_not_send(error)
            sockets = [self._sendable(socket) for socket in sockets]
            self._respond(uid, kind, {"requestId": request_id, "sockets": sockets})

    def _sendable(self, socket: dict[str, Any]) -> dict[str, Any]:
        """Return a socket without its `data` if that cannot be sent: the others must arrive."""
        try:
            encode_message(Message(0, socket, "", ""))
        except (TypeError, ValueError):
            return socket | {"data": {}}
        return socket

    def _on_fetch_response(self, uid: str, data: dict[str, Any]) -> None:
        request = self._requests.find(data.get("requestId"))
        if request is not None:
            sockets = [RemoteState(*fields) for fields in read_sockets(data.get("sockets"))]
            request.answer(uid, sockets)

    def _on_server_event(self, uid: str, data: dict[str, Any]) -> None:
        event = read_server_event(data.get("packet"))
        request_id = data.get("requestId")
        if request_id is None:
            self._namespace._receive_server_event(event)
            return

        def answer(result: Any) -> None:
            if isinstance(result, tuple):
                result = result[0] if result else None
            content = {"requestId": request_id}
            if result is not None and result is not EMITTED:
                content["packet"] = result
            try:
                self._respond(uid, MessageType.SERVER_SIDE_EMIT_RESPONSE, content)
            except (TypeError, ValueError) as error:
                self._could_not_send(error)
                empty = {"requestId": request_id}
                self._respond(uid, MessageType.SERVER_SIDE_EMIT_RESPONSE, empty)

        self._namespace._receive_server_event(event, answer)

    def _on_server_response(self, uid: str, data: dict[str, Any]) -> None:
        request = self._requests.find(data.get("requestId"))
        if request is not None:
            request.answer(uid, data.get("packet"))

    def _on_client_count(self, uid: str, data: dict[str, Any]) -> None:
        request = self._requests.find(data.get("requestId"))
        if request is not None:
            clients = data.get("clientCount")
            if type(clients) is not int or not 0 <= clients <= MAX_CLIENTS:
                raise MessageError("clientCount must be a number of clients")
            request.count_clients(uid, clients)

    def _on_ack(self, uid: str, data: dict[str, Any]) -> None:
        request = self._requests.find(data.get("requestId"))
        if request is not None:
            request.ack(uid, data.get("packet"))

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


class AckRelay:
    """The acks of clients of this server to a broadcast of another server."""

    __slots__ = ("_respond", "request_id", "sockets", "timer", "uid")

    def __init__(
        self, respond: Callable[[AckRelay, list[Any]], None], uid: str, request_id: str
    ) -> None:
        self._respond = respond
        self.uid = uid
        self.request_id = request_id
        self.sockets: list[str] = []
        self.timer: Any = None

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Send the ack of one socket to the server that requested it."""
        self._respond(self, data)

    def left(self, socket_id: str) -> None:
        """Do nothing: the protocol has no message for a client that left."""


def _ignore(uid: str, data: dict[str, Any]) -> None:
    """Do nothing: the sender is already counted as alive."""
