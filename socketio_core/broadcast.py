"""The immutable operator that selects the audience of an event, and the methods that start it.

The namespace delivers the event: it passes the event and its target to the adapter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, final

from engineio_core.clock import Clock
from socketio_core.acknowledgement import AckSink, BroadcastAck, BroadcastAnswers
from socketio_core.adapters.interface import DONE, Adapter, BroadcastTarget
from socketio_core.codec.packet import is_event_name

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Member = TypeVar("Member", bound="AudienceMember", default=Any)
    Member_co = TypeVar("Member_co", bound="AudienceMember", covariant=True, default=Any)
else:
    from typing import TypeVar

    Member = TypeVar("Member")
    Member_co = TypeVar("Member_co", covariant=True)


class AudienceMember(Protocol):
    """The part of a socket that bulk operations use."""

    def join(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Join rooms."""

    def leave(self, room: str) -> Awaitable[None]:
        """Leave one room."""

    def disconnect(self, close: bool = False) -> None:
        """Disconnect the socket, optionally with its connection."""

    def _forget_ack(self, sink: AckSink) -> None:
        """Ignore the ack that `sink` waits for."""


class Audience(Protocol[Member_co]):
    """The part of a namespace that broadcasting uses."""

    @property
    def adapter(self) -> Adapter:
        """The adapter that knows the rooms."""

    @property
    def clock(self) -> Clock:
        """The clock for ack timeouts."""

    @property
    def sockets(self) -> Mapping[str, Member_co]:
        """The sockets on this server, by id."""

    def _broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event, `[name, *args]`, to a target."""


def room_names(rooms: str | Iterable[str]) -> tuple[str, ...]:
    """Return one room name or several as a tuple. Raises TypeError for anything else."""
    if isinstance(rooms, str):
        return (rooms,)
    names = tuple(rooms)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a room name must be a string, got {name!r}")
    return names


def check_event(event: str) -> None:
    """Raise ValueError for an event name that cannot be sent to clients."""
    if not is_event_name(event):
        raise ValueError(f"an event name must be a string that is not reserved, got {event!r}")


def check_server_event(event: str) -> None:
    """Raise ValueError for an event name that servers reserve for themselves."""
    if event in {"connect", "connection", "new_namespace"}:
        raise ValueError(f"{event!r} is reserved and cannot be sent to other servers")


class Broadcasting(Generic[Member]):
    """The methods that a namespace, the server and a `Broadcast` share."""

    __slots__ = ()

    def _target(self) -> tuple[Audience[Member], BroadcastTarget, float | None]:
        """Return the namespace, the target so far, and the timeout for acks."""
        raise NotImplementedError

    # -- the audience: each method returns a new operator

    def to(self, rooms: str | Iterable[str]) -> Broadcast[Member]:
        """Add rooms to the target. A socket in several of them receives the event once."""
        audience, target, timeout = self._target()
        names = dict.fromkeys((*target.rooms, *room_names(rooms)))
        return Broadcast(audience, target._replace(rooms=tuple(names)), timeout)

    def in_(self, rooms: str | Iterable[str]) -> Broadcast[Member]:
        """Add rooms to the target: an alias of `to`, Node's `in`."""
        return self.to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> Broadcast[Member]:
        """Exclude the sockets in any of these rooms."""
        audience, target, timeout = self._target()
        excluded = target.except_ | frozenset(room_names(rooms))
        return Broadcast(audience, target._replace(except_=excluded), timeout)

    @property
    def volatile(self) -> Broadcast[Member]:
        """An operator that drops the event for clients that cannot receive it immediately."""
        audience, target, timeout = self._target()
        return Broadcast(audience, target._replace(volatile=True), timeout)

    @property
    def local(self) -> Broadcast[Member]:
        """An operator that reaches only the sockets of this server."""
        audience, target, timeout = self._target()
        return Broadcast(audience, target._replace(local=True), timeout)

    def compress(self, compress: bool) -> Broadcast[Member]:
        """Set whether the transport may compress the event."""
        audience, target, timeout = self._target()
        return Broadcast(audience, target._replace(compress=compress), timeout)

    def timeout(self, seconds: float) -> Broadcast[Member]:
        """Set how many seconds `emit_with_ack` waits for acks."""
        audience, target, _ = self._target()
        return Broadcast(audience, target, seconds)

    # -- actions

    def emit(self, event: str, *args: Any) -> None:
        """Send an event; it is encoded once for all receivers.

        Raises ValueError or TypeError for a name or an argument that cannot be sent.
        """
        audience, target, _ = self._target()
        check_event(event)
        audience._broadcast([event, *args], target)

    def send(self, *args: Any) -> None:
        """Send a `message` event."""
        self.emit("message", *args)

    async def emit_with_ack(self, event: str, *args: Any) -> BroadcastAnswers:
        """Send an event and return the acks that arrive before the timeout (see `timeout`).

        Sockets that did not answer, or left first, are listed in `missing`.
        """
        audience, target, timeout = self._target()
        check_event(event)
        collector = BroadcastAck(audience.clock, timeout)
        asked = audience.adapter.broadcast_with_ack([event, *args], target, collector)
        sockets = [audience.sockets.get(socket_id) for socket_id in asked]

        def forget(sink: AckSink) -> None:
            for socket in sockets:
                if socket is not None:
                    socket._forget_ack(sink)

        return await collector.result(asked, forget)

    async def fetch_sockets(self) -> list[Member]:
        """Return the sockets in the target."""
        return self._local_sockets()

    def sockets_join(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Add the sockets in the target to rooms."""
        names = room_names(rooms)
        for socket in self._local_sockets():
            socket.join(names)
        return DONE

    def sockets_leave(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Remove the sockets in the target from rooms."""
        names = room_names(rooms)
        for socket in self._local_sockets():
            for room in names:
                socket.leave(room)
        return DONE

    def disconnect_sockets(self, close: bool = False) -> Awaitable[None]:
        """Disconnect the sockets in the target; with `close`, close their connections as well."""
        for socket in self._local_sockets():
            socket.disconnect(close)
        return DONE

    # -- other servers

    def server_side_emit(self, event: str, *args: Any) -> Awaitable[None]:
        """Send an event to the `on_server_event` handlers of the other servers."""
        audience, _, _ = self._target()
        check_server_event(event)
        return audience.adapter.server_side_emit([event, *args])

    async def server_side_emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        """Send an event to the other servers and return the answers (see `timeout`)."""
        audience, _, timeout = self._target()
        check_server_event(event)
        return await audience.adapter.server_side_emit_with_ack([event, *args], timeout)

    def _local_sockets(self) -> list[Member]:
        audience, target, _ = self._target()
        found = (audience.sockets.get(each) for each in audience.adapter.sockets(target))
        return [socket for socket in found if socket is not None]


@final
class Broadcast(Broadcasting[Member]):
    """The audience of an event; each method that narrows or widens it returns a new operator."""

    __slots__ = ("_audience", "_so_far", "_timeout")

    def __init__(
        self, audience: Audience[Member], target: BroadcastTarget, timeout: float | None = None
    ) -> None:
        self._audience = audience
        self._so_far = target
        self._timeout = timeout

    def _target(self) -> tuple[Audience[Member], BroadcastTarget, float | None]:
        return self._audience, self._so_far, self._timeout
