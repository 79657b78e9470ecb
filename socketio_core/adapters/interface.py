"""The adapter interface: room membership, broadcasts and recovery of one namespace.

`memory` implements it for a single server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Literal, NamedTuple, Protocol

from engineio_core.codec.encoded_packet import EncodedPacket

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


class RestoredSession(NamedTuple):
    """A saved session and the encoded events, with offsets, that its socket has missed."""

    saved: SavedSession
    missed: list[tuple[EncodedPacket, ...]]

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

    async def claim(self, restored: RestoredSession) -> bool:
        """Remove a session from the store; return False if another server removed it first."""


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


class Adapter(Protocol):
    """The rooms of one namespace on all servers.

    Changes on this server take effect before the call returns; the awaitable covers the other
    servers. Delivery on this server does not depend on a broker.
    """

    keeps_events: bool
    """Whether events are kept for recovery: if so, events for one socket use `send_direct`."""

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
        """Send an event that requests acks; return the ids of the receivers."""

    def sockets(self, target: BroadcastTarget) -> Collection[str]:
        """Return the ids of the sockets in the target."""

    def send_direct(
        self, recipient: Recipient, data: list[Any], *, volatile: bool, compress: bool
    ) -> None:
        """Send an event to one socket, and keep it for recovery."""

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
    ) -> Awaitable[list[Any]]:
        """Send an event to the other servers; return the answers that arrive in time."""

    def on_room_event(self, listener: Callable[[RoomEvent, str, str | None], None]) -> None:
        """Call `listener(event, room, socket_id)` when rooms change; None for create, delete."""

    def close(self) -> None:
        """Release all rooms and listeners."""


class _Done:
    """An awaitable that is complete."""

    __slots__ = ()

    def __await__(self) -> Any:
        return iter(())


DONE: Awaitable[None] = _Done()
"""The result of a change on this server, which has already happened."""
