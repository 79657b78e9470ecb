"""One client in one namespace.

Knows: its rooms, its handlers, the acks it owes; how an event comes in and goes out.
Does not know: the other namespaces of its connection, transports.
A socket leaves once, in `leave`; after that it sends nothing.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from engineio_core.encoded_packet import EncodedPacket
from engineio_core.session import ignore

from .acknowledgement import AckSink, CallbackAck, PendingAcks, SingleAck
from .adapter import DONE, AckCollector, BroadcastTarget
from .broadcast import Broadcast, check_event, room_names
from .dispatch import Ack, SharedAck
from .errors import PeerDisconnected
from .event_table import LIFECYCLE, EventTable, event_name
from .handler import Handler
from .handshake import Handshake
from .socket_operator import SocketOperator

if TYPE_CHECKING:
    from engineio_core.session import Session

    from .connection import Connection
    from .namespace import Namespace

Function = TypeVar("Function", bound=Callable[..., Any])


class _Extras:
    """What few sockets have: their own handlers, listeners, middlewares, a queue."""

    __slots__ = ("any", "any_outgoing", "lifecycle", "middlewares", "queue", "running", "table")

    def __init__(self) -> None:
        self.table = EventTable()
        self.lifecycle = EventTable()
        self.any: list[Callable[..., Any]] = []
        self.any_outgoing: list[Callable[..., Any]] = []
        self.middlewares: list[Callable[[list[Any]], Any]] = []
        self.running = 0
        self.queue: deque[tuple[list[Any], int | None]] = deque()


class Socket:
    """One client in one namespace: what handlers are called with.

    `id` is public and new for each connection (unless recovered); `data` is the server's to write;
    `handshake` is how the client came.
    """

    __slots__ = (
        "_acks", "_connection", "_extras", "connected", "data", "handshake", "id", "namespace",
        "offset", "pid", "recovered", "send_packet",
    )  # fmt: skip

    def __init__(
        self, namespace: Namespace, connection: Connection, socket_id: str, handshake: Handshake
    ) -> None:
        self.id = socket_id
        self.namespace = namespace
        self.handshake = handshake
        self.data: dict[str, Any] = {}
        self.connected = False
        # Recovery
        self.recovered = False
        self.pid: str | None = None
        self.offset = ""
        # What is sent before the client has its CONNECT waits for it
        self._connection = connection
        early: list[EncodedPacket] = []
        self.send_packet: Callable[[EncodedPacket], None] = early.append
        # Made when first needed
        self._acks: PendingAcks | None = None
        serializes = namespace.server.socket_options.serialize_handlers
        self._extras: _Extras | None = _Extras() if serializes else None

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
        check_event(event)
        if ack is not None:
            self._send_with_ack([event, *args], CallbackAck(ack))
            return
        data = [event, *args]
        self.namespace.adapter.send_direct(self, data, volatile=False, compress=True)
        if self._extras is not None:
            self.notify_outgoing(data)

    def send(self, *args: Any) -> None:
        """Emit a `message` event."""
        self.emit("message", *args)

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send an event and await the first argument of its ack.

        Raises PeerDisconnected as soon as the client leaves; see `timeout` for a deadline.
        """
        return await self.ask(event, args, None)

    async def ask(self, event: str, args: tuple[Any, ...], timeout: float | None) -> Any:
        """Do as `emit_with_ack`, with a deadline. Called by the operator."""
        check_event(event)
        if not self.connected:
            raise PeerDisconnected
        ack = SingleAck(self.namespace.clock, timeout)
        self._send_with_ack([event, *args], ack)
        return await ack.result(self.acks.forget)

    def _send_with_ack(self, data: list[Any], sink: AckSink) -> None:
        for packet in self.namespace.encode_with_ack(data, self.acks.expect(sink)):
            self.send_packet(packet)
        if self._extras is not None:
            self.notify_outgoing(data)

    @property
    def volatile(self) -> SocketOperator:
        """Drop the event if it can't leave at once."""
        return SocketOperator(self, volatile=True)

    def compress(self, compress: bool) -> SocketOperator:
        """Say whether the transport may compress the event."""
        return SocketOperator(self, compress=compress)

    def timeout(self, seconds: float) -> SocketOperator:
        """Give the ack of `emit_with_ack` this long; AckTimeout is raised then."""
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
        if self.send_packet is ignore:
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
        namespace = self.namespace
        was_connected = self.connected
        if self.send_packet is ignore:
            return
        if was_connected:
            self._tell("disconnecting", reason, description)
            namespace.keep_for_return(self, reason)
        self.connected = False
        self.send_packet = ignore
        namespace.adapter.remove_all(self.id)
        namespace.forget(self)
        if self._acks is not None:
            self._acks.fail_all()
        if was_connected:
            self._tell("disconnect", reason, description)

    def _tell(self, event: str, *args: Any) -> None:
        dispatch = self.namespace.dispatch
        data = [event, *args]
        handlers = self.namespace.lifecycle.find(event)
        if self._extras is not None:
            handlers += self._extras.lifecycle.find(event)
        for handler in handlers:
            dispatch.run(handler, self, data, None)

    def admitted(self) -> None:
        """Begin: the client has got its CONNECT. Called by the connection."""
        early, self.send_packet = self.send_packet, self._connection.session.send
        self.connected = True
        for packet in early.__self__:  # type: ignore[attr-defined]  # it is a list's `append`
            self.send_packet(packet)
        self._tell("connection")

    # -- handlers of this socket alone

    def on(self, event: str, function: Function | None = None) -> Any:
        """Call `function(*args)` for an event of this socket; without it, a decorator."""
        if function is None:
            return lambda decorated: self.on(event, decorated)
        self._own_table(event).add(event, Handler(function, takes_socket=False))
        return function

    def once(self, event: str, function: Function | None = None) -> Any:
        """Do as `on`, for the next event only."""
        if function is None:
            return lambda decorated: self.once(event, decorated)
        self._own_table(event).add(event, Handler(function, takes_socket=False), once=True)
        return function

    def prepend(self, event: str, function: Function) -> Function:
        """Do as `on`, before the handlers that are there."""
        self._own_table(event).add(event, Handler(function, takes_socket=False), first=True)
        return function

    def off(self, event: str | None = None, function: Callable[..., Any] | None = None) -> None:
        """Remove a function, an event's functions, or all."""
        if self._extras is not None:
            self._extras.table.remove(event, function)
            self._extras.lifecycle.remove(event, function)

    def _own_table(self, event: str) -> EventTable:
        return self._more().lifecycle if event in LIFECYCLE else self._more().table

    def on_any(self, function: Function, *, first: bool = False) -> Function:
        """Call `function(event, *args)` for every event that comes in, before all others."""
        listeners = self._more().any
        listeners.insert(0 if first else len(listeners), function)
        return function

    def off_any(self, function: Callable[..., Any] | None = None) -> None:
        """Remove a listener of `on_any`, or all."""
        if self._extras is not None:
            _discard(self._extras.any, function)

    def on_any_outgoing(self, function: Function, *, first: bool = False) -> Function:
        """Call `function(event, *args)` for every event that goes out, broadcasts too."""
        listeners = self._more().any_outgoing
        listeners.insert(0 if first else len(listeners), function)
        return function

    def off_any_outgoing(self, function: Callable[..., Any] | None = None) -> None:
        """Remove a listener of `on_any_outgoing`, or all."""
        if self._extras is not None:
            _discard(self._extras.any_outgoing, function)

    def use(self, middleware: Function) -> Function:
        """Call `middleware(event)` before the handlers; `event` is `[name, *args]`, to change.

        Plain or async. An exception stops the event: it is acked or reported as a handler's.
        """
        self._more().middlewares.append(middleware)
        return middleware

    def _more(self) -> _Extras:
        if self._extras is None:
            self._extras = _Extras()
        return self._extras

    # -- an event comes in

    def receive_event(self, data: list[Any], ack_id: int | None) -> None:
        """Run what is registered for an event. Called by the connection."""
        # hot path: benchmarks/hop_budget.py
        namespace = self.namespace
        if self._extras is None and namespace.is_plain:
            handlers = namespace.table.handlers.get(data[0])
            if handlers is not None and len(handlers) == 1:
                namespace.dispatch.run(handlers[0], self, data, ack_id)
                return
        self._receive_thoroughly(data, ack_id)

    def _receive_thoroughly(self, data: list[Any], ack_id: int | None) -> None:
        extras = self._extras
        options = self.namespace.server.socket_options
        if extras is not None and options.serialize_handlers and extras.running:
            extras.queue.append((data, ack_id))
            self._connection.handler_suspended()
            return
        for listener in extras.any if extras is not None else ():
            self._call_listener(listener, *data)
        for listener in self.namespace.any:
            self._call_listener(listener, self, *data)
        for middleware in self.namespace.event_middlewares:
            if not self._passes(middleware, data, ack_id, self, data):
                return
        if extras is None or not extras.middlewares:
            self._run_handlers(data, ack_id)
            return
        handler = Handler(self._run_middlewares, takes_socket=False)
        self.namespace.dispatch.run(handler, self, [data[0], data, ack_id], None)

    def _passes(
        self, middleware: Callable[..., Any], data: list[Any], ack: Ack, *args: Any
    ) -> bool:
        try:
            middleware(*args)
        except Exception as error:
            self.namespace.dispatch.failed(error, self, data[0], ack)
            return False
        return True

    async def _run_middlewares(self, data: list[Any], ack_id: int | None) -> None:
        for middleware in list(self._more().middlewares):
            try:
                outcome = middleware(data)
                if inspect.isawaitable(outcome):
                    await outcome
            except Exception as error:
                self.namespace.dispatch.failed(error, self, data[0], ack_id)
                return
        if self.connected:
            self._run_handlers(data, ack_id)

    def _run_handlers(self, data: list[Any], ack_id: int | None) -> None:
        namespace = self.namespace
        name = event_name(data[0])
        handlers = namespace.table.find(name)
        if self._extras is not None:
            handlers += self._extras.table.find(name)
        if not handlers:
            namespace.unhandled(self, data, ack_id)
            return
        shared = len(handlers) > 1 and ack_id is not None
        ack: Ack = SharedAck(ack_id, len(handlers)) if shared and ack_id is not None else ack_id
        for handler in handlers:
            namespace.dispatch.run(handler, self, data, ack)

    def _call_listener(self, listener: Callable[..., Any], *args: Any) -> None:
        try:
            listener(*args)
        except Exception as error:
            self.namespace.dispatch.reporter.report(error, self, "any")

    # -- HandlingSocket, Recipient: what the dispatch and the adapter ask

    def handler_suspended(self) -> None:
        """A handler goes on later. Called by the dispatch."""
        if self._extras is not None:
            self._extras.running += 1
        self._connection.handler_suspended()

    def handler_ended(self) -> None:
        """A handler that went on has ended. Called by the dispatch."""
        self._connection.handler_ended()
        extras = self._extras
        if extras is None:
            return
        extras.running -= 1
        while extras.queue and not extras.running:
            data, ack_id = extras.queue.popleft()
            self._connection.handler_ended()
            if self.connected:
                self._receive_thoroughly(data, ack_id)

    def send_ack(self, ack_id: int, result: Any) -> None:
        """Answer an event: a tuple is several arguments, None is none."""
        if result is None:
            args = []
        else:
            args = list(result) if result.__class__ is tuple else [result]
        namespace = self.namespace
        session = self._connection.session
        for packet in namespace.parser.encode_ack(namespace.name, ack_id, args):
            session.send(packet)

    def send_volatile(self, packets: tuple[EncodedPacket, ...]) -> None:
        """Send packets if they can leave at once, else drop them."""
        if self.connected:
            self._connection.session.send_volatile_group(packets)

    @property
    def acks(self) -> PendingAcks:
        """The acks that the client owes."""
        if self._acks is None:
            self._acks = PendingAcks(self.namespace.ack_ids, self.id)
        return self._acks

    def receive_ack(self, ack_id: int, data: list[Any]) -> None:
        """Take an ack; one that nobody waits for is ignored. Called by the connection."""
        if self._acks is not None:
            self._acks.receive(ack_id, data)

    def expect_ack(self, collector: AckCollector) -> int | None:
        """Expect an ack of a broadcast."""
        sink: AckSink = collector
        return self.acks.expect(sink) if self.connected else None

    @property
    def listens_outgoing(self) -> bool:
        """Whether anybody listens to outgoing events."""
        return self._extras is not None and bool(self._extras.any_outgoing)

    def notify_outgoing(self, data: list[Any]) -> None:
        """Tell who listens to outgoing events."""
        for listener in self._extras.any_outgoing if self._extras is not None else ():
            self._call_listener(listener, *data)


def _discard(listeners: list[Callable[..., Any]], function: Callable[..., Any] | None) -> None:
    listeners[:] = [each for each in listeners if function is not None and each is not function]
