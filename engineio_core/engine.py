"""The engine: which session a request belongs to, and where sessions begin and end.

Knows: sid -> Session, which requests are legal, the hooks.
Does not know: who may get in, frames, payloads, how HTTP is parsed, Socket.IO.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import orjson

from engineio_core import errors, handshake
from engineio_core.admission import Admission, ConnectionRefusal, Middleware
from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.payload import encode_payload
from engineio_core.errors import CloseReason, HandshakeRefusedError
from engineio_core.heartbeat import Heartbeat
from engineio_core.http.asgi_host import AsgiApp, AsgiHost
from engineio_core.http.connection import HttpProtocol
from engineio_core.http.exchange import Exchange
from engineio_core.http.listener import Listener, Tls, open_listener, run, wait_for_signal
from engineio_core.http.message import (
    JSON,
    NO_STORE,
    TEXT_HTML,
    TEXT_PLAIN,
    HttpRequest,
    HttpResponse,
)
from engineio_core.http.trusted_proxies import TrustedProxies
from engineio_core.ids import generate_id
from engineio_core.options import EngineOptions, build_options
from engineio_core.session import Session, SessionContext
from engineio_core.transports.interface import NULL_LISTENER, Transport
from engineio_core.transports.polling import PollingTransport, calm_old_browsers
from engineio_core.transports.websocket import WebSocketTransport
from engineio_core.transports.websocket_handshake import (
    WebSocketHandshakeError,
    accept_handshake,
    encode_switch,
)

logger = logging.getLogger("engineio_core")

Hook = TypeVar("Hook", bound=Callable[..., Any])
Event = Literal["connection", "connection_error", "headers", "initial_headers"]
EVENTS: Final = ("connection", "connection_error", "headers", "initial_headers")


class Engine:
    """An Engine.IO server (protocol 4).

        engine = Engine(ping_interval=25)

        @engine.on("connection")
        def connected(session: Session) -> None:
            session.on_text = session.send_text

        engine.run(port=8080)

    Takes `EngineOptions`, or its fields as keywords; an unknown one raises a TypeError.
    """

    def __init__(
        self, options: EngineOptions | None = None, *, clock: Clock | None = None, **given: Any
    ) -> None:
        if options is not None and given:
            raise TypeError("give either EngineOptions or keywords, not both")
        self.options = options or build_options(EngineOptions, given)
        self.proxies = TrustedProxies(self.options.trusted_proxies)
        self.sessions: dict[str, Session] = {}
        self.is_closing = False
        path = self.options.path.rstrip("/")
        self._path = f"{path}/" if self.options.add_trailing_slash else path
        self._bare_path = path or "/"
        self._clock = clock
        self._context: SessionContext | None = None
        self._admission = Admission(self.options, self.sessions, self)
        self._hooks: dict[str, list[Callable[..., Any]]] = {event: [] for event in EVENTS}
        self._asgi: AsgiHost | None = None
        self._files: Callable[[Exchange], bool] | None = None
        self._listeners: list[Listener] = []
        self.connections: set[HttpProtocol] = set()

    # -- what users call

    def on(self, event: Event, hook: Hook | None = None) -> Any:
        """Call `hook` on an event; without a hook, a decorator.

        `connection(session)`: a session has begun. `connection_error(refusal)`: a request was
        refused. `headers(headers, request)`: an answer, or a 101, is about to be sent; the dict
        may be changed. `initial_headers(headers, request)`: the same, once a session.
        """
        if event not in self._hooks:
            raise ValueError(f"unknown event {event!r}; known are {', '.join(EVENTS)}")
        if hook is None:
            return lambda decorated: self.on(event, decorated)
        self._hooks[event].append(hook)
        return hook

    def use(self, middleware: Middleware) -> Middleware:
        """Call `middleware(request)` before every request and upgrade, in order of registration.

        Plain or async. It returns None to go on or an `HttpResponse` to end the request, on both
        transports alike; it may write to `request.response_headers` and `request.state`. An
        exception refuses the request with code 3.
        """
        self._admission.middlewares.append(middleware)
        return middleware

    def mount(self, app: AsgiApp) -> None:
        """Give every path that is not the engine's to an ASGI application."""
        self._asgi = AsgiHost(app)

    @property
    def asgi(self) -> AsgiHost | None:
        """The mounted ASGI application, if there is one."""
        return self._asgi

    def serve_files(self, serve: Callable[[Exchange], bool]) -> None:
        """Ask `serve` first, for requests below the path: it answers and tells whether it did."""
        self._files = serve

    def use_clock(self, clock: Clock) -> None:
        """Let all deadlines go by another clock. Raises RuntimeError if sessions exist."""
        if self.sessions:
            raise RuntimeError("the clock can't be changed while there are sessions")
        self._clock = clock
        self._context = None

    def open_session(
        self, request: HttpRequest, make_transport: Callable[[SessionContext], Transport]
    ) -> Session:
        """Begin a session on a transport that did not come by HTTP, as the test client's does."""
        context = self._session_context()
        transport = make_transport(context)
        session = Session(generate_id(), request, transport, context)
        self._register(session)
        return session

    def protocol(self) -> HttpProtocol:
        """Make the protocol of one TCP connection: the factory for `loop.create_server`."""
        return HttpProtocol(self, self._get_clock(), self.connections)

    async def listen(
        self,
        host: str | None = "127.0.0.1",
        port: int = 0,
        *,
        unix_path: str | Path | None = None,
        descriptor: int | None = None,
        tls: Tls | None = None,
    ) -> Listener:
        """Take connections, as `open_listener` says; may be called for several addresses.

        Raises OSError if the address can't be had.
        """
        self.is_closing = False
        if self._asgi is not None and not self._listeners:
            await self._asgi.start_up()
        listener = await open_listener(
            self.protocol, host, port, unix_path=unix_path, descriptor=descriptor, tls=tls,
            handshake_timeout=self.options.header_timeout,
        )  # fmt: skip
        self._listeners.append(listener)
        return listener

    def reload_tls(self) -> None:
        """Read the certificates of all listeners again."""
        for listener in self._listeners:
            listener.reload_tls()

    async def shutdown(self) -> None:
        """Take no more connections, end all sessions, and let the mounted application end."""
        self.is_closing = True
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()
        self.close()
        # uvloop writes when an iteration ends: the farewells must leave before the loop does.
        for _ in range(2):
            await asyncio.sleep(0)
        if self._asgi is not None:
            await self._asgi.shut_down()

    def run(self, host: str | None = "127.0.0.1", port: int = 8080, **given: Any) -> None:
        """Serve on uvloop until SIGINT or SIGTERM; SIGHUP reads the TLS files again."""
        run(self._serve(host, port, **given))

    async def _serve(self, host: str | None, port: int, **given: Any) -> None:
        await self.listen(host, port, **given)
        await wait_for_signal(self.reload_tls)
        await self.shutdown()

    def close(self) -> None:
        """End all sessions at once (reason "forced close"); what waits for them is dropped.

        After that the engine may serve again.
        """
        self._admission.close()
        for session in list(self.sessions.values()):
            session.close(discard=True)
        if self._context is not None:
            self._context.heartbeat.close()
            self._context = None
        for connection in list(self.connections):
            connection.close_if_idle()

    # -- routing

    def route(self, exchange: Exchange) -> None:
        """Take one request from a connection."""
        request = exchange.request
        path = request.path
        if path == self._bare_path or path.startswith(self._path):
            if self._files is not None and self._files(exchange):
                return
            self._admission.judge(exchange)
        elif self._asgi is not None and not request.is_upgrade:
            self._asgi.serve(exchange)
        else:
            exchange.respond(HttpResponse(404))

    # -- what becomes of a request: called by the admission

    def admitted(self, exchange: Exchange, new_sid: str | None) -> None:
        """Give the request to whoever answers it. Raises HandshakeRefusedError."""
        request = exchange.request
        sid = request.query.get("sid") or None
        match (request.method, request.query.get("transport"), sid, request.is_upgrade):
            case ("GET", "polling", None, False):
                self._open_polling(exchange, new_sid or "")
            case ("GET", "websocket", None, True):
                self._open_websocket(exchange, new_sid or "")
            case ("GET", "websocket", str(), True):
                self._probe(exchange, self.sessions[sid])
            case ("GET", "polling", str(), False):
                self._polling(sid).poll(exchange)
            case ("POST", "polling", str(), False):
                self._polling(sid).post(exchange)
            case (_, "polling", str(), False):
                # Node answers 500 here.
                exchange.respond(HttpResponse(405, b"", [("Allow", "GET, POST")]))
            case _:
                raise HandshakeRefusedError(
                    errors.BAD_REQUEST, {"name": "TRANSPORT_HANDSHAKE_ERROR"}
                )

    def answered(self, exchange: Exchange, response: HttpResponse) -> None:
        """Send an answer that no session gives."""
        exchange.keep_alive = exchange.keep_alive and not exchange.request.is_upgrade
        exchange.respond(response)

    def refused(self, exchange: Exchange, refusal: HandshakeRefusedError) -> None:
        """Tell the listeners and the client."""
        request = exchange.request
        self._call_hooks("connection_error", ConnectionRefusal(request, refusal))
        if request.is_upgrade:
            # Node: always 400, and the plain message as the body.
            self.answered(exchange, HttpResponse(400, str(refusal).encode(), [TEXT_HTML]))
            return
        body = orjson.dumps({"code": refusal.refusal.code, "message": str(refusal)})
        exchange.respond(HttpResponse(refusal.status, body, [JSON]))

    def _polling(self, sid: str) -> PollingTransport:
        transport = self.sessions[sid].transport
        assert isinstance(transport, PollingTransport), "the admission has compared their names"
        return transport

    # -- sessions

    def _open_polling(self, exchange: Exchange, sid: str) -> None:
        if self._is_full(exchange):
            return
        request = exchange.request
        context = self._session_context()
        transport = PollingTransport(context, self._decorate)
        session = transport.session = Session(sid, request, transport, context)
        packets = [EncodedPacket(handshake.encode_open(sid, "polling", self.options))]
        if self.options.initial_packet is not None:
            packets.append(EncodedPacket.message(self.options.initial_packet))
        headers: list[tuple[str, str]] = [TEXT_PLAIN, NO_STORE]
        if self.options.cookie is not None:
            headers.append(("Set-Cookie", handshake.encode_cookie(self.options.cookie, sid)))
        calm_old_browsers(request, headers)
        self._decorate(request, headers)
        exchange.respond(HttpResponse(200, encode_payload(packets), headers))
        self._register(session)

    def _open_websocket(self, exchange: Exchange, sid: str) -> None:
        if self._is_full(exchange):
            return
        accepted = self._accept(exchange)
        if accepted is None:
            return
        transport, rest = accepted
        session = Session(sid, exchange.request, transport, self._session_context())
        transport.listener = session
        session.send(EncodedPacket(handshake.encode_open(sid, "websocket", self.options)))
        if self.options.initial_packet is not None:
            session.send(EncodedPacket.message(self.options.initial_packet))
        transport.flush()
        self._register(session)
        if rest:
            transport.data_received(rest)

    def _probe(self, exchange: Exchange, session: Session) -> None:
        if not self.options.allow_upgrades:
            # Node accepts it although it was not offered.
            raise HandshakeRefusedError(errors.BAD_REQUEST, {"name": "UPGRADE_NOT_ALLOWED"})
        accepted = self._accept(exchange)
        if accepted is None:
            return
        transport, rest = accepted
        candidate = session.admit_candidate(transport)
        if candidate is None:
            # Node: the handshake succeeds, then the connection is closed.
            transport.listener = NULL_LISTENER
            transport.flush()
            transport.close()
            return
        transport.listener = candidate
        transport.flush()
        if rest:
            transport.data_received(rest)

    def _accept(self, exchange: Exchange) -> tuple[WebSocketTransport, bytes] | None:
        """Answer the opening handshake; None where it is no good, and has been refused.

        The answer leaves with what is sent before the transport is flushed.
        """
        request = exchange.request
        try:
            if not exchange.is_body_read:
                raise WebSocketHandshakeError("an upgrade has no body", [])
            accepted = accept_handshake(
                request, self.options.per_message_deflate, self.options.max_http_buffer_size
            )
            lines: list[tuple[str, str]] = []
            self._decorate(request, lines)
            head = encode_switch(accepted, [*request.response_headers.items(), *lines])
        except WebSocketHandshakeError as rejection:
            headers = [TEXT_HTML, *rejection.headers]
            self.answered(exchange, HttpResponse(400, rejection.text.encode(), headers))
            return None
        except ValueError:
            logger.exception("the headers of a WebSocket handshake could not be sent")
            request.response_headers.clear()
            self.answered(exchange, HttpResponse(500))
            return None
        tcp, rest = exchange.upgrade()
        transport = WebSocketTransport(tcp, self._session_context(), accepted.extensions, head)
        tcp.set_protocol(transport)
        tcp.resume_reading()
        return transport, rest

    def _register(self, session: Session) -> None:
        self.sessions[session.sid] = session
        self._session_context().heartbeat.start(session)
        request = session.request
        logger.info(
            "session %s opened over %s from %s",
            session.sid[:6], session.transport.name, request.remote_address,
        )  # fmt: skip
        self._call_hooks("connection", session)

    def _session_ended(self, session: Session, reason: CloseReason, description: str) -> None:
        self.sessions.pop(session.sid, None)
        logger.info("session %s closed: %s (%s)", session.sid[:6], reason, description)

    def _session_context(self) -> SessionContext:
        if self._context is None:
            clock = self._get_clock()
            options = self.options
            heartbeat = Heartbeat(clock, options.ping_interval, options.ping_timeout)
            self._context = SessionContext(
                options, clock, heartbeat, self._session_ended, _make_future
            )
        return self._context

    def _get_clock(self) -> Clock:
        return self._clock or asyncio.get_running_loop()

    def _is_full(self, exchange: Exchange) -> bool:
        if len(self.sessions) < self.options.max_sessions and not self.is_closing:
            return False
        self.answered(exchange, HttpResponse(503, b"", [("Retry-After", "5")]))
        return True

    # -- hooks

    def _decorate(self, request: HttpRequest, headers: list[tuple[str, str]]) -> None:
        """Let the header hooks add to the headers of an answer."""
        if not (self._hooks["headers"] or self._hooks["initial_headers"]):
            return
        extra: dict[str, str] = {}
        if not request.query.get("sid"):
            self._call_hooks("initial_headers", extra, request)
        self._call_hooks("headers", extra, request)
        headers.extend(extra.items())

    def _call_hooks(self, event: str, *args: Any) -> None:
        for hook in self._hooks[event]:
            try:
                hook(*args)
            except Exception:
                logger.exception("a listener of %r failed", event)


def _make_future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()
