"""One CONNECT, from its packet to its answer: a socket that is let in, or a refusal.

Knows: namespaces, middlewares, recovery, the deadline of all that.
Does not know: packets on the wire, events.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from engineio_core.ids import generate_id
from engineio_core.session_state import SessionState
from socketio_core.codec.json_codec import Packet, PacketType
from socketio_core.errors import ConnectError
from socketio_core.handshake import Handshake
from socketio_core.socket import Socket

if TYPE_CHECKING:
    from socketio_core.adapters.interface import RestoredSession
    from socketio_core.connection import Connection
    from socketio_core.namespace import Namespace
    from socketio_core.server import SocketServer

logger = logging.getLogger("socketio_core")


class Joining:
    """A client that wants into a namespace; `start` begins, and sees it to its end."""

    __slots__ = ("_auth", "_connection", "_name", "_namespace", "_restored", "_server", "_socket")

    def __init__(
        self, server: SocketServer, connection: Connection, name: str, auth: dict[str, Any]
    ) -> None:
        self._server = server
        self._connection = connection
        self._name = name
        self._auth = auth
        self._namespace: Namespace | None = None
        self._socket: Socket | None = None
        self._restored: RestoredSession | None = None

    def start(self) -> None:
        """Begin. What takes longer than `connect_timeout` is refused."""
        namespace = self._server.namespaces.get(self._name)
        if namespace is not None and not namespace.registry.middlewares:
            # There is nothing to wait for, and so no need of a coroutine.
            try:
                self._enter(namespace)
            except Exception as error:
                self._ended(None, error)
            else:
                self._ended(None, None)
            return
        timeout = self._server.socket_options.connect_timeout
        self._server.dispatch.runner.start(self._run(), self._ended, "socketio connect", timeout)

    async def _run(self) -> None:
        namespace = await self._server.namespace_for(self._name, self._auth)
        if namespace is None:
            raise ConnectError("Invalid namespace")
        self._enter(namespace)
        if self._socket is None or (self._socket.recovered and self._skips_middlewares()):
            return
        for middleware in list(namespace.registry.middlewares):
            outcome = middleware(self._socket)
            if inspect.isawaitable(outcome):
                await outcome

    def _enter(self, namespace: Namespace) -> None:
        self._namespace = namespace
        namespace.joining += 1
        self._make_socket(namespace)

    def _skips_middlewares(self) -> bool:
        recovery = self._server.socket_options.recovery
        return recovery is not None and recovery.skip_middlewares

    def _make_socket(self, namespace: Namespace) -> None:
        restored = self._restored = self._restore(namespace)
        handshake = Handshake(self._connection.session.request, self._auth)
        socket_id = restored.saved.socket_id if restored is not None else generate_id()
        socket = self._socket = Socket(namespace, self._connection, socket_id, handshake)
        if restored is not None:
            socket.pid = restored.saved.pid
            socket.offset = restored.saved.offset
            socket.recovered = True
            socket.data = restored.saved.data
            socket.join(restored.saved.rooms)
        elif self._server.socket_options.recovery is not None:
            socket.pid = generate_id()
            socket.offset = namespace.adapter.current_offset()

    def _restore(self, namespace: Namespace) -> RestoredSession | None:
        pid, offset = self._auth.get("pid"), self._auth.get("offset")
        if self._server.socket_options.recovery is None or not isinstance(pid, str):
            return None
        if offset is not None and not isinstance(offset, str):
            return None
        # The client is back before we noticed that it was gone: its old connection is dead.
        former, returning = namespace.by_pid.get(pid), namespace.returning.get(pid)
        if returning is not None:
            returning._withdraw()
        elif former is not None:
            former.session.close(discard=True)
        restored = namespace.adapter.restore_session(pid, offset)
        if restored is not None:
            namespace.returning[pid] = self
        return restored

    def _withdraw(self) -> None:
        """Give up while middlewares run: the client is back once more, elsewhere."""
        if self._socket is not None:
            self._socket.left("refused")
        self._save_again()
        self._connection.session.close(discard=True)

    def _save_again(self) -> None:
        """Keep what was restored: the client was cut off before it had its answer."""
        restored, self._restored = self._restored, None
        if restored is not None and self._namespace is not None:
            self._namespace.adapter.save_session(restored.saved)

    # -- the end

    def _ended(self, result: Any, error: BaseException | None) -> None:
        connection, namespace, socket = self._connection, self._namespace, self._socket
        connection.joining.discard(self._name)
        if (
            namespace is not None
            and socket is not None
            and socket.pid is not None
            and (namespace.returning.get(socket.pid) is self)
        ):
            del namespace.returning[socket.pid]
        is_open = connection.session.state is SessionState.OPEN
        if error is None and is_open and namespace is not None and socket is not None:
            missed = self._restored.missed if self._restored is not None else []
            connection.welcome(namespace, socket, missed)
        else:
            if socket is not None:
                socket.left("refused")
            if not is_open:
                self._save_again()
            if error is not None:
                self._refuse(error)
        if namespace is not None:
            namespace.joining -= 1
            self._server.namespace_emptied(namespace)

    def _refuse(self, error: BaseException) -> None:
        """Tell a client why it was refused; what is not meant for it, it does not get to know."""
        body: dict[str, Any] = {"message": "internal error"}
        if isinstance(error, ConnectError):
            body = {"message": error.message}
            if error.data is not None:
                body["data"] = error.data
        elif isinstance(error, TimeoutError):
            body = {"message": "timeout"}
        elif not self._server.dispatch.runner.is_closing:
            self._server.dispatch.reporter.report(error, self._socket or self, "connection")
        packet = Packet(PacketType.CONNECT_ERROR, self._name, body)
        try:
            self._connection.refuse(packet)
        except (TypeError, ValueError):
            logger.exception("the data of a refusal can't be sent")
            self._connection.refuse(packet._replace(data={"message": body["message"]}))

    @property
    def id(self) -> str:
        """What errors are reported of before there is a socket: never the secret sid."""
        return f"(session {self._connection.session.sid[:6]})"
