"""A namespace: its sockets, its middlewares, its handlers.

Knows: who is in it, what runs for an event, what is kept for a return.
Does not know: connections, packets on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NoReturn

from socketio_core.adapters.interface import BroadcastTarget, RoomEvent, SavedSession
from socketio_core.adapters.memory import MemoryAdapter
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.broadcast import Broadcasting
from socketio_core.handlers.dispatch import Dispatch
from socketio_core.handlers.registry import Registering, Registry
from socketio_core.server_peer import ServerPeer

if TYPE_CHECKING:
    from engineio_core.clock import Clock
    from engineio_core.codec.encoded_packet import EncodedPacket
    from socketio_core.adapters.interface import Adapter
    from socketio_core.codec.packet import Parser
    from socketio_core.connect import Joining
    from socketio_core.server import SocketServer
    from socketio_core.socket import Socket

LIFECYCLE: Final = frozenset({"connection", "disconnecting", "disconnect"})
# Node keeps a session for exactly these: the others were meant.
RECOVERABLE: Final = frozenset({
    "transport error", "transport close", "forced close", "ping timeout", "server shutting down",
    "forced server close", "slow consumer",
})  # fmt: skip


class Namespace(Registering, Broadcasting):
    """A part of the server with sockets, rooms and handlers of its own."""

    __slots__ = ("ack_ids", "adapter", "by_pid", "dispatch", "joining", "name",
                 "parent", "parser", "registry", "returning", "server", "sockets")  # fmt: skip

    def __init__(
        self, server: SocketServer, name: str, parent: ParentNamespace | None = None
    ) -> None:
        self.server = server
        self.name = name
        self.parent = parent
        self.parser: Parser = server.socket_options.parser
        self.dispatch: Dispatch = server.dispatch
        self.registry = Registry(LIFECYCLE, takes_socket=True)
        # Who is here, who is about to be, who may come back
        self.sockets: dict[str, Socket] = {}
        self.joining = 0
        self.by_pid: dict[str, Socket] = {}
        self.returning: dict[str, Joining] = {}
        # Ids of acks are unique in a namespace, so that a broadcast can ask everybody alike
        self.ack_ids = count()
        self.adapter: Adapter = MemoryAdapter(self._encode, self._encode_asking, self._make_log())

    def _registry(self) -> Registry:
        return self.registry

    def _make_log(self) -> RecoveryLog | None:
        rules = self.server.socket_options.recovery
        if rules is None:
            return None
        engine = self.server.engine.options
        grace = engine.ping_interval + engine.ping_timeout
        server = self.server
        return RecoveryLog(rules, lambda: server.clock.time(), grace)  # noqa: PLW0108 - no loop yet

    @property
    def clock(self) -> Clock:
        """The clock of the server."""
        return self.server.clock

    def __repr__(self) -> str:
        return f"<Namespace {self.name}: {len(self.sockets)} sockets>"

    # -- sending

    def _target(self) -> tuple[Namespace, BroadcastTarget, float | None]:
        return self, _EVERYBODY, None

    def broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event, `[name, *args]`, to a target. Called by `Broadcast`."""
        self.adapter.broadcast(data, target)

    def _encode(
        self, data: list[Any], compress: bool, ack_id: int | None = None
    ) -> tuple[EncodedPacket, ...]:
        packets = self.parser.encode_event(self.name, data, ack_id)
        if not compress:
            for packet in packets:
                packet.compress = False
        return packets

    def _encode_asking(
        self, data: list[Any], compress: bool
    ) -> tuple[int, tuple[EncodedPacket, ...]]:
        ack_id = next(self.ack_ids)
        return ack_id, self._encode(data, compress, ack_id)

    def on_room_event(self, listener: Callable[[RoomEvent, str, str | None], None]) -> None:
        """Call `listener(event, room, socket_id)` when rooms change here.

        The events are create, join, leave and delete; the id is None for create and delete.
        """
        self.adapter.on_room_event(listener)

    @property
    def rooms(self) -> dict[str, set[str]]:
        """A copy of the rooms on this server, with the ids of their sockets."""
        return self.adapter.rooms()

    def receive_server_event(
        self, data: list[Any], answer: Callable[[Any], None] | None = None
    ) -> None:
        """Take an event of another server; `answer` is called once. Called by the adapter."""
        ServerPeer(self.dispatch, answer).run(self.registry.server_events.find(data[0]), data)

    # -- sockets come and go: called by the connection and the socket

    def admit(self, socket: Socket) -> None:
        """Count a socket in: it is about to get its CONNECT."""
        self.sockets[socket.id] = socket
        self.adapter.add(socket, (socket.id,))
        if socket.pid is not None:
            self.by_pid[socket.pid] = socket

    def forget(self, socket: Socket) -> None:
        """Count a socket out."""
        if self.sockets.get(socket.id) is socket:
            del self.sockets[socket.id]
        if socket.pid is not None and self.by_pid.get(socket.pid) is socket:
            del self.by_pid[socket.pid]
        self.server.namespace_emptied(self)

    def keep_for_return(self, socket: Socket, reason: str) -> None:
        """Keep what a socket needs to be restored, if it left against its will."""
        if socket.pid is not None and reason in RECOVERABLE:
            rooms = tuple(self.adapter.rooms_of(socket.id))
            saved = SavedSession(socket.pid, socket.id, rooms, socket.data, socket.offset)
            self.adapter.save_session(saved)


_EVERYBODY: Final = BroadcastTarget()


class ParentNamespace(Registering):
    """A pattern, or a function, that makes namespaces when clients ask for them.

    What is registered here goes to each child when it is made: to those that are made later.
    """

    __slots__ = ("_registered", "children", "matches")

    def __init__(self, matches: Callable[[str, dict[str, Any]], Any]) -> None:
        self.matches = matches
        """Whether a namespace is wanted, by name and auth: a bool, or an awaitable of one."""
        self._registered = Registry(LIFECYCLE, takes_socket=True)
        self.children: dict[str, Namespace] = {}

    def _registry(self) -> Registry:
        return self._registered

    def adopt(self, child: Namespace) -> None:
        """Take in a child that is being made."""
        child.registry.copy_from(self._registered)
        self.children[child.name] = child

    def to(self, rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Send to these rooms in all children."""
        return self._broadcast().to(rooms)

    def in_(self, rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Do as `to`."""
        return self._broadcast().to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Leave out the sockets in any of these rooms."""
        return self._broadcast().except_(rooms)

    def emit(self, event: str, *args: Any) -> None:
        """Send an event to everybody in all children."""
        self._broadcast().emit(event, *args)

    def _broadcast(self) -> ChildrenBroadcast:
        return ChildrenBroadcast(list(self.children.values()))

    def fetch_sockets(self) -> NoReturn:
        """Raise RuntimeError, as there are several namespaces: ask each of `children`."""
        raise RuntimeError("fetch_sockets() is not supported on parent namespaces")


class ChildrenBroadcast:
    """One event for the same audience in several namespaces."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[Any]) -> None:
        self._parts = parts

    def to(self, rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Send to the sockets in these rooms, too."""
        return ChildrenBroadcast([part.to(rooms) for part in self._parts])

    def in_(self, rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Do as `to`."""
        return self.to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> ChildrenBroadcast:
        """Leave out the sockets in any of these rooms."""
        return ChildrenBroadcast([part.except_(rooms) for part in self._parts])

    def emit(self, event: str, *args: Any) -> None:
        """Send the event."""
        for part in self._parts:
            part.emit(event, *args)


def canonical_name(name: str) -> str:
    """Return the name of a namespace with its slash: `chat` is `/chat`, nothing is `/`."""
    return name if name.startswith("/") else f"/{name}"


def matcher(pattern: re.Pattern[str]) -> Callable[[str, dict[str, Any]], bool]:
    """Return the function that tells whether a pattern matches a whole name."""
    return lambda name, auth: pattern.fullmatch(name) is not None
