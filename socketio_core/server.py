"""The server: one engine, its namespaces, and the methods of the namespace "/".

Wires the parts together, and starts and stops them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from ssl import SSLContext
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack, cast, overload

from engineio_core.asgi.guest import AsgiGuest
from engineio_core.clock import Clock
from engineio_core.http.asgi_scope import AsgiApp
from engineio_core.http.listener import Listener, Tls, run
from engineio_core.option_names import check_option_names
from engineio_core.options import EngineOptions, check_bool
from engineio_core.server import Engine
from engineio_core.session import Session
from engineio_core.signals import StopSignals
from engineio_core.waves import Waves, drain_window
from socketio_core.adapters.default import default_factory
from socketio_core.adapters.interface import AdapterStatus, BroadcastTarget, RoomEvent
from socketio_core.broadcast import Audience, Broadcasting
from socketio_core.client_files import ClientFiles
from socketio_core.codec.large import use_loop
from socketio_core.connection import Connection
from socketio_core.directory import Match, NamespaceDirectory
from socketio_core.handlers.dispatch import Dispatch
from socketio_core.handlers.registry import Function, Registering, Registry
from socketio_core.handlers.runner import create_runner
from socketio_core.keywords import Keywords
from socketio_core.misuse import FOREIGN_NAMES, check_callback, check_duration
from socketio_core.namespace import Namespace, ParentNamespace
from socketio_core.options import OTHER_OPTIONS, ServerOptions
from socketio_core.schema.asyncapi import create_document
from socketio_core.schema.contract import read_contract
from socketio_core.schema.typescript import print_typescript
from socketio_core.socket import Socket

if TYPE_CHECKING:
    from engineio_core.webtransport.listener import WebTransportListener

ErrorListener = TypeVar("ErrorListener", bound=Callable[[BaseException, Any, str], Any])
NamespaceListener = TypeVar("NamespaceListener", bound=Callable[[Namespace], Any])

logger = logging.getLogger("socketio_core")

_NOT_ASGI: Final = (
    "a SocketServer is not an ASGI application: use application = io.asgi_app(), or io.run() "
    "without an ASGI server"
)
#: Seconds that the handlers of clients have when the gateway of these clients ends.
GATEWAY_GRACE: Final = 1.0


class SocketServer(Registering, Broadcasting[Socket[Any]]):
    """A Socket.IO server (protocol revision 5; with `allow_eio3` also revision 4).

        io = SocketServer(cors=Cors(origins=["https://app.example"]))

        @io.on("hello")
        def hello(socket: Socket, name: str) -> str:
            return f"hello {name}"

        io.run(port=3000)

    Accepts the fields of `ServerOptions` and of `engineio_core.EngineOptions` as keywords; the
    default of `path` is "/socket.io". An unknown keyword raises TypeError. `on`, `use`, `emit`
    and similar methods are those of the namespace "/".
    """

    def __init__(self, *, clock: Clock | None = None, **options: Unpack[Keywords]) -> None:
        own, engine = _split_options({**options})
        if own.get("adapter") is None:
            own["adapter"] = default_factory()
        self.options = ServerOptions(**own)
        engine_options = EngineOptions(**engine)
        self.engine = Engine(engine_options, clock=clock)
        self._clock = clock
        self._dispatch = Dispatch(
            create_runner(self._get_clock), self.options.error_ack, self.options.handler_timeout
        )
        grace = engine_options.ping_interval + engine_options.ping_timeout
        self._directory = NamespaceDirectory(self.options, self._get_clock, self._dispatch, grace)
        self._connections: set[Connection] = set()
        self._is_started = False
        self._start_callbacks: list[Callable[[], None]] = []
        self._end_callbacks: list[Callable[[], None]] = []
        self.main = self._directory.get_or_create("/")
        self.engine.on("connection", self._session_opened)
        self.engine._close_sessions_with(self._close_sessions)
        if self.options.serve_client:
            self.engine._serve_files(ClientFiles(engine_options.path, engine_options.cors).serve)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError, with the equivalent of a name of another library."""
            text = f"SocketServer has no attribute {name!r}"
            if name in FOREIGN_NAMES:
                text += f": the equivalent is {FOREIGN_NAMES[name]}"
            raise AttributeError(text, name=name, obj=self)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            """Raise TypeError: ASGI servers must receive the result of `asgi_app`."""
            raise TypeError(_NOT_ASGI)

    @property
    def clock(self) -> Clock:
        """The clock of all deadlines: the running event loop unless the server got another."""
        return self._get_clock()

    def _get_clock(self) -> Clock:
        return self._clock or asyncio.get_running_loop()

    def use_clock(self, clock: Clock) -> None:
        """Replace the clock of all deadlines, for tests.

        Raises RuntimeError if there are sessions.
        """
        self.engine._use_clock(clock)
        self._clock = clock

    def _on_start(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, in the event loop that serves, when the server starts."""
        if self._is_started:
            callback()
        else:
            self._start_callbacks.append(callback)

    def _on_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` at the end of each shutdown, to release timers and threads."""
        self._end_callbacks.append(callback)

    def _start(self) -> None:
        """Connect to the other servers, in the event loop that serves; later calls do nothing."""
        if self._is_started:
            return
        self._is_started = True
        if self.options.adapter is not None:
            self._dispatch.runner.enter_loop()
            self._dispatch.loop_thread = get_ident()
            self.options.adapter.start()
        callbacks, self._start_callbacks = self._start_callbacks, []
        for callback in callbacks:
            callback()

    def _session_opened(self, session: Session) -> None:
        self._dispatch.runner.enter_loop()
        self._dispatch.loop_thread = get_ident()
        if not self._is_started:
            self._start()
        connection = Connection(self._directory, session, self._connections.discard)
        self._connections.add(connection)
        if session._context.protocol == 3:
            connection.connect_main()

    # -- namespaces

    @overload
    def of(self, name: str, listener: Function | None = None) -> Namespace: ...
    @overload
    def of(
        self, name: re.Pattern[str] | Match, listener: Function | None = None
    ) -> ParentNamespace: ...

    def of(
        self, name: str | re.Pattern[str] | Match, listener: Function | None = None
    ) -> Namespace | ParentNamespace:
        """Return the namespace of a name; create it on first use.

        For a compiled pattern, or a function `(name, auth) -> bool` (plain or async), return a
        parent namespace: it creates a namespace when a client requests a matching name.
        `listener` becomes a handler of "connection". Raises ValueError for an invalid name, such
        as "/a?b", and TypeError for a pattern of bytes or another object.
        """
        namespace: Namespace | ParentNamespace
        if isinstance(name, str):
            namespace = self._directory.get_or_create(name)
        else:
            namespace = self._directory.get_or_create_parent(name)
        if listener is not None:
            namespace.on("connection", listener)
        return namespace

    @property
    def namespaces(self) -> dict[str, Namespace]:
        """The namespaces by name."""
        return self._directory.by_name

    def on_new_namespace(self, listener: NamespaceListener) -> NamespaceListener:
        """Call `listener(namespace)` for each new namespace except "/"."""
        check_callback(
            "a listener of on_new_namespace()", listener, ("namespace",),
            sync_remedy="the namespace must be ready when it returns; start the asynchronous "
            "part with asyncio.create_task",
        )  # fmt: skip
        self._directory.listeners.append(listener)
        return listener

    # -- the namespace "/"

    def _target(self) -> tuple[Audience[Socket[Any]], BroadcastTarget, float | None]:
        return self.main._target()

    def _registry(self) -> Registry:
        return self.main._registry()

    @property
    def sockets(self) -> dict[str, Socket[Any]]:
        """The sockets of "/" by id."""
        return self.main.sockets

    def on_room_event(self, listener: Callable[[RoomEvent, str, str | None], None]) -> None:
        """Call `listener(event, room, socket_id)` when rooms of "/" on this server change."""
        self.main.on_room_event(listener)

    def on_error(self, listener: ErrorListener) -> ErrorListener:
        """Call `listener(error, socket, event)` for exceptions of handlers in all namespaces.

        The listener may be async. Listeners replace the log entry of the exception.
        """
        check_callback("a listener of on_error()", listener, ("error", "socket", "event"))
        self._dispatch.reporter.listeners.append(listener)
        return listener

    def adapter_status(self) -> AdapterStatus | None:
        """Return the state of the connection to the other servers; None without an adapter."""
        adapter = self.options.adapter
        return adapter.status() if adapter is not None else None

    # -- documents

    def typescript(self, heading: str = "Types of the events of a Socket.IO server.") -> str:
        """Return the types of all events for socket.io-client, as the text of a module.

        They come from the annotations of handlers and from the events of `declare`. `heading` is
        the comment at the start. Raises TypeError for a type that cannot be described.
        """
        contract = read_contract(self._directory.by_description(), self.options.error_ack)
        return print_typescript(contract, heading)

    def asyncapi(
        self,
        title: str = "Socket.IO server",
        version: str = "1.0.0",
        *,
        description: str | None = None,
        url: str | None = None,
    ) -> dict[str, Any]:
        """Return the AsyncAPI 3.0 document of all events, which is JSON.

        `title`, `version` and `description` are those of the application, `url` is the address of
        the server. Raises TypeError for a type that cannot be described.
        """
        contract = read_contract(self._directory.by_description(), self.options.error_ack)
        return create_document(contract, title, version, description, url)

    # -- start and stop

    def mount(self, app: AsgiApp) -> None:
        """Pass requests and WebSockets for all other paths to an ASGI application.

        The CORS rules, middlewares and hooks of the server do not apply to these paths. Call it
        before `listen`, which runs the startup of the application. Raises TypeError for an object
        that cannot be called, and RuntimeError while the server listens.
        """
        if isinstance(app, SocketServer):
            raise TypeError(_NOT_ASGI)
        self.engine.mount(app)

    def asgi_app(
        self, other_app: AsgiApp | None = None, *, drain: float | None = None
    ) -> AsgiGuest:
        """Return this server as an ASGI application, for uvicorn, hypercorn or granian.

        It serves the paths of the option `path`; `other_app` serves all others, and without it they
        get 404. `drain` is that of `shutdown`, which runs at the shutdown of the host. An
        application that is mounted inside another one is not informed of the end of the host: call
        `await io.shutdown()` in the lifespan of the outer application.
        """
        if drain is not None:
            check_duration("drain", drain)
        if isinstance(other_app, SocketServer):
            raise TypeError(_NOT_ASGI)
        if other_app is not None and not callable(other_app):
            raise TypeError(f"other_app must be an ASGI application, got {other_app!r}")
        return AsgiGuest(
            self.engine, other_app, self._start, partial(self.shutdown, drain=drain),
            is_alone=self.options.adapter is None,
        )  # fmt: skip

    async def listen(
        self,
        host: str | None = "127.0.0.1",
        port: int = 0,
        *,
        path: str | Path | None = None,
        fd: int | None = None,
        ssl: SSLContext | Tls | None = None,
    ) -> Listener:
        """Accept connections on one address; call it again for more addresses.

        `host` is an IPv4 or IPv6 address, a name, or None for all addresses. Port 0 lets the system
        choose: see `Listener.port`. `path` is the file of a Unix socket, and `fd` the descriptor of
        an inherited listening socket; either replaces host and port. `ssl` is an `ssl.SSLContext`,
        or `Tls` with the paths of certificate and key.

        Raises OSError, with the address and the remedy, if the address is not available.
        """
        self._start()
        return await self.engine.listen(host, port, path=path, fd=fd, ssl=ssl)

    async def listen_webtransport(
        self, host: str | None = "127.0.0.1", port: int = 0, *, ssl: Tls
    ) -> WebTransportListener:
        """Accept WebTransport sessions on one UDP port; needs the extra `webtransport`.

        `host` is an IPv4 or IPv6 address, a name, or None for all addresses. Port 0 lets the system
        choose: see `port` of the result. The option `transports` must contain "webtransport".

        Raises TypeError or ValueError for invalid parameters, RuntimeError if WebTransport is not
        installed or not possible, and OSError if the address is not available.
        """
        self._start()
        return await self.engine.listen_webtransport(host, port, ssl=ssl)

    @property
    def is_draining(self) -> bool:
        """Whether the server accepts no new clients, because it shuts down or has ended."""
        return self.engine.is_draining

    def begin_drain(self) -> None:
        """Refuse new clients with 503; connected clients continue until `shutdown`.

        A load balancer that reads `is_draining` from a page of the application sends new clients to
        other servers from now on. `listen` ends this state.
        """
        self.engine.begin_drain()

    async def shutdown(
        self, *, disconnect: bool = False, drain: float | None = 0.0, grace: float = 2.0
    ) -> None:
        """Refuse new clients, disconnect all sockets ("server shutting down"), and stop.

        `drain` spreads the ends of the connections over that many seconds; None selects 0.02
        seconds per client, at most 5. Clients with running handlers or pending acks wait for the
        end of this time, and up to half of `grace` seconds longer. Handlers that still run after
        `grace` seconds are canceled.

        The official client reconnects by itself, unless it gets a DISCONNECT packet, which
        `disconnect` selects.
        """
        check_bool("disconnect", disconnect)
        if drain is not None:
            check_duration("drain", drain)
        check_duration("grace", grace)
        self.begin_drain()
        used = await self._disconnect_in_waves(disconnect, drain, grace / 2)
        # A pending poll is answered in the next loop iteration; let it carry the last packets.
        await asyncio.sleep(0)
        await self._dispatch.runner.close(grace - used)
        await self.engine.shutdown()
        for callback in self._end_callbacks:
            callback()
        for namespace in list(self.namespaces.values()):
            namespace._server_ended()
        if self.options.adapter is not None:
            await self.options.adapter.close()

    async def _disconnect_in_waves(
        self, disconnect: bool, drain: float | None, grace: float
    ) -> float:
        """Disconnect all clients; return the seconds of `grace` that busy clients have used."""
        used = await self._shut_down(list(self._connections), disconnect, drain, grace)
        for connection in list(self._connections):
            connection.shut_down(disconnect)
        return used

    async def _close_sessions(self, sessions: Sequence[Session], drain: float | None) -> None:
        """Disconnect the clients of some sessions, for a gateway that ends."""
        ending = set(sessions)
        connections = [each for each in self._connections if each.session in ending]
        await self._shut_down(connections, False, drain, GATEWAY_GRACE)

    async def _shut_down(
        self, connections: list[Connection], disconnect: bool, drain: float | None, grace: float
    ) -> float:
        """Disconnect clients in waves; return the seconds of `grace` that have been used."""

        def shut_down(connection: Connection) -> None:
            connection.shut_down(disconnect)

        started = self.clock.time()
        waves = Waves(self.clock, shut_down, lambda connection: connection.is_busy)
        busy = await waves.run(connections, drain_window(drain, len(connections)))
        began = self.clock.time()
        if connections:
            logger.info(
                "disconnected %d clients in %.1f seconds; %d have running handlers or pending acks",
                len(connections) - len(busy), began - started, len(busy),
            )  # fmt: skip
        if busy:
            await self._dispatch.runner.settle(grace)
            for connection in busy:
                connection.shut_down(disconnect)
        return min(grace, self.clock.time() - began)

    def run(
        self,
        host: str | None = "127.0.0.1",
        port: int = 3000,
        *,
        path: str | Path | None = None,
        fd: int | None = None,
        ssl: SSLContext | Tls | None = None,
        webtransport_port: int | None = None,
        drain: float | None = None,
    ) -> None:
        """Serve on uvloop until SIGINT or SIGTERM; SIGHUP reads the TLS files again.

        Accepts the parameters of `listen`, and `drain` of `shutdown`. With `webtransport_port`, the
        server also accepts WebTransport on this UDP port of `host`, with the certificate of `ssl`
        (see `listen_webtransport`). A second signal ends the process at once. The server prints
        nothing: see the loggers `socketio_core` and `engineio_core`. Raises OSError as `listen`
        does, and RuntimeError inside a running event loop and outside the main thread.
        """
        if drain is not None:
            check_duration("drain", drain)

        async def serve() -> None:
            async with StopSignals(self.engine.reload_tls) as signals, self:
                await self.listen(host, port, path=path, fd=fd, ssl=ssl)
                if webtransport_port is not None:
                    tls = cast("Tls", ssl)  # checked there
                    await self.listen_webtransport(host, webtransport_port, ssl=tls)
                await signals.wait()
                await self.shutdown(drain=drain)

        run(serve)

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shutdown()


def _split_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split keywords into options of the server and of the engine.

    Raises TypeError for an unknown keyword.
    """
    own = {field.name for field in fields(ServerOptions)}
    engine = {field.name for field in fields(EngineOptions)}
    check_option_names(options, own | engine, OTHER_OPTIONS)
    return (
        {name: value for name, value in options.items() if name in own},
        {"path": "/socket.io"} | {name: value for name, value in options.items() if name in engine},
    )


def _call_soon(call: Callable[[], None]) -> bool:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    loop.call_soon(call)
    return True


# The codec does not import asyncio.
use_loop(_call_soon)
