"""The adapter interface: room membership, broadcasts, recovery and other servers of one namespace.

`memory` implements it for a single server, `cluster` for several. `AdapterFactory` is the type of
the option `adapter`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket

Item = TypeVar("Item")

RoomEvent = Literal["create", "join", "leave", "delete"]
Encode = Callable[[list[Any], bool], tuple[EncodedPacket, ...]]
"""Encodes an event, `[name, *arguments]`, with the flag `compress`."""
EncodeWithAck = Callable[[list[Any], bool], tuple[int, tuple[EncodedPacket, ...]]]
"""Encodes an event that requests an ack; returns the ack id and the packets."""


class BroadcastTarget(NamedTuple):
    """The audience and the flags of a broadcast. No rooms: all sockets of the namespace."""

    rooms: tuple[str, ...] = ()
    except_: frozenset[str] = frozenset()
    volatile: bool = False
    local: bool = False
    compress: bool = True


class SavedSession(NamedTuple):
    """The state of a socket that is kept for its return."""

    pid: str
    socket_id: str
    rooms: tuple[str, ...]
    data: Any
    offset: str
    """The offset of the last event before the socket connected."""
    left_at: float | None = None
    """The time of the server's clock at which the client left; None: now."""


class RestoredSession(NamedTuple):
    """A saved session and the encoded events, with offsets, that its socket has missed."""

    saved: SavedSession
    missed: list[tuple[EncodedPacket, ...]]
    token: Any = None
    """The data that a store needs to claim the session."""

    @property
    def size(self) -> int:
        """The number of bytes of the missed events."""
        return sum(len(packet.payload) for packets in self.missed for packet in packets)


class SessionStore(Protocol):
    """The sessions of absent clients, kept outside of this process."""

    async def find(self, pid: str, offset: str | None) -> RestoredSession | None:
        """Return a saved session without removing it; None if it is unknown or incomplete.

        It waits for a limited time; if the store does not answer, it returns None.
        """

    async def claim(self, restored: RestoredSession) -> RestoredSession | None:
        """Remove a session from the store; return it with the events up to the present.

        None if another server removed it first, or if the store does not answer. The caller must
        add the socket to its rooms before it awaits.
        """


class Recipient(Protocol):
    """The part of a socket that an adapter uses."""

    @property
    def id(self) -> str:
        """The public id, which is also the name of the socket's own room."""

    @property
    def pid(self) -> str | None:
        """The secret id for recovery; None: the client receives events without offsets."""

    _send_packet: Callable[[EncodedPacket], None]
    """Send one packet; it neither raises nor waits."""

    def _send_volatile(self, packets: tuple[EncodedPacket, ...]) -> None:
        """Send the packets if the transport can send them immediately, else drop them."""

    def _expect_ack(self, ack_id: int, collector: AckCollector) -> bool:
        """Register `collector` for an ack; return False if the socket has left."""

    def _notify_outgoing(self, data: list[Any]) -> None:
        """Call the listeners of outgoing events."""

    @property
    def _listens_outgoing(self) -> bool:
        """Whether the socket has listeners of outgoing events."""


class AckCollector(Protocol):
    """A waiter for the acks of a broadcast."""

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Take the ack of one socket."""

    def left(self, socket_id: str) -> None:
        """Count one socket that left and cannot answer."""


class RemoteAckCollector(AckCollector, Protocol):
    """A waiter for the acks of a broadcast to several servers."""

    @property
    def timeout(self) -> float | None:
        """The seconds to wait; None leaves the limit for other servers to the adapter."""

    def remote_started(self, cancel: Callable[[], RemoteMissing]) -> None:
        """Wait for other servers as well, until `remote_ended`.

        `cancel` ends the request to them and returns the missing answers.
        """

    def remote_acked(self, value: Any) -> None:
        """Take the ack of one socket of another server."""

    def remote_ended(self, missing: RemoteMissing) -> None:
        """Stop waiting for other servers."""


class RemoteMissing(NamedTuple):
    """The answers that other servers did not send in time."""

    clients: int = 0
    """The number of clients of other servers without an answer."""
    servers: int = 0
    """The number of servers without an answer; their clients are unknown."""


class ServerResults(list[Item]):
    """The results of several servers; `missing_servers` did not answer in time."""

    __slots__ = ("missing_servers",)

    def __init__(self, items: Iterable[Item] = (), missing_servers: int = 0) -> None:
        super().__init__(items)
        self.missing_servers = missing_servers
        """The number of servers whose results are missing."""


class RemoteState(NamedTuple):
    """The state of a socket of another server, as that server reports it."""

    id: str
    handshake: Mapping[str, Any]
    """With the keys of Node's handshake, such as `auth` and `headers`."""
    rooms: frozenset[str]
    data: Any


class Adapter(Protocol):
    """The rooms of one namespace on all servers.

    Changes on this server take effect before the call returns; the awaitable covers the other
    servers. Delivery on this server does not depend on a broker.
    """

    keeps_events: bool
    """Whether events are kept for recovery: if so, events for one socket use `send_direct`."""

    @property
    def is_delaying(self) -> bool:
        """Whether events wait, so that `send_later` and `flush` have an effect."""

    @property
    def session_store(self) -> SessionStore | None:
        """The store that restores sessions; None: `restore_session` does, without waiting."""

    def add(self, recipient: Recipient, rooms: Iterable[str]) -> Awaitable[None]:
        """Add a socket to rooms; it may be in some of them already."""

    def check_rooms(self, socket_id: str, rooms: Iterable[str]) -> None:
        """Raise ValueError for a room that has the id of another socket as its name."""

    def remove(self, socket_id: str, room: str) -> Awaitable[None]:
        """Remove a socket from a room, if it is a member."""

    def remove_all(self, socket_id: str) -> Awaitable[None]:
        """Remove a socket that leaves from its rooms, in time proportional to their number."""

    def rooms_of(self, socket_id: str) -> set[str]:
        """Return a copy of the rooms of a socket; empty for an unknown socket."""

    def rooms(self) -> dict[str, set[str]]:
        """Return a copy of the rooms on this server, with the ids of their sockets."""

    def broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event, `[name, *arguments]`, once to each socket in the target."""

    def broadcast_with_ack(
        self, data: list[Any], target: BroadcastTarget, collector: AckCollector
    ) -> list[str]:
        """Send an event that requests acks to this server's sockets; return their ids."""

    def remote_broadcast_with_ack(
        self, data: list[Any], target: BroadcastTarget, collector: RemoteAckCollector
    ) -> None:
        """Send an event that requests acks to the sockets of other servers."""

    def sockets(self, target: BroadcastTarget) -> Collection[str]:
        """Return the ids of the sockets in the target."""

    def send_direct(
        self, recipient: Recipient, data: list[Any], *, volatile: bool, compress: bool
    ) -> None:
        """Send an event to one socket, and keep it for recovery."""

    def send_later(self, recipient: Recipient, packets: tuple[EncodedPacket, ...]) -> None:
        """Send packets to one socket behind the events that wait, if `is_delaying`."""

    def flush(self, recipient: Recipient) -> None:
        """Send the events that wait to a socket that is about to leave, if `is_delaying`."""

    def current_offset(self) -> str:
        """Return the offset of the last event; empty without recovery."""

    def save_session(self, saved: SavedSession) -> None:
        """Keep a session for the return of its client."""

    def restore_session(self, pid: str, offset: str | None) -> RestoredSession | None:
        """Return a saved session and forget it: a second call with the same pid returns None."""

    def server_side_emit(self, data: list[Any]) -> Awaitable[None]:
        """Send an event to the other servers."""

    def server_side_emit_with_ack(
        self, data: list[Any], timeout: float | None
    ) -> Awaitable[ServerResults[Any]]:
        """Send an event to the other servers; return the answers that arrive in time."""

    # -- sockets of other servers

    def remote_join(self, target: BroadcastTarget, rooms: tuple[str, ...]) -> Awaitable[None]:
        """Add the sockets of other servers in the target to rooms."""

    def remote_leave(self, target: BroadcastTarget, rooms: tuple[str, ...]) -> Awaitable[None]:
        """Remove the sockets of other servers in the target from rooms."""

    def remote_disconnect(self, target: BroadcastTarget, close: bool) -> Awaitable[None]:
        """Disconnect the sockets of other servers in the target."""

    def remote_sockets(
        self, target: BroadcastTarget, timeout: float | None
    ) -> Awaitable[ServerResults[RemoteState]]:
        """Return the sockets of other servers in the target that are reported in time."""

    def server_count(self) -> Awaitable[int]:
        """Return the number of servers, this one included."""

    def on_room_event(self, listener: Callable[[RoomEvent, str, str | None], None]) -> None:
        """Call `listener(event, room, socket_id)` when rooms change; None for create, delete."""

    def close(self) -> None:
        """Release all rooms and listeners."""


class ClusterSocket(Protocol):
    """The part of a socket that the requests of other servers use."""

    @property
    def id(self) -> str:
        """The public id, the name of its own room."""

    @property
    def handshake(self) -> Any:
        """The handshake of the client."""

    @property
    def rooms(self) -> set[str]:
        """The rooms of the socket."""

    data: Any

    def join(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Join one room or several."""

    def leave(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Leave one room or several."""

    def disconnect(self, close: bool = False) -> None:
        """Disconnect the socket, optionally with its connection."""

    def _forget_ack(self, sink: AckCollector) -> None:
        """Ignore the ack that `sink` waits for."""


class ClusterNamespace(Protocol):
    """The part of a namespace that the adapter of a cluster uses."""

    @property
    def name(self) -> str:
        """The name, with its leading slash."""

    @property
    def clock(self) -> Clock:
        """The clock of all deadlines."""

    @property
    def sockets(self) -> Mapping[str, ClusterSocket]:
        """The sockets on this server, by id."""

    @property
    def _fetched_data(self) -> Callable[[Any], Any] | None:
        """Returns the data of a socket as other servers fetch it; None: `socket.data`."""

    def _receive_server_event(
        self, data: list[Any], answer: Callable[[Any], None] | None = None
    ) -> None:
        """Run the handlers of an event of another server; `answer` is called once."""

    def _close_former(self, pid: str) -> bool:
        """Close the connection of a client that returns to another server, and save its session.

        Return whether this server holds the client.
        """


class AdapterStatus(NamedTuple):
    """The state of the connection to the other servers, for health checks and metrics.

    The counters start with the server.
    """

    kind: str
    """The name of the adapter, such as "redis-sharded"."""
    connected: bool
    """Whether messages are sent and received."""
    since: float
    """The time of the last change of `connected`, in seconds since 1970."""
    peers: int
    """The number of other servers known in the namespace "/"."""
    queued_bytes: int = 0
    """The size of the messages that wait for the broker."""
    published: int = 0
    """The number of messages sent."""
    received: int = 0
    """The number of messages of other servers."""
    dropped: int = 0
    """The number of messages lost because the broker was unavailable or too slow."""
    invalid: int = 0
    """The number of received messages that could not be used."""
    error: str = ""
    """The last failure of the connection; empty while connected."""


class AdapterFactory(Protocol):
    """The value of the option `adapter`: creates the adapter of each namespace of one server.

    It owns the connection to the broker, which all namespaces share.
    """

    def create(
        self, namespace: ClusterNamespace, encode: Encode, encode_with_ack: EncodeWithAck, log: Any
    ) -> Adapter:
        """Return the adapter of a new namespace; `log` is the RecoveryLog, or None.

        May be called before `start`, and without a running event loop.
        """

    def start(self) -> None:
        """Connect in the background; called once, in the event loop of the server."""

    async def close(self) -> None:
        """Send the queued messages, for a short time, and close the connection."""

    def status(self) -> AdapterStatus:
        """Return the state of the connection."""


class _Done:
    """An awaitable that is complete."""

    __slots__ = ()

    def __await__(self) -> Any:
        return iter(())


DONE: Awaitable[None] = _Done()
"""The result of a change on this server, which has already happened."""
