"""One client in one namespace: its rooms, handlers and pending acks, and how it sends events.

The connection decodes packets and owns the other sockets of the same client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from threading import get_ident
from typing import Any, Final, Generic, Protocol, Unpack, final, overload

from engineio_core.accounts import Account
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import SessionClosedError
from engineio_core.noop import noop
from engineio_core.options import check_bool
from engineio_core.session import Session
from socketio_core.acknowledgement import (
    AckSink,
    CallbackAck,
    EmitOptions,
    ObservedAcks,
    PendingAcks,
    SingleAck,
    TimedCallbackAck,
)
from socketio_core.adapters.interface import DONE, AckCollector, BroadcastTarget
from socketio_core.broadcast import Broadcast, check_event, room_names
from socketio_core.disconnect_reason import DisconnectReason
from socketio_core.errors import DisconnectedError
from socketio_core.generics import Data
from socketio_core.handlers.ack import CONNECTION_RESULT
from socketio_core.handlers.handler import Handler
from socketio_core.handlers.registry import Function, Listening, Registry, without
from socketio_core.handlers.signature import HandlerSocket
from socketio_core.handlers.socket_core import NO_HANDLERS, SocketCore, SocketListeners
from socketio_core.handshake import Handshake
from socketio_core.misuse import (
    EMIT_KEYWORDS,
    EMITTED,
    check_callback,
    check_duration,
    check_runs,
    refuse_keywords,
    refuse_thread,
)
from socketio_core.namespace_core import NamespaceCore
from socketio_core.server_events import Answer, P, ServerEvent
from socketio_core.socket_operator import SocketOperator
from socketio_core.socket_state import SOCKET_TRANSITIONS, SocketEvent, SocketState

CONNECTED: Final = SocketState.CONNECTED
LEAVING: Final = SocketState.LEAVING
LEFT: Final = SocketState.LEFT
# CPython 3.11 reads a name of the module faster than a member of an enum.
_ADMITTED: Final = SocketEvent.ADMITTED
_LEAVE: Final = SocketEvent.LEAVE
_ENDED: Final = SocketEvent.ENDED


class SocketConnection(Protocol):
    """The part of a connection that its sockets use."""

    @property
    def session(self) -> Session:
        """The Engine.IO session of all sockets."""

    def disconnect(self, socket: Socket[Any], close: bool) -> None:
        """Disconnect one socket; with `close`, all sockets and the session."""

    def reserve(self, size: int) -> bool:
        """Keep room for the missed events of a socket; return False if there is not enough."""

    def release(self, size: int) -> None:
        """Give up the room of `reserve`: the events were sent, or will not be."""

    def handler_suspended(self) -> None:
        """Count a pending handler."""

    def handler_ended(self) -> None:
        """Stop counting a pending handler."""

    def charge_to(self, account: Account) -> None:
        """Count the session and its pending handlers in one more account."""


@final
class Socket(SocketCore, HandlerSocket, Listening, Generic[Data]):
    """One client in one namespace; the first argument of handlers.

    `id` is public, and new for each connection unless the session was recovered. `data` belongs
    to the application: a dict until it assigns something else; `Socket[MyData]` declares its
    type. `handshake` describes how the client connected. `pid` identifies the session for
    recovery: it is secret, and None without recovery.
    """

    __slots__ = (
        "_connection", "_early", "_offset", "_owed", "data", "handshake", "id", "namespace", "pid",
        "recovered",
    )  # fmt: skip

    def __init__(
        self,
        namespace: NamespaceCore[Socket[Any]],
        connection: SocketConnection,
        socket_id: str,
        handshake: Handshake,
    ) -> None:
        early: list[EncodedPacket] = []
        serializes = namespace._options.serialize_handlers
        super().__init__(
            connection.session,
            namespace._ack_encoder,
            NO_HANDLERS if serializes else namespace._handlers.direct,
            SocketListeners(serializes) if serializes else None,
            early.append,
        )
        self.id = socket_id
        self.namespace = namespace
        self.handshake = handshake
        self.data: Data = {}  # type: ignore[assignment]  # the default of Data is a dict
        # Recovery
        self.recovered = False
        self.pid: str | None = None
        self._offset = ""
        # Packets sent before the CONNECT reply wait for it.
        self._connection = connection
        self._early: list[EncodedPacket] | None = early
        self._owed: PendingAcks | None = None  # created on first use

    @property
    def connected(self) -> bool:
        """Whether the client is in the namespace: false before the CONNECT reply and after."""
        state = self._state
        return state is CONNECTED or state is LEAVING

    @property
    def session(self) -> Session:
        """The Engine.IO session that carries this socket."""
        return self._connection.session

    @property
    def rooms(self) -> set[str]:
        """A copy of the names of its rooms, including its own id."""
        return self.namespace.adapter.rooms_of(self.id)

    def __repr__(self) -> str:
        return f"<Socket {self.id} of {self.namespace.name}>"

    # -- sending

    @overload
    def emit(self, event: ServerEvent[P, Any], *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def emit(self, event: str, *args: Any, **options: Unpack[EmitOptions]) -> None: ...

    def emit(self, event: Any, *args: Any, **options: Any) -> None:
        """Send an event to this client.

        `ack(*args)`, plain or async, is called with the client's answer, if it arrives;
        `emit_with_ack` waits for the answer instead. Call `emit` in the thread of the event loop.
        Raises ValueError or TypeError for a name or an argument that cannot be sent.
        """
        if options:
            self._emit_with_options(event, args, **options)
            return EMITTED
        data = [event, *args]
        namespace = self.namespace
        if get_ident() != namespace._dispatch.loop_thread:
            refuse_thread()
        if namespace.adapter.keeps_events:
            namespace.adapter.send_direct(self, data, volatile=False, compress=True)
        else:
            # hot path: benchmarks/hop_budget.py
            for packet in namespace._parser.encode_event(namespace.name, data):
                self._send_packet(packet)
        if self._listeners is not None:
            self._notify_outgoing(data)
        return EMITTED

    def _check_thread(self) -> None:
        if get_ident() != self.namespace._dispatch.loop_thread:
            refuse_thread()

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
        self._emit_with_callback(event, args, ack, None)

    def _emit_with_callback(
        self, event: str, args: tuple[Any, ...], ack: Callable[..., Any], timeout: float | None
    ) -> None:
        check_runs("ack", ack)
        check_event(event)
        self._check_thread()
        clock = self.namespace.clock
        inner = CallbackAck(ack, self.namespace._dispatch.reporter.run)
        sink: AckSink = inner
        if timeout is not None:
            sink = TimedCallbackAck(inner, self.id, clock, timeout, self._forget_ack)
        if self._state is LEFT:
            clock.call_soon(sink.left, self.id)
        else:
            self._send_with_ack([event, *args], sink)

    def send(self, *args: Any, **options: Unpack[EmitOptions]) -> None:
        """Send a `message` event, with the options of `emit`."""
        self.emit("message", *args, **options)
        return EMITTED

    @overload
    async def emit_with_ack(
        self, event: ServerEvent[P, Answer], *args: P.args, **kwargs: P.kwargs
    ) -> Answer: ...
    @overload
    async def emit_with_ack(self, event: str, *args: Any) -> Any: ...

    async def emit_with_ack(  # type: ignore[misc]  # a keyword raises TypeError
        self, event: Any, *args: Any
    ) -> Any:
        """Send an event and return the first argument of its ack; None if the ack has none.

        Raises DisconnectedError as soon as the client leaves. `timeout` sets a deadline.
        """
        return await self._emit_with_timeout(event, args, None)

    async def _emit_with_timeout(
        self, event: str, args: tuple[Any, ...], timeout: float | None
    ) -> Any:
        check_event(event)
        self._check_thread()
        if not self.connected:
            raise DisconnectedError
        ack = SingleAck(self.namespace.clock, timeout)
        self._send_with_ack([event, *args], ack)
        return await ack.result(self._forget_ack)

    def _emit_with_flags(self, data: list[Any], *, volatile: bool, compress: bool) -> None:
        self._check_thread()
        self.namespace.adapter.send_direct(self, data, volatile=volatile, compress=compress)
        self._notify_outgoing(data)

    def _send_with_ack(self, data: list[Any], sink: AckSink) -> None:
        namespace = self.namespace
        ack_id = next(namespace._ack_ids)
        packets = namespace._parser.encode_event(namespace.name, data, ack_id)
        self._pending_acks.expect(ack_id, sink, data[0])
        if namespace.adapter.is_delaying:
            namespace.adapter.send_later(self, packets)
        else:
            for packet in packets:
                self._send_packet(packet)
        if self._listeners is not None:
            self._notify_outgoing(data)

    @property
    def volatile(self) -> SocketOperator:
        """An operator that drops the event if the client cannot receive it immediately."""
        return SocketOperator(self, volatile=True)

    def compress(self, compress: bool) -> SocketOperator:
        """Set whether the transport may compress the event."""
        check_bool("compress", compress)
        return SocketOperator(self, compress=compress)

    def timeout(self, seconds: float) -> SocketOperator:
        """Set how many seconds `emit_with_ack`, or `ack` of `emit`, waits: an hour at most.

        After that `emit_with_ack` raises AckTimeoutError; `ack` is called with it as the error.
        """
        check_duration("timeout", seconds)
        return SocketOperator(self, timeout=seconds)

    async def drain(self) -> None:
        """Wait until the client has taken all queued packets; a sender of many events awaits it.

        Raises DisconnectedError if the client leaves first.
        """
        try:
            await self.session.drain()
        except SessionClosedError:
            raise DisconnectedError from None

    # -- sending to other clients

    @property
    def broadcast(self) -> Broadcast[Socket[Any]]:
        """An operator for all sockets in the namespace except this one."""
        return Broadcast(self.namespace, BroadcastTarget(except_=frozenset((self.id,))))

    @property
    def local(self) -> Broadcast[Socket[Any]]:
        """An operator for all sockets on this server, except this one."""
        return self.broadcast.local

    def to(self, *rooms: str | Iterable[str]) -> Broadcast[Socket[Any]]:
        """Select the sockets in these rooms, except this one."""
        return self.broadcast.to(*rooms)

    def in_(self, *rooms: str | Iterable[str]) -> Broadcast[Socket[Any]]:
        """Select the sockets in these rooms: an alias of `to`, Node's `in`."""
        return self.broadcast.to(*rooms)

    def except_(self, *rooms: str | Iterable[str]) -> Broadcast[Socket[Any]]:
        """Select all sockets except this one and those in these rooms."""
        return self.broadcast.except_(*rooms)

    # -- rooms

    def join(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Join rooms: immediately on this server; the awaitable covers the other servers.

        Raises ValueError for the id of another socket, whose messages would reach this one.
        """
        names = room_names(rooms)
        adapter = self.namespace.adapter
        adapter.check_rooms(self.id, names)
        if self._state is LEFT:
            return DONE
        return adapter.add(self, names)

    def leave(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Leave rooms: immediately on this server; the awaitable covers the other servers."""
        done = DONE
        for room in room_names(rooms):
            done = self.namespace.adapter.remove(self.id, room)
        return done

    def leave_all(self) -> Awaitable[None]:
        """Leave all rooms, including the room of its id; `io.emit` still reaches the socket."""
        return self.leave(*self.rooms)

    # -- leaving the namespace

    def disconnect(self, close: bool = False) -> None:
        """Disconnect the client from this namespace; with `close`, from all its namespaces.

        The official client does not reconnect by itself after this.
        """
        check_bool("close", close)
        self._check_thread()
        self._connection.disconnect(self, close)
        return EMITTED

    def _admit(self) -> None:
        """Start after the CONNECT reply: send waiting packets and run "connection" handlers."""
        self._state = SOCKET_TRANSITIONS[self._state][_ADMITTED]
        early, self._early = self._early, None
        self._send_packet = self._connection.session.send
        for packet in early or ():
            self._send_packet(packet)
        if self._state is not LEFT:
            self._run_lifecycle("connection")

    def _leave(self, reason: str, description: str = "") -> None:
        """Leave the namespace once; later calls have no effect."""
        follower = SOCKET_TRANSITIONS[self._state].get(_LEAVE)
        if follower is None:
            return
        self._state = follower
        was_connected = follower is LEAVING
        namespace = self.namespace
        reason = str(reason)  # handlers get a plain string, not an enum member
        if was_connected:
            namespace._counts.disconnects[namespace._label, reason] += 1
            self._run_lifecycle("disconnecting", reason, description)
            namespace._keep_for_return(self, reason)
            self._state = SOCKET_TRANSITIONS[follower][_ENDED]
        self._send_packet = noop
        self._early = None
        namespace.adapter.remove_all(self.id)
        namespace._forget(self)
        if self._owed is not None:
            self._owed.fail_all()
        if was_connected and (
            self._listeners is None or not self._is_handling(self._listeners, reason, description)
        ):
            self._run_lifecycle("disconnect", reason, description)

    def _is_handling(self, listeners: SocketListeners, reason: str, description: str) -> bool:
        """Return whether events that the client sent before it left must be handled first."""
        if reason == DisconnectReason.SERVER_NAMESPACE_DISCONNECT:
            # Node: packets that arrived before have no effect after `disconnect`.
            self.namespace._pipeline.drop(self, listeners)
        if listeners.is_busy:
            listeners.departure = (reason, description)
        return listeners.departure is not None

    def _end_departure(self) -> None:
        listeners = self._need_listeners()
        departure, listeners.departure = listeners.departure, None
        if departure is not None:
            self._run_lifecycle("disconnect", *departure)

    def _run_lifecycle(self, event: str, *args: Any) -> None:
        namespace = self.namespace
        handlers = namespace._handlers.lifecycle.find(event)
        if self._listeners is not None:
            handlers += self._listeners.registry.lifecycle.find(event)
        ack = CONNECTION_RESULT if event == "connection" else None
        for handler in handlers:
            namespace._dispatch.run(handler, self, [event, *args], ack)

    # -- handlers of this socket: called without the socket argument

    def _registry(self) -> Registry:
        return self._need_listeners().registry

    def use_event(self, middleware: Function) -> Function:
        """Call `middleware(event)` before the handlers of each event of this socket.

        `event` is `[name, *args]` and may be changed. Otherwise as `Namespace.use_event`.
        """
        check_callback("a middleware of Socket.use_event()", middleware, ("event",))
        self._registry().event_middlewares.append(middleware)
        return middleware

    def use(self, middleware: Function) -> Function:
        """Register an event middleware: an alias of `use_event`, Node's `socket.use`."""
        return self.use_event(middleware)

    def on_any_outgoing(self, function: Function, *, first: bool = False) -> Function:
        """Call `function(event, *args)` for each event sent to this socket."""
        listeners = self._need_listeners().any_outgoing
        handler = Handler(function, takes_socket=False)
        listeners.insert(0 if first else len(listeners), handler)
        self._listens_outgoing = True
        return function

    def off_any_outgoing(self, function: Callable[..., Any] | None = None) -> None:
        """Remove one listener of `on_any_outgoing`, or all without an argument."""
        listeners = self._need_listeners().any_outgoing
        listeners[:] = without(listeners, function)
        self._listens_outgoing = bool(listeners)

    # -- called by programs that keep accounts of users

    def _charge_to(self, account: Account) -> None:
        self._connection.charge_to(account)

    # -- called by the event pipeline

    def _event_queued(self) -> None:
        self._connection.handler_suspended()

    def _event_unqueued(self) -> None:
        self._connection.handler_ended()

    # -- called by the dispatch

    def _handler_suspended(self) -> None:
        listeners = self._listeners
        if listeners is not None and listeners.serializes:
            listeners.running += 1
        self._connection.handler_suspended()

    def _handler_ended(self) -> None:
        listeners = self._listeners
        if listeners is not None:
            if listeners.serializes:
                listeners.running -= 1
            self.namespace._pipeline.drain(self, listeners)
        self._connection.handler_ended()

    # -- called by the adapter (Recipient)

    def _send_volatile(self, packets: tuple[EncodedPacket, ...]) -> None:
        if self._state is CONNECTED or self._state is LEAVING:
            self._connection.session.send_volatile_group(packets)

    def _expect_ack(self, ack_id: int, collector: AckCollector) -> bool:
        sink: AckSink = collector
        connected = self.connected
        if connected:
            self._pending_acks.expect(ack_id, sink)
        return connected

    def _notify_outgoing(self, data: list[Any]) -> None:
        if self._listeners is not None:
            for listener in tuple(self._listeners.any_outgoing):
                self.namespace._dispatch.run(listener, self, [data[0], *data], None)

    # -- acks that the client owes

    @property
    def _pending_acks(self) -> PendingAcks:
        if self._owed is None:
            observers = self.namespace._counts.ack_observers
            self._owed = ObservedAcks(self, observers) if observers else PendingAcks(self.id)
        return self._owed

    @property
    def _awaits_acks(self) -> bool:
        """Whether acks of the client are pending."""
        return bool(self._owed)

    def _receive_ack(self, ack_id: int, data: list[Any]) -> None:
        """Pass an ack to its waiter; an unexpected ack is ignored."""
        if self._owed is not None:
            self._owed.receive(ack_id, data)

    def _forget_ack(self, sink: AckSink) -> None:
        if self._owed is not None:
            self._owed.forget(sink)
