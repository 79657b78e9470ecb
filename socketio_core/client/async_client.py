"""The client for asyncio: one connection to a server, and its sockets."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from engineio_core.client.network import Network
from engineio_core.clock import Clock
from socketio_core.client.keywords import ClientKeywords
from socketio_core.client.listeners import Execute
from socketio_core.client.manager import Manager
from socketio_core.client.operator import ClientOperator
from socketio_core.client.options import Auth, split_options
from socketio_core.client.socket import CALL_TIMEOUT, MAX_STREAM_EVENTS, ClientSocket
from socketio_core.client.stream import EventStream
from socketio_core.handlers.registry import Listening, Registry
from socketio_core.misuse import EMITTED

Function = TypeVar("Function", bound=Callable[..., Any])


class AsyncClient(Listening):
    """A Socket.IO client; the methods for events apply to the main namespace.

    The main namespace is the path of the URL, by default "/". The keywords are the fields of
    `ClientOptions` and `EngineClientOptions`.

        async with AsyncClient("http://127.0.0.1:3000", auth={"token": "t"}) as client:
            answer = await client.call("sum", 1, 2)
    """

    def __init__(
        self,
        url: str,
        *,
        _clock: Clock | None = None,
        _network: Network | None = None,
        _execute: Execute | None = None,
        **options: Unpack[ClientKeywords],
    ) -> None:
        """Check the options. Raises TypeError or ValueError."""
        client_options, engine_options = split_options(options)
        self._execute = _execute
        self.manager = Manager(
            url,
            client_options,
            engine_options,
            clock=_clock,
            network=_network,
            execute=_execute,
        )
        """The connection: its state, and the events of reconnections."""
        self.main = self._create(self.manager._default_namespace, client_options.auth)
        """The socket of the main namespace."""

    def _create(self, name: str, auth: Auth) -> ClientSocket:
        socket = ClientSocket(self.manager, name, auth, self._execute)
        self.manager.sockets[name] = socket
        return socket

    def of(self, namespace: str, *, auth: Auth = None) -> ClientSocket:
        """Return the socket of a namespace; it shares the connection of the main namespace.

        A new socket connects by its `connect` or `start`. Without `auth`, it sends that of the
        client.
        """
        name = namespace if namespace.startswith("/") else f"/{namespace}"
        found = self.manager.sockets.get(name)
        if found is None:
            return self._create(name, auth if auth is not None else self.manager.options.auth)
        assert isinstance(found, ClientSocket), "the client creates all sockets"
        if auth is not None:
            found.auth = auth
        return found

    # -- connection

    async def connect(self, *, retry: bool = False, timeout: float | None = None) -> None:
        """Connect the main namespace, and return when the server has accepted it.

        See `ClientSocket.connect`. Raises ConnectError, ConnectionFailedError or TimeoutError.
        """
        await self.main.connect(retry=retry, timeout=timeout)

    def start(self) -> None:
        """Connect in the background, and again after each failure."""
        self.main.start()

    async def wait(self) -> None:
        """Wait until the client has disconnected and does not connect again."""
        await self.manager._wait()

    async def close(self) -> None:
        """Disconnect all namespaces, and wait until the connection and all tasks have ended."""
        await self.manager._close()

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # -- the main namespace

    @property
    def id(self) -> str | None:
        """The public ID of the socket; None while it is not connected."""
        return self.main.id

    @property
    def connected(self) -> bool:
        """Whether the server has accepted the socket, and the connection is open."""
        return self.main.connected

    @property
    def recovered(self) -> bool:
        """Whether the server has restored the previous session at the last connection."""
        return self.main.recovered

    @property
    def transport(self) -> str | None:
        """The name of the current transport; None without a connection."""
        return self.manager.transport

    def emit(self, event: str, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send an event; without a connection, keep it until the socket is connected.

        See `ClientSocket.emit`.
        """
        self.main.emit(event, *args, ack=ack)
        return EMITTED

    def send(self, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send the event "message"."""
        self.main.emit("message", *args, ack=ack)
        return EMITTED

    async def call(self, event: str, *args: Any, timeout: float = CALL_TIMEOUT) -> Any:
        """Send an event and return its ack: the argument, or a tuple of several arguments.

        Raises AckTimeoutError, DisconnectedError or BufferFullError.
        """
        return await self.main.call(event, *args, timeout=timeout)

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send an event and return the first argument of its ack.

        Raises AckTimeoutError, DisconnectedError or BufferFullError.
        """
        return await self.main.emit_with_ack(event, *args)

    @property
    def volatile(self) -> ClientOperator:
        """An operator that drops the event if it cannot leave at once."""
        return self.main.volatile

    def timeout(self, seconds: float) -> ClientOperator:
        """Return an operator that waits this number of seconds for the ack: an hour at most."""
        return self.main.timeout(seconds)

    async def drain(self) -> None:
        """Wait until all events have been passed to the network; with `retries`, for their acks.

        Raises DisconnectedError without a connection, and when the connection is lost.
        """
        await self.main.drain()

    def on_unhandled(self, function: Function) -> Function:
        """Call `function(event, *args)` for events without a handler. Its result is the ack."""
        return self.main.on_unhandled(function)

    def on_any_outgoing(self, function: Function) -> Function:
        """Call `function(event, *args)` for each event that is sent."""
        return self.main.on_any_outgoing(function)

    def events(self, limit: int = MAX_STREAM_EVENTS) -> EventStream:
        """Return the events from now on as an asynchronous iterator over `(name, *args)`.

        See `ClientSocket.events`.
        """
        return self.main.events(limit)

    def off_any_outgoing(self, function: Callable[..., Any] | None = None) -> None:
        """Remove one listener of `on_any_outgoing`, or all."""
        self.main.off_any_outgoing(function)

    def _registry(self) -> Registry:
        return self.main._registry()
