"""One Engine.IO session carrying the sockets of one client, one in each namespace it joined.

Knows: packets, which socket they are for, joining and leaving, what a client may not do.
Does not know: handlers, rooms, transports.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from engineio_core.errors import CloseReason
from engineio_core.session import Session
from engineio_core.session_state import SessionState
from socketio_core.codec.json_codec import Packet, PacketType
from socketio_core.codec.packet import Decoded
from socketio_core.connect import Joining
from socketio_core.errors import PacketError
from socketio_core.handlers.pipeline import receive, take

if TYPE_CHECKING:
    from engineio_core.codec.encoded_packet import EncodedPacket
    from socketio_core.namespace import Namespace
    from socketio_core.server import SocketServer
    from socketio_core.socket import Socket

logger = logging.getLogger("socketio_core")

EVENT: Final = PacketType.EVENT
MAX_REMEMBERED: Final = 64  # namespaces that a client has left


class Connection:
    """What Node calls a client: the sockets that share one session."""

    __slots__ = ("_decoder", "_is_paused", "_left", "_run_handler", "_server", "_suspended",
                 "_timer", "_was_refused", "joining", "session", "sockets")  # fmt: skip

    def __init__(self, server: SocketServer, session: Session) -> None:
        self._server = server
        self._run_handler = server.run_handler
        self.session = session
        self.sockets: dict[str, Socket] = {}
        self.joining: set[str] = set()
        self._decoder = server.socket_options.parser.decoder()
        self._left: set[str] | None = None
        self._suspended = 0
        self._is_paused = False
        self._timer: Any = None
        self._was_refused = False
        session.on_packet = self.receive_text
        session.on_binary = self.receive_binary
        session.on_close = self._session_closed
        self._limit_idling(server.socket_options.connect_timeout)

    # -- a client that is in no namespace has a limited time

    def _limit_idling(self, seconds: float) -> None:
        self._stop_limit()
        if self.session.state is SessionState.OPEN:
            self._timer = self._server.clock.call_later(seconds, self._nothing_joined)

    def _stop_limit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _nothing_joined(self) -> None:
        self._timer = None
        logger.info("session %s is in no namespace", self.session.sid[:6])
        self.session.close()

    # -- packets come in: called by the session

    def receive_text(self, message: bytes) -> None:
        """Take a message, as the session got it."""
        # hot path: benchmarks/hop_budget.py
        try:
            packet = self._decoder.receive_text(message)
        except PacketError as error:
            self._broken(error)
            return
        if packet is None:
            return
        kind, name, data, ack_id = packet
        socket = self.sockets.get(name)
        if kind is EVENT and socket is not None:
            handler = socket.direct.get(data[0])
            if handler is not None:
                run_handler = self._run_handler
                run_handler(handler, socket, data, ack_id)
            elif socket.extras is None:
                take(socket, data, ack_id)
            else:
                receive(socket, data, ack_id)
        else:
            self._receive_rare(packet, socket)

    def receive_binary(self, data: bytes) -> None:
        """Take a binary message: an attachment, or a packet in itself."""
        try:
            packet = self._decoder.receive_binary(data)
        except PacketError as error:
            self._broken(error)
            return
        if packet is not None:
            self._receive_rare(packet, self.sockets.get(packet[1]))

    def _receive_rare(self, packet: Decoded, socket: Socket | None) -> None:
        kind, name, data, ack_id = packet
        if kind is PacketType.CONNECT:
            self._connect(name, data or {})
        elif socket is None:
            # Node closes the whole connection; a packet that was under way while its socket left
            # is nobody's fault.
            if self._left is None or name not in self._left:
                self._violate(f"a packet for {name[:64]!r}, which was not joined")
        elif kind is EVENT:
            receive(socket, data, ack_id)
        elif kind is PacketType.ACK:
            if ack_id is not None:
                socket.receive_ack(ack_id, data)
        elif kind is PacketType.DISCONNECT:
            self._remove(socket)
            socket.left("client namespace disconnect")
        else:
            self._violate("a packet that only servers send")

    def _broken(self, error: PacketError) -> None:
        """A message was no packet: this client's connection ends, in good order."""
        logger.warning("session %s sent a broken packet: %s", self.session.sid[:6], error)
        self._close_all("forced close", error.description)

    def _violate(self, what: str) -> None:
        """A packet was not legal here. Node's reason depends on the transport; ours does not."""
        logger.warning("session %s broke the protocol: %s", self.session.sid[:6], what)
        self._close_all("forced server close", what)

    def _close_all(self, reason: str, description: str = "") -> None:
        self._leave_all(reason, description)
        self.session.close()

    def _leave_all(self, reason: str, description: str = "") -> None:
        sockets, self.sockets = self.sockets, {}
        for socket in sockets.values():
            socket.left(reason, description)

    def _session_closed(self, reason: CloseReason, description: str) -> None:
        self._stop_limit()
        self._decoder.close()
        self._leave_all(str(reason), description)
        self._server.connections.discard(self)

    # -- joining

    def _connect(self, name: str, auth: dict[str, Any]) -> None:
        if name in self.sockets or name in self.joining:
            self._violate(f"a second CONNECT to {name[:64]!r}")
        elif len(self.sockets) + len(self.joining) >= self._server.socket_options.max_namespaces:
            body = {"message": "too many namespaces"}
            self.refuse(Packet(PacketType.CONNECT_ERROR, name, body))
        else:
            self.joining.add(name)
            Joining(self._server, self, name, auth).start()

    def welcome(
        self, namespace: Namespace, socket: Socket, missed: list[tuple[EncodedPacket, ...]]
    ) -> None:
        """Let a socket in. Called by `Joining`."""
        self._stop_limit()
        self.sockets[namespace.name] = socket
        if self._left is not None:
            self._left.discard(namespace.name)
        # Node: what was missed goes out before the CONNECT; the client keeps it until then.
        for packets in missed:
            for packet in packets:
                self.session.send(packet)
        # What is sent may be more than may wait for this client: that ends the session, and its
        # sockets have left then. A listener of room events may end it as well.
        if not socket.has_left:
            namespace.admit(socket)
        reply = {"sid": socket.id}
        if socket.pid is not None:
            reply["pid"] = socket.pid
        self._send(Packet(PacketType.CONNECT, namespace.name, reply))
        if not socket.has_left:
            socket.admitted()

    def refuse(self, packet: Packet) -> None:
        """Send a CONNECT_ERROR. Raises ValueError or TypeError for data that can't be sent."""
        self._send(packet)
        if not (self.sockets or self.joining or self._was_refused):
            # It may try again, with another token perhaps; but it can't stay.
            self._was_refused = True
            options = self._server.socket_options
            self._limit_idling(min(options.connect_timeout, options.refused_timeout))

    # -- leaving

    def disconnect(self, socket: Socket, close: bool) -> None:
        """Disconnect a socket; with `close`, all of them, and then the session."""
        leaving = list(self.sockets.values()) if close else [socket]
        for each in leaving:
            if each.connected:
                self._send(Packet(PacketType.DISCONNECT, each.namespace.name))
                self._remove(each)
                each.left("server namespace disconnect")
        if close:
            self.session.close()

    def say_goodbye(self, tells: bool) -> None:
        """End: the server shuts down. `tells` clients that they are disconnected."""
        for socket in list(self.sockets.values()):
            if tells:
                self._send(Packet(PacketType.DISCONNECT, socket.namespace.name))
            socket.left("server shutting down")
        self.sockets.clear()
        self.session.close()

    def _remove(self, socket: Socket) -> None:
        name = socket.namespace.name
        if self.sockets.get(name) is socket:
            del self.sockets[name]
        left = self._left = self._left or set()
        if len(left) < MAX_REMEMBERED:
            left.add(name)
        if not (self.sockets or self.joining):
            self._limit_idling(self._server.socket_options.connect_timeout)

    def _send(self, packet: Packet) -> None:
        for encoded in self._server.socket_options.parser.encode(packet):
            self.session.send(encoded)

    # -- handlers that suspend: their number is bounded

    def handler_suspended(self) -> None:
        """One more handler goes on later: above the limit, nothing more is read."""
        self._suspended += 1
        limit = self._server.socket_options.max_pending_handlers
        if self._suspended >= limit and not self._is_paused:
            self._is_paused = True
            self.session.pause_reading()

    def handler_ended(self) -> None:
        """One handler has ended: when half of them have, reading goes on."""
        self._suspended -= 1
        # Not at once: what was read already is taken up again each time.
        enough = self._server.socket_options.max_pending_handlers // 2
        if self._is_paused and self._suspended <= enough:
            self._is_paused = False
            self.session.resume_reading()
