"""The public Engine.IO server: listening sockets, TLS reload, the mounted application, shutdown.

`engine` owns sessions and routing; `http/listener` owns the sockets.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from ssl import SSLContext
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

from engineio_core.callbacks import (
    accepts,
    describe_function,
    require_function_or_coroutine_function,
)
from engineio_core.clock import Clock
from engineio_core.engine import BaseEngine
from engineio_core.http.asgi_host import AsgiHost
from engineio_core.http.asgi_scope import AsgiApp
from engineio_core.http.connection import HttpConnection
from engineio_core.http.detached import Arrival
from engineio_core.http.exchange import Origin
from engineio_core.http.listener import (
    Listener,
    Tls,
    check_address,
    open_listener,
    run,
)
from engineio_core.lifecycle import ServerEvent
from engineio_core.options import EngineOptions
from engineio_core.session_state import SessionState
from engineio_core.signals import StopSignals

if TYPE_CHECKING:
    from engineio_core.webtransport.listener import WebTransportListener

logger = logging.getLogger("engineio_core")

# Seconds that clients have at a shutdown to fetch their last packets, and again to close their
# connections; and seconds between two looks at them.
CLOSING_TIME: Final = 1.0
CLOSING_INTERVAL: Final = 0.005
# Iterations of uvloop from an abort to the end of the handle.
ABORT_ITERATIONS: Final = 3


class Engine(BaseEngine):
    """An Engine.IO server (protocol 4).

        engine = Engine(ping_interval=25)

        @engine.on("connection")
        def connected(session: Session) -> None:
            session.on_text = session.send_text

        engine.run(port=8080)

    Accepts `EngineOptions`, or its fields as keywords; an unknown keyword raises TypeError. In a
    program with its own event loop, `async with Engine() as engine` shuts down at the end:

        async with Engine() as engine:
            await engine.listen(port=8080)
            await stopped.wait()
    """

    def __init__(
        self, options: EngineOptions | None = None, *, clock: Clock | None = None, **fields: Any
    ) -> None:
        super().__init__(options, clock=clock, **fields)
        self._asgi: AsgiHost | None = None
        self._listeners: list[Listener] = []
        self._webtransport: list[WebTransportListener] = []
        self._connections: set[HttpConnection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shutdown()

    def mount(self, app: AsgiApp) -> None:
        """Route every path outside the engine's path to an ASGI application, with WebSockets.

        The CORS rules, middlewares and hooks of the engine do not apply to these paths. Call it
        before `listen`, which runs the startup of the application. Raises TypeError for an object
        that cannot be called, and RuntimeError while the engine listens.
        """
        if not callable(app):
            raise TypeError(
                f"mount() must receive an ASGI application, got {app!r}: "
                "pass the application object itself"
            )
        require_function_or_coroutine_function("an ASGI application", app)
        if not accepts(app, ("scope", "receive", "send")):
            raise TypeError(
                f"mount() must receive an ASGI application, got {describe_function(app)}, which "
                "cannot be called with (scope, receive, send): pass an instance of the "
                "application, and wrap a WSGI application in an adapter such as a2wsgi"
            )
        if self._listeners:
            raise RuntimeError("mount() must be called before listen()")
        self._asgi = AsgiHost(app, self._session_context)
        self._mounted = self._asgi.serve

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
        or `Tls` with the paths of certificate and key, which `reload_tls` reads again.

        Raises OSError, with the address and the remedy, if the address is not available.
        """
        self._advance(ServerEvent.STARTED)
        if self._asgi is not None and not self._listeners:
            await self._asgi.start_up()
        listener = await open_listener(
            self._make_connection, host, port, path=path, fd=fd, ssl=ssl,
            handshake_timeout=self.options.header_timeout,
        )  # fmt: skip
        self._listeners.append(listener)
        logger.info("listening on %s", ", ".join(listener.addresses))
        return listener

    async def listen_webtransport(
        self, host: str | None = "127.0.0.1", port: int = 0, *, ssl: Tls
    ) -> WebTransportListener:
        """Accept WebTransport sessions on one UDP port; needs the extra `webtransport`.

        `host` is an IPv4 or IPv6 address, a name, or None for all addresses. Port 0 lets the system
        choose: see `port` of the result. The option `transports` must contain "webtransport".

        Raises TypeError or ValueError for invalid parameters, RuntimeError if WebTransport is not
        installed or not possible, and OSError if the address is not available.
        """
        check_address(host, port)
        if not isinstance(ssl, Tls):
            raise TypeError(
                f"ssl must be Tls(certificate=..., key=...), got {ssl!r}: WebTransport always uses "
                "TLS, and an SSLContext cannot serve QUIC"
            )
        if "webtransport" not in self.options.transports:
            raise ValueError(
                'transports must contain "webtransport" for listen_webtransport(), got '
                f"{self.options.transports!r}"
            )
        if self._owners is not None:
            raise RuntimeError(
                "WebTransport is not possible with several workers, because a UDP port cannot pass "
                "a client to the worker of its session: use one worker"
            )
        try:
            from engineio_core.webtransport.listener import open_webtransport  # noqa: PLC0415
        except ImportError as error:
            raise RuntimeError(
                f"listen_webtransport() needs aioquic ({error}): "
                "install the extra with pip install 'hextrackr-server[webtransport]'"
            ) from error
        self._advance(ServerEvent.STARTED)
        listener = await open_webtransport(self, host, port, ssl)
        self._webtransport.append(listener)
        logger.info("listening on %s", ", ".join(listener.addresses))
        return listener

    def reload_tls(self) -> None:
        """Read the TLS files of all listeners again, for new connections.

        A listener whose new files are invalid keeps the previous ones and logs the error.
        """
        reloaded = [listener.reload_tls() for listener in self._listeners]
        for each in self._webtransport:
            each.reload_tls()
        if not any(reloaded) and not self._webtransport:
            logger.info("no TLS files to read again: changed settings apply after a restart")

    def begin_drain(self) -> None:
        """Refuse new sessions with 503; existing sessions continue until `shutdown`.

        Idle HTTP connections close, except those of polling clients.
        """
        if self._advance(ServerEvent.DRAIN_BEGUN):
            if self.sessions:
                logger.info("draining: new sessions are refused; %d are open", len(self.sessions))
            for connection in list(self._connections):
                connection.close_if_unused()

    async def shutdown(self, *, drain: float | None = 0.0) -> None:
        """Refuse new sessions, close all sessions, and shut the mounted application down.

        `drain` spreads the ends of the sessions over that many seconds; None selects 0.02 seconds
        per session, at most 5. Clients then get one second to receive their last packets, and one
        to close; the connections that are then open are aborted.
        """
        self.begin_drain()
        sessions = [each for each in self.sessions.values() if each.state is SessionState.OPEN]
        if sessions:
            await self._close_in_waves(sessions, drain)
        await self._wait_for_last_packets()
        self._advance(ServerEvent.ENDED)
        listeners, self._listeners = self._listeners, []
        webtransport, self._webtransport = self._webtransport, []
        for listener in listeners:
            listener.close()
        for each in webtransport:
            each.close()
        self.close()
        if self._asgi is not None:
            self._asgi.close_websockets()
        # uvloop writes at the end of a loop iteration: send the close packets before it stops.
        for _ in range(2):
            await asyncio.sleep(0)
        for each in webtransport:
            await each.end(CLOSING_TIME)
        if listeners:
            await self._end_connections()
        if self._asgi is not None:
            await self._asgi.shut_down()

    def run(
        self,
        host: str | None = "127.0.0.1",
        port: int = 8080,
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
        (see `listen_webtransport`). A second signal ends the process at once. Raises OSError as
        `listen` does, and RuntimeError inside a running event loop and outside the main thread.
        """

        async def serve() -> None:
            async with StopSignals(self.reload_tls) as signals, self:
                await self.listen(host, port, path=path, fd=fd, ssl=ssl)
                if webtransport_port is not None:
                    tls = cast("Tls", ssl)  # checked there
                    await self.listen_webtransport(host, webtransport_port, ssl=tls)
                await signals.wait()
                await self.shutdown(drain=drain)

        run(serve)

    def close(self) -> None:
        """Close all sessions immediately with reason "forced close"; drop queued packets.

        Idle HTTP connections close as well, the others after their response. The engine can serve
        again afterwards.
        """
        super().close()
        for connection in list(self._connections):
            connection.close_if_idle()

    async def _adopt(self, connection: socket.socket, data: bytes, origin: Origin | None) -> None:
        """Continue a connection that another process has accepted.

        `data` are the bytes that the other process has read. `origin` is None for a connection
        without read bytes; it begins with TLS if the listener uses TLS.
        """
        loop = asyncio.get_running_loop()
        try:
            if origin is None:
                context = self._listeners[0].context if self._listeners else None
                await loop.connect_accepted_socket(
                    self._make_connection, connection, ssl=context,
                    ssl_handshake_timeout=self.options.header_timeout if context else None,
                )  # fmt: skip
            else:
                arrival = Arrival(self._make_connection, data, origin)
                await loop.connect_accepted_socket(lambda: arrival, connection)
        except OSError as error:
            # The client has left, or its TLS handshake failed.
            logger.info("a connection of another worker ended: %s", error)
            connection.close()

    async def _wait_for_last_packets(self) -> None:
        """Wait until clients have taken their queued packets, for a limited time."""
        if not self._listeners and not self._webtransport:
            return
        stop = monotonic() + CLOSING_TIME
        while self.sessions and monotonic() < stop:  # noqa: ASYNC110 - see `_end_connections`
            await asyncio.sleep(CLOSING_INTERVAL)

    async def _end_connections(self) -> None:
        """Wait until all TCP connections have ended; abort those that stay open.

        An event loop that stops with open connections leaks them.
        """
        connections, upgraded = self._connections, self._upgraded
        stop = monotonic() + CLOSING_TIME
        # Polling saves a call for each client that leaves while the engine runs.
        while (connections or upgraded) and monotonic() < stop:  # noqa: ASYNC110
            await asyncio.sleep(CLOSING_INTERVAL)
        for tcp in [*(connection.tcp for connection in connections), *upgraded]:
            tcp.abort()
        for _ in range(ABORT_ITERATIONS):
            await asyncio.sleep(0)

    def _make_connection(self) -> HttpConnection:
        """Return the protocol of one TCP connection: the factory for `loop.create_server`."""
        return HttpConnection(self, self._get_timers(), self._connections)
