"""Request admission checks: CORS, middlewares, permission and session, in Node's order.

The engine acts on the outcome: it opens a session, sends the response, or refuses the request.

The checks are a generator that yields what it awaits: a request is admitted without a task unless a
middleware, `allow_request` or `generate_id` returns an awaitable. Without such functions, the same
checks run as plain calls.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Final, Protocol, TypeAlias, final

from engineio_core import errors, handshake
from engineio_core.errors import HandshakeRefusedError
from engineio_core.http.cors import CorsPolicy, has_invalid_origin
from engineio_core.http.message import HttpRequest, HttpResponse
from engineio_core.http.states import GONE
from engineio_core.ids import generate_id
from engineio_core.noop import noop
from engineio_core.options import EngineOptions
from engineio_core.session import Session
from engineio_core.subclassing import mypyc_attr

logger = logging.getLogger("engineio_core")

Middleware: TypeAlias = Callable[
    [HttpRequest], "HttpResponse | Awaitable[HttpResponse | None] | None"
]
# The sid of a new session, None for an existing session, or a response that ends the request.
Decision: TypeAlias = str | HttpResponse | None
Checks: TypeAlias = Generator[Awaitable[Any], Any, Decision]


_MAX_LOGGED_VALUE: Final = 300  # characters
UPGRADE_REMEDY: Final = (
    "the WebSocket request has no Upgrade header: configure the reverse proxy to forward the "
    "Upgrade and Connection headers"
)


@mypyc_attr(native_class=False)
@mypyc_attr(native_class=False)
class InvalidResultError(TypeError):
    """A middleware or a function of the options returned a value that it must not return."""


@final
class ConnectionRefusal:
    """The argument of a `connection_error` hook: the request and the reason of its refusal.

    The client receives `code` and `message`; `context` has details for the log.
    """

    __slots__ = ("code", "context", "message", "request")

    def __init__(self, request: HttpRequest, error: HandshakeRefusedError) -> None:
        self.request = request
        self.code = error.refusal.code
        self.message = error.refusal.message
        self.context = error.context

    def __repr__(self) -> str:
        return f"ConnectionRefusal({self.request!r}, code={self.code}, message={self.message!r})"


class AdmissionTarget(Protocol):
    """The engine, as the admission sees it; the admission calls exactly one method per request.

    `exchange` is an `Exchange` or a `GuestExchange`: compiled functions reject other types than
    those of their annotations.
    """

    def _admitted(self, exchange: Any, new_sid: str | None) -> None:
        """Open a session with `new_sid`, or continue the session that the request names."""

    def _answered(self, exchange: Any, response: HttpResponse) -> None:
        """Send the response of a middleware or of CORS."""

    def _refused(self, exchange: Any, refusal: HandshakeRefusedError) -> None:
        """Send the code and message of the refusal."""


@final
class Admission:
    """The checks that every request of one engine passes."""

    def __init__(
        self, options: EngineOptions, sessions: Mapping[str, Session], target: AdmissionTarget
    ) -> None:
        self._options = options
        self._sessions = sessions
        self._target = target
        self._cors = CorsPolicy(options.cors) if options.cors is not None else None
        self._tasks: set[asyncio.Task[None]] = set()
        self.middlewares: list[Middleware] = []
        self.generate_sid: Callable[[], str] = generate_id
        self._is_immediate = options.allow_request is None and options.generate_id is None

    def admit(self, exchange: Any) -> None:
        """Check a request and report the outcome to the engine, now or from a task."""
        if self._is_immediate and not self.middlewares:
            try:
                decision = self._check_at_once(exchange.request)
            except HandshakeRefusedError as refusal:
                self._target._refused(exchange, refusal)
                return
            self._report(exchange, decision)
            return
        checks = self._check(exchange.request)
        try:
            awaited = next(checks)
        except StopIteration as end:
            decision = end.value
        except HandshakeRefusedError as refusal:
            self._target._refused(exchange, refusal)
            return
        else:
            task = asyncio.get_running_loop().create_task(
                self._finish(exchange, checks, awaited),
                name=f"engineio request {exchange.request.path}",
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            exchange.on_abort = lambda: _cancel(task)
            return
        self._report(exchange, decision)

    async def screen(self, request: HttpRequest) -> HttpResponse | None:
        """Run only the middlewares, for a request that another process serves.

        Raises HandshakeRefusedError.
        """
        decision = await self._complete(self._run_middlewares(request))
        return decision if isinstance(decision, HttpResponse) else None

    async def screen_webtransport(self, request: HttpRequest) -> HttpResponse | None:
        """Run the checks of a request for a WebTransport session, before its first packet.

        Return the response that refuses it, or None. Raises HandshakeRefusedError.
        """
        decision = await self._complete(self._check_webtransport(request))
        return decision if isinstance(decision, HttpResponse) else None

    async def permit_webtransport(self, request: HttpRequest) -> str:
        """Return the sid of a new session over WebTransport. Raises HandshakeRefusedError."""
        decision = await self._complete(self._check_webtransport_client(request))
        assert isinstance(decision, str), "the checks generate a sid or raise"
        return decision

    def find_upgradable(self, request: HttpRequest, sid: str) -> Session:
        """Return the session that a WebTransport stream names. Raises HandshakeRefusedError."""
        return self._check_session(request, sid, "webtransport")

    def close(self) -> None:
        """Cancel the pending checks; their requests receive 503."""
        for task in self._tasks:
            task.cancel()

    async def _complete(self, checks: Checks) -> Decision:
        """Run checks to their end. Raises HandshakeRefusedError."""
        try:
            awaited = next(checks)
        except StopIteration as end:
            decision: Decision = end.value
            return decision
        try:
            async with asyncio.timeout(self._options.handshake_timeout):
                return await _drive(checks, awaited)
        except TimeoutError as error:
            context = {"name": "HANDSHAKE_TIMEOUT", "error": error}
            raise HandshakeRefusedError(errors.BAD_REQUEST, context) from error

    async def _finish(self, exchange: Any, checks: Checks, awaited: Awaitable[Any]) -> None:
        try:
            async with asyncio.timeout(self._options.handshake_timeout):
                decision = await _drive(checks, awaited)
            exchange.on_abort = noop
            if exchange.state is not GONE:  # a middleware can suppress its cancellation
                self._report(exchange, decision)
        except HandshakeRefusedError as refusal:
            self._target._refused(exchange, refusal)
        except TimeoutError as error:
            context = {"name": "HANDSHAKE_TIMEOUT", "error": error}
            self._target._refused(exchange, HandshakeRefusedError(errors.BAD_REQUEST, context))
        except asyncio.CancelledError:
            self._target._answered(exchange, HttpResponse(503))
            raise
        except Exception:
            logger.exception("admission of a request to %s failed", exchange.request.path)
            self._target._answered(exchange, HttpResponse(500))

    def _report(self, exchange: Any, decision: Decision) -> None:
        if isinstance(decision, HttpResponse):
            self._target._answered(exchange, decision)
            return
        try:
            self._target._admitted(exchange, decision)
        except HandshakeRefusedError as refusal:
            self._target._refused(exchange, refusal)

    # -- the checks, in order

    def _check(self, request: HttpRequest) -> Checks:
        """Yield each awaitable of user code; return the decision. Raises HandshakeRefusedError."""
        response = self._apply_cors(request)
        if response is None:
            response = yield from self._run_middlewares(request)
        if response is not None:
            return response
        if self._names_session(request):
            return None
        yield from self._check_permission(request)
        handshake.check_protocol(request.query, self._options)
        return (yield from self._generate_sid(request))

    def _check_at_once(self, request: HttpRequest) -> Decision:
        """Return the decision of `_check` without user code. Raises HandshakeRefusedError."""
        response = self._apply_cors(request)
        if response is not None:
            return response
        if self._names_session(request):
            return None
        handshake.check_protocol(request.query, self._options)
        return self.generate_sid()

    def _apply_cors(self, request: HttpRequest) -> HttpResponse | None:
        """Add the CORS headers; return the response to a preflight request."""
        if self._cors is None:
            return None
        self._cors.decorate(request)
        return self._cors.preflight(request) if request.method == "OPTIONS" else None

    def _names_session(self, request: HttpRequest) -> bool:
        """Check the target of a request; return whether it is an existing session."""
        transport = self._check_transport(request)
        if sid := request.query.get("sid"):
            self._check_session(request, sid, transport)
            return True
        if has_lost_upgrade(request, transport):
            context = {"name": "TRANSPORT_HANDSHAKE_ERROR", "remedy": UPGRADE_REMEDY}
            raise HandshakeRefusedError(errors.BAD_REQUEST, context)
        handshake.check_new_session(request.method, transport, request.is_upgrade)
        return False

    def _check_webtransport(self, request: HttpRequest) -> Checks:
        """Yield each awaitable of user code; return the response of a middleware, or None.

        The official client sends no query: its first packet names the session of an upgrade, and
        `allow_request` runs when the first packet requests a new session. Sources: engine.io-client
        6.6.4, `WT.doOpen` and `Transport.createUri`.
        """
        if self._cors is not None:
            self._cors.decorate(request)
        if self.middlewares:
            response = yield from self._run_middlewares(request)
            if response is not None:
                return response
        transport = self._check_transport(request, handshake.check_webtransport)
        if sid := request.query.get("sid"):
            self._check_session(request, sid, transport)
        return None

    def _check_webtransport_client(self, request: HttpRequest) -> Checks:
        """Yield each awaitable of user code; return the sid of a new session."""
        if "EIO" in request.query:
            handshake.check_protocol(request.query, self._options)
        yield from self._check_permission(request)
        return (yield from self._generate_sid(request))

    def _run_middlewares(
        self, request: HttpRequest
    ) -> Generator[Awaitable[Any], Any, HttpResponse | None]:
        for middleware in self.middlewares:
            try:
                response: Any = middleware(request)
                if inspect.isawaitable(response):
                    response = yield response
                if response is not None and not isinstance(response, HttpResponse):
                    raise InvalidResultError(
                        "an engine middleware must return None to continue or an HttpResponse to "
                        f"end the request, got {response!r}"
                    )
            except HandshakeRefusedError:
                raise
            except Exception as error:
                context = {"name": "MIDDLEWARE_FAILURE", "error": error}
                raise HandshakeRefusedError(errors.BAD_REQUEST, context) from error
            if isinstance(response, HttpResponse):
                return response
        return None

    def _check_transport(
        self,
        request: HttpRequest,
        check: Callable[[dict[str, str], EngineOptions], str] = handshake.check_transport,
    ) -> str:
        transport = check(request.query, self._options)
        if has_invalid_origin(request):
            context = {"name": "INVALID_ORIGIN", "origin": request.headers.pop("origin", "")}
            raise HandshakeRefusedError(errors.BAD_REQUEST, context)
        if self._cors is not None and request.is_upgrade and self._cors.forbids_websocket(request):
            context = {
                "name": "ORIGIN_NOT_ALLOWED",
                "origin": request.headers.get("origin", ""),
                "remedy": "add the origin to Cors(origins=...) if it is yours",
            }
            raise HandshakeRefusedError(errors.FORBIDDEN, context)
        return transport

    def _check_session(self, request: HttpRequest, sid: str, transport: str) -> Session:
        session = self._sessions.get(sid)
        if session is None or (
            (deadline := session._deadline) is not None
            and deadline.is_pinged
            and not session._has_time_left()
        ):
            raise HandshakeRefusedError(errors.UNKNOWN_SID, {"sid": sid})
        if not request.is_upgrade and session.transport.name != transport:
            context = {
                "name": "TRANSPORT_MISMATCH",
                "transport": transport,
                "previousTransport": session.transport.name,
            }
            if has_lost_upgrade(request, transport):
                context["remedy"] = UPGRADE_REMEDY
            raise HandshakeRefusedError(errors.BAD_REQUEST, context)
        protocol = session._context.protocol
        is_current = request.query.get("EIO") == handshake.PROTOCOL
        if is_current != (protocol == 4) and transport != "webtransport":
            # engine.io 6.6.10 and later, except for WebTransport
            context = {
                "name": "PROTOCOL_MISMATCH",
                "protocol": request.query.get("EIO", ""),
                "previousProtocol": str(protocol),
            }
            raise HandshakeRefusedError(errors.BAD_REQUEST, context)
        return session

    def _check_permission(self, request: HttpRequest) -> Generator[Awaitable[Any], Any, None]:
        if self._options.allow_request is None:
            return
        try:
            decision = self._options.allow_request(request)
            if inspect.isawaitable(decision):
                decision = yield decision
        except Exception as error:
            raise HandshakeRefusedError(errors.FORBIDDEN, {"error": error}) from error
        if decision is not None and decision is not True:
            message = decision if isinstance(decision, str) else None
            raise HandshakeRefusedError(errors.FORBIDDEN, {"message": message}, message=message)

    def _generate_sid(self, request: HttpRequest) -> Generator[Awaitable[Any], Any, str]:
        if self._options.generate_id is None:
            return self.generate_sid()
        try:
            sid = self._options.generate_id(request)
            if inspect.isawaitable(sid):
                sid = yield sid
            if not isinstance(sid, str) or not sid or sid in self._sessions:
                raise InvalidResultError(
                    f"generate_id must return a unique string that is not empty, got {sid!r}"
                )
        except Exception as error:
            context = {"name": "ID_GENERATION_ERROR", "error": error}
            raise HandshakeRefusedError(errors.BAD_REQUEST, context) from error
        return sid


async def _drive(checks: Checks, awaited: Awaitable[Any]) -> Decision:
    """Await each awaitable that the checks yield; return their decision."""
    while True:
        try:
            try:
                result = await awaited
            except Exception as error:
                awaited = checks.throw(error)
            else:
                awaited = checks.send(result)
        except StopIteration as end:
            decision: Decision = end.value
            return decision


def describe_refusal(refusal: HandshakeRefusedError) -> str:
    """Return the reason of a refusal for the log, with values of the client escaped."""
    details = "".join(
        # A sid is a secret, and may be valid on another server process: log its start only.
        f"; {key}: {repr(value[:6] if key == 'sid' else value)[:_MAX_LOGGED_VALUE]}"
        for key, value in refusal.context.items()
        if value is not None and value != ""
    )
    return f"{refusal.refusal.message} (code {refusal.refusal.code}{details})"


def refusal_level(refusal: HandshakeRefusedError) -> int:
    """Return the log level of a refusal: higher if the program probably has to change."""
    if isinstance(refusal.context.get("error"), InvalidResultError):
        return logging.ERROR
    return logging.WARNING if "remedy" in refusal.context else logging.INFO


def has_lost_upgrade(request: HttpRequest, transport: str) -> bool:
    """Return whether a proxy removed the Upgrade header of a WebSocket handshake.

    A proxy removes the hop-by-hop headers Upgrade and Connection (RFC 9110, section 7.6.1) unless
    its configuration forwards them; it keeps Sec-WebSocket-Key.
    """
    return (
        transport == "websocket"
        and not request.is_upgrade
        and "sec-websocket-key" in request.headers
    )


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
