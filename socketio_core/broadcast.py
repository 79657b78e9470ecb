"""The immutable operator that selects the audience of an event, and the methods that start it.

The namespace delivers the event: it passes the event and its target to the adapter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from inspect import isawaitable
from typing import Any, Final, Generic, Protocol, Unpack, final, overload

from engineio_core.clock import Clock
from engineio_core.options import check_bool
from socketio_core.acknowledgement import AckSink, BroadcastAck, BroadcastAnswers, EmitOptions
from socketio_core.adapters.interface import DONE, Adapter, BroadcastTarget, ServerResults
from socketio_core.codec.packet import is_event_name
from socketio_core.errors import AckTimeoutError
from socketio_core.generics import Member, Member_co
from socketio_core.misuse import (
    EMIT_KEYWORDS,
    EMITTED,
    check_callback,
    check_duration,
    refuse_keywords,
)
from socketio_core.remote_socket import RemoteSocket
from socketio_core.server_events import P, ServerEvent


class Audience(Protocol[Member_co]):
    """The part of a namespace that broadcasting uses."""

    @property
    def adapter(self) -> Adapter:
        """The adapter that holds the rooms."""

    @property
    def clock(self) -> Clock:
        """The clock for ack timeouts."""

    @property
    def sockets(self) -> Mapping[str, Member_co]:
        """The sockets on this server, by id."""

    def _broadcast(self, data: list[Any], target: BroadcastTarget) -> None:
        """Send an event, `[name, *args]`, to a target."""

    def _run_callback(self, work: Awaitable[Any], role: str) -> None:
        """Await `work` in a task and log its exception."""


def room_names(rooms: tuple[str | Iterable[str], ...]) -> tuple[str, ...]:
    """Return the names of rooms, given as strings or iterables. Raises TypeError for others."""
    if len(rooms) == 1 and isinstance(rooms[0], str):
        return (rooms[0],)
    names: list[str] = []
    for each in rooms:
        if isinstance(each, str):
            names.append(each)
            continue
        if isinstance(each, bytes | Mapping) or not isinstance(each, Iterable):
            raise _not_a_room(each)
        for name in each:
            if not isinstance(name, str):
                raise _not_a_room(name)
            names.append(name)
    return tuple(names)


def _not_a_room(value: Any) -> TypeError:
    """Return the error for a value in place of a room name, with a remedy that works."""
    socket_id = getattr(value, "id", None)
    if isinstance(socket_id, str):
        remedy = "pass its id"
    elif isinstance(value, bytes):
        remedy = f"write {value.decode(errors='replace')!r}"
    elif value is None or isinstance(value, Mapping):
        remedy = "write the name of a room"
    else:
        remedy = f"write {str(value)!r}"
    return TypeError(f"a room name must be a string, got {value!r}: {remedy}")


def check_event(event: str) -> None:
    """Raise TypeError or ValueError for an event name that cannot be sent to clients."""
    if not isinstance(event, str):
        raise TypeError(f"an event name must be a string, got {event!r}")
    if not is_event_name(event):
        raise ValueError(f"{event!r} is a reserved event name: use another name")


def check_server_event(event: str) -> None:
    """Raise TypeError or ValueError for an event name that cannot be sent to other servers."""
    if not isinstance(event, str):
        raise TypeError(f"an event name must be a string, got {event!r}")
    if event in {"connect", "connection", "new_namespace"}:
        raise ValueError(f"{event!r} is a reserved event name: use another name")


NO_ROOM: Final = "to() needs at least one room: to reach all sockets, leave to() out"


class Broadcasting(Generic[Member]):
    """The methods that a namespace, the server and a `Broadcast` share."""

    __slots__ = ()

    def _target(self) -> tuple[Audience[Member], BroadcastTarget, float | None]:
        """Return the namespace, the target so far, and the timeout for acks."""
        raise NotImplementedError

    # -- the audience: each method returns a new operator

    def to(self, *rooms: str | Iterable[str]) -> Broadcast[Member]:
        """Add rooms to the target. A socket in several of them receives the event once.

        Raises ValueError without a room: a target without rooms is the whole namespace.
        """
        audience, target, timeout = self._target()
        new = room_names(rooms)
        if not new:
            raise ValueError(NO_ROOM)
        names = dict.fromkeys((*target.rooms, *new))
        return Broadcast(audience, target._replace(rooms=tuple(names)), timeout)

    def in_(self, *rooms: str | Iterable[str]) -> Broadcast[Member]:
        """Add rooms to the target: an alias of `to`, Node's `in`."""
        return self.to(*rooms)

    def except_(self, *rooms: str | Iterable[str]) -> Broadcast[Member]:
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
        check_bool("compress", compress)
        audience, target, timeout = self._target()
        return Broadcast(audience, target._replace(compress=compress), timeout)

    def timeout(self, seconds: float) -> Broadcast[Member]:
        """Set how many seconds `emit_with_ack`, or `ack` of `emit`, waits: an hour at most."""
        check_duration("timeout", seconds)
        audience, target, _ = self._target()
        return Broadcast(audience, target, seconds)

    # -- actions

    @overload
    def emit(self, event: ServerEvent[P, Any], *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def emit(self, event: str, *args: Any, **options: Unpack[EmitOptions]) -> None: ...

    def emit(self, event: Any, *args: Any, **options: Any) -> None:
        """Send an event; it is encoded once for all receivers.

        `ack(error, answers)`, plain or async, is called with the BroadcastAnswers; `error` is None,
        or an AckTimeoutError if a client did not answer before the timeout. Call it in the thread
        of the event loop. Raises ValueError or TypeError for a name or an argument that cannot be
        sent, also if no client receives it.
        """
        if options:
            self._emit_with_options(event, args, **options)
            return EMITTED
        audience, target, _ = self._target()
        check_event(event)
        audience._broadcast([event, *args], target)
        return EMITTED

    def _emit_with_options(
        self,
        event: str,
        args: tuple[Any, ...],
        ack: Callable[..., Any] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            refuse_keywords(unknown, EMIT_KEYWORDS)
        if ack is None:
            self.emit(event, *args)
            return
        check_callback("ack", ack, ("error", "answers"))
        answers = self._ask(event, args)
        self._target()[0]._run_callback(_call_back(answers, ack), f"the ack callback of {event!r}")

    def send(self, *args: Any, **options: Unpack[EmitOptions]) -> None:
        """Send a `message` event, with the options of `emit`."""
        self.emit("message", *args, **options)
        return EMITTED

    @overload
    async def emit_with_ack(
        self, event: ServerEvent[P, Any], *args: P.args, **kwargs: P.kwargs
    ) -> BroadcastAnswers: ...
    @overload
    async def emit_with_ack(self, event: str, *args: Any) -> BroadcastAnswers: ...

    async def emit_with_ack(  # type: ignore[misc]  # a keyword raises TypeError
        self, event: Any, *args: Any
    ) -> BroadcastAnswers:
        """Send an event and return the acks that arrive before the timeout (see `timeout`).

        Sockets that did not answer, or left first, are listed in `missing`; for other servers,
        `missing_remote` has their number. Without a timeout, the wait for other servers ends after
        the `request_timeout` of the adapter.
        """
        return await self._ask(event, args)

    def _ask(self, event: str, args: tuple[Any, ...]) -> Awaitable[BroadcastAnswers]:
        """Send an event that requests acks; return the awaitable of the answers."""
        audience, target, timeout = self._target()
        check_event(event)
        collector = BroadcastAck(audience.clock, timeout)
        data = [event, *args]
        asked = audience.adapter.broadcast_with_ack(data, target, collector)
        if not target.local:
            audience.adapter.remote_broadcast_with_ack(data, target, collector)
        sockets = [audience.sockets.get(socket_id) for socket_id in asked]

        def forget(sink: AckSink) -> None:
            for socket in sockets:
                if socket is not None:
                    socket._forget_ack(sink)

        return collector.result(asked, forget)

    async def fetch_sockets(self) -> ServerResults[Member | RemoteSocket]:
        """Return the sockets in the target, on all servers.

        Sockets of other servers are `RemoteSocket` objects. A server that does not answer in time
        (see `timeout`) is counted in `missing_servers` of the result.
        """
        audience, target, timeout = self._target()
        local = self._local_sockets()
        if target.local:
            return ServerResults(local)
        remote = await audience.adapter.remote_sockets(target, timeout)
        sockets = [
            RemoteSocket(state, Broadcast(audience, BroadcastTarget((state.id,))))
            for state in remote
        ]
        return ServerResults([*local, *sockets], remote.missing_servers)

    def sockets_join(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Add the sockets in the target to rooms. Raises ValueError as `Socket.join` does."""
        names = room_names(rooms)
        audience, target, _ = self._target()
        for socket_id in audience.adapter.sockets(target):
            audience.adapter.check_rooms(socket_id, names)
        for socket in self._local_sockets():
            socket.join(*names)
        return DONE if target.local else audience.adapter.remote_join(target, names)

    def sockets_leave(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Remove the sockets in the target from rooms."""
        names = room_names(rooms)
        audience, target, _ = self._target()
        for socket in self._local_sockets():
            socket.leave(*names)
        return DONE if target.local else audience.adapter.remote_leave(target, names)

    def disconnect_sockets(self, close: bool = False) -> Awaitable[None]:
        """Disconnect the sockets in the target; with `close`, close their connections as well."""
        check_bool("close", close)
        audience, target, _ = self._target()
        for socket in self._local_sockets():
            socket.disconnect(close)
        return DONE if target.local else audience.adapter.remote_disconnect(target, close)

    # -- other servers

    def server_side_emit(self, event: str, *args: Any) -> Awaitable[None]:
        """Send an event to the `on_server_event` handlers of the other servers."""
        audience, _, _ = self._target()
        check_server_event(event)
        return audience.adapter.server_side_emit([event, *args])

    async def server_side_emit_with_ack(self, event: str, *args: Any) -> ServerResults[Any]:
        """Send an event to the other servers and return the answers (see `timeout`).

        A server that does not answer in time is counted in `missing_servers` of the result.
        """
        audience, _, timeout = self._target()
        check_server_event(event)
        return await audience.adapter.server_side_emit_with_ack([event, *args], timeout)

    async def server_count(self) -> int:
        """Return the number of servers, this one included."""
        return await self._target()[0].adapter.server_count()

    def _local_sockets(self) -> list[Member]:
        audience, target, _ = self._target()
        found = (audience.sockets.get(each) for each in audience.adapter.sockets(target))
        return [socket for socket in found if socket is not None]


async def _call_back(answers: Awaitable[BroadcastAnswers], ack: Callable[..., Any]) -> None:
    received = await answers
    result = ack(None if received.is_complete else AckTimeoutError(), received)
    if result is not None and result is not EMITTED and isawaitable(result):
        await result


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
