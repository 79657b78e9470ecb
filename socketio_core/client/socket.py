"""One namespace of a client: connecting, events, acks, buffers and connection state recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Final, TypeVar, final

from engineio_core.client.deadline import Deadline
from engineio_core.options import check_at_least
from socketio_core.client.errors import (
    ClientDisconnectReason,
    ConnectionFailedError,
)
from socketio_core.client.interface import SocketManager
from socketio_core.client.link import Link
from socketio_core.client.listeners import ClientRegistry, Execute
from socketio_core.client.operator import ClientOperator
from socketio_core.client.options import Auth, check_auth
from socketio_core.client.outbox import Outbox
from socketio_core.client.recovery import RecoveryState
from socketio_core.client.states import (
    CLIENT_SOCKET_TRANSITIONS,
    ClientSocketEvent,
    ClientSocketState,
)
from socketio_core.client.stream import EventStream
from socketio_core.client.waiters import ConnectWaiters
from socketio_core.codec.packet import (
    ACK,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    Decoded,
    Packet,
)
from socketio_core.errors import ConnectError, DisconnectedError
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
        self._state = ClientSocketState.INACTIVE
        self._link: Link | None = None
        self._listeners = ClientRegistry(execute)
        self._outbox = Outbox(manager, name, lambda: self._state is CONNECTED)
        self._received: list[Decoded] = []  # events before the CONNECT packet
        self._early_from = 0  # bytes that the client had received with the first of them
        self._recovery = RecoveryState()
        self._waiters = ConnectWaiters()
        self._streams: list[EventStream] = []
        self._attempt = 0  # distinguishes the results of an async `auth`
        self._failure: ConnectionFailedError | None = None  # since the last call of start()

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
        return self._recovery.is_recovered

    @property
    def buffered(self) -> int:
        """The number of events that wait for a connection, or for the ack of an earlier event."""
        return len(self._outbox)

    def start(self) -> None:
        """Connect in the background; the handlers of "connect" or "connect_error" are called.

        Raises ValueError for an invalid proxy of the environment, ModuleNotFoundError for a SOCKS
        proxy without python-socks, SSLError for an invalid file.
        """
        was_inactive = self._state is ClientSocketState.INACTIVE
        self._failure = None
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
        waiter = self._waiters.add(retry)
        limit = timeout if timeout is not None or retry else 2 * self._manager._connect_timeout
        try:
            self.start()
            async with Deadline(self._manager._clock, limit):
                await waiter
        except TimeoutError as error:
            last = self._failure
            self.disconnect()
            raise TimeoutError(f"{error}: {last.message}" if last else str(error)) from last
        except (ConnectionFailedError, asyncio.CancelledError):
            self.disconnect()
            raise
        finally:
            self._waiters.discard(waiter)

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
        """Wait until all events have been passed to the network; with `retries`, for their acks.

        An event that was given up after its last attempt counts as well. Raises DisconnectedError
        without a connection, and when the connection is lost.
        """
        await self._manager._drain()
        if len(self._outbox):
            if not self.active:
                raise DisconnectedError
            await self._outbox.drain()
            await self._manager._drain()

    # -- listeners

    def on_unhandled(self, function: Function) -> Function:
        """Call `function(event, *args)` for events without a handler. Its result is the ack."""
        self._listeners.unhandled = self._listeners.make(function)
        return function

    def on_any_outgoing(self, function: Function) -> Function:
        """Call `function(event, *args)` for each event that is sent."""
        check_callback(
            "a listener of on_any_outgoing()", function, ("event",),
            sync_remedy="start a task for work that awaits",
        )  # fmt: skip
        self._outbox.listeners.append(function)
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
        kept = [each for each in self._outbox.listeners if function not in {None, each}]
        self._outbox.listeners[:] = kept

    def _registry(self) -> Registry:
        return self._listeners

    def _stream_closed(self, stream: EventStream) -> None:
        self.off_any(stream._put)
        if stream in self._streams:
            self._streams.remove(stream)

    # -- called by operators (Emitting)

    def _emit(
        self, data: list[Any], ack: Callable[..., Any] | None, timeout: float | None, volatile: bool
    ) -> None:
        self._outbox.emit(data, ack, timeout, volatile)

    async def _request(
        self, data: list[Any], timeout: float | None, total: float | None, volatile: bool
    ) -> list[Any]:
        return await self._outbox.request(data, timeout, total, volatile)

    # -- called by the manager (ManagedSocket)

    def _waiting_amount(self) -> int:
        return self._outbox.amount

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
            data = self._recovery.connect_data(auth)
            packets = self._manager.options.parser.encode(Packet(CONNECT, self.namespace, data))
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
        self._failure = error
        self._fire("connect_error", error)
        self._waiters.settle(error, will_retry=True)

    def _connection_lost(self, reason: str, error: Exception | None) -> None:
        was_connected = self._state is CONNECTED
        self._attempt += 1
        self._advance(ClientSocketEvent.LOST)
        self._end_link(reason, error, was_connected)
        failure = ConnectionFailedError(f"the connection was lost: {reason}", error)
        self._waiters.settle(failure, will_retry=True)

    def _connection_ended(self) -> None:
        if self.active:
            self._advance(ClientSocketEvent.LEFT)
            self._stop_waiting()
        last = self._failure
        message = "no connection after the last attempt" + (f": {last.message}" if last else "")
        self._waiters.settle(ConnectionFailedError(message, last))

    def _leave(self, reason: str) -> None:
        was_connected = self._state is CONNECTED
        self._attempt += 1
        self._advance(ClientSocketEvent.LEFT)
        self._end_link(reason, None, was_connected)
        self._stop_waiting()
        self._waiters.settle(ConnectError(f"the socket was disconnected: {reason}"))

    def _end_link(self, reason: str, error: Exception | None, was_connected: bool) -> None:
        # The server sends events again that it has sent before its CONNECT packet was received.
        self._received.clear()
        if self._link is not None:
            self._link.end()
        self._link = None
        if was_connected:
            self._fire("disconnect", reason, error)
        self._outbox.fail_pending()

    def _refused(self, error: ConnectError) -> None:
        self._attempt += 1
        self._received.clear()
        self._advance(ClientSocketEvent.LEFT)
        self._fire("connect_error", error)
        self._stop_waiting()
        self._waiters.settle(error)
        self._manager._socket_left()

    def _stop_waiting(self) -> None:
        """Fail acks and end streams: the socket does not connect again by itself."""
        self._outbox.fail_waiting()
        for stream in list(self._streams):
            stream.close()

    # -- packets

    def _packet_received(self, packet: Decoded) -> None:
        kind, _, data, ack_id = packet
        if kind is EVENT:
            if self._state is CONNECTED:
                self._event_received(data, ack_id)
            elif self._state is ClientSocketState.CONNECTING:
                self._received_early(packet)
        elif kind is ACK:
            if ack_id is not None and self._state is CONNECTED:
                self._outbox.ack_received(ack_id, data)
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

    def _received_early(self, packet: Decoded) -> None:
        """Keep an event until the CONNECT packet, which the server sends after missed events."""
        received = self._manager.received
        if not self._received:
            self._early_from = received
        self._received.append(packet)
        limit = self._manager._early_limit
        if received - self._early_from > limit:
            error = f"more than {limit} bytes of events before the CONNECT packet"
        elif len(self._received) > MAX_EARLY_EVENTS:
            error = f"more than {MAX_EARLY_EVENTS} events before the CONNECT packet"
        else:
            return
        self._received.clear()
        self._manager._refuse(ValueError(error))

    def _connect_received(self, data: Any) -> None:
        if self._state is not ClientSocketState.CONNECTING:
            return
        socket_id = data.get("sid") if isinstance(data, dict) else None
        if not isinstance(socket_id, str):
            self._refused(ConnectError(_WRONG_VERSION))
            return
        self._recovery.accepted(data.get("pid"))
        self._link = Link(self._manager, self.namespace, socket_id)
        self._advance(ClientSocketEvent.ACCEPTED)
        received, self._received = self._received, []
        for event in received:
            self._event_received(event[2], event[3])
        self._outbox.flush()
        if self._link is not None:  # a handler may have disconnected the socket
            self._fire("connect")
            self._waiters.settle(None)

    def _event_received(self, data: list[Any], ack_id: int | None) -> None:
        link = self._link
        if link is None:
            return
        self._recovery.event_received(data, ack_id, self._manager.options.strip_offset)
        self._listeners.dispatch(link, self.namespace, data, ack_id, self._manager.dispatch)

    def _fire(self, event: str, *args: Any) -> None:
        self._listeners.own.fire(self._manager.dispatch.reporter, event, *args)

    def _advance(self, event: ClientSocketEvent) -> None:
        self._state = CLIENT_SOCKET_TRANSITIONS[self._state].get(event, self._state)


async def _await(awaitable: Any) -> Any:
    return await awaitable
