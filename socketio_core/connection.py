"""One Engine.IO session carrying the sockets of one client, one in each namespace it joined.

Knows: packets, which socket they are for, joining and leaving, what a client may not do.
Does not know: handlers, rooms, transports.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from typing import TYPE_CHECKING, Any, Final

from engineio_core.errors import CloseReason
from engineio_core.session import Session
from engineio_core.session_state import SessionState

from .errors import ConnectRefused, PacketError
from .handshake import Handshake
from .packet import Packet, PacketType
from .socket_ import Socket

if TYPE_CHECKING:
    from .adapter import RestoredSession
    from .namespace import Namespace
    from .server import SocketServer

logger = logging.getLogger("socketio_core")

EVENT: Final = PacketType.EVENT
MAX_REMEMBERED: Final = 64  # namespaces that a client has left


class Connection:
    """What Node calls a client: the sockets that share one session."""

    __slots__ = (
        "_decoder", "_joining", "_left", "_server", "_suspended", "_timer", "session", "sockets",
    )  # fmt: skip

    def __init__(self, server: SocketServer, session: Session) -> None:
        self._server = server
        self.session = session
        self.sockets: dict[str, Socket] = {}
        self._decoder = server.socket_options.parser.decoder()
        self._joining: set[str] | None = None
        self._left: set[str] | None = None
        self._suspended = 0
        timeout = server.socket_options.connect_timeout
        self._timer: Any = server.clock.call_later(timeout, self._nothing_joined)
        session.on_text = self.receive_text
        session.on_binary = self.receive_binary
        session.on_close = self._session_closed

    def _nothing_joined(self) -> None:
        self._timer = None
        if not self.sockets:
            logger.info("session %s joined no namespace in time", self.session.sid[:6])
            self.session.close()

    # -- packets come in: called by the session

    def receive_text(self, text: str) -> None:
        """Take a message."""
        # hot path: benchmarks/hop_budget.py
        try:
            packet = self._decoder.receive_text(text)
        except PacketError as error:
            self._broken(error)
            return
        if packet is not None:
            self._receive(packet)

    def receive_binary(self, data: bytes) -> None:
        """Take a binary message: an attachment, or a packet in itself."""
        try:
            packet = self._decoder.receive_binary(data)
        except PacketError as error:
            self._broken(error)
            return
        if packet is not None:
            self._receive(packet)

    def _receive(self, packet: Packet) -> None:
        kind, name, data, ack_id = packet
        socket = self.sockets.get(name)
        if kind is EVENT and socket is not None:
            socket.receive_event(data, ack_id)
        else:
            self._receive_rare(packet, socket)

    def _receive_rare(self, packet: Packet, socket: Socket | None) -> None:
        kind, name, data, ack_id = packet
        if kind is PacketType.CONNECT:
            self._connect(name, data or {})
        elif socket is None:
            # Node closes the whole connection; a packet that was under way while its socket left
            # is nobody's fault.
            if self._left is None or name not in self._left:
                self._violate(f"a packet for {name[:64]!r}, which was not joined")
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
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._decoder.close()
        self._leave_all(str(reason), description)

    # -- joining

    def _connect(self, name: str, auth: dict[str, Any]) -> None:
        joining = self._joining = self._joining or set()
        if name in self.sockets or name in joining:
            self._violate(f"a second CONNECT to {name[:64]!r}")
        elif len(self.sockets) + len(joining) >= self._server.socket_options.max_namespaces:
            self._refuse(name, "too many namespaces", None)
        else:
            joining.add(name)
            runner = self._server.dispatch.runner
            runner.start(self._admit(name, auth), self._admission_ended, "socketio connect")

    def _admission_ended(self, result: Any, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            logger.error("joining a namespace failed", exc_info=error)
            self._close_all("forced server close", "joining a namespace failed")

    async def _admit(self, name: str, auth: dict[str, Any]) -> None:
        """Let a client into a namespace, or refuse it."""
        namespace: Namespace | None = None
        socket: Socket | None = None
        try:
            async with asyncio.timeout(self._server.socket_options.connect_timeout):
                namespace = await self._server.namespace_for(name, auth)
                if namespace is None:
                    raise ConnectRefused("Invalid namespace")
                namespace.joining += 1
                socket, restored = self._make_socket(namespace, auth)
                if not (socket.recovered and self._skips_middlewares()):
                    await self._run_middlewares(namespace, socket)
            if self.session.state is SessionState.OPEN:
                self._welcome(namespace, socket, restored)
            else:
                socket.left("transport close")
        except Exception as error:
            if socket is not None:
                socket.left("refused")
            self._explain(name, socket, error)
        finally:
            if self._joining is not None:
                self._joining.discard(name)
            if namespace is not None:
                namespace.joining -= 1
                self._server.namespace_emptied(namespace)

    def _explain(self, name: str, socket: Socket | None, error: Exception) -> None:
        """Tell a client why it was refused; what is not meant for it, it does not get to know."""
        if isinstance(error, ConnectRefused):
            self._refuse(name, error.message, error.data)
        elif isinstance(error, TimeoutError):
            self._refuse(name, "timeout", None)
        else:
            self._server.dispatch.reporter.report(error, socket or self, "connection")
            self._refuse(name, "internal error", None)

    @property
    def id(self) -> str:
        """What errors are reported of before there is a socket: never the secret sid."""
        return f"(session {self.session.sid[:6]})"

    def _skips_middlewares(self) -> bool:
        recovery = self._server.socket_options.recovery
        return recovery is not None and recovery.skip_middlewares

    async def _run_middlewares(self, namespace: Namespace, socket: Socket) -> None:
        for middleware in list(namespace.middlewares):
            outcome = middleware(socket)
            if inspect.isawaitable(outcome):
                await outcome

    def _make_socket(
        self, namespace: Namespace, auth: dict[str, Any]
    ) -> tuple[Socket, RestoredSession | None]:
        handshake = Handshake(self.session.request, auth)
        restored = self._restore(namespace, auth)
        socket_id = restored.saved.socket_id if restored else generate_id()
        socket = Socket(namespace, self, socket_id, handshake)
        if self._server.socket_options.recovery is not None:
            socket.pid = restored.saved.pid if restored else generate_id()
        if restored is not None:
            socket.recovered = True
            socket.data = restored.saved.data
            socket.join(restored.saved.rooms)
        return socket, restored

    def _restore(self, namespace: Namespace, auth: dict[str, Any]) -> RestoredSession | None:
        pid, offset = auth.get("pid"), auth.get("offset")
        if self._server.socket_options.recovery is None or not isinstance(pid, str):
            return None
        if offset is not None and not isinstance(offset, str):
            return None
        former = namespace.by_pid.get(pid)
        if former is not None:
            # The client is back before we noticed that it was gone: its old connection is dead.
            former.session.close(discard=True)
        return namespace.adapter.restore_session(pid, offset)

    def _welcome(
        self, namespace: Namespace, socket: Socket, restored: RestoredSession | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.sockets[namespace.name] = socket
        if self._left is not None:
            self._left.discard(namespace.name)
        # Node: what was missed goes out before the CONNECT; the client keeps it until then.
        for data in restored.missed if restored is not None else ():
            for packet in namespace.parser.encode_event(namespace.name, data):
                self.session.send(packet)
        namespace.admit(socket)
        reply = {"sid": socket.id}
        if socket.pid is not None:
            reply["pid"] = socket.pid
        self._send(Packet(PacketType.CONNECT, namespace.name, reply))
        socket.admitted()

    def _refuse(self, name: str, message: str, data: Any) -> None:
        body = {"message": message} if data is None else {"message": message, "data": data}
        self._send(Packet(PacketType.CONNECT_ERROR, name, body))

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

    def _remove(self, socket: Socket) -> None:
        name = socket.namespace.name
        if self.sockets.get(name) is socket:
            del self.sockets[name]
        left = self._left = self._left or set()
        if len(left) < MAX_REMEMBERED:
            left.add(name)

    def _send(self, packet: Packet) -> None:
        for encoded in self._server.socket_options.parser.encode(packet):
            self.session.send(encoded)

    # -- handlers that suspend: their number is bounded

    def handler_suspended(self) -> None:
        """One more handler goes on later: above the limit, nothing more is read."""
        self._suspended += 1
        if self._suspended == self._server.socket_options.max_pending_handlers:
            self.session.pause_reading()

    def handler_ended(self) -> None:
        """One handler has ended."""
        if self._suspended == self._server.socket_options.max_pending_handlers:
            self.session.resume_reading()
        self._suspended -= 1


def generate_id() -> str:
    """Return 20 unguessable characters. Never the engine's sid: that one is a secret."""
    return secrets.token_urlsafe(15)
