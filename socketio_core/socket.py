"""One client in one namespace.

Knows: its rooms, its handlers, the acks it owes; how an event comes in and goes out.
Does not know: the other namespaces of its connection, transports.
A socket leaves once, in `leave`; after that it sends nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.noop import noop
from socketio_core.acknowledgement import AckSink, CallbackAck, PendingAcks, SingleAck
from socketio_core.adapters.interface import DONE, AckCollector, BroadcastTarget
from socketio_core.broadcast import Broadcast, check_event, room_names
from socketio_core.errors import DisconnectedError
from socketio_core.handlers.handler import Handler
from socketio_core.handlers.pipeline import Extras, drain
from socketio_core.handlers.registry import Function, Listening, Registry, without
from socketio_core.handshake import Handshake
from socketio_core.socket_operator import SocketOperator

if TYPE_CHECKING:
    from engineio_core.session import Session
    from socketio_core.connection import Connection
    from socketio_core.namespace import Namespace

NOTHING: Final[Mapping[Any, Handler]] = MappingProxyType({})


class Socket(Listening):
    """One client in one namespace: what handlers are called with.

    `id` is public and new for each connection (unless recovered); `data` is the server's to write;
    `handshake` is how the client came.
    """

    __slots__ = (
        "_acks", "_connection", "_is_leaving", "connected", "data", "direct", "extras",
        "handshake", "id", "listens_outgoing", "namespace", "offset", "pid", "recovered",
        "send_packet",
    )  # fmt: skip

    def __init__(
        self, namespace: Namespace, connection: Connection, socket_id: str, handshake: Handshake
    ) -> None:
        self.id = socket_id
        self.namespace = namespace
        self.handshake = handshake
        self.data: dict[str, Any] = {}
        self.connected = False
        self._is_leaving = False
        # Recovery
        self.recovered = False
        self.pid: str | None = None
        self.offset = ""
        # What is sent before the client has its CONNECT waits for it
        self._connection = connection
        early: list[EncodedPacket] = []
        self.send_packet: Callable[[EncodedPacket], None] = early.append
        self.listens_outgoing = False  # whether anybody does: a broadcast asks for each member
        # Made when first needed
        self._acks: PendingAcks | None = None
        serializes = namespace.server.socket_options.serialize_handlers
        self.extras: Extras | None = Extras(serializes) if serializes else None
        # Handlers of events that need nothing else; none for a socket that has extras
        self.direct: Mapping[Any, Handler] = NOTHING if serializes else namespace.registry.direct

    @property
    def session(self) -> Session:
        """The Engine.IO session that carries this socket: `buffered_amount`, `drain` and more."""
        return self._connection.session

    @property
    def rooms(self) -> set[str]:
        """A copy of the names of the rooms it is in; its own id is one of them."""
        return self.namespace.adapter.rooms_of(self.id)

    def __repr__(self) -> str:
        return f"<Socket {self.id} of {self.namespace.name}>"

    # -- sending

    def emit(self, event: str, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send an event to this client. Raises ValueError or TypeError for what can't be sent.

        `ack(*args)` is called with the client's answer, if it ever comes; to wait for it with a
        deadline, see `emit_with_ack`.
        """
        if ack is not None:
            self._send_with_ack([event, *args], CallbackAck(ack))
            return
        data = [event, *args]
        namespace = self.namespace
        if namespace.adapter.keeps_events:
            namespace.adapter.send_direct(self, data, volatile=False, compress=True)
        else:
            # hot path: benchmarks/hop_budget.py
            for packet in namespace.parser.encode_event(namespace.name, data):
                self.send_packet(packet)
        if self.extras is not None:
            self.notify_outgoing(data)

    def send(self, *args: Any) -> None:
        """Emit a `message` event."""
        self.emit("message", *args)

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send an event and await the first argument of its ack.

        Raises DisconnectedError as soon as the client leaves; see `timeout` for a deadline.
        """
        return await self.ask(event, args, None)

    async def ask(self, event: str, args: tuple[Any, ...], timeout: float | None) -> Any:
        """Do as `emit_with_ack`, with a deadline. Called by the operator."""
        check_event(event)
        if not self.connected:
            raise DisconnectedError
        ack = SingleAck(self.namespace.clock, timeout)
        self._send_with_ack([event, *args], ack)
        return await ack.result(self.acks.forget)

    def _send_with_ack(self, data: list[Any], sink: AckSink) -> None:
        namespace = self.namespace
        ack_id = next(namespace.ack_ids)
        packets = namespace.parser.encode_event(namespace.name, data, ack_id)
        self.acks.expect(ack_id, sink)
        for packet in packets:
            self.send_packet(packet)
        if self.extras is not None:
            self.notify_outgoing(data)

    @property
    def volatile(self) -> SocketOperator:
        """Drop the event if it can't leave at once."""
        return SocketOperator(self, volatile=True)

    def compress(self, compress: bool) -> SocketOperator:
        """Say whether the transport may compress the event."""
        return SocketOperator(self, compress=compress)

    def timeout(self, seconds: float) -> SocketOperator:
        """Give the ack of `emit_with_ack` this long; AckTimeoutError is raised then."""
        return SocketOperator(self, timeout=seconds)

    # -- sending to others

    @property
    def broadcast(self) -> Broadcast:
        """Everybody in the namespace but this socket."""
        return Broadcast(self.namespace, BroadcastTarget(except_=frozenset((self.id,))))

    def to(self, rooms: str | Iterable[str]) -> Broadcast:
        """Everybody in these rooms but this socket."""
        return self.broadcast.to(rooms)

    def in_(self, rooms: str | Iterable[str]) -> Broadcast:
        """Do as `to`."""
        return self.broadcast.to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> Broadcast:
        """Everybody but this socket and those in these rooms."""
        return self.broadcast.except_(rooms)

    # -- rooms

    def join(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Join rooms: here at once; await it to be sure of the other servers."""
        if self.has_left:
            return DONE
        return self.namespace.adapter.add(self, room_names(rooms))

    def leave(self, room: str) -> Awaitable[None]:
        """Leave a room."""
        return self.namespace.adapter.remove(self.id, room)

    # -- the end

    def disconnect(self, close: bool = False) -> None:
        """Tell the client that it is disconnected; with `close`, from all its namespaces.

        The client does not come back by itself.
        """
        self._connection.disconnect(self, close)

    def left(self, reason: str, description: str = "") -> None:
        """Leave the namespace. Called by the connection, the server, or `disconnect`."""
        if self._is_leaving:
            return
        self._is_leaving = True
        namespace = self.namespace
        was_connected = self.connected
        if was_connected:
            self._tell("disconnecting", reason, description)
            namespace.keep_for_return(self, reason)
        self.connected = False
        self.send_packet = noop
        namespace.adapter.remove_all(self.id)
        namespace.forget(self)
        if self._acks is not None:
            self._acks.fail_all()
        if self.extras is not None:
            while self.extras.queue:
                self.extras.queue.popleft()
                self.event_left_queue()
        if was_connected:
            self._tell("disconnect", reason, description)

    @property
    def has_left(self) -> bool:
        """Whether it is out of the namespace, for good."""
        return self.send_packet is noop

    def _tell(self, event: str, *args: Any) -> None:
        handlers = self.namespace.registry.lifecycle.find(event)
        if self.extras is not None:
            handlers += self.extras.registry.lifecycle.find(event)
        for handler in handlers:
            self.namespace.dispatch.run(handler, self, [event, *args], None)

    def admitted(self) -> None:
        """Begin: the client has got its CONNECT. Called by the connection."""
        early, self.send_packet = self.send_packet, self._connection.session.send
        self.connected = True
        for packet in early.__self__:  # type: ignore[attr-defined]  # it is a list's `append`
            self.send_packet(packet)
        if not self.has_left:
            self._tell("connection")

    # -- handlers of this socket alone: called without it

    def need_extras(self) -> Extras:
        """Return what few sockets have; made now if need be."""
        if self.extras is None:
            self.extras = Extras(serializes=False)
            self.direct = NOTHING
        return self.extras

    def _registry(self) -> Registry:
        return self.need_extras().registry

    def use(self, middleware: Function) -> Function:
        """Call `middleware(event)` before the handlers; `event` is `[name, *args]`, to change.

        As `Namespace.use_event`, for this socket.
        """
        self._registry().event_middlewares.append(middleware)
        return middleware

    def on_any_outgoing(self, function: Function, *, first: bool = False) -> Function:
        """Call `function(event, *args)` for every event that goes out, broadcasts too."""
        listeners = self.need_extras().any_outgoing
        handler = Handler(function, takes_socket=False)
        listeners.insert(0 if first else len(listeners), handler)
        self.listens_outgoing = True
        return function

    def off_any_outgoing(self, function: Callable[..., Any] | None = None) -> None:
        """Remove a listener of `on_any_outgoing`, or all."""
        listeners = self.need_extras().any_outgoing
        listeners[:] = without(listeners, function)
        self.listens_outgoing = bool(listeners)

    # -- an event comes in: see `incoming`

    def own_handlers(self, event: str) -> tuple[Handler, ...]:
        """Return the handlers of this socket alone."""
        return self.extras.registry.find(event) if self.extras is not None else ()

    # -- HandlingSocket, Recipient: what the dispatch and the adapter ask

    def handler_suspended(self) -> None:
        """A handler goes on later. Called by the dispatch."""
        if self.extras is not None and self.extras.serializes:
            self.extras.running += 1
        self._connection.handler_suspended()

    def handler_ended(self) -> None:
        """A handler that went on has ended. Called by the dispatch."""
        extras = self.extras
        if extras is not None:
            if extras.serializes:
                extras.running -= 1
            drain(self, extras)
        self._connection.handler_ended()

    def event_queued(self) -> None:
        """An event waits: it counts as a pending handler while it does."""
        self._connection.handler_suspended()

    def event_left_queue(self) -> None:
        """An event waits no more."""
        self._connection.handler_ended()

    def send_ack(self, ack_id: int, result: Any) -> None:
        """Answer an event: a tuple is several arguments, None is none."""
        if result.__class__ is tuple:
            args = list(result)
        else:
            args = [] if result is None else [result]
        namespace = self.namespace
        session = self._connection.session
        encoded = namespace.parser.encode_ack(namespace.name, ack_id, args)
        if isinstance(encoded, bytes):
            session.send_bare(encoded)
        else:
            for packet in encoded:
                session.send(packet)

    def send_volatile(self, packets: tuple[EncodedPacket, ...]) -> None:
        """Send packets if they can leave at once, else drop them."""
        if self.connected:
            self._connection.session.send_volatile_group(packets)

    @property
    def acks(self) -> PendingAcks:
        """The acks that the client owes."""
        if self._acks is None:
            self._acks = PendingAcks(self.id)
        return self._acks

    def receive_ack(self, ack_id: int, data: list[Any]) -> None:
        """Take an ack; one that nobody waits for is ignored. Called by the connection."""
        if self._acks is not None:
            self._acks.receive(ack_id, data)

    def expect_ack(self, ack_id: int, collector: AckCollector) -> bool:
        """Expect an ack of a broadcast."""
        sink: AckSink = collector
        if self.connected:
            self.acks.expect(ack_id, sink)
        return self.connected

    def notify_outgoing(self, data: list[Any]) -> None:
        """Tell who listens to outgoing events."""
        if self.extras is not None:
            for listener in tuple(self.extras.any_outgoing):
                self.namespace.dispatch.run(listener, self, [data[0], *data], None)
