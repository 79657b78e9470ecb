"""The connection that all sockets of a client share: sessions, packets and reconnection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, final

from engineio_core.client.address import Address, parse_url
from engineio_core.client.deadline import Deadline
from engineio_core.client.interface import ClientContext, TaskGroup
from engineio_core.client.network import Network, TcpNetwork
from engineio_core.client.options import EngineClientOptions
from engineio_core.client.session import ClientSession
from engineio_core.client.states import ClientState
from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import CloseReason
from socketio_core.client.backoff import Backoff
from socketio_core.client.errors import ConnectionFailedError
from socketio_core.client.interface import ManagedSocket
from socketio_core.client.listeners import Execute, Signals
from socketio_core.client.options import ClientOptions
from socketio_core.client.states import CONNECTION_TRANSITIONS, ConnectionEvent, ConnectionState
from socketio_core.client.waiters import DrainWaiters
from socketio_core.codec.packet import Decoded, Decoder
from socketio_core.errors import DisconnectedError, PacketError
from socketio_core.handlers.dispatch import Dispatch
from socketio_core.handlers.runner import create_runner
from socketio_core.options import default_error_ack

logger = logging.getLogger("socketio_core")

#: Time to notify the server of the end of a session before the next one starts
NOTICE_SECONDS: Final = 1.0
#: The events of a manager, and the number of their arguments
MANAGER_EVENTS: Final = {
    "open": 0, "error": 1, "close": 2,
    "reconnect_attempt": 1, "reconnect": 1, "reconnect_error": 1, "reconnect_failed": 0,
}  # fmt: skip


@final
class Manager:
    """One connection to a server, with the sockets of its namespaces.

    The connection opens while at least one socket is active, and is opened again after a loss.
    """

    def __init__(
        self,
        url: str,
        options: ClientOptions,
        engine_options: EngineClientOptions,
        *,
        clock: Clock | None = None,
        network: Network | None = None,
        execute: Execute | None = None,
    ) -> None:
        """Check the URL. Raises ValueError."""
        self._address: Address = parse_url(url)
        self.options = options
        self._engine_options = engine_options
        self._given_clock = clock
        self._network = network
        self._context: ClientContext | None = None
        self._session: ClientSession | None = None
        self._ending: set[ClientSession] = set()
        self._ended_at = 0.0
        self._tasks = TaskGroup()
        self._decoder: Decoder = options.parser.decoder()
        self._backoff = Backoff(
            options.reconnection_delay,
            options.reconnection_delay_max,
            options.randomization_factor,
        )
        self._retry_timer: Any = None
        self._signals = Signals(MANAGER_EVENTS, execute)
        self._waiters: list[asyncio.Future[None]] = []
        self._drains = DrainWaiters()
        self.received = 0  # bytes of messages
        self._is_closing = False
        self._is_stopping = False  # the session sends its last packets
        self._pending_handlers = 0
        self.state = ConnectionState.CLOSED
        self.sockets: dict[str, ManagedSocket] = {}
        self.runner = create_runner(lambda: self._clock)
        self.dispatch = Dispatch(self.runner, default_error_ack, options.handler_timeout)

    # -- public

    def on(self, event: str, function: Callable[..., Any]) -> None:
        """Call a function for an event of the connection.

        The events are `open`, `close(reason, error)`, `error(error)`, `reconnect_attempt(number)`,
        `reconnect(number)`, `reconnect_error(error)` and `reconnect_failed`.
        """
        self._signals.add(event, function)

    def once(self, event: str, function: Callable[..., Any]) -> None:
        """Like `on`, for the next event only."""
        self._signals.add(event, function, once=True)

    def off(self, event: str | None = None, function: Callable[..., Any] | None = None) -> None:
        """Remove a function, all functions of an event, or all functions."""
        self._signals.remove(event, function)

    @property
    def transport(self) -> str | None:
        """The name of the current transport; None without a connection."""
        if self.state is not ConnectionState.OPEN or self._session is None:
            return None
        return self._session.transport_name

    @property
    def url(self) -> str:
        """The URL of the server, without path and query."""
        return self._address.origin

    # -- for the sockets

    @property
    def _clock(self) -> Clock:
        """The clock of all timers: by default, the running event loop."""
        return self._given_clock or asyncio.get_running_loop()

    @property
    def _default_namespace(self) -> str:
        """The namespace in the path of the URL."""
        return self._address.path or "/"

    @property
    def _buffer_size(self) -> int:
        """The maximum size of all unsent packets in bytes."""
        return self._engine_options.max_buffer_size

    @property
    def amount(self) -> int:
        """The size of all unsent packets in bytes."""
        own = self._session.amount if self._session is not None else 0
        return own + sum(socket._waiting_amount() for socket in self.sockets.values())

    @property
    def _early_limit(self) -> int:
        """The maximum size of events that arrive before a CONNECT packet, in bytes."""
        return self._engine_options.max_message_size

    @property
    def _connect_timeout(self) -> float:
        """The time for one attempt to connect, in seconds."""
        return self._engine_options.timeout

    @property
    def is_writable(self) -> bool:
        """Whether a packet would leave at once."""
        return self._session is not None and self._session.is_writable

    @property
    def is_open(self) -> bool:
        """Whether the session to the server is open."""
        return self.state is ConnectionState.OPEN and not self._is_stopping

    def _start(self) -> None:
        """Open the connection, or let the pending attempt continue."""
        self._is_closing = False
        if self.state is ConnectionState.CLOSED:
            self.runner.enter_loop()
            self._backoff.reset()
            self._open()

    def _send(self, packets: tuple[EncodedPacket, ...]) -> None:
        """Send packets over the open session."""
        if self._session is not None:
            self._session.send(packets)

    def _socket_left(self) -> None:
        """Close the connection if no socket is active any more."""
        if not any(socket.active for socket in self.sockets.values()):
            self._stop()

    def _handler_suspended(self) -> None:
        self._pending_handlers += 1
        if self._pending_handlers >= self.options.max_pending_handlers and self._session:
            self._session.pause_reading()

    def _handler_ended(self) -> None:
        self._pending_handlers -= 1
        if self._pending_handlers <= self.options.max_pending_handlers // 2 and self._session:
            self._session.resume_reading()

    async def _drain(self) -> None:
        """Wait until the session has no unsent packet. Raises DisconnectedError at its end."""
        if self._session is None or not self.is_open:
            raise DisconnectedError
        if self._session.amount:
            await self._drains.wait()

    async def _wait(self) -> None:
        """Wait until the connection has ended, and no attempt to reconnect follows."""
        if self.state is not ConnectionState.CLOSED:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    async def _close(self) -> None:
        """End the connection, and wait until all tasks have ended."""
        for socket in list(self.sockets.values()):
            socket.disconnect()
        self._stop()
        if self._session is not None:
            await self._wait()  # the session has a deadline for its close
        for session in list(self._ending):
            await self._wait_closed(session, 2 * self._engine_options.close_timeout)
        await self._tasks.wait()
        await self.runner.close(0)

    # -- sessions

    def _open(self) -> None:
        if self._context is None:
            network = self._network or TcpNetwork(self._address, self._engine_options)
            self._context = ClientContext(self._address, self._engine_options, self._clock, network)
        self._advance(ConnectionEvent.STARTED)
        self._context.clock = self._clock  # the client may be used in several loops, in turn
        session = ClientSession(self._context)
        session.on_open = self._opened
        session.on_text = self._text_received
        session.on_binary = self._binary_received
        session.on_drain = self._session_drained
        session.on_close = lambda reason, error: self._closed(session, reason, error)
        self._session = session
        session.open()

    def _opened(self) -> None:
        self._advance(ConnectionEvent.OPENED)
        attempts = self._backoff.attempts
        self._backoff.reset()
        self._fire("open")
        if attempts:
            self._fire("reconnect", attempts)
        for socket in list(self.sockets.values()):
            socket._connection_opened()

    def _closed(self, session: ClientSession, reason: CloseReason, error: Exception | None) -> None:
        if session is not self._session:
            return
        self._session = None
        self._ending.add(session)
        self._ended_at = self._clock.time()
        self._decoder.close()
        self._drains.fail(DisconnectedError())
        was_stopping, self._is_stopping = self._is_stopping, False
        if was_stopping:
            self._stopped(reason, error)
            return
        was_open = self.state is ConnectionState.OPEN
        is_retry = self._backoff.attempts > 0
        # Before the handlers: a handler that calls connect() must find the final state.
        will_retry = self._schedule_retry()
        if was_open:
            self._fire("close", str(reason), error)
            for socket in list(self.sockets.values()):
                socket._connection_lost(str(reason), error)
        else:
            self._report_failure(error, is_retry)
        # A handler may have started the connection again.
        if not will_retry and self.state is ConnectionState.CLOSED:
            self._ended()

    def _stopped(self, reason: CloseReason, error: Exception | None) -> None:
        """Handle the end of a session that was closed because no socket was active."""
        self._advance(ConnectionEvent.ENDED)
        self._fire("close", str(reason), error)
        if self.state is not ConnectionState.CLOSED:
            return  # a handler has opened the next session
        if self._is_closing:
            self._ended()
        else:
            self._open()  # a socket has become active again meanwhile

    def _report_failure(self, error: Exception | None, is_retry: bool) -> None:
        failure = ConnectionFailedError(
            f"the connection to {self.url} failed: {error or 'closed'}", error
        )
        if not self._is_closing:
            self._fire("error", failure)
        if is_retry:
            self._fire("reconnect_error", failure)
        for socket in list(self.sockets.values()):
            socket._connection_failed(failure)

    def _schedule_retry(self) -> bool:
        """Schedule the next attempt; return whether there is one."""
        limit = self.options.reconnection_attempts
        is_wanted = self.options.reconnection and not self._is_closing
        is_wanted = is_wanted and any(socket.active for socket in self.sockets.values())
        if not is_wanted or (limit is not None and self._backoff.attempts >= limit):
            self._advance(ConnectionEvent.ENDED)
            if is_wanted:
                logger.info("no connection to %s after %s attempts", self.url, limit)
            return False
        self._advance(ConnectionEvent.RETRY_SCHEDULED)
        delay = self._backoff.next_delay()
        self._retry_timer = self._clock.call_later(delay, self._retry)
        return True

    def _retry(self) -> None:
        if self.state is ConnectionState.WAITING:
            self._fire("reconnect_attempt", self._backoff.attempts)
        self._tasks.start(self._open_after_ends(), "socketio retry")

    async def _open_after_ends(self) -> None:
        """Open a session when the server has been notified of the end of the previous one."""
        limit = self._ended_at + NOTICE_SECONDS
        for session in list(self._ending):
            await self._wait_closed(session, max(0.0, limit - self._clock.time()))
        # A handler may have ended the connection.
        if self.state is ConnectionState.WAITING:
            self._open()

    def _stop(self) -> None:
        """End the connection and the attempts to open it."""
        self._is_closing = True
        if self._session is not None:
            if self.state is ConnectionState.OPENING:
                self._session.abort(CloseReason.FORCED_CLOSE)
            elif not self._is_stopping:
                self._is_stopping = True
                self._session.close()
        elif self.state is ConnectionState.WAITING:
            self._retry_timer.cancel()
            self._advance(ConnectionEvent.ENDED)
            self._ended()

    def _ended(self) -> None:
        """Report that no further attempt follows."""
        if not self._is_closing and self.options.reconnection:
            self._fire("reconnect_failed")
        for socket in list(self.sockets.values()):
            socket._connection_ended()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait_closed(self, session: ClientSession, limit: float) -> None:
        try:
            async with Deadline(self._clock, limit):
                await session.wait_closed()
        except TimeoutError:
            return
        self._ending.discard(session)

    def _session_drained(self) -> None:
        self._drains.succeed()

    # -- packets

    def _text_received(self, message: bytes) -> None:
        self.received += len(message)
        try:
            packet = self._decoder.receive_text(message)
        except (PacketError, UnicodeDecodeError) as error:
            self._refuse(error)
        else:
            self._packet_received(packet)

    def _binary_received(self, data: bytes) -> None:
        self.received += len(data)
        try:
            packet = self._decoder.receive_binary(data)
        except (PacketError, UnicodeDecodeError) as error:
            self._refuse(error)
        else:
            self._packet_received(packet)

    def _packet_received(self, packet: Decoded | None) -> None:
        if packet is not None:
            socket = self.sockets.get(packet[1])
            if socket is not None:
                socket._packet_received(packet)

    def _refuse(self, error: Exception) -> None:
        if self._session is not None and self._session.state is not ClientState.CLOSED:
            self._session.abort(CloseReason.PARSE_ERROR, error)

    def _fire(self, event: str, *args: Any) -> None:
        self._signals.fire(self.dispatch.reporter, event, *args)

    def _advance(self, event: ConnectionEvent) -> None:
        self.state = CONNECTION_TRANSITIONS[self.state].get(event, self.state)
