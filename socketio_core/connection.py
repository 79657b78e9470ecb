"""One Engine.IO session that carries the sockets of one client, one per namespace.

Decodes packets, passes them to their socket and enforces the protocol. `connect` decides about
CONNECT packets; the event pipeline and the dispatch run handlers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, final

from engineio_core.accounts import HANDLERS, Account
from engineio_core.errors import CloseReason
from engineio_core.session import Session
from engineio_core.session_state import SessionState
from engineio_core.timers import Timer
from socketio_core.codec.json_codec import JsonDecoder, Packet, PacketType
from socketio_core.codec.packet import Decoded
from socketio_core.codec.revision_4 import connect_reply, old_decoder, refusal_data
from socketio_core.connect import Accepted, ConnectAttempt, ConnectOutcome, Refused
from socketio_core.counts import TOO_MANY
from socketio_core.directory import NamespaceDirectory
from socketio_core.disconnect_reason import DisconnectReason
from socketio_core.errors import PacketError
from socketio_core.handlers.socket_core import SocketCore
from socketio_core.socket import Socket
from socketio_core.socket_state import SocketState

logger = logging.getLogger("socketio_core")

# A compiled module reads a Final name of its own faster than a member of an enum.
EVENT: Final = PacketType.EVENT
_ACK: Final = PacketType.ACK
_CONNECT: Final = PacketType.CONNECT
_OPEN: Final = SessionState.OPEN
LEFT: Final = SocketState.LEFT
MAX_REMEMBERED: Final = 64  # namespaces that a client has left


@final
class Connection:
    """The sockets that share one session; Node calls it a client."""

    __slots__ = ("_connecting", "_decoder", "_directory", "_dispatch", "_is_old", "_is_paused",
                 "_json", "_left", "_on_close", "_reserved", "_suspended", "_timer",
                 "_was_refused", "session", "sockets")  # fmt: skip

    def __init__(
        self,
        directory: NamespaceDirectory,
        session: Session,
        on_close: Callable[[Connection], None],
    ) -> None:
        self._directory = directory
        self._on_close = on_close
        self._dispatch = directory.dispatch
        self.session = session
        self.sockets: dict[str, Socket[Any]] = {}
        self._connecting: tuple[str, ...] = ()  # a set would take 216 bytes per client
        # Engine.IO 3 carries revision 4 of Socket.IO, Engine.IO 4 carries revision 5.
        self._is_old = session._context.protocol == 3
        parser = directory.options.parser
        self._decoder = old_decoder(parser) if self._is_old else parser.decoder()
        # The decoder again, if it is the default one: a compiled build calls it directly.
        self._json = self._decoder if isinstance(self._decoder, JsonDecoder) else None
        self._left: set[str] | None = None
        self._reserved = 0  # bytes of the missed events of connect attempts in progress
        self._suspended = 0
        self._is_paused = False
        self._timer: Timer | None = None
        self._was_refused = False
        session._on_packet = self._receive_text
        session._on_binary = self._receive_binary
        session._on_close = self._session_closed
        session._is_stranger = True
        self._start_limit(directory.options.connect_timeout)

    # -- the time limit of a client without a namespace

    def _start_limit(self, seconds: float) -> None:
        self._stop_limit()
        if self.session.state is _OPEN:
            timers = self.session._context.timers
            self._timer = timers.call_later(seconds, self._limit_reached)

    def _stop_limit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _limit_reached(self) -> None:
        self._timer = None
        logger.info("session %s closed: it joined no namespace in time", self.session.sid[:6])
        self.session.close()

    # -- incoming packets

    def _receive_text(self, message: bytes) -> None:
        """Decode a text message and run the handler of its event."""
        # hot path: benchmarks/hop_budget.py
        try:
            json = self._json
            if json is not None:
                packet = json.receive_text(message)
            else:
                packet = self._decoder.receive_text(message)
        except PacketError as error:
            self._close_for_invalid_packet(error)
            return
        if packet is None:
            self._directory.counts.other_in += 1
            return
        kind, name, data, ack_id = packet
        socket = self.sockets.get(name)
        if kind is EVENT and socket is not None:
            event: list[Any] = data
            core: SocketCore = socket  # a compiled build reads the fields of this type directly
            handler = core._direct.get(event[0])
            if handler is not None:
                self._dispatch.run(handler, core, data, ack_id)
            elif core._listeners is None:
                socket.namespace._pipeline.dispatch_event(core, data, ack_id)
            else:
                socket.namespace._pipeline.enqueue_or_dispatch(core, data, ack_id)
        else:
            self._receive_rare(packet, socket)

    def _receive_binary(self, data: bytes) -> None:
        """Decode a binary message: an attachment, or a complete packet of a binary parser."""
        # hot path of clients that use MessagePack: a call more than that of a text message
        try:
            packet = self._decoder.receive_binary(data)
        except PacketError as error:
            self._close_for_invalid_packet(error)
            return
        if packet is None:
            self._directory.counts.other_in += 1
            return
        socket = self.sockets.get(packet[1])
        if packet[0] is EVENT and socket is not None:
            self._receive_event(socket, packet[2], packet[3])
        else:
            self._receive_rare(packet, socket)

    def _receive_event(self, socket: Socket[Any], data: list[Any], ack_id: int | None) -> None:
        """Run the handler of an event."""
        handler = socket._direct.get(data[0])
        if handler is not None:
            self._dispatch.run(handler, socket, data, ack_id)
        else:
            socket.namespace._pipeline.enqueue_or_dispatch(socket, data, ack_id)

    def _receive_rare(self, packet: Decoded, socket: Socket[Any] | None) -> None:
        kind, name, data, ack_id = packet
        if kind is _ACK:
            self._directory.counts.acks_in += 1
        elif kind is not EVENT or socket is None:
            self._directory.counts.other_in += 1
        if kind is _CONNECT:
            self._connect(name, data or {})
        elif socket is None:
            # Node closes the connection. A packet that was in flight while its socket left is
            # legal.
            if self._left is None or name not in self._left:
                self._close_for_violation(f"packet for namespace {name[:64]!r} without a CONNECT")
        elif kind is _ACK:
            if ack_id is not None:
                socket._receive_ack(ack_id, data)
        elif kind is PacketType.DISCONNECT:
            self._remove(socket)
            socket._leave(DisconnectReason.CLIENT_NAMESPACE_DISCONNECT)
        else:
            self._close_for_violation("packet type that only servers may send")

    def _close_for_invalid_packet(self, error: PacketError) -> None:
        self._directory.counts.other_in += 1
        logger.warning(
            "session %s sent an invalid packet: %s", self.session.sid[:6], error,
            extra={"client": self.session.request.remote_address},
        )  # fmt: skip
        self._close_all(DisconnectReason.FORCED_CLOSE, error.description)

    def _close_for_violation(self, rule: str) -> None:
        """Close after a packet that is illegal in this state.

        Node's reason depends on the transport; this server always uses the same reason.
        """
        logger.warning(
            "session %s violated the protocol: %s", self.session.sid[:6], rule,
            extra={"client": self.session.request.remote_address},
        )  # fmt: skip
        self._close_all(DisconnectReason.FORCED_SERVER_CLOSE, rule)

    def _close_all(self, reason: str, description: str = "") -> None:
        self._leave_all(reason, description)
        self.session.close()

    def _leave_all(self, reason: str, description: str = "") -> None:
        sockets, self.sockets = self.sockets, {}
        for socket in sockets.values():
            socket._leave(reason, description)

    def _session_closed(self, reason: CloseReason, description: str) -> None:
        if self._timer is not None:
            self._stop_limit()
        self._decoder.close()
        self._leave_all(reason, description)
        self._on_close(self)

    # -- connecting to a namespace

    def connect_main(self) -> None:
        """Connect to "/" a client of an old revision, which sends no CONNECT for it."""
        self._connect("/", {})

    def _connect(self, name: str, auth: dict[str, Any]) -> None:
        if name in self.sockets or name in self._connecting:
            self._close_for_violation(f"second CONNECT to namespace {name[:64]!r}")
        elif len(self.sockets) + len(self._connecting) >= self._directory.options.max_namespaces:
            self._directory.count_connect(name, TOO_MANY)
            self._refuse(name, {"message": "too many namespaces"})
        else:
            self._connecting = (*self._connecting, name)
            ConnectAttempt(self._directory, self, name, auth, self._attempt_ended).start()

    def _attempt_ended(self, name: str, outcome: ConnectOutcome) -> None:
        if self._connecting == (name,):  # nearly always
            self._connecting = ()
        else:
            self._connecting = tuple([each for each in self._connecting if each != name])
        if isinstance(outcome, Accepted):
            self._accept(outcome)
        elif isinstance(outcome, Refused):
            try:
                self._refuse(name, outcome.body)
            except (TypeError, ValueError):
                logger.exception("the data of a ConnectError cannot be sent")
                self._refuse(name, {"message": outcome.body["message"]})

    def _accept(self, accepted: Accepted) -> None:
        namespace, socket = accepted.namespace, accepted.socket
        self._stop_limit()
        self.session._is_stranger = False
        self.sockets[namespace.name] = socket
        if self._left is not None:
            self._left.discard(namespace.name)
        # Node sends missed events before the CONNECT reply; the client keeps them until then.
        for packets in accepted.missed:
            for packet in packets:
                self.session.send(packet)
        # The missed events may exceed the client's outbox limit, which closes the session; a
        # listener of room events may close it as well. The socket has left in both cases.
        if socket._state is not LEFT:
            namespace._admit(socket)
        if self._is_old:
            self._send(connect_reply(namespace.name))
        else:
            reply = {"sid": socket.id}
            if socket.pid is not None:
                reply["pid"] = socket.pid
            self._send(Packet(_CONNECT, namespace.name, reply))
        if socket._state is not LEFT:
            socket._admit()

    def _refuse(self, name: str, body: dict[str, Any]) -> None:
        """Send a CONNECT_ERROR. Raises ValueError or TypeError for a body that cannot be sent."""
        data: Any = body
        if self._is_old:
            is_known = name in self._directory.by_name
            data = refusal_data(body, self._directory.options.parser, is_known=is_known)
        self._send(Packet(PacketType.CONNECT_ERROR, name, data))
        logger.info(
            "session %s was refused by namespace %.100r: %.200s",
            self.session.sid[:6], name, body["message"],
            extra={"client": self.session.request.remote_address},
        )  # fmt: skip
        if not (self.sockets or self._connecting or self._was_refused):
            # The client may retry, for example with a new token, but only for a limited time.
            self._was_refused = True
            options = self._directory.options
            self._start_limit(min(options.connect_timeout, options.refused_timeout))

    # -- the limit of missed events

    def reserve(self, size: int) -> bool:
        """Keep room for the missed events of a socket; return False if there is not enough.

        More bytes than the outbox of the session may hold would close it in the middle.
        """
        if not self.session._has_room(self._reserved + size):
            return False
        self._reserved += size
        return True

    def release(self, size: int) -> None:
        """Give up the room of `reserve`: the events were sent, or will not be."""
        self._reserved -= size

    # -- leaving

    def disconnect(self, socket: Socket[Any], close: bool) -> None:
        """Disconnect one socket; with `close`, all sockets and the session."""
        leaving = list(self.sockets.values()) if close else [socket]
        for each in leaving:
            if each.connected:
                if each.namespace.adapter.is_delaying:
                    each.namespace.adapter.flush(each)
                self._send(Packet(PacketType.DISCONNECT, each.namespace.name))
                self._remove(each)
                each._leave(DisconnectReason.SERVER_NAMESPACE_DISCONNECT)
        if close:
            self.session.close()

    @property
    def is_busy(self) -> bool:
        """Whether handlers of this client run, or acks of the server or the client are pending."""
        return self._suspended > 0 or any(each._awaits_acks for each in self.sockets.values())

    def shut_down(self, notify: bool) -> None:
        """Close because the server shuts down; with `notify`, send DISCONNECT packets first."""
        for socket in list(self.sockets.values()):
            if notify:
                if socket.namespace.adapter.is_delaying:
                    socket.namespace.adapter.flush(socket)
                self._send(Packet(PacketType.DISCONNECT, socket.namespace.name))
            socket._leave(DisconnectReason.SERVER_SHUTTING_DOWN)
        self.sockets.clear()
        self.session.close()

    def _remove(self, socket: Socket[Any]) -> None:
        name = socket.namespace.name
        if self.sockets.get(name) is socket:
            del self.sockets[name]
        left = self._left = self._left or set()
        if len(left) < MAX_REMEMBERED:
            left.add(name)
        if not (self.sockets or self._connecting):
            self._start_limit(self._directory.options.connect_timeout)

    def _send(self, packet: Packet) -> None:
        for encoded in self._directory.options.parser.encode(packet):
            self.session._send_control(encoded)

    # -- the limit of pending handlers

    def handler_suspended(self) -> None:
        """Count a pending handler; at `max_pending_handlers`, stop reading from the client.

        The server also stops at the limit of an account, until no handler of this client is
        pending.
        """
        self._suspended += 1
        is_enough = self._suspended >= self._directory.options.max_pending_handlers
        for account in self.session._accounts:
            account.handlers += 1
            if account.handlers > account.ledger.max_handlers and not self._is_paused:
                account.ledger.limited[HANDLERS] += 1
                is_enough = True
        if is_enough and not self._is_paused:
            self._is_paused = True
            self.session.pause_reading()

    def handler_ended(self) -> None:
        """Stop counting a pending handler; at half the limit, read from the client again."""
        self._suspended -= 1
        is_limited = False
        for account in self.session._accounts:
            account.handlers -= 1
            is_limited = is_limited or account.handlers >= account.ledger.max_handlers
            if account.handlers == 0 == account.sessions:
                account.ledger.drop(account)
        if not self._is_paused:
            return
        # Not at the limit: resuming processes all data that was received in the meantime.
        enough = self._directory.options.max_pending_handlers // 2
        if self._suspended == 0 or (self._suspended <= enough and not is_limited):
            self._is_paused = False
            self.session.resume_reading()

    def charge_to(self, account: Account) -> None:
        """Count the session and its pending handlers in one more account, that of a user."""
        if self.session._charge_to(account):
            account.handlers += self._suspended
