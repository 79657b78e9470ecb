"""A namespace: the arrival and departure of its sockets, recovery, and parent namespaces.

`namespace_core` holds what the sockets use; `directory` creates and drops namespaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Never, NoReturn, Protocol, final, overload

from engineio_core.clock import Clock
from socketio_core.adapters.interface import SavedSession
from socketio_core.adapters.memory import MemoryAdapter
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.broadcast import NO_ROOM, Broadcast, check_event, room_names
from socketio_core.codec.packet import Parser
from socketio_core.counts import ServerCounts
from socketio_core.disconnect_reason import DisconnectReason
from socketio_core.handlers.dispatch import Dispatch
from socketio_core.handlers.registry import Registering, Registry
from socketio_core.misuse import EMIT_KEYWORDS, EMITTED, refuse_keywords
from socketio_core.namespace_core import LIFECYCLE, NamespaceCore
from socketio_core.options import ServerOptions
from socketio_core.server_events import P, ServerEvent
from socketio_core.server_peer import ServerPeer
from socketio_core.socket import Socket

# Node keeps a session for these reasons only: every other departure was intended.
RECOVERABLE: Final[frozenset[str]] = frozenset({
    DisconnectReason.TRANSPORT_ERROR, DisconnectReason.TRANSPORT_CLOSE,
    DisconnectReason.FORCED_CLOSE, DisconnectReason.PING_TIMEOUT,
    DisconnectReason.SERVER_SHUTTING_DOWN, DisconnectReason.FORCED_SERVER_CLOSE,
    DisconnectReason.SLOW_CONSUMER,
})  # fmt: skip


class Withdrawable(Protocol):
    """A connect attempt that is restoring a session."""

    def withdraw(self) -> None:
        """Give up: the client has connected again elsewhere."""


@final
class Namespace(NamespaceCore[Socket[Any]]):
    """A part of the server with its own sockets, rooms and handlers."""

    __slots__ = ("_attempts", "_by_pid", "_log", "_on_empty", "_parent", "_returning")

    def __init__(
        self,
        name: str,
        options: ServerOptions,
        clock: Callable[[], Clock],
        dispatch: Dispatch,
        counts: ServerCounts,
        on_empty: Callable[[Namespace], None],
        *,
        recovery_grace: float = 0.0,
        parent: ParentNamespace | None = None,
    ) -> None:
        """Create a namespace.

        A child of `parent` calls `on_empty` when its last socket or connect attempt has ended.
        `recovery_grace` is how many seconds the server may take to notice that a connection is
        dead.
        """
        super().__init__(name, options, clock, dispatch, counts)
        self._on_empty = on_empty
        self._parent = parent
        # Connect attempts in progress, sockets by recovery id, attempts that restore a session
        self._attempts = 0
        self._by_pid: dict[str, Socket[Any]] = {}
        self._returning: dict[str, Withdrawable] = {}
        log = None
        if options.recovery is not None:
            log = RecoveryLog(options.recovery, clock, recovery_grace)
        self._log = log
        if options.adapter is None:
            self.adapter = MemoryAdapter(self._encode, self._encode_with_ack, log)
        else:
            self.adapter = options.adapter.create(self, self._encode, self._encode_with_ack, log)

    def _receive_server_event(
        self, data: list[Any], answer: Callable[[Any], None] | None = None
    ) -> None:
        """Run the handlers of an event of another server; `answer` is called once."""
        ServerPeer(self._dispatch, answer).run(self._handlers.server_events.find(data[0]), data)

    def _server_ended(self) -> None:
        """Leave the other servers, and cancel the timer of recovery."""
        if self._options.adapter is not None:
            self.adapter.close()
        elif self._log is not None:
            self._log.close()

    # -- called by connect attempts, connections and sockets

    def _attempt_ended(self) -> None:
        self._attempts -= 1
        if self._parent is not None and not (self.sockets or self._attempts):
            self._on_empty(self)

    def _admit(self, socket: Socket[Any]) -> None:
        """Add a socket that is about to get its CONNECT reply."""
        self.sockets[socket.id] = socket
        self.adapter.add(socket, (socket.id,))
        if socket.pid is not None:
            self._by_pid[socket.pid] = socket

    def _forget(self, socket: Socket[Any]) -> None:
        if self.sockets.get(socket.id) is socket:
            del self.sockets[socket.id]
        if socket.pid is not None and self._by_pid.get(socket.pid) is socket:
            del self._by_pid[socket.pid]
        if self._parent is not None and not (self.sockets or self._attempts):
            self._on_empty(self)

    def _close_former(self, pid: str) -> bool:
        """Close the former connection of a client that returns before its end was noticed.

        Return whether there is one; a connect attempt that ends later saves its session then.
        """
        former, returning = self._by_pid.get(pid), self._returning.get(pid)
        if returning is not None:
            returning.withdraw()
        elif former is not None:
            former.session.close(discard=True)
        return returning is not None or former is not None

    def _keep_for_return(self, socket: Socket[Any], reason: str) -> None:
        if socket.pid is not None and reason in RECOVERABLE:
            rooms = tuple(self.adapter.rooms_of(socket.id))
            saved = SavedSession(socket.pid, socket.id, rooms, socket.data, socket._offset)
            self.adapter.save_session(saved)


@final
class ParentNamespace(Registering):
    """A pattern or a function that creates namespaces when clients request them.

    Each child namespace gets a copy of the handlers and middlewares that are registered here when
    the child is created; later registrations reach only later children.
    """

    __slots__ = ("_label", "_matches", "_parser", "_registered", "children")

    def __init__(self, matches: Callable[[str, dict[str, Any]], Any], parser: Parser) -> None:
        self._parser = parser
        self._matches = matches
        """`(name, auth)` -> whether to create the namespace: a bool, or an awaitable of one."""
        self._registered = Registry(LIFECYCLE, takes_socket=True)
        self.children: dict[str, Namespace] = {}
        self._label = ""
        """The pattern, or a number for a function; set by the directory."""

    def _registry(self) -> Registry:
        return self._registered

    def _adopt(self, child: Namespace) -> None:
        """Register a new child and copy the handlers to it."""
        child._handlers.copy_from(self._registered)
        self.children[child.name] = child

    def to(self, *rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Select rooms in all children."""
        return self._broadcast().to(*rooms)

    def in_(self, *rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Select rooms: an alias of `to`, Node's `in`."""
        return self._broadcast().to(*rooms)

    def except_(self, *rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Exclude the sockets in any of these rooms."""
        return self._broadcast().except_(*rooms)

    @overload
    def emit(self, event: ServerEvent[P, Any], *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def emit(self, event: str, *args: Any, **unknown: Never) -> None: ...

    def emit(self, event: Any, *args: Any, **unknown: Any) -> None:
        """Send an event to all sockets of all children."""
        self._broadcast().emit(event, *args, **unknown)
        return EMITTED

    def _broadcast(self) -> ChildrenBroadcast:
        return ChildrenBroadcast(list(self.children.values()), self._parser)

    def fetch_sockets(self) -> NoReturn:
        """Raise RuntimeError: call `fetch_sockets` of each namespace in `children` instead."""
        raise RuntimeError(
            "fetch_sockets() is not supported on parent namespaces: call it on each of `children`"
        )


@final
class ChildrenBroadcast:
    """An event for the same rooms in several namespaces."""

    __slots__ = ("_parser", "_parts")

    def __init__(self, parts: Sequence[Namespace | Broadcast[Any]], parser: Parser) -> None:
        self._parts = parts
        self._parser = parser

    def to(self, *rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Add rooms to the target. Raises ValueError without a room."""
        if not room_names(rooms):
            raise ValueError(NO_ROOM)
        return ChildrenBroadcast([part.to(*rooms) for part in self._parts], self._parser)

    def in_(self, *rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Select rooms: an alias of `to`, Node's `in`."""
        return self.to(*rooms)

    def except_(self, *rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Exclude the sockets in any of these rooms."""
        room_names(rooms)
        return ChildrenBroadcast([part.except_(*rooms) for part in self._parts], self._parser)

    @overload
    def emit(self, event: ServerEvent[P, Any], *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def emit(self, event: str, *args: Any, **unknown: Never) -> None: ...

    def emit(self, event: Any, *args: Any, **unknown: Any) -> None:
        """Send the event in each namespace."""
        if unknown:
            refuse_keywords(unknown, EMIT_KEYWORDS)
        check_event(event)
        if not self._parts:  # the error for an unserializable value is the same without receivers
            self._parser.encode_event("/", [event, *args], None)
        for part in self._parts:
            part.emit(event, *args)
        return EMITTED


def canonical_name(name: str) -> str:
    """Return a namespace name with its leading slash: `/chat` for `chat`, `/` for an empty name."""
    return name if name.startswith("/") else f"/{name}"


def matcher(pattern: re.Pattern[str]) -> Callable[[str, dict[str, Any]], bool]:
    """Return a function that tests whether a pattern matches a complete name."""
    return lambda name, auth: pattern.fullmatch(name) is not None
