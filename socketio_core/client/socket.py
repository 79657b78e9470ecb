"""One namespace of a client: connecting, events, acks, buffers and connection state recovery."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any, Final, TypeVar, final

from engineio_core.client.deadline import Deadline
from engineio_core.options import check_at_least
from socketio_core.acknowledgement import AckSink, CallbackAck, PendingAcks, TimedCallbackAck
from socketio_core.client.acks import AwaitedAck, OutgoingEvent, RetryQueue
from socketio_core.client.errors import (
    BufferFullError,
    ClientDisconnectReason,
    ConnectionFailedError,
)
from socketio_core.client.interface import SocketManager
from socketio_core.client.listeners import ClientRegistry, Execute
from socketio_core.client.operator import ClientOperator
from socketio_core.client.options import Auth, check_auth
from socketio_core.client.states import (
    CLIENT_SOCKET_TRANSITIONS,
    ClientSocketEvent,
    ClientSocketState,
)
from socketio_core.client.stream import EventStream
from socketio_core.codec.packet import (
    ACK,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    Decoded,
    Packet,
)
from socketio_core.errors import (
    ConnectError,
    DisconnectedError,
    SocketError,
    UnsendableResultError,
)
from socketio_core.handlers.ack import NO_ACK
from socketio_core.handlers.registry import Listening, Registry
from socketio_core.misuse import EMITTED, check_callback, check_duration

Function = TypeVar("Function", bound=Callable[..., Any])

CALL_TIMEOUT: Final = 60.0  # of `call`, as in python-socketio
MAX_STREAM_EVENTS: Final = 10_000
#: Missed events precede the CONNECT packet of a recovered session.
MAX_EARLY_EVENTS: Final = 100_000
CONNECTED: Final = ClientSocketState.CONNECTED
_WRONG_VERSION: Final = (
    "the server speaks version 2 of Socket.IO, which has no session IDs in its CONNECT packet"
)


@final
class Link:
    """One connection of a socket, which ends with the session.

    The dispatch sends the results of handlers through it, so that no ack reaches a later session,
    in which its ID may belong to another event.
    """

    __slots__ = ("_socket", "id")

    def __init__(self, socket: ClientSocket, socket_id: str) -> None:
        self._socket = socket
        self.id = socket_id

    def _send_ack(self, ack_id: int, result: Any) -> None:
        self._socket._send_ack(self, ack_id, result)

    def _handler_suspended(self) -> None:
        self._socket._manager._handler_suspended()

    def _handler_ended(self) -> None:
        self._socket._manager._handler_ended()


@final
class ClientSocket(Listening):
    """A namespace of a client, which connects again after a lost connection."""

    def __init__(
        self, manager: SocketManager, name: str, auth: Auth = None, execute: Execute | None = None
    ) -> None:
        check_auth(auth)
        self._manager = manager
        self.namespace = name
        self.auth: Auth = auth
        """The data of the CONNECT packet: a dict, or a function that returns one."""
        self._is_recovered = False
        self._state = ClientSocketState.INACTIVE
        self._link: Link | None = None
        self._listeners = ClientRegistry(execute)
        self._outgoing: list[Callable[..., Any]] = []
        self._ack_ids = itertools.count()
        self._pending = PendingAcks(name)
        self._buffer: deque[OutgoingEvent] = deque()
        self._buffered = 0  # bytes
        self._received: list[Decoded] = []  # events before the CONNECT packet
        self._pid: str | None = None
        self._offset: str | None = None
        # The calls of `connect`, and whether each waits for another attempt after a failure
        self._waiters: dict[asyncio.Future[None], bool] = {}
        self._streams: list[EventStream] = []
        self._attempt = 0  # distinguishes the results of an async `auth`
        options = manager.options
        self._retries = RetryQueue(
            options.retries,
            lambda: manager._clock,
            is_connected=lambda: self._state is CONNECTED,
            send=self._transmit,
            forget=self._pending.forget,
        )

    # -- state

    @property
    def id(self) -> str | None:
        """The public ID of the socket; None while it is not connected."""
        return self._link.id if self._link is not None else None

    @property
    def connected(self) -> bool:
        """Whether the server has accepted the socket, and the connection is open."""
        return self._state is CONNECTED

    @property
    def active(self) -> bool:
        """Whether the socket is connected, or connects by itself."""
        return self._state is not ClientSocketState.INACTIVE

    @property
    def recovered(self) -> bool:
        """Whether the server has restored the previous session at the last connection."""
        return self._is_recovered

    @property
    def buffered(self) -> int:
        """The number of events that wait for a connection, or for the ack of an earlier event."""
        return len(self._buffer) + len(self._retries)

    def start(self) -> None:
        """Connect in the background; the handlers of "connect" or "connect_error" are called.

        Raises ValueError for an invalid proxy of the environment, SSLError for an invalid file.
        """
        was_inactive = self._state is ClientSocketState.INACTIVE
        self._manager._start()  # raises for an invalid proxy or certificate
        self._advance(ClientSocketEvent.CONNECT)
        if was_inactive and self._manager.is_open:
            self._connection_opened()

    async def connect(self, *, retry: bool = False, timeout: float | None = None) -> None:
        """Connect, and return when the server has accepted the socket.

        Without `retry`, the first failure ends the attempt: ConnectError if the server refuses
        the namespace, ConnectionFailedError without a connection. With `retry`, the socket
        connects until it succeeds or is refused. `timeout` limits the time in seconds; without
        `retry`, the default is twice the option `timeout`. Raises TimeoutError.
        """
        if self._state is CONNECTED:
            return
        if timeout is not None:
            check_duration("timeout", timeout)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = retry
        limit = timeout if timeout is not None or retry else 2 * self._manager._connect_timeout
        try:
            self.start()
            async with Deadline(self._manager._clock, limit):
                await waiter
        except (ConnectionFailedError, TimeoutError):
            self.disconnect()
            raise
        finally:
            self._waiters.pop(waiter, None)

    def disconnect(self) -> None:
        """Leave the namespace; the socket does not connect again by itself."""
        if self._state is ClientSocketState.INACTIVE:
            return None
        if self._state is CONNECTED:
            self._manager._send(self._manager.options.parser.encode(
                Packet(DISCONNECT, self.namespace)))  # fmt: skip
        self._leave(ClientDisconnectReason.IO_CLIENT_DISCONNECT)
        self._manager._socket_left()
        return EMITTED

    # -- sending

    def emit(self, event: str, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send an event; without a connection, keep it until the socket is connected.

        `ack` is called with the arguments of the ack; with the option `ack_timeout` or
        `timeout(seconds)`, an error or None comes first. Raises BufferFullError, and TypeError or
        ValueError for arguments that cannot be sent.
        """
        self._emit([event, *args], ack, None, volatile=False)
        return EMITTED

    def send(self, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send the event "message"."""
        return self.emit("message", *args, ack=ack)

    async def call(self, event: str, *args: Any, timeout: float = CALL_TIMEOUT) -> Any:
        """Send an event and return its ack: the argument, or a tuple of several arguments.

        Raises AckTimeoutError, DisconnectedError or BufferFullError.
        """
        check_duration("timeout", timeout)
        answer = await self._request([event, *args], None, timeout, volatile=False)
        return answer[0] if len(answer) == 1 else tuple(answer) if answer else None

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send an event and return the first argument of its ack.

        The option `ack_timeout` limits the time. Raises AckTimeoutError, DisconnectedError or
        BufferFullError.
        """
        answer = await self._request([event, *args], None, None, volatile=False)
        return answer[0] if answer else None

    @property
    def volatile(self) -> ClientOperator:
        """An operator that drops the event if it cannot leave at once."""
        return ClientOperator(self, volatile=True)

    def timeout(self, seconds: float) -> ClientOperator:
        """Return an operator that waits this number of seconds for the ack: an hour at most."""
        return ClientOperator(self).timeout(seconds)

    async def drain(self) -> None:
        """Wait until all events have been passed to the network.

        Raises DisconnectedError without a connection, and when the connection is lost.
        """
        await self._manager._drain()

    # -- listeners

    def on_unhandled(self, function: Function) -> Function:
        """Call `function(event, *args)` for events without a handler. Its result is the ack."""
        self._listeners.unhandled = self._listeners.make(function)
        return function

    def on_any_outgoing(self, function: Function) -> Function:
        """Call `function(event, *args)` for each event that is sent."""
        check_callback("a listener of on_any_outgoing()", function, ("event",))
        self._outgoing.append(function)
        return function

    def events(self, limit: int = MAX_STREAM_EVENTS) -> EventStream:
        """Return the events from now on as an asynchronous iterator over `(name, *args)`.

        Handlers receive the events as well; their results are the acks.
        """
        check_at_least("limit", limit, 1)
        stream = EventStream(limit, lambda: self._manager._clock, self._stream_closed)
        self.on_any(stream._put)
        self._streams.append(stream)
        return stream

    def off_any_outgoing(self, function: Callable[..., Any] | None = None) -> None:
        """Remove one listener of `on_any_outgoing`, or all."""
        self._outgoing = [each for each in self._outgoing if function not in {None, each}]

    def _registry(self) -> Registry:
        return self._listeners

    def _stream_closed(self, stream: EventStream) -> None:
        self.off_any(stream._put)
        if stream in self._streams:
            self._streams.remove(stream)

    # -- sending, inside

    def _emit(
        self, data: list[Any], ack: Callable[..., Any] | None, timeout: float | None, volatile: bool
    ) -> None:
        options = self._manager.options
        limit = timeout if timeout is not None else options.ack_timeout
        sink: AckSink | None = None
        failed: Callable[[SocketError], None] | None = None
        if ack is not None:
            inner = CallbackAck(ack, self._manager.dispatch.reporter.run)
            if limit is None:
                sink = inner
            elif options.retries and not volatile:
                sink = _Prefixed(inner)
                failed = lambda error: inner.acked(self.namespace, [error])  # noqa: E731 - one line
            else:
                sink = TimedCallbackAck(
                    inner, self.namespace, self._manager._clock, limit, self._forget
                )
        self._submit(data, sink, limit, failed, volatile)

    async def _request(
        self, data: list[Any], timeout: float | None, total: float | None, volatile: bool
    ) -> list[Any]:
        options = self._manager.options
        limit = timeout if timeout is not None else options.ack_timeout
        is_retried = options.retries > 0 and not volatile
        if total is None and not is_retried:
            total = limit
        sink = AwaitedAck(self._manager._clock, total)
        self._submit(data, sink, limit, sink.fail, volatile)
        return await sink.result(self._forget)

    def _submit(
        self,
        data: list[Any],
        sink: AckSink | None,
        timeout: float | None,
        failed: Callable[[SocketError], None] | None,
        volatile: bool,
    ) -> None:
        manager = self._manager
        is_retried = manager.options.retries > 0 and not volatile
        ack_id = next(self._ack_ids) if sink is not None or is_retried else None
        packets = manager.options.parser.encode_event(self.namespace, data, ack_id)
        event = OutgoingEvent(data, packets, ack_id, sink, volatile)
        if not volatile and manager.amount + event.size > manager._buffer_size:
            raise BufferFullError(
                f"unsent events must not exceed max_buffer_size, {manager._buffer_size} bytes: "
                "await drain() between events, or raise the option"
            )
        if is_retried:
            assert timeout is not None, "the options require ack_timeout with retries"
            self._retries.add(event, timeout, failed)
        else:
            self._transmit(event)

    def _transmit(self, event: OutgoingEvent) -> None:
        """Send an event, or keep it until the socket is connected."""
        if event.is_volatile and not (self._state is CONNECTED and self._manager.is_writable):
            if event.sink is not None:
                event.sink.left(self.namespace)
        elif self._state is CONNECTED:
            self._write(event)
        else:
            self._buffer.append(event)
            self._buffered += event.size

    def _write(self, event: OutgoingEvent) -> None:
        for listener in tuple(self._outgoing):
            listener(*event.data)
        if event.sink is not None and event.ack_id is not None:
            self._pending.expect(event.ack_id, event.sink)
        self._manager._send(event.packets)

    def _forget(self, sink: AckSink) -> None:
        """Stop waiting for an ack; an event that was not sent is not sent any more."""
        self._pending.forget(sink)
        self._retries.forget(sink)
        for event in self._buffer:
            if event.sink is sink:
                self._buffer.remove(event)
                self._buffered -= event.size
                break

    def _send_ack(self, link: Link, ack_id: int, result: Any) -> None:
        if link is not self._link:
            return  # the session of the event has ended
        if result.__class__ is tuple:
            args = list(result)
        else:
            args = [] if result is None or result is EMITTED else [result]
        try:
            packets = self._manager.options.parser.encode(Packet(ACK, self.namespace, args, ack_id))
        except (TypeError, ValueError) as error:
            if result is NO_ACK:
                return
            raise UnsendableResultError(
                f"the handler returned a value that cannot be sent: {error}", result
            ) from None
        self._manager._send(packets)

    def _waiting_amount(self) -> int:
        return self._buffered + self._retries.size

    # -- the connection

    def _connection_opened(self) -> None:
        if self._state is not ClientSocketState.WAITING:
            return
        self._attempt += 1
        attempt = self._attempt
        try:
            auth: Any = self.auth() if callable(self.auth) else self.auth
            if isawaitable(auth):
                self._manager.dispatch.runner.start(
                    _await(auth),
                    lambda result, error: self._auth_ready(attempt, result, error),
                    f"socketio auth {self.namespace}",
                    self._manager._connect_timeout,
                )
                return
        except Exception as error:
            self._auth_ready(attempt, None, error)
        else:
            self._auth_ready(attempt, auth, None)

    def _auth_ready(self, attempt: int, auth: Any, error: BaseException | None) -> None:
        if attempt != self._attempt or self._state is not ClientSocketState.WAITING:
            return  # the connection was lost meanwhile
        if not self._manager.is_open:
            return
        try:
            if error is not None:
                raise error
            data: dict[str, Any] = {}
            if self._pid is not None:
                data["pid"] = self._pid
                if self._offset is not None:
                    data["offset"] = self._offset
            if auth is not None:
                if not isinstance(auth, Mapping):
                    raise TypeError(f"auth must return a dict or None, got {auth!r}")
                data.update(auth)
            packets = self._manager.options.parser.encode(
                Packet(CONNECT, self.namespace, data or None)
            )
        except Exception as failure:
            refusal = ConnectError(f"auth failed: {failure}")
            refusal.__cause__ = failure
            self._refused(refusal)
            return
        self._advance(ClientSocketEvent.CONNECT_SENT)
        self._manager._send(packets)

    def _connection_failed(self, error: ConnectionFailedError) -> None:
        if not self.active:
            return
        self._fire("connect_error", error)
        self._settle(error, will_retry=True)

    def _connection_lost(self, reason: str, error: Exception | None) -> None:
        was_connected = self._state is CONNECTED
        self._attempt += 1
        self._advance(ClientSocketEvent.LOST)
        self._end_link(reason, error, was_connected)
        failure = ConnectionFailedError(f"the connection was lost: {reason}", error)
        self._settle(failure, will_retry=True)

    def _connection_ended(self) -> None:
        if self.active:
            self._advance(ClientSocketEvent.LEFT)
            self._fail_waiting()
        self._settle(ConnectionFailedError("no connection after the last attempt", None))

    def _leave(self, reason: str) -> None:
        was_connected = self._state is CONNECTED
        self._attempt += 1
        self._advance(ClientSocketEvent.LEFT)
        self._end_link(reason, None, was_connected)
        self._fail_waiting()
        self._settle(ConnectError(f"the socket was disconnected: {reason}"))

    def _end_link(self, reason: str, error: Exception | None, was_connected: bool) -> None:
        # The server sends events again that it has sent before its CONNECT packet was received.
        self._received.clear()
        self._link = None
        if was_connected:
            self._fire("disconnect", reason, error)
        self._pending.fail_all()

    def _refused(self, error: ConnectError) -> None:
        self._attempt += 1
        self._received.clear()
        self._advance(ClientSocketEvent.LEFT)
        self._fire("connect_error", error)
        self._fail_waiting()
        self._settle(error)
        self._manager._socket_left()

    def _fail_waiting(self) -> None:
        """Fail the acks of unsent events: the socket does not connect again by itself.

        Unsent events without an ack are kept for the next `connect`.
        """
        kept: deque[OutgoingEvent] = deque()
        for event in self._buffer:
            if event.sink is None:
                kept.append(event)
            else:
                self._buffered -= event.size
                event.sink.left(self.namespace)
        self._buffer = kept
        for stream in list(self._streams):
            stream.close()
        self._retries.fail_awaited(DisconnectedError())

    def _settle(self, error: Exception | None, *, will_retry: bool = False) -> None:
        """Complete the calls of `connect`; those with `retry` wait for the next attempt."""
        for waiter, retry in list(self._waiters.items()):
            if waiter.done() or (retry and will_retry):
                continue
            del self._waiters[waiter]
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    # -- packets

    def _packet_received(self, packet: Decoded) -> None:
        kind, _, data, ack_id = packet
        if kind is EVENT:
            if self._state is CONNECTED:
                self._event_received(data, ack_id)
            elif self._state is ClientSocketState.CONNECTING:
                self._received.append(packet)
                if len(self._received) > MAX_EARLY_EVENTS:
                    error = f"more than {MAX_EARLY_EVENTS} events before the CONNECT packet"
                    self._manager._refuse(ValueError(error))
        elif kind is ACK:
            if ack_id is not None and self._state is CONNECTED:
                self._pending.receive(ack_id, data)
        elif kind is CONNECT:
            self._connect_received(data)
        elif kind is DISCONNECT:
            if self.active:
                self._leave(ClientDisconnectReason.IO_SERVER_DISCONNECT)
                self._manager._socket_left()
        elif kind is CONNECT_ERROR and self._state is ClientSocketState.CONNECTING:
            content = data if isinstance(data, dict) else {"message": data}
            message = content.get("message")
            self._refused(
                ConnectError(str(message or "the server refused the client"), content.get("data"))
            )

    def _connect_received(self, data: Any) -> None:
        if self._state is not ClientSocketState.CONNECTING:
            return
        socket_id = data.get("sid") if isinstance(data, dict) else None
        if not isinstance(socket_id, str):
            self._refused(ConnectError(_WRONG_VERSION))
            return
        pid = data.get("pid")
        self._is_recovered = pid is not None and pid == self._pid
        if not self._is_recovered:
            self._offset = None
        self._pid = pid if isinstance(pid, str) else None
        self._link = Link(self, socket_id)
        self._advance(ClientSocketEvent.ACCEPTED)
        received, self._received = self._received, []
        for event in received:
            self._event_received(event[2], event[3])
        self._send_buffer()
        if self._link is not None:  # a handler may have disconnected the socket
            self._fire("connect")
            self._settle(None)

    def _send_buffer(self) -> None:
        while self._buffer and self._state is CONNECTED:
            event = self._buffer.popleft()
            self._buffered -= event.size
            self._write(event)
        self._retries.drain()

    def _event_received(self, data: list[Any], ack_id: int | None) -> None:
        link = self._link
        if link is None:
            return
        if self._pid is not None and ack_id is None and len(data) > 1 and isinstance(data[-1], str):
            # The offset of the event, with which the server continues after a recovery
            self._offset = data[-1]
            if self._manager.options.strip_offset:
                del data[-1]
        self._listeners.dispatch(link, self.namespace, data, ack_id, self._manager.dispatch)

    def _fire(self, event: str, *args: Any) -> None:
        self._listeners.own.fire(self._manager.dispatch.reporter, event, *args)

    def _advance(self, event: ClientSocketEvent) -> None:
        self._state = CLIENT_SOCKET_TRANSITIONS[self._state].get(event, self._state)


@final
class _Prefixed:
    """The ack of a retried event for a function that gets an error or None first."""

    __slots__ = ("_inner",)

    def __init__(self, inner: CallbackAck) -> None:
        self._inner = inner

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Call the function with None and the answer."""
        self._inner.acked(socket_id, [None, *data])

    def left(self, socket_id: str) -> None:
        """Do nothing: the event is sent again."""


async def _await(awaitable: Any) -> Any:
    return await awaitable
