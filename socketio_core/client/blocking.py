"""The blocking client: the client for asyncio on an event loop in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack, final

from engineio_core.callbacks import describe_function
from engineio_core.options import check_at_least
from socketio_core.client.async_client import AsyncClient
from socketio_core.client.keywords import ClientKeywords
from socketio_core.client.manager import Manager
from socketio_core.client.operator import ClientOperator
from socketio_core.client.options import Auth
from socketio_core.client.socket import CALL_TIMEOUT, ClientSocket
from socketio_core.client.threads import HandlerThreads, LoopThread
from socketio_core.handlers.registry import Listening, Registry
from socketio_core.misuse import EMITTED, is_async

Function = TypeVar("Function", bound=Callable[..., Any])

MAX_HANDLER_THREADS: Final = 64


@final
class BlockingOperator:
    """An event with flags; each method that sets a flag returns a new operator."""

    __slots__ = ("_operator", "_socket")

    def __init__(self, socket: BlockingSocket, operator: ClientOperator) -> None:
        self._socket = socket
        self._operator = operator

    @property
    def volatile(self) -> BlockingOperator:
        """An operator that drops the event if it cannot leave at once."""
        return BlockingOperator(self._socket, self._operator.volatile)

    def timeout(self, seconds: float) -> BlockingOperator:
        """Set how many seconds to wait for the ack: an hour at most."""
        return BlockingOperator(self._socket, self._operator.timeout(seconds))

    def emit(self, event: str, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send an event.

        With a timeout, `ack` is called with an error or None, then with the arguments of the ack.
        """
        self._socket._call(self._operator.emit, event, *args, ack=self._socket._wrap(ack))
        return EMITTED

    def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send an event, wait for its ack, and return the first argument of the ack.

        Raises AckTimeoutError, DisconnectedError or BufferFullError.
        """
        return self._socket._run(lambda: self._operator.emit_with_ack(event, *args))


class BlockingSocket(Listening):
    """A namespace of a blocking client. All methods may be called from any thread.

    Handlers run in a thread of the client, one after the other unless the option `handler_threads`
    allows more. They must be plain functions.
    """

    def __init__(self, loop: LoopThread, handlers: HandlerThreads, socket: ClientSocket) -> None:
        self._loop = loop
        self._handlers = handlers
        self._socket = socket

    # -- state

    @property
    def namespace(self) -> str:
        """The name of the namespace."""
        return self._socket.namespace

    @property
    def id(self) -> str | None:
        """The public ID of the socket; None while it is not connected."""
        return self._socket.id

    @property
    def connected(self) -> bool:
        """Whether the server has accepted the socket, and the connection is open."""
        return self._socket.connected

    @property
    def active(self) -> bool:
        """Whether the socket is connected, or connects by itself."""
        return self._socket.active

    @property
    def recovered(self) -> bool:
        """Whether the server has restored the previous session at the last connection."""
        return self._socket.recovered

    @property
    def buffered(self) -> int:
        """The number of events that wait for a connection, or for the ack of an earlier event."""
        return self._socket.buffered

    def connect(self, *, retry: bool = False, timeout: float | None = None) -> None:
        """Connect, and return when the server has accepted the socket.

        See `ClientSocket.connect`. Raises ConnectError, ConnectionFailedError or TimeoutError.
        """
        self._run(lambda: self._socket.connect(retry=retry, timeout=timeout))

    def start(self) -> None:
        """Connect in the background, and again after each failure."""
        self._call(self._socket.start)

    def disconnect(self) -> None:
        """Leave the namespace; the socket does not connect again by itself."""
        self._call(self._socket.disconnect)
        return EMITTED

    # -- sending

    def emit(self, event: str, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send an event; without a connection, keep it until the socket is connected.

        See `ClientSocket.emit`.
        """
        self._call(self._socket.emit, event, *args, ack=self._wrap(ack))
        return EMITTED

    def send(self, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send the event "message"."""
        self.emit("message", *args, ack=ack)
        return EMITTED

    def call(self, event: str, *args: Any, timeout: float = CALL_TIMEOUT) -> Any:
        """Send an event and return its ack: the argument, or a tuple of several arguments.

        Raises AckTimeoutError, DisconnectedError or BufferFullError.
        """
        return self._run(lambda: self._socket.call(event, *args, timeout=timeout))

    def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send an event, wait for its ack, and return the first argument of the ack.

        Raises AckTimeoutError, DisconnectedError or BufferFullError.
        """
        return self._run(lambda: self._socket.emit_with_ack(event, *args))

    @property
    def volatile(self) -> BlockingOperator:
        """An operator that drops the event if it cannot leave at once."""
        return BlockingOperator(self, self._socket.volatile)

    def timeout(self, seconds: float) -> BlockingOperator:
        """Return an operator that waits this number of seconds for the ack: an hour at most."""
        return BlockingOperator(self, self._socket.timeout(seconds))

    def drain(self) -> None:
        """Wait until all events have been passed to the network; with `retries`, for their acks.

        Raises DisconnectedError without a connection, and when the connection is lost.
        """
        self._run(self._socket.drain)

    def on_unhandled(self, function: Function) -> Function:
        """Call `function(event, *args)` for events without a handler. Its result is the ack."""
        return self._socket.on_unhandled(function)

    # -- inside

    def _registry(self) -> Registry:
        return self._socket._registry()

    def _call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self._loop.call(function, *args, **options)

    def _run(self, function: Callable[[], Any]) -> Any:
        return self._loop.run(function)

    def _wrap(self, ack: Callable[..., Any] | None) -> Callable[..., Any] | None:
        return None if ack is None else self._handlers.execute(ack)


class Client(BlockingSocket):
    """A blocking Socket.IO client; the methods for events apply to the main namespace.

    The keywords are those of `AsyncClient`, and `handler_threads`: the number of handlers that run
    at the same time. With more than one, events that arrive together may overtake each other.

        with Client("http://127.0.0.1:3000", auth={"token": "t"}) as client:
            answer = client.call("sum", 1, 2)
    """

    def __init__(
        self, url: str, *, handler_threads: int = 1, **options: Unpack[ClientKeywords]
    ) -> None:
        """Check the options. Raises TypeError or ValueError."""
        check_at_least("handler_threads", handler_threads, 1)
        loop = LoopThread()
        handlers = HandlerThreads(min(handler_threads, MAX_HANDLER_THREADS))
        if "auth" in options:
            options["auth"] = _wrap_auth(options["auth"], handlers)
        self._client = AsyncClient(url, _execute=handlers.execute, **options)
        super().__init__(loop, handlers, self._client.main)
        self._sockets: dict[str, BlockingSocket] = {}

    @property
    def manager(self) -> Manager:
        """The connection; `on`, `once` and `off` register functions for its events."""
        return self._client.manager

    @property
    def transport(self) -> str | None:
        """The name of the current transport; None without a connection."""
        return self._client.transport

    def of(self, namespace: str, *, auth: Auth = None) -> BlockingSocket:
        """Return the socket of a namespace; it shares the connection of the main namespace.

        A new socket connects by its `connect` or `start`. Without `auth`, it sends that of the
        client.
        """
        socket = self._call(self._client.of, namespace, auth=_wrap_auth(auth, self._handlers))
        if socket is self._client.main:
            return self
        return self._sockets.setdefault(
            socket.namespace, BlockingSocket(self._loop, self._handlers, socket)
        )

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the client has disconnected and does not connect again.

        Returns False if `timeout` seconds pass before.
        """
        return self._loop.wait(self._client.wait, timeout)

    def close(self) -> None:
        """Disconnect all namespaces; return when connection, event loop and threads have ended."""
        self._loop.stop(self._client.close)
        self._handlers.close()

    def __enter__(self) -> Self:
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _wrap_auth(auth: Auth, handlers: HandlerThreads) -> Auth:
    """Return an `auth` whose function runs in a thread of the handlers."""
    if not callable(auth):
        return auth
    if is_async(auth):
        raise TypeError(
            f"auth of a blocking client must be a plain function, got {describe_function(auth)}: "
            "use AsyncClient"
        )
    wrapped: Auth = handlers.execute(auth)
    return wrapped
