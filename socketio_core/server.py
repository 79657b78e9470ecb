"""The server: one engine, its namespaces, and the methods of the namespace "/".

Knows: how the parts are put together, beginning and end.  Does not know: packets, rooms.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from engineio_core.clock import Clock
from engineio_core.http.asgi_host import AsgiApp
from engineio_core.http.listener import Listener, Tls, run, wait_for_signal
from engineio_core.options import EngineOptions, check_option_names
from engineio_core.server import Engine
from engineio_core.session import Session
from socketio_core.adapters.interface import BroadcastTarget, RoomEvent
from socketio_core.broadcast import Broadcasting
from socketio_core.client_files import ClientFiles
from socketio_core.connection import Connection
from socketio_core.handlers.dispatch import Dispatch
from socketio_core.handlers.registry import Registering, Registry
from socketio_core.handlers.runner import Runner, sleep
from socketio_core.keywords import Keywords
from socketio_core.namespace import Namespace, ParentNamespace, canonical_name, matcher
from socketio_core.options import OTHER_OPTIONS, ServerOptions
from socketio_core.socket import Socket

ErrorListener = TypeVar("ErrorListener", bound=Callable[[BaseException, Any, str], Any])
NamespaceListener = TypeVar("NamespaceListener", bound=Callable[[Namespace], Any])
Match = Callable[[str, dict[str, Any]], Any]

logger = logging.getLogger("socketio_core")


class SocketServer(Registering, Broadcasting):
    """A Socket.IO server (protocol 5).

        io = SocketServer(cors=Cors(origins=["https://app.example"]))

        @io.on("hello")
        def hello(socket: Socket, name: str) -> str:
            return f"hello {name}"

        io.run(port=3000)

    Takes the fields of `socketio_core.ServerOptions` and of `engineio_core.EngineOptions` as
    keywords (`path` is "/socket.io" here); an unknown one raises a TypeError. `on`, `use`, `emit`
    and the like are those of the namespace "/".
    """

    def __init__(self, *, clock: Clock | None = None, **options: Unpack[Keywords]) -> None:
        own, engine = _split_options({**options})
        self.socket_options = ServerOptions(**own)
        self.engine = Engine(EngineOptions(**engine), clock=clock)
        self.dispatch = Dispatch(
            Runner(self._get_clock), self.socket_options.error_ack,
            self.socket_options.handler_timeout,
        )  # fmt: skip
        self.run_handler = self.dispatch.run  # one bound method for all connections
        self._clock = clock
        self.connections: set[Connection] = set()
        self.namespaces: dict[str, Namespace] = {}
        self._parents: list[ParentNamespace] = []
        self._patterns: dict[re.Pattern[str], ParentNamespace] = {}
        self._new_namespace: list[Callable[[Namespace], Any]] = []
        self.main = self._make_namespace("/", None)
        self.engine.on("connection", self._session_opened)
        if self.socket_options.serve_client:
            self.engine._serve_files(
                ClientFiles(self.engine.options.path, self.engine.options.cors).serve
            )

    @property
    def clock(self) -> Clock:
        """The clock that all deadlines go by: the running loop, unless one was given."""
        return self._get_clock()

    def _get_clock(self) -> Clock:
        return self._clock or asyncio.get_running_loop()

    def use_clock(self, clock: Clock) -> None:
        """Let all deadlines go by another clock. Raises RuntimeError if there are sessions."""
        self.engine._use_clock(clock)
        self._clock = clock

    def _session_opened(self, session: Session) -> None:
        self.dispatch.runner.enter_loop()
        self.connections.add(Connection(self, session))

    # -- namespaces

    @overload
    def of(self, name: str) -> Namespace: ...
    @overload
    def of(self, name: re.Pattern[str] | Match) -> ParentNamespace: ...

    def of(self, name: str | re.Pattern[str] | Match) -> Namespace | ParentNamespace:
        """Return the namespace of that name, made if need be.

        With a compiled pattern, or a function `(name, auth) -> bool` (plain or async), a parent:
        it makes a namespace when a client asks for one that matches.
        """
        if isinstance(name, str):
            name = canonical_name(name)
            namespace = self.namespaces.get(name)
            if namespace is None:
                namespace = self._make_namespace(name, self._parent_by_pattern(name))
            return namespace
        if isinstance(name, re.Pattern):
            if name not in self._patterns:
                self._patterns[name] = ParentNamespace(matcher(name))
                self._parents.append(self._patterns[name])
            return self._patterns[name]
        parent = ParentNamespace(name)
        self._parents.append(parent)
        return parent

    def _parent_by_pattern(self, name: str) -> ParentNamespace | None:
        for pattern, parent in self._patterns.items():
            if pattern.fullmatch(name):
                return parent
        return None

    def _make_namespace(self, name: str, parent: ParentNamespace | None) -> Namespace:
        namespace = Namespace(self, name, parent)
        if parent is not None:
            parent.adopt(namespace)
        self.namespaces[name] = namespace
        if name != "/":
            for listener in self._new_namespace:
                try:
                    listener(namespace)
                except Exception:
                    logger.exception("a listener of new namespaces failed")
        return namespace

    async def namespace_for(self, name: str, auth: dict[str, Any]) -> Namespace | None:
        """Return the namespace that a client asks for; None if there is none for it."""
        if name in self.namespaces:
            return self.namespaces[name]
        for parent in self._parents:
            verdict = parent.matches(name, auth)
            if inspect.isawaitable(verdict):
                verdict = await verdict
            if name in self.namespaces:  # another client has asked for it meanwhile
                return self.namespaces[name]
            if verdict and len(parent.children) < self.socket_options.max_child_namespaces:
                return self._make_namespace(name, parent)
        return None

    def namespace_emptied(self, namespace: Namespace) -> None:
        """Let go of a child that nobody is in, if that is wanted. Called by the namespace."""
        if (
            self.socket_options.cleanup_empty_child_namespaces
            and namespace.parent is not None
            and not namespace.sockets
            and not namespace.joining
            and self.namespaces.get(namespace.name) is namespace
        ):
            namespace.adapter.close()
            namespace.parent.children.pop(namespace.name, None)
            del self.namespaces[namespace.name]

    def on_new_namespace(self, listener: NamespaceListener) -> NamespaceListener:
        """Call `listener(namespace)` for each namespace that is made, but "/"."""
        self._new_namespace.append(listener)
        return listener

    # -- the namespace "/"

    def _target(self) -> tuple[Namespace, BroadcastTarget, float | None]:
        return self.main._target()

    def _registry(self) -> Registry:
        return self.main.registry

    @property
    def sockets(self) -> dict[str, Socket]:
        """The sockets of "/" by id."""
        return self.main.sockets

    def on_room_event(self, listener: Callable[[RoomEvent, str, str | None], None]) -> None:
        """Call `listener(event, room, socket_id)` when rooms of "/" change here."""
        self.main.on_room_event(listener)

    def on_error(self, listener: ErrorListener) -> ErrorListener:
        """Call `listener(error, socket, event)` for what goes wrong in handlers, everywhere.

        It replaces the log line that there is otherwise.
        """
        self.dispatch.reporter.listeners.append(listener)
        return listener

    # -- beginning and end

    def mount(self, app: AsgiApp) -> None:
        """Give every path that is not Socket.IO's to an ASGI application."""
        self.engine.mount(app)

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
        return await self.engine.listen(host, port, path=path, fd=fd, ssl=ssl)

    async def shutdown(
        self, *, disconnect: bool = False, drain: float = 0.0, grace: float = 2.0
    ) -> None:
        """Take no more connections, let all sockets leave ("server shutting down"), and end.

        `disconnect` tells clients that they are disconnected: the official one does not come back
        by itself then. `drain` spreads their leaving over that many seconds. Handlers that still
        run after `grace` seconds are cancelled.
        """
        self.engine._is_closing = True
        connections = list(self.connections)
        for index, connection in enumerate(connections):
            if drain > 0 and index:
                await sleep(self.clock, drain / len(connections))
            connection.say_goodbye(disconnect)
        for connection in list(self.connections):
            connection.say_goodbye(disconnect)
        # A poll is answered after what is under way: let it take what its client was told last.
        await asyncio.sleep(0)
        await self.dispatch.runner.close(grace)
        await self.engine.shutdown()

    def run(
        self,
        host: str | None = "127.0.0.1",
        port: int = 3000,
        *,
        path: str | Path | None = None,
        fd: int | None = None,
        ssl: SSLContext | Tls | None = None,
    ) -> None:
        """Serve on uvloop until SIGINT or SIGTERM; SIGHUP reads the TLS files again.

        Accepts the parameters of `listen`. It prints nothing: see the loggers `socketio_core` and
        `engineio_core`. Raises RuntimeError inside a running event loop and outside the main
        thread.
        """

        async def serve() -> None:
            async with self:
                await self.listen(host, port, path=path, fd=fd, ssl=ssl)
                await wait_for_signal(self.engine.reload_tls)

        run(serve)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shutdown()


def _split_options(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the options of the server from those of the engine. Raises TypeError for others."""
    own = {field.name for field in fields(ServerOptions)}
    engine = {field.name for field in fields(EngineOptions)}
    check_option_names(given, own | engine, OTHER_OPTIONS)
    return (
        {name: value for name, value in given.items() if name in own},
        {"path": "/socket.io"} | {name: value for name, value in given.items() if name in engine},
    )
