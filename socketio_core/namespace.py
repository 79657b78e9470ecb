"""A namespace: its sockets, its middlewares, its handlers.

Knows: who is in it, what runs for an event, what is kept for a return.
Does not know: connections, packets on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from .adapter import BroadcastTarget, SavedSession
from .broadcast import Broadcasting
from .dispatch import Dispatch
from .memory_adapter import MemoryAdapter
from .packet import Packet, PacketType
from .recovery import RecoveryLog
from .registry import Registry

if TYPE_CHECKING:
    from engineio_core.encoded_packet import EncodedPacket
    from engineio_core.transport import Clock

    from .adapter import Adapter
    from .parser import Parser
    from .server import SocketServer
    from .socket_ import Socket

# Node keeps a session for exactly these: the others were meant.
RECOVERABLE: Final = frozenset({
    "transport error", "transport close", "forced close", "ping timeout", "server shutting down",
    "forced server close",
})  # fmt: skip


class Namespace(Registry, Broadcasting):
    """A part of the server with sockets, rooms and handlers of its own."""

    __slots__ = ("ack_ids", "adapter", "by_pid", "dispatch", "joining", "name", "parent", "parser",
                 "server", "sockets")  # fmt: skip

    def __init__(
        self, server: SocketServer, name: str, parent: ParentNamespace | None = None
    ) -> None:
        super().__init__()
        self.server = server
        self.name = name
        self.parent = parent
        self.parser: Parser = server.socket_options.parser
        self.dispatch: Dispatch = server.dispatch
        self.sockets: dict[str, Socket] = {}
        self.joining = 0
        self.by_pid: dict[str, Socket] = {}
        self.ack_ids = count()
        self.adapter: Adapter = MemoryAdapter(self._encode, self.encode_with_ack, self._make_log())

    def _make_log(self) -> RecoveryLog | None:
        rules = self.server.socket_options.recovery
        if rules is None:
            return None
        engine = self.server.engine.options
        grace = engine.ping_interval + engine.ping_timeout
        return RecoveryLog(rules, lambda: self.clock.time(), grace)  # noqa: PLW0108 - no loop yet

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

    def _encode(self, data: list[Any], compress: bool) -> tuple[EncodedPacket, ...]:
        packets = self.parser.encode_event(self.name, data)
        if not compress:
            for packet in packets:
                packet.compress = False
        return packets

    def encode_with_ack(self, data: list[Any], ack_id: int) -> tuple[EncodedPacket, ...]:
        """Return the packets of an event that asks for an ack."""
        return self.parser.encode(Packet(PacketType.EVENT, self.name, data, ack_id))

    # -- sockets come and go: called by the connection and the socket

    def admit(self, socket: Socket) -> None:
        """Count a socket in: it is about to get its CONNECT."""
        self.sockets[socket.id] = socket
        self.adapter.add(socket, (socket.id,))
        if socket.pid is not None:
            self.by_pid[socket.pid] = socket
            socket.offset = self.adapter.current_offset()

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

    def unhandled(self, socket: Socket, data: list[Any], ack_id: int | None) -> None:
        """Nobody handles this event."""
        if self.unhandled_handler is not None:
            self.dispatch.run(self.unhandled_handler, socket, [data[0], *data], ack_id)


_EVERYBODY: Final = BroadcastTarget()


class ParentNamespace(Registry):
    """A pattern, or a function, that makes namespaces when clients ask for them.

    What is registered here goes to each child when it is made.
    """

    __slots__ = ("_matches", "_server", "children")

    def __init__(self, server: SocketServer, matches: Callable[[str, dict[str, Any]], Any]) -> None:
        super().__init__()
        self._server = server
        self._matches = matches
        self.children: set[Namespace] = set()

    def matches(self, name: str, auth: dict[str, Any]) -> Any:
        """Whether a namespace of this name is wanted: a bool, or an awaitable of one."""
        return self._matches(name, auth)

    def emit(self, event: str, *args: Any) -> None:
        """Send an event to everybody in all children."""
        for child in list(self.children):
            child.emit(event, *args)

    def to(self, rooms: str | list[str]) -> ChildrenBroadcast:
        """Send to these rooms in all children."""
        return ChildrenBroadcast([child.to(rooms) for child in self.children])


class ChildrenBroadcast:
    """One event for the same rooms of several namespaces."""

    __slots__ = ("_operators",)

    def __init__(self, operators: list[Any]) -> None:
        self._operators = operators

    def emit(self, event: str, *args: Any) -> None:
        """Send the event."""
        for operator in self._operators:
            operator.emit(event, *args)


def canonical_name(name: str) -> str:
    """Return the name of a namespace with its slash: `chat` is `/chat`, nothing is `/`."""
    return name if name.startswith("/") else f"/{name}"


def matcher(pattern: re.Pattern[str]) -> Callable[[str, dict[str, Any]], bool]:
    """Return the function that tells whether a pattern matches a whole name."""
    return lambda name, auth: pattern.fullmatch(name) is not None
