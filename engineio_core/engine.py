"""Sessions and request routing of an Engine.IO server, without sockets.

`server` adds listening sockets, TLS and the mounted application. `admission` decides which requests
are admitted; `session` and `transports` carry messages.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from difflib import get_close_matches
from threading import get_ident
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar, overload

from engineio_core import counts, errors, handshake
from engineio_core.accounts import SESSIONS, Ledger, network_of
from engineio_core.admission import (
    Admission,
    ConnectionRefusal,
    Middleware,
    describe_refusal,
    refusal_level,
)
from engineio_core.asgi.exchange import GuestExchange
from engineio_core.asgi.websocket import GuestWebSocket
from engineio_core.budgets import make_budgets
from engineio_core.callbacks import (
    describe_function,
    discard_awaitable,
    is_awaitable,
    require_function_or_coroutine_function,
    require_parameters,
    require_plain_function,
)
from engineio_core.client_heartbeat import ClientHeartbeat
from engineio_core.clock import Clock, check_clock
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.jsonp import function_name
from engineio_core.codec.polling_form import choose_form
from engineio_core.counts import EngineCounts
from engineio_core.errors import CloseReason, HandshakeRefusedError
from engineio_core.heartbeat import Heartbeat
from engineio_core.http.compression import CompressionQueue
from engineio_core.http.exchange import Exchange
from engineio_core.http.message import (
    NO_STORE,
    TEXT_HTML,
    HttpRequest,
    HttpResponse,
    valid_headers,
)
from engineio_core.http.trusted_proxies import TrustedProxies
from engineio_core.iteration import Iteration
from engineio_core.lifecycle import SERVER_TRANSITIONS, ServerEvent, ServerState
from engineio_core.options import EngineOptions
from engineio_core.session import Session, SessionContext
from engineio_core.subclassing import mypyc_attr
from engineio_core.timers import TimerQueue
from engineio_core.traffic import Traffic
from engineio_core.transports.interface import (
    NULL_LISTENER,
    Abortable,
    CandidateTransport,
    Transport,
)
from engineio_core.transports.polling import (
    PollingTransport,
    count_accepted_packets,
    disable_xss_filter,
)
from engineio_core.transports.revision_3 import RevisionThreeTransport
from engineio_core.transports.websocket import WebSocketTransport
from engineio_core.transports.websocket_handshake import (
    WebSocketHandshakeError,
    accept_handshake,
    encode_switch,
)
from engineio_core.waves import Waves, drain_window

logger = logging.getLogger("engineio_core")

Hook = TypeVar("Hook", bound=Callable[..., Any])
Event = Literal["connection", "connection_error", "headers", "initial_headers"]
_HOOK_PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    "connection": ("session",),
    "connection_error": ("refusal",),
    "headers": ("headers", "request"),
    "initial_headers": ("headers", "request"),
}
EVENTS: Final = tuple(_HOOK_PARAMETERS)
_MISSING: Final = object()
SERVING: Final = ServerState.SERVING
_INFO: Final = logging.INFO
# Events that users of other servers expect here, and the replacement.
_OTHER_EVENTS: Final = {
    "connect": 'use "connection"',
    "close": "assign session.on_close",
    "disconnect": "assign session.on_close",
    "message": "assign session.on_text and session.on_binary",
}


AnyExchange: TypeAlias = Exchange | GuestExchange
"""A request of an own listener, or of an ASGI host."""

CloseSessions: TypeAlias = Callable[[Sequence[Session], float | None], Coroutine[Any, Any, None]]
"""Closes sessions in waves within a number of seconds; None selects the default."""


class SessionOwners(Protocol):
    """The worker processes that share the port of this engine."""

    def generate_sid(self) -> str:
        """Return the sid of a new session of this process."""

    def forward(self, exchange: Any) -> bool:
        """Hand over a request whose session belongs to another process; return whether it does."""


@mypyc_attr(allow_interpreted_subclasses=True)
class BaseEngine:
    """Sessions, hooks and request routing; `Engine` adds the listening sockets.

    Accepts `EngineOptions`, or its fields as keywords. Raises TypeError for an unknown option.
    """

    def __init__(
        self, options: EngineOptions | None = None, *, clock: Clock | None = None, **fields: Any
    ) -> None:
        if options is not None and not isinstance(options, EngineOptions):
            raise TypeError(
                f"options must be EngineOptions, got {options!r}: pass single options as keywords"
            )
        if options is not None and fields:
            raise TypeError(
                f"EngineOptions and keywords exclude each other: move {', '.join(fields)} "
                "into EngineOptions"
            )
        if clock is not None:
            check_clock(clock)
        self.options = options or EngineOptions(**fields)
        self.sessions: dict[str, Session] = {}
        self._counts = EngineCounts()
        self._budgets = make_budgets(
            self.options.max_total_unfinished_size, self.options.max_total_outbox_size
        )
        self._addresses = Ledger(
            self.options.max_sessions_per_address or self.options.max_sessions,
            self.options.max_buffered_size_per_address,
            self.options.max_handlers_per_address,
        )
        path = self.options.path.rstrip("/")
        self._path = f"{path}/" if self.options.add_trailing_slash else path
        self._bare_path = path or "/"
        self._proxies = TrustedProxies(self.options.trusted_proxies)
        self._lifecycle = ServerState.SERVING
        self._clock = clock
        self._contexts: dict[int, SessionContext] = {}  # by revision of the protocol
        self._timers: TimerQueue | None = None  # of the current clock
        self._upgraded: set[Abortable] = set()  # the open TCP connections of WebSockets
        self._admission = Admission(self.options, self.sessions, self)
        self._open_packets = handshake.OpenPackets(self.options)
        # For tracing: a function to replace, and functions `(request, status)` that are called
        # for responses of the engine itself
        self._admit: Callable[[Any], None] = self._admission.admit
        self._response_hooks: list[Callable[[HttpRequest, int], None]] = []
        self._hooks: dict[str, list[Callable[..., Any]]] = {event: [] for event in EVENTS}
        self._files: Callable[[Any], bool] | None = None
        self._mounted: Callable[[Any], None] | None = None
        self._owners: SessionOwners | None = None
        self._close_sessions: CloseSessions = self._close_in_waves

    # -- public

    @overload
    def on(self, event: Event) -> Callable[[Hook], Hook]: ...
    @overload
    def on(self, event: Event, hook: Hook) -> Hook: ...

    def on(self, event: Any, hook: Any = _MISSING) -> Any:
        """Call `hook` for each occurrence of an event; without `hook`, return a decorator.

        Hooks are plain functions. `connection(session)`: a session opened.
        `connection_error(refusal)`: a request was refused. `headers(headers, request)`: a response
        or a 101 is about to be sent, and the hook may change the dict; a value is a string, a
        number or a list of them, and an invalid header is left out and logged.
        `initial_headers(headers, request)`: the same, but only for the first response of a session.
        """
        _check_event(event)
        if hook is _MISSING:
            return lambda decorated: self.on(event, decorated)
        require_plain_function(f"the {event!r} hook", hook)
        require_parameters(f"the {event!r} hook", hook, _HOOK_PARAMETERS[event])
        self._hooks[event].append(hook)
        return hook

    def use(self, middleware: Middleware) -> Middleware:
        """Call `middleware(request)` before every request and upgrade, in order of registration.

        The middleware is a plain function or a coroutine function. It returns None to continue, or
        an `HttpResponse` to end the request, for both transports. It may write to
        `request.response_headers` and `request.state`. An exception, or any other return value,
        refuses the request with code 3.
        """
        require_function_or_coroutine_function("an engine middleware", middleware)
        require_parameters("an engine middleware", middleware, ("request",))
        self._admission.middlewares.append(middleware)
        return middleware

    def close(self) -> None:
        """Close all sessions immediately with reason "forced close"; drop queued packets.

        The engine can serve again afterwards.
        """
        self._admission.close()
        for session in list(self.sessions.values()):
            session.close(discard=True)
        for context in self._contexts.values():
            context.heartbeat.close()
        self._contexts.clear()

    @property
    def is_draining(self) -> bool:
        """Whether the engine accepts no new sessions, because it shuts down or has ended."""
        return self._lifecycle is not SERVING

    def _advance(self, event: ServerEvent) -> bool:
        """Change the state; return False if the event is not legal."""
        follower = SERVER_TRANSITIONS[self._lifecycle].get(event)
        if follower is None:
            return False
        self._lifecycle = follower
        return True

    # -- called by socketio_core

    def _serve_files(self, serve: Callable[[Any], bool]) -> None:
        """Offer requests below the path to `serve` first; it returns whether it responded."""
        self._files = serve

    def _count_traffic(self) -> Traffic:
        """Count the messages of all sessions that open from now on; return the counters."""
        if self._counts.traffic is None:
            self._counts.traffic = Traffic()
        return self._counts.traffic

    def _use_clock(self, clock: Clock) -> None:
        """Replace the clock of all deadlines. Raises RuntimeError if sessions exist."""
        check_clock(clock)
        if self.sessions:
            raise RuntimeError("the clock cannot be replaced while sessions exist")
        self._clock = clock
        self._contexts.clear()

    def _close_sessions_with(self, close: CloseSessions) -> None:
        """Close sessions in waves with `close`, which considers the handlers of their clients."""
        self._close_sessions = close

    async def _close_in_waves(self, sessions: Sequence[Session], drain: float | None) -> None:
        waves: Waves[Session] = Waves(self._get_clock(), Session.close)
        await waves.run(sessions, drain_window(drain, len(sessions)))

    def _share_port(self, owners: SessionOwners) -> None:
        """Generate sids with `owners`, and hand over the requests of other processes' sessions.

        Raises RuntimeError if the application generates sids.
        """
        if self.options.generate_id is not None:
            raise RuntimeError(
                "generate_id must not be set with several workers, because a sid contains the "
                "number of its worker: remove the option, or use one worker"
            )
        self._owners = owners
        self._admission.generate_sid = owners.generate_sid

    def _open_session(
        self,
        request: HttpRequest,
        make_transport: Callable[[SessionContext], Transport],
        sid: str | None = None,
        protocol: int = 4,
    ) -> Session:
        """Open a session on a transport that needs no HTTP, such as the test client's.

        The transport answers the pings of the server, in both revisions of the protocol.
        """
        context = self._session_context()
        if protocol != 4:
            context = context._replace(protocol=protocol)
        transport = make_transport(context)
        sid = sid or self._admission.generate_sid()
        session = Session(sid, request, transport, context)
        self._register(session)
        return session

    def _serves(self, path: str) -> bool:
        """Return whether a path belongs to the engine."""
        return path == self._bare_path or path.startswith(self._path)

    # -- routing, called by HTTP connections

    def _route(self, exchange: AnyExchange) -> None:
        """Route one request to a file, to the admission, or to the mounted application."""
        request = exchange.request
        path = request.path
        if self._lifecycle is not SERVING and not request.query.get("sid"):
            exchange.keep_alive = False
        if path == "*":
            # RFC 9110, section 9.3.7: a test of the server's capabilities.
            exchange.respond(HttpResponse(204, b"", [("Allow", "GET, HEAD, POST, OPTIONS")]))
        elif path == self._bare_path or path.startswith(self._path):  # `_serves`, inline
            # The path itself, which requests of clients have, is not below the path.
            if self._files is not None and path != self._path and self._files(exchange):
                return
            if self._owners is not None and self._owners.forward(exchange):
                return
            self._admit(exchange)
        elif self._mounted is not None:
            self._mounted(exchange)
        else:
            exchange.respond(HttpResponse(404))

    # -- outcomes, called by the admission

    def _admitted(self, exchange: AnyExchange, new_sid: str | None) -> None:
        """Open or find the session of an admitted request. Raises HandshakeRefusedError."""
        request = exchange.request
        sid = request.query.get("sid")
        named = request.query.get("transport")
        if sid and named == "polling" and not request.is_upgrade:
            self._serve_polling(exchange, sid)
            return
        if request.method == "GET" and named == "websocket" and request.is_upgrade:
            if sid:
                self._probe(exchange, self.sessions[sid])
            else:
                self._open_websocket(exchange, new_sid or "")
        elif request.method == "GET" and named == "polling" and not (sid or request.is_upgrade):
            self._open_polling(exchange, new_sid or "")
        else:
            raise HandshakeRefusedError(errors.BAD_REQUEST, {"name": "TRANSPORT_HANDSHAKE_ERROR"})

    def _serve_polling(self, exchange: AnyExchange, sid: str) -> None:
        """Pass a request to the polling transport of a session."""
        method = exchange.request.method
        if method not in {"GET", "POST"}:
            # Node answers 500 here.
            exchange.respond(HttpResponse(405, b"", [("Allow", "GET, POST")]))
            return
        exchange.is_of_session = True
        transport = self.sessions[sid].transport
        assert isinstance(transport, PollingTransport), "admission compared the names"
        if method == "GET":
            transport.poll(exchange)
        else:
            transport.post(exchange)

    def _answered(self, exchange: AnyExchange, response: HttpResponse) -> None:
        """Send a response that does not come from a session."""
        if response.status >= 400 and exchange.is_open:
            self._log_refusal(exchange.request, f"status {response.status}")
            self._count_refusal(exchange.request, counts.MIDDLEWARE)
        self._respond(exchange, response)

    def _respond(self, exchange: AnyExchange, response: HttpResponse) -> None:
        exchange.keep_alive = exchange.keep_alive and not exchange.request.is_upgrade
        exchange.respond(response)
        for hook in self._response_hooks:
            hook(exchange.request, response.status)

    def _refused(self, exchange: AnyExchange, refusal: HandshakeRefusedError) -> None:
        """Call the `connection_error` hooks and refuse the request."""
        request = exchange.request
        self._log_refusal(request, describe_refusal(refusal), refusal_level(refusal))
        self._count_refusal(request, refusal.refusal.code)
        self._call_hooks("connection_error", ConnectionRefusal(request, refusal))
        if request.is_upgrade:
            # Node: always 400, and the plain message as the body.
            self._respond(exchange, HttpResponse(400, str(refusal).encode(), [TEXT_HTML]))
            return
        exchange.respond(handshake.encode_refusal(refusal))

    def _log_refusal(self, request: HttpRequest, reason: str, level: int = logging.INFO) -> None:
        logger.log(
            level, "refused %s %s from %s: %s",
            request.method, request.path[:200], request.remote_address, reason,
            extra={"client": request.remote_address},
        )  # fmt: skip

    def _count_refusal(self, request: HttpRequest, outcome: str | int) -> None:
        self._counts.refused(request.query.get("transport", ""), outcome)

    # -- sessions

    def _open_polling(self, exchange: AnyExchange, sid: str) -> None:
        if self._is_full(exchange):
            return
        request = exchange.request
        protocol = 4 if handshake.is_current(request.query) else 3
        context = self._session_context(protocol)
        function = None
        if self.options.jsonp and "j" in request.query:
            function = function_name(request.query["j"])
        form = choose_form(protocol, request.query, function)
        transport = PollingTransport(context, self._decorate, form)
        transport.max_packets = count_accepted_packets(request)
        session = transport.session = Session(sid, request, transport, context)
        packets = [EncodedPacket(self._open_packets.encode(sid, "polling"))]
        if self.options.initial_packet is not None:
            packets.append(EncodedPacket.message(self.options.initial_packet))
        body, kind = form.encode(packets)
        headers: list[tuple[str, str]] = [kind, NO_STORE]
        if self.options.cookie is not None:
            headers.append(("Set-Cookie", handshake.encode_cookie(self.options.cookie, sid)))
        disable_xss_filter(request, headers)
        self._decorate(request, headers)
        exchange.is_of_session = True
        exchange.respond(HttpResponse(200, body, headers))
        self._register(session)

    def _open_websocket(self, exchange: AnyExchange, sid: str) -> None:
        if self._is_full(exchange):
            return
        accepted = self._accept(exchange)
        if accepted is None:
            return
        websocket, rest = accepted
        protocol = 4 if handshake.is_current(exchange.request.query) else 3
        transport = self._speak(protocol, websocket, exchange.request)
        context = self._session_context(protocol)
        session = Session(sid, exchange.request, transport, context)
        transport.listener = session
        session._send_control(EncodedPacket(self._open_packets.encode(sid, "websocket")))
        if self.options.initial_packet is not None:
            session.send(EncodedPacket.message(self.options.initial_packet))
        websocket.flush()
        self._register(session)
        if rest and isinstance(websocket, WebSocketTransport):
            websocket.data_received(rest)

    def _probe(self, exchange: AnyExchange, session: Session) -> None:
        if not self.options.allow_upgrades:
            # Node accepts it although it was not offered.
            raise HandshakeRefusedError(errors.BAD_REQUEST, {"name": "UPGRADE_NOT_ALLOWED"})
        accepted = self._accept(exchange)
        if accepted is None:
            return
        websocket, rest = accepted
        transport = self._speak(session.protocol, websocket, exchange.request)
        candidate = session._admit_candidate(transport)
        if candidate is None:
            # Node: the handshake succeeds, then the connection is closed.
            websocket.listener = NULL_LISTENER
            websocket.flush()
            websocket.close()
            return
        transport.listener = candidate
        websocket.flush()
        if rest and isinstance(websocket, WebSocketTransport):
            websocket.data_received(rest)

    def _speak(
        self, protocol: int, websocket: CandidateTransport, request: HttpRequest
    ) -> CandidateTransport:
        """Return the transport of a WebSocket for a revision of the protocol.

        Like on Node, `b64` counts in the request of the WebSocket itself.
        """
        if protocol == 4:
            return websocket
        return RevisionThreeTransport(websocket, has_base64=bool(request.query.get("b64")))

    def _accept(
        self, exchange: AnyExchange
    ) -> tuple[WebSocketTransport | GuestWebSocket, bytes] | None:
        """Accept the opening handshake; respond and return None if it is invalid.

        The 101 is written together with the first packets, when the transport is flushed.
        """
        request = exchange.request
        if isinstance(exchange, GuestExchange):
            added: list[tuple[str, str]] = []
            self._decorate(request, added)
            return exchange.accept_websocket(self._session_context(), added), b""
        try:
            if not exchange.is_body_read:
                raise WebSocketHandshakeError("an upgrade must not have a body", [])
            accepted = accept_handshake(
                request, self.options.per_message_deflate, self.options.max_http_buffer_size
            )
            lines: list[tuple[str, str]] = []
            self._decorate(request, lines)
            if request._response_headers:
                lines = [*request._response_headers.items(), *lines]
            head = encode_switch(accepted, lines)
        except WebSocketHandshakeError as rejection:
            self._log_refusal(request, f"invalid WebSocket handshake: {rejection.text}")
            self._count_refusal(request, counts.INVALID_WEBSOCKET)
            headers = [TEXT_HTML, *rejection.headers]
            self._respond(exchange, HttpResponse(400, rejection.text.encode(), headers))
            return None
        tcp, rest = exchange.upgrade()
        transport = WebSocketTransport(tcp, self._session_context(), accepted.extensions, head)
        tcp.set_protocol(transport)
        tcp.resume_reading()
        return transport, rest

    def _register(self, session: Session) -> None:
        self.sessions[session.sid] = session
        session._context.heartbeat.start(session)
        request = session.request
        address = request.remote_address
        account = self._addresses.get(network_of(address) if ":" in address else address)
        account.sessions += 1  # `Session._charge_to`, inline
        account.buffered += session._outbox_size
        session._accounts = (account,)
        self._counts.handshakes[session.transport.name, counts.ACCEPTED] += 1
        if logger.isEnabledFor(_INFO):  # the arguments cost more than the check
            logger.info(
                "session %s opened over %s from %s",
                session.sid[:6], session.transport.name, request.remote_address,
                extra={"client": request.remote_address},
            )  # fmt: skip
        for hook in self._hooks["connection"]:
            _call_hook("connection", hook, (session,))

    def _session_ended(self, session: Session, reason: CloseReason, description: str) -> None:
        self.sessions.pop(session.sid, None)
        self._counts.closed[reason] += 1
        if logger.isEnabledFor(_INFO):
            logger.info(
                "session %s closed: %s (%s)", session.sid[:6], reason, description,
                extra={"client": session.request.remote_address},
            )  # fmt: skip

    def _session_context(self, protocol: int = 4) -> SessionContext:
        context = self._contexts.get(protocol)
        if context is None:
            clock = self._get_clock()
            options = self.options
            kind = Heartbeat if protocol == 4 else ClientHeartbeat
            context = self._contexts[protocol] = SessionContext(
                options,
                clock,
                self._get_timers(),
                kind(clock, options.ping_interval, options.ping_timeout),
                self._session_ended,
                _make_future,
                self._upgraded,
                Iteration(clock) if protocol == 4 else self._session_context().iteration,
                self._counts,
                self._session_context().compressions if protocol != 4 else CompressionQueue(clock),
                get_ident(),
                protocol,
                self._budgets,
            )
        return context

    def _get_clock(self) -> Clock:
        return self._clock or asyncio.get_running_loop()

    def _get_timers(self) -> TimerQueue:
        clock = self._get_clock()
        timers = self._timers
        if timers is None or timers.clock is not clock:
            timers = self._timers = TimerQueue(clock)
        return timers

    def _is_full(self, exchange: AnyExchange) -> bool:
        options = self.options
        if (
            self._lifecycle is SERVING
            and len(self.sessions) < options.max_sessions <= self._addresses.max_sessions
        ):
            return False
        refusal = self._refuse_when_full(exchange.request)
        if refusal is None:
            return False
        self._respond(exchange, refusal)
        return True

    def _refuse_when_full(
        self, request: HttpRequest, transport: str | None = None
    ) -> HttpResponse | None:
        """Return the response to a handshake for which there is no room, or None.

        Without `transport`, the query names the transport.
        """
        if request.query.get("sid"):
            return None
        status = 503
        if self._lifecycle is not SERVING:
            reason, outcome = "the server is draining", counts.CLOSING
        elif len(self.sessions) >= self.options.max_sessions:
            reason, outcome = "max_sessions is reached", counts.FULL
        elif self._addresses.is_full(network_of(request.remote_address)):
            # RFC 6585, section 4: "the user has sent too many requests"
            status, outcome = 429, counts.FULL_ADDRESS
            reason = "max_sessions_per_address is reached"
            self._addresses.limited[SESSIONS] += 1
        else:
            return None
        self._log_refusal(request, reason)
        self._counts.refused(transport or request.query.get("transport", ""), outcome)
        return HttpResponse(status, b"", [("Retry-After", "5")])

    async def _screen(self, request: HttpRequest) -> HttpResponse | None:
        """Run the middlewares for a request of a gateway. Raises HandshakeRefusedError."""
        return await self._admission.screen(request)

    # -- hooks

    def _decorate(self, request: HttpRequest, headers: list[tuple[str, str]]) -> None:
        """Add the headers that the hooks set."""
        if not (self._hooks["headers"] or self._hooks["initial_headers"]):
            return
        extra: dict[str, str] = {}
        if not request.query.get("sid"):
            self._call_hooks("initial_headers", extra, request)
        self._call_hooks("headers", extra, request)
        headers.extend(valid_headers(extra.items()))

    def _call_hooks(self, event: str, *args: Any) -> None:
        for hook in self._hooks[event]:
            _call_hook(event, hook, args)


def _call_hook(event: str, hook: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        result = hook(*args)
        if result is not None and is_awaitable(result):
            discard_awaitable(result)
            raise TypeError("a hook must not return an awaitable: start a task instead")
    except Exception:
        logger.exception("%r hook failed", event)


def _make_future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def _check_event(event: Any) -> None:
    """Raise TypeError for a missing event name, ValueError for an unknown one."""
    if not isinstance(event, str):
        got = f"the function {describe_function(event)}" if callable(event) else repr(event)
        raise TypeError(
            f'on() must receive an event name, got {got}: write @engine.on("connection")'
        )
    if event in EVENTS:
        return
    if event in _OTHER_EVENTS:
        hint = _OTHER_EVENTS[event]
    elif near := get_close_matches(event, EVENTS, n=1):
        hint = f"did you mean {near[0]!r}?"
    else:
        hint = f"the events are {', '.join(EVENTS)}"
    raise ValueError(f"unknown event {event!r}: {hint}")
