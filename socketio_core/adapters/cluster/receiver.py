"""The receiving half of the adapter in a cluster: executes the messages of the other servers.

`cluster` adds the messages of this server. Values of other servers are checked before use; a
message that cannot be used is counted, and each kind is logged once.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from socketio_core.adapters.cluster.message import (
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
)
from socketio_core.adapters.cluster.peers import Peers
from socketio_core.adapters.cluster.requests import Requests
from socketio_core.adapters.cluster.transport import ClusterTransport
from socketio_core.adapters.interface import (
    DONE,
    ClusterNamespace,
    ClusterSocket,
    Encode,
    EncodeWithAck,
    RemoteState,
)
from socketio_core.adapters.memory import MemoryAdapter
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.misuse import EMITTED

logger = logging.getLogger("socketio_core")

MAX_CLIENTS: Final = 10_000_000
"""The largest number of clients that another server may report."""


class ClusterReceiver(MemoryAdapter):
    """The rooms of one namespace on this server, which other servers use by messages."""

    __slots__ = ("_handlers", "_is_closed", "_kinds_logged", "_namespace", "_peers", "_relays",
                 "_request_timeout", "_requests", "_transport", "invalid", "received", "uid",
                 "unsent")  # fmt: skip

    def __init__(
        self,
        namespace: ClusterNamespace,
        transport: ClusterTransport,
        encode: Encode,
        encode_with_ack: EncodeWithAck,
        log: RecoveryLog | None,
        *,
        uid: str | None,
        request_timeout: float,
        heartbeat_interval: float | None,
        heartbeat_timeout: float,
    ) -> None:
        super().__init__(encode, encode_with_ack, log)
        self.uid = secrets.token_hex(8) if uid is None else uid
        self.received = 0
        self.invalid = 0
        self.unsent = 0
        """The number of messages that were not sent because of a value in them."""
        self._namespace = namespace
        self._transport = transport
        self._request_timeout = request_timeout
        self._is_closed = False
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

    # -- sending

    def _publish(self, kind: int, content: dict[str, Any] | None) -> Awaitable[None]:
        self._peers.sent()
        try:
            self._transport.publish(Message(kind, content, self.uid, self._namespace.name))
        except (TypeError, ValueError) as error:
            self._could_not_send(error)
        return DONE

    def _respond(self, uid: str, kind: int, content: dict[str, Any]) -> None:
        message = Message(kind, content, self.uid, self._namespace.name)
        self._peers.sent()
        self._transport.publish_response(uid, message)

    def _could_not_send(self, error: Exception) -> None:
        self.unsent += 1
        self._log_once(f"unsent {type(error).__name__}", "a message to other servers", error)

    def _beat(self) -> None:
        self._publish(MessageType.HEARTBEAT, None)

    # -- from the transport (TransportListener)

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
        read_data = self._namespace._fetched_data
        sockets = [describe_socket(socket, read_data) for socket in self._matching(data)]
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
