"""The adapter seam: who is in which room, and how a broadcast reaches everybody.

Knows: the interface between a namespace and its adapter, and its contracts.
Does not know: namespaces, sockets, parsers; who implements it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Literal, NamedTuple, Protocol

from engineio_core.codec.encoded_packet import EncodedPacket

RoomEvent = Literal["create", "join", "leave", "delete"]
Encode = Callable[[list[Any], bool], tuple[EncodedPacket, ...]]
"""Turns an event's `[name, *arguments]` into its packets; the flag is `compress`."""
EncodeWithAck = Callable[[list[Any], bool], tuple[int, tuple[EncodedPacket, ...]]]
"""As `Encode`, for an event that asks for an ack; returns its id, too."""


class BroadcastTarget(NamedTuple):
    """Whom a broadcast is for, and how. No rooms: everybody in the namespace."""

    rooms: tuple[str, ...] = ()
    except_: frozenset[str] = frozenset()
    volatile: bool = False
    local: bool = False
    compress: bool = True


class SavedSession(NamedTuple):
    """What is kept of a socket for its return."""

    pid: str
    socket_id: str
    rooms: tuple[str, ...]
    data: Any
    offset: str
    """The place in the log up to which the socket had been sent everything when it connected."""


class RestoredSession(NamedTuple):
    """A saved session, and the events that its socket has missed, with their offsets, encoded."""

    saved: SavedSession
    missed: list[tuple[EncodedPacket, ...]]


class Recipient(Protocol):
    """A socket, as an adapter sees it."""

    @property
    def id(self) -> str:
        """The public id; the name of the room that only this socket is in."""

    _send_packet: Callable[[EncodedPacket], None]
    """Send one packet; never raises, never waits."""

    def _send_volatile(self, packets: tuple[EncodedPacket, ...]) -> None:
        """Send the packets if they can leave at once, else drop them."""

    def _expect_ack(self, ack_id: int, collector: AckCollector) -> bool:
        """Expect an ack for `collector`; False if none can come."""

    def _notify_outgoing(self, data: list[Any]) -> None:
        """Tell the listeners of outgoing events."""

    @property
    def _listens_outgoing(self) -> bool:
        """Whether there is anybody for `_notify_outgoing` to tell."""


class AckCollector(Protocol):
    """Who waits for the acks of a broadcast."""

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """One socket answered."""

    def left(self, socket_id: str) -> None:
        """One socket left and can't answer any more."""


class Adapter(Protocol):
    """The rooms of one namespace on all servers.

    What concerns only this server happens at once, before the call returns; the awaitable is for
    the others. Delivery on this server never waits for, nor depends on, a broker.
    """

    keeps_events: bool
    """Whether events are kept for a return: then those for one socket go by `send_direct`, too."""

    def add(self, recipient: Recipient, rooms: Iterable[str]) -> Awaitable[None]:
        """Put a socket in rooms; it may be in some already."""

    def remove(self, socket_id: str, room: str) -> Awaitable[None]:
        """Take a socket out of a room, if it is in it."""

    def remove_all(self, socket_id: str) -> Awaitable[None]:
        """Take a socket out of all its rooms: it leaves. Costs as much as it has rooms."""

    def rooms_of(self, socket_id: str) -> set[str]:
        """Return a copy of the rooms of a socket; empty for one that is not here."""

    def rooms(self) -> dict[str, set[str]]:
        """Return a copy of all rooms here, with the ids of their sockets."""

    def broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event, `[name, *arguments]`, to everybody in the target, each once."""

    def broadcast_with_ack(
        self, data: list[Any], target: BroadcastTarget, collector: AckCollector
    ) -> list[str]:
        """As `broadcast`, asking for acks; return the ids of those that are asked."""

    def sockets(self, target: BroadcastTarget) -> Collection[str]:
        """Return the ids of the sockets in the target."""

    def send_direct(
        self, recipient: Recipient, data: list[Any], *, volatile: bool, compress: bool
    ) -> None:
        """Send an event to one socket, in a way that recovery knows of."""

    def current_offset(self) -> str:
        """Return the offset of the last event; empty where nothing is kept for a return."""

    def save_session(self, saved: SavedSession) -> None:
        """Keep a session for the return of its client."""

    def restore_session(self, pid: str, offset: str | None) -> RestoredSession | None:
        """Give a session back, once: a second call with the same pid finds nothing."""

    def server_side_emit(self, data: list[Any]) -> Awaitable[None]:
        """Send an event to the other servers."""

    def server_side_emit_with_ack(
        self, data: list[Any], timeout: float | None
    ) -> Awaitable[list[Any]]:
        """Send an event to the other servers; return what those answer that do so in time."""

    def on_room_event(self, listener: Callable[[RoomEvent, str, str | None], None]) -> None:
        """Call `listener(event, room, socket_id)` when rooms change; None for create, delete."""

    def close(self) -> None:
        """Let go of everything."""


class _Done:
    """An awaitable that has nothing to wait for."""

    __slots__ = ()

    def __await__(self) -> Any:
        return iter(())


DONE: Awaitable[None] = _Done()
"""What a local change returns: it has happened already, and may be awaited."""
