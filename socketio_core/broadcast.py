"""The immutable operator that says whom an event is for, and the methods that begin one.

Knows: rooms, exceptions, flags, what can be done to many sockets at once.
Does not know: how anybody is reached: the namespace does it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from socketio_core.acknowledgement import BroadcastAck, BroadcastAnswers
from socketio_core.adapters.interface import DONE, BroadcastTarget
from socketio_core.codec.packet import is_event_name

if TYPE_CHECKING:
    from socketio_core.namespace import Namespace
    from socketio_core.socket import Socket


def room_names(rooms: str | Iterable[str]) -> tuple[str, ...]:
    """Return the rooms as a tuple: one name, or several. Raises TypeError for anything else."""
    if isinstance(rooms, str):
        return (rooms,)
    names = tuple(rooms)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a room is a string, not {name!r}")
    return names


def check_event(event: str) -> None:
    """Raise ValueError for the name of an event that can't be sent."""
    if not is_event_name(event):
        raise ValueError(f"{event!r} is a reserved event name, or none at all")


def check_server_event(event: str) -> None:
    """Raise ValueError for the name of an event that a server tells only itself."""
    if event in {"connect", "connection", "new_namespace"}:
        raise ValueError(f"{event!r} is a reserved event name")


class Broadcasting:
    """What a namespace, the server and a `Broadcast` have in common."""

    __slots__ = ()

    def _target(self) -> tuple[Namespace, BroadcastTarget, float | None]:
        """Return the namespace, the target so far, and the timeout for acks."""
        raise NotImplementedError

    # -- whom it is for: each returns a new operator

    def to(self, rooms: str | Iterable[str]) -> Broadcast:
        """Send to the sockets in these rooms, too; each socket once."""
        namespace, target, timeout = self._target()
        names = dict.fromkeys((*target.rooms, *room_names(rooms)))
        return Broadcast(namespace, target._replace(rooms=tuple(names)), timeout)

    def in_(self, rooms: str | Iterable[str]) -> Broadcast:
        """Do as `to`."""
        return self.to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> Broadcast:
        """Leave out the sockets in any of these rooms."""
        namespace, target, timeout = self._target()
        excluded = target.except_ | frozenset(room_names(rooms))
        return Broadcast(namespace, target._replace(except_=excluded), timeout)

    @property
    def volatile(self) -> Broadcast:
        """Drop the event for whoever can't take it at once."""
        namespace, target, timeout = self._target()
        return Broadcast(namespace, target._replace(volatile=True), timeout)

    @property
    def local(self) -> Broadcast:
        """Reach the sockets of this server only."""
        namespace, target, timeout = self._target()
        return Broadcast(namespace, target._replace(local=True), timeout)

    def compress(self, compress: bool) -> Broadcast:
        """Say whether the transport may compress the event."""
        namespace, target, timeout = self._target()
        return Broadcast(namespace, target._replace(compress=compress), timeout)

    def timeout(self, seconds: float) -> Broadcast:
        """Give the acks of `emit_with_ack` this long."""
        namespace, target, _ = self._target()
        return Broadcast(namespace, target, seconds)

    # -- what is done

    def emit(self, event: str, *args: Any) -> None:
        """Send an event. It is encoded once. Raises ValueError for what can't be sent."""
        namespace, target, _ = self._target()
        check_event(event)
        namespace.broadcast([event, *args], target)

    def send(self, *args: Any) -> None:
        """Emit a `message` event."""
        self.emit("message", *args)

    async def emit_with_ack(self, event: str, *args: Any) -> BroadcastAnswers:
        """Send an event and await the acks; see `timeout`. Whoever leaves is `missing`."""
        namespace, target, timeout = self._target()
        check_event(event)
        collector = BroadcastAck(namespace.clock, timeout)
        asked = namespace.adapter.broadcast_with_ack([event, *args], target, collector)
        sockets = [namespace.sockets.get(socket_id) for socket_id in asked]

        def forget(sink: Any) -> None:
            for socket in sockets:
                if socket is not None:
                    socket.acks.forget(sink)

        return await collector.result(asked, forget)

    async def fetch_sockets(self) -> list[Socket]:
        """Return the sockets in the target."""
        return self._local_sockets()

    def sockets_join(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Put the sockets in the target in these rooms."""
        names = room_names(rooms)
        for socket in self._local_sockets():
            socket.join(names)
        return DONE

    def sockets_leave(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Take the sockets in the target out of these rooms."""
        names = room_names(rooms)
        for socket in self._local_sockets():
            for room in names:
                socket.leave(room)
        return DONE

    def disconnect_sockets(self, close: bool = False) -> Awaitable[None]:
        """Disconnect the sockets in the target; with `close`, their connections."""
        for socket in self._local_sockets():
            socket.disconnect(close)
        return DONE

    # -- other servers

    def server_side_emit(self, event: str, *args: Any) -> Awaitable[None]:
        """Send an event to the other servers: to who listens with `on_server_event` there."""
        namespace, _, _ = self._target()
        check_server_event(event)
        return namespace.adapter.server_side_emit([event, *args])

    async def server_side_emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        """Do as `server_side_emit`; return the answers that come in time, see `timeout`."""
        namespace, _, timeout = self._target()
        check_server_event(event)
        return await namespace.adapter.server_side_ask([event, *args], timeout)

    def _local_sockets(self) -> list[Socket]:
        namespace, target, _ = self._target()
        found = (namespace.sockets.get(each) for each in namespace.adapter.sockets(target))
        return [socket for socket in found if socket is not None]


class Broadcast(Broadcasting):
    """An event's audience; each method that narrows or widens it returns a new one."""

    __slots__ = ("_namespace", "_so_far", "_timeout")

    def __init__(
        self, namespace: Namespace, target: BroadcastTarget, timeout: float | None = None
    ) -> None:
        self._namespace = namespace
        self._so_far = target
        self._timeout = timeout

    def _target(self) -> tuple[Namespace, BroadcastTarget, float | None]:
        return self._namespace, self._so_far, self._timeout
