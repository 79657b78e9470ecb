"""Who gets in: CORS, middlewares, and the checks of a request in Node's order.

Knows: the rules and whom to ask.  Does not know: what an admitted request leads to, nor how a
refusal looks; the engine is told of both.

A request is judged without a task, unless somebody who is asked has to be awaited.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Protocol, TypeAlias

from engineio_core import errors, handshake
from engineio_core.errors import HandshakeRefusedError
from engineio_core.http.cors import CorsPolicy, has_invalid_origin
from engineio_core.http.exchange import Exchange
from engineio_core.http.message import HttpRequest, HttpResponse
from engineio_core.ids import generate_id
from engineio_core.options import EngineOptions
from engineio_core.session import Session

logger = logging.getLogger("engineio_core")

Middleware: TypeAlias = Callable[
    [HttpRequest], "HttpResponse | Awaitable[HttpResponse | None] | None"
]
# Whom a request has to wait for; what becomes of it: the sid of a new session, None for one that
# exists, or an answer.
Judgement: TypeAlias = Generator[Awaitable[Any], Any, "str | HttpResponse | None"]


class ConnectionRefusal:
    """What `connection_error` is told: who asked, and why it was refused."""

    __slots__ = ("code", "context", "message", "request")

    def __init__(self, request: HttpRequest, error: HandshakeRefusedError) -> None:
        self.request = request
        self.code = error.refusal.code
        self.message = error.refusal.message
        self.context = error.context


class Judged(Protocol):
    """Who is told what became of a request; exactly one of these is called."""

    def admitted(self, exchange: Exchange, new_sid: str | None) -> None:
        """It may have what it asks for: a session of that sid, or the one that it names."""

    def answered(self, exchange: Exchange, response: HttpResponse) -> None:
        """Somebody answers it himself."""

    def refused(self, exchange: Exchange, refusal: HandshakeRefusedError) -> None:
        """It is refused."""


class Admission:
    """Judges the requests of one engine."""

    def __init__(
        self, options: EngineOptions, sessions: Mapping[str, Session], judged: Judged
    ) -> None:
        self._options = options
        self._sessions = sessions
        self._judged = judged
        self._cors = CorsPolicy(options.cors) if options.cors is not None else None
        self._tasks: set[asyncio.Task[None]] = set()
        self.middlewares: list[Middleware] = []

    def judge(self, exchange: Exchange) -> None:
        """Tell the engine what becomes of a request, now or later."""
        judgement = self._judge(exchange.request)
        try:
            awaited = next(judgement)
        except StopIteration as end:
            verdict = end.value
        except HandshakeRefusedError as refusal:
            self._judged.refused(exchange, refusal)
            return
        else:
            task = asyncio.get_running_loop().create_task(
                self._await(exchange, judgement, awaited),
                name=f"engineio request {exchange.request.path}",
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            exchange.on_abort = lambda: _cancel(task)
            return
        self._conclude(exchange, verdict)

    def close(self) -> None:
        """Answer the requests that still wait: they come too late."""
        for task in self._tasks:
            task.cancel()

    async def _await(
        self, exchange: Exchange, judgement: Judgement, awaited: Awaitable[Any]
    ) -> None:
        try:
            async with asyncio.timeout(self._options.handshake_timeout):
                verdict = await _drive(judgement, awaited)
            exchange.on_abort = _nothing
            if not exchange.is_gone:  # a middleware may have gone on although it was cancelled
                self._conclude(exchange, verdict)
        except HandshakeRefusedError as refusal:
            self._judged.refused(exchange, refusal)
        except TimeoutError as error:
            context = {"name": "HANDSHAKE_TIMEOUT", "error": error}
            self._judged.refused(exchange, HandshakeRefusedError(errors.BAD_REQUEST, context))
        except asyncio.CancelledError:
            self._judged.answered(exchange, HttpResponse(503))
            raise
        except Exception:
            logger.exception("a request to %s failed", exchange.request.path)
            self._judged.answered(exchange, HttpResponse(500))

    def _conclude(self, exchange: Exchange, verdict: str | HttpResponse | None) -> None:
        if isinstance(verdict, HttpResponse):
            self._judged.answered(exchange, verdict)
            return
        try:
            self._judged.admitted(exchange, verdict)
        except HandshakeRefusedError as refusal:
            self._judged.refused(exchange, refusal)

    # -- the order of the checks

    def _judge(self, request: HttpRequest) -> Judgement:
        """Yield whom to wait for. Raises HandshakeRefusedError."""
        if self._cors is not None:
            self._cors.decorate(request)
            if request.method == "OPTIONS":
                return self._cors.preflight(request)
        for middleware in self.middlewares:
            try:
                response: Any = middleware(request)
                if inspect.isawaitable(response):
                    response = yield response
                if response is not None and not isinstance(response, HttpResponse):
                    raise TypeError(f"a middleware returned {type(response).__name__}")
            except HandshakeRefusedError:
                raise
            except Exception as error:
                logger.info("a middleware refused a request: %r", error)
                context = {"name": "MIDDLEWARE_FAILURE", "error": error}
                raise HandshakeRefusedError(errors.BAD_REQUEST, context) from error
            if isinstance(response, HttpResponse):
                return response
        transport = self._check(request)
        if sid := request.query.get("sid"):
            self._check_session(request, sid, transport)
            return None
        handshake.check_new_session(request.method, transport, request.is_upgrade)
        yield from self._ask_for_permission(request)
        handshake.check_protocol(request.query)
        return (yield from self._make_sid(request))

    def _check(self, request: HttpRequest) -> str:
        transport = handshake.check_transport(request.query, self._options)
        if has_invalid_origin(request):
            context = {"name": "INVALID_ORIGIN", "origin": request.headers.pop("origin", "")}
            raise HandshakeRefusedError(errors.BAD_REQUEST, context)
        if self._cors is not None and request.is_upgrade and self._cors.forbids_websocket(request):
            logger.warning(
                "a WebSocket from origin %r was refused; if it is yours, add it to the cors option",
                request.headers.get("origin", "")[:200],
            )
            raise HandshakeRefusedError(errors.FORBIDDEN, {"name": "ORIGIN_NOT_ALLOWED"})
        return transport

    def _check_session(self, request: HttpRequest, sid: str, transport: str) -> None:
        session = self._sessions.get(sid)
        if session is None:
            raise HandshakeRefusedError(errors.UNKNOWN_SID, {"sid": sid})
        if not request.is_upgrade and session.transport.name != transport:
            context = {
                "name": "TRANSPORT_MISMATCH",
                "transport": transport,
                "previousTransport": session.transport.name,
            }
            raise HandshakeRefusedError(errors.BAD_REQUEST, context)

    def _ask_for_permission(self, request: HttpRequest) -> Generator[Awaitable[Any], Any, None]:
        if self._options.allow_request is None:
            return
        try:
            verdict = self._options.allow_request(request)
            if inspect.isawaitable(verdict):
                verdict = yield verdict
        except Exception as error:
            logger.info("allow_request refused a request: %r", error)
            raise HandshakeRefusedError(errors.FORBIDDEN, {"error": error}) from error
        if verdict is not None and verdict is not True:
            message = verdict if isinstance(verdict, str) else None
            raise HandshakeRefusedError(errors.FORBIDDEN, {"message": message}, message=message)

    def _make_sid(self, request: HttpRequest) -> Generator[Awaitable[Any], Any, str]:
        if self._options.generate_id is None:
            return generate_id()
        try:
            sid = self._options.generate_id(request)
            if inspect.isawaitable(sid):
                sid = yield sid
            if not isinstance(sid, str) or not sid or sid in self._sessions:
                raise ValueError(f"generate_id returned {sid!r}")
        except Exception as error:
            context = {"name": "ID_GENERATION_ERROR", "error": error}
            raise HandshakeRefusedError(errors.BAD_REQUEST, context) from error
        return sid


async def _drive(judgement: Judgement, awaited: Awaitable[Any]) -> str | HttpResponse | None:
    """Await what a judgement yields, until it has come to its end."""
    while True:
        try:
            try:
                result = await awaited
            except Exception as error:
                awaited = judgement.throw(error)
            else:
                awaited = judgement.send(result)
        except StopIteration as end:
            verdict: str | HttpResponse | None = end.value
            return verdict


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _nothing() -> None:
    """Stand in for the listener of an abort."""
