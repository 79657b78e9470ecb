"""One CONNECT packet, from its receipt to its outcome: an accepted socket or a refusal.

The connection sends the reply and owns the accepted sockets.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Final, TypeAlias, final

from msgspec import Struct

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.ids import generate_id
from engineio_core.session_state import SessionState
from socketio_core import counts
from socketio_core.adapters.interface import (
    Adapter,
    BroadcastTarget,
    RestoredSession,
    SessionStore,
)
from socketio_core.adapters.recovery import is_offered
from socketio_core.codec.revision_4 import socket_id
from socketio_core.directory import NamespaceDirectory
from socketio_core.disconnect_reason import DisconnectReason
from socketio_core.errors import ConnectError
from socketio_core.handshake import Handshake
from socketio_core.misuse import SENT, is_refusal
from socketio_core.namespace import Namespace
from socketio_core.socket import Socket, SocketConnection

logger = logging.getLogger("socketio_core")


class Accepted(Struct, frozen=True):
    """The outcome of a connect attempt that succeeded."""

    namespace: Namespace
    socket: Socket[Any]
    missed: list[tuple[EncodedPacket, ...]]
    """The encoded events that a recovered client has missed."""


class Refused(Struct, frozen=True):
    """The outcome of a connect attempt that failed: the body of the CONNECT_ERROR packet."""

    body: dict[str, Any]


_OPEN: Final = SessionState.OPEN  # a compiled module reads its own names faster

ConnectOutcome: TypeAlias = Accepted | Refused | None
"""None: the session has closed in the meantime."""


@final
class ConnectAttempt:
    """A client that connects to a namespace; `on_outcome(name, outcome)` is called at the end."""

    __slots__ = ("_auth", "_connection", "_directory", "_name", "_namespace", "_observed",
                 "_on_outcome", "_restored", "_socket")  # fmt: skip

    def __init__(
        self,
        directory: NamespaceDirectory,
        connection: SocketConnection,
        name: str,
        auth: dict[str, Any],
        on_outcome: Callable[[str, ConnectOutcome], None],
    ) -> None:
        self._directory = directory
        self._connection = connection
        self._name = name
        self._auth = auth
        self._on_outcome = on_outcome
        self._namespace: Namespace | None = None
        self._socket: Socket[Any] | None = None
        self._restored: RestoredSession | None = None
        self._observed: Any = None

    def start(self) -> None:
        """Start the attempt. It is refused if it takes longer than `connect_timeout`."""
        observer = self._directory.connect_observer
        if observer is not None:
            self._observed = observer.connect_started(self._connection.session.request)
        namespace = self._directory.by_name.get(self._name)
        if (
            namespace is not None
            and not namespace._handlers.middlewares
            and (namespace.adapter.session_store is None or "pid" not in self._auth)
        ):
            # Nothing to await: no coroutine is needed.
            try:
                self._enter(namespace)
            except Exception as error:
                self._ended(None, error)
            else:
                self._ended(None, None)
            return
        timeout = self._directory.options.connect_timeout
        runner = self._directory.dispatch.runner
        work = self._run()
        if observer is not None:
            work = observer.connect_running(self._observed, work)
        runner.start(work, self._ended, "socketio connect", timeout)

    async def _run(self) -> None:
        namespace = await self._directory.find(self._name, self._auth)
        if namespace is None:
            raise ConnectError("Invalid namespace")
        if namespace.adapter.session_store is None:
            self._enter(namespace)
        else:
            await self._enter_later(namespace, namespace.adapter.session_store)
            if self._connection.session.state is not SessionState.OPEN:
                return
        if self._socket is None or (self._socket.recovered and self._skips_middlewares()):
            return
        for middleware in list(namespace._handlers.middlewares):
            outcome = middleware(self._socket)
            if outcome is not None:
                if outcome is not SENT and inspect.isawaitable(outcome):
                    outcome = await outcome
                if is_refusal("a middleware of use()", outcome):
                    raise ConnectError("connection refused")

    def _enter(self, namespace: Namespace) -> None:
        self._namespace = namespace
        namespace._attempts += 1
        if self._directory.options.recovery is not None:
            self._restored = self._restore(namespace)
        self._create_socket(namespace)

    async def _enter_later(self, namespace: Namespace, store: SessionStore) -> None:
        """Enter a namespace whose sessions are kept outside of this process."""
        self._namespace = namespace
        namespace._attempts += 1
        if self._directory.options.recovery is not None:
            self._restored = await self._restore_later(namespace, store)
        self._create_socket(namespace)

    def _skips_middlewares(self) -> bool:
        recovery = self._directory.options.recovery
        return recovery is not None and recovery.skip_middlewares

    def _create_socket(self, namespace: Namespace) -> None:
        recovery, restored = self._directory.options.recovery, self._restored
        session = self._connection.session
        is_old = session._context.protocol == 3
        handshake = Handshake(session.request, self._auth)
        if restored is not None:
            new_id = restored.saved.socket_id
        else:
            new_id = socket_id(namespace.name, session.sid) if is_old else generate_id()
        socket = self._socket = Socket(namespace, self._connection, new_id, handshake)
        if restored is not None:
            socket.pid = restored.saved.pid
            socket._offset = restored.saved.offset
            socket.recovered = True
            socket.data = restored.saved.data
            _clear_room(namespace.adapter, new_id)
            socket.join(restored.saved.rooms)
        elif recovery is not None and not is_old and is_offered(recovery, handshake):
            socket.pid = generate_id()
            socket._offset = namespace.adapter.current_offset()

    def _restore(self, namespace: Namespace) -> RestoredSession | None:
        requested = self._requested_session()
        if requested is None:
            return None
        pid, offset = requested
        namespace._close_former(pid)
        restored = namespace.adapter.restore_session(pid, offset)
        if restored is None or not self._has_room(restored):
            return None
        namespace._returning[pid] = self
        return restored

    async def _restore_later(
        self, namespace: Namespace, store: SessionStore
    ) -> RestoredSession | None:
        """Restore a session from a store; a session that is not restored stays there."""
        requested = self._requested_session()
        if requested is None:
            return None
        pid, offset = requested
        namespace._close_former(pid)
        namespace._returning[pid] = self  # a newer attempt of the same client withdraws this one
        restored = None
        try:
            found = await store.find(pid, offset)
            is_wanted = self._connection.session.state is SessionState.OPEN
            if found is not None and is_wanted and namespace._returning.get(pid) is self:
                restored = await self._claim(store, found)
        finally:
            if restored is None and namespace._returning.get(pid) is self:
                del namespace._returning[pid]
        return restored

    async def _claim(self, store: SessionStore, found: RestoredSession) -> RestoredSession | None:
        if not self._has_room(found):
            return None
        try:
            restored = await store.claim(found)
        finally:
            self._connection.release(found.size)
        if restored is not None and self._namespace is not None and not self._has_room(restored):
            self._namespace.adapter.save_session(restored.saved)
            return None
        return restored

    def _requested_session(self) -> tuple[str, str | None] | None:
        """Return the id and the offset of the session that the client requests, if any."""
        pid, offset = self._auth.get("pid"), self._auth.get("offset")
        if not isinstance(pid, str) or self._connection.session.protocol == 3:
            return None  # recovery needs revision 5: the reply to CONNECT carries the pid
        if offset is not None and not isinstance(offset, str):
            return None
        return pid, offset

    def _has_room(self, restored: RestoredSession) -> bool:
        if self._connection.reserve(restored.size):
            return True
        logger.warning(
            "session %s was not recovered: its missed events (%d bytes) exceed max_outbox_size",
            self._connection.session.sid[:6], restored.size,
        )  # fmt: skip
        return False

    def withdraw(self) -> None:
        """Give up while middlewares run: the client has returned over another connection."""
        if self._socket is not None:
            self._socket._leave(DisconnectReason.REFUSED)
        self._save_again()
        self._connection.session.close(discard=True)

    def _save_again(self) -> None:
        """Save a restored session again: the client was refused or left before the reply.

        Node keeps such a session too. It expires at the time at which it would have without the
        attempt.
        """
        restored, self._restored = self._restored, None
        if restored is not None and self._namespace is not None:
            self._namespace.adapter.save_session(restored.saved)

    # -- the outcome

    def _ended(self, result: Any, error: BaseException | None) -> None:
        namespace, socket = self._namespace, self._socket
        if (
            namespace is not None
            and socket is not None
            and socket.pid is not None
            and namespace._returning.get(socket.pid) is self
        ):
            del namespace._returning[socket.pid]
        if self._restored is not None:
            self._connection.release(self._restored.size)
        is_open = self._connection.session.state is _OPEN
        if error is None and is_open and namespace is not None and socket is not None:
            how = counts.RECOVERED if socket.recovered else counts.ACCEPTED
            self._directory.counts.connects[namespace._label, how] += 1
            if self._directory.connect_observer is not None:
                self._report(how)
            missed = self._restored.missed if self._restored is not None else []
            self._on_outcome(self._name, Accepted(namespace, socket, missed))
        else:
            failure = self._failure(error)
            self._directory.count_connect(self._name, failure)
            self._report(failure)
            if socket is not None:
                socket._leave(DisconnectReason.REFUSED)
            self._save_again()
            outcome = None if error is None else Refused(self._refusal_body(error))
            self._on_outcome(self._name, outcome)
        if namespace is not None:
            namespace._attempt_ended()

    def _report(self, outcome: str) -> None:
        observer = self._directory.connect_observer
        if observer is not None:
            label = self._directory.label_of(self._name)
            socket_id = "" if self._socket is None else self._socket.id
            observer.connect_ended(self._observed, label, outcome, socket_id)

    def _failure(self, error: BaseException | None) -> str:
        """Return the outcome of a failed attempt for the counters."""
        if error is None:
            return counts.GONE
        if isinstance(error, ConnectError):
            return counts.INVALID_NAMESPACE if self._namespace is None else counts.REFUSED
        return counts.TIMEOUT if isinstance(error, TimeoutError) else counts.ERROR

    def _refusal_body(self, error: BaseException) -> dict[str, Any]:
        """Return the body of the CONNECT_ERROR packet; other exceptions stay private."""
        if isinstance(error, ConnectError):
            body: dict[str, Any] = {"message": error.message}
            if error.data is not None:
                body["data"] = error.data
            return body
        if isinstance(error, TimeoutError):
            return {"message": "timeout"}
        dispatch = self._directory.dispatch
        if not dispatch.runner.is_closing:
            dispatch.reporter.report(error, self._socket or self, "connection")
        return {"message": "internal error"}

    @property
    def id(self) -> str:
        """The name of the client in error reports before it has a socket; never the secret sid."""
        return f"(session {self._connection.session.sid[:6]})"


def _clear_room(adapter: Adapter, socket_id: str) -> None:
    """Remove all sockets from the room of a socket that returns.

    Another server kept its session, so this server accepted its id as the name of a room.
    """
    for member in list(adapter.sockets(BroadcastTarget((socket_id,)))):
        adapter.remove(member, socket_id)
