"""The host of a mounted ASGI application, which serves the paths outside the engine's path.

It implements the http and lifespan scopes of ASGI 3 with streaming and back-pressure;
`asgi_websocket` implements the websocket scope.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, final

from engineio_core.http.asgi_response import ResponseWriter, release_frames
from engineio_core.http.asgi_scope import AsgiApp, Message, make_scope
from engineio_core.http.asgi_websocket import MountedWebSocket
from engineio_core.http.exchange import Exchange
from engineio_core.http.message import TEXT_HTML, HttpResponse
from engineio_core.http.states import GONE
from engineio_core.transports.interface import TransportContext
from engineio_core.transports.websocket_handshake import WebSocketHandshakeError, accept_handshake

logger = logging.getLogger("engineio_core")

# From 2.4 on, Starlette notices a disconnect only when it sends: an idle stream of events would
# outlive its client. With 2.3 it awaits `http.disconnect` as well.
SPEC_VERSION: Final = "2.3"
MAX_BODY_QUEUE: Final = 256 * 1024  # bytes of a body that are queued for the application
LIFESPAN_TIMEOUT: Final = 60.0  # seconds for the startup of the application, and for its shutdown
SHUTDOWN_TIMEOUT: Final = 5.0  # seconds for running calls of the application


@final
class AsgiHost:
    """The tasks and the lifespan of one ASGI application.

    `get_context` returns the shared objects of the engine, for the transports of WebSockets.
    """

    def __init__(self, app: AsgiApp, get_context: Callable[[], TransportContext]) -> None:
        self._app = app
        self._get_context = get_context
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._websockets: set[MountedWebSocket] = set()
        self._lifespan: _Lifespan | None = None
        self._state: dict[str, Any] = {}

    def serve(self, exchange: Exchange) -> None:
        """Run the application on one request, in a task."""
        request = exchange.request
        if request.is_upgrade:
            exchange.keep_alive = False
            # RFC 9110, section 7.8: "A server MAY ignore a received Upgrade header field".
            if request.method == "GET" and not exchange.is_http10:
                self._serve_websocket(exchange)
                return
        cycle = _Cycle(exchange, self._state)
        self._start(cycle.run(self._app), f"asgi {request.method} {request.path}")

    def _serve_websocket(self, exchange: Exchange) -> None:
        request = exchange.request
        context = self._get_context()
        options = context.options
        is_full = len(self._websockets) >= options.max_mounted_websockets
        if is_full or self._is_closing:
            logger.info(
                "refused %s %s from %s: %s",
                request.method, request.path[:200], request.remote_address,
                "max_mounted_websockets is reached" if is_full else "the server is closing",
            )  # fmt: skip
            exchange.respond(HttpResponse(503, b"", [("Retry-After", "5")]))
            return
        try:
            if not exchange.is_body_read:
                raise WebSocketHandshakeError("an upgrade must not have a body", [])
            accepted = accept_handshake(
                request, options.per_message_deflate, options.max_http_buffer_size
            )
        except WebSocketHandshakeError as error:
            logger.info(
                "refused %s %s from %s: invalid WebSocket handshake: %s",
                request.method, request.path[:200], request.remote_address, error.text,
            )  # fmt: skip
            headers = [TEXT_HTML, *error.headers]
            exchange.respond(HttpResponse(400, error.text.encode(), headers))
            return
        websocket = MountedWebSocket(exchange, accepted, context, self._state)
        self._websockets.add(websocket)
        task = self._start(websocket.run(self._app), f"asgi websocket {request.path}")
        websocket.limit_handshake(task)
        task.add_done_callback(lambda _: self._websockets.discard(websocket))

    def _start(self, run: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(run, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close_websockets(self) -> None:
        """Close all WebSockets with code 1012, and refuse new handshakes until `start_up`."""
        self._is_closing = True
        for websocket in list(self._websockets):
            websocket.shut_down()

    async def start_up(self) -> None:
        """Run the startup of the application. Raises RuntimeError if it fails."""
        self._is_closing = False
        self._lifespan = _Lifespan(self._app, self._state)
        await self._lifespan.start_up()

    async def shut_down(self) -> None:
        """Wait up to 5 seconds for running calls, cancel the rest, and run the shutdown."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=SHUTDOWN_TIMEOUT)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lifespan is not None:
            await self._lifespan.shut_down()
            self._lifespan = None


@final
class _Cycle:
    """One call of the application: its scope, `receive` and `send`."""

    __slots__ = (
        "_chunks", "_exchange", "_is_complete", "_is_end_sent", "_is_reading", "_queued",
        "_response", "_state", "_wakeup",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, state: dict[str, Any]) -> None:
        self._exchange = exchange
        self._state = state
        # Body of the request
        self._chunks: deque[bytes] = deque()
        self._queued = 0
        self._is_reading = False
        self._is_complete = False
        self._is_end_sent = False
        self._wakeup = asyncio.Event()
        self._response = ResponseWriter(exchange, "http.response")

    async def run(self, app: AsgiApp) -> None:
        """Run the application; respond with an error if it fails or sends no complete response."""
        exchange = self._exchange
        exchange.on_abort = self._client_left
        try:
            await app(self._scope(), self.receive, self.send)
        except Exception as error:
            # After a disconnect the application may raise ClientLeftError, or its own exception.
            if exchange.state is not GONE:
                logger.exception("the ASGI application failed on %s", exchange.request.path)
                self._response.give_up()
            release_frames(error)
        except asyncio.CancelledError:
            self._response.give_up()
            raise
        else:
            if exchange.is_open:
                logger.error(
                    "the ASGI application returned before the end of its response on %s",
                    exchange.request.path,
                )
                self._response.give_up()

    def _scope(self) -> dict[str, Any]:
        request = self._exchange.request
        return make_scope(self._exchange, self._state) | {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
            "method": request.method,
            "scheme": "https" if request.secure else "http",
        }

    # -- BodyReader

    def body_data(self, data: bytes) -> None:
        """Queue a piece for the application; stop reading above MAX_BODY_QUEUE bytes."""
        self._chunks.append(data)
        self._queued += len(data)
        if self._queued > MAX_BODY_QUEUE:
            self._exchange.pause_body()
        self._wakeup.set()

    def body_complete(self) -> None:
        """Queue the end of the body for the application."""
        self._is_complete = True
        self._wakeup.set()

    # -- awaited by the application

    async def receive(self) -> Message:
        """Return the next piece of the body, or `http.disconnect`."""
        exchange = self._exchange
        if not self._is_reading:
            # Not before: the client may wait for 100 Continue, and the application may refuse.
            self._is_reading = True
            exchange.stream_body(self)
        while exchange.is_open and not self._chunks and not self._has_end():
            self._wakeup.clear()
            await self._wakeup.wait()
        if not exchange.is_open:
            return {"type": "http.disconnect"}
        if self._chunks:
            data = b"".join(self._chunks)
            self._chunks.clear()
            was_full = self._queued > MAX_BODY_QUEUE
            self._queued = 0
            if was_full:
                self._exchange.resume_body()
            return {"type": "http.request", "body": data, "more_body": True}
        self._is_end_sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    def _has_end(self) -> bool:
        return self._is_complete and not self._is_end_sent

    async def send(self, message: Message) -> None:
        """Send the head or a piece of the body: see `ResponseWriter.send`."""
        await self._response.send(message)
        if not self._exchange.is_open:
            self._wakeup.set()

    def _client_left(self) -> None:
        self._response.client_left()
        self._wakeup.set()


@final
class _Lifespan:
    """The lifespan task of one application."""

    def __init__(self, app: AsgiApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def start_up(self) -> None:
        self._messages.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._run(), name="asgi lifespan")
        async with asyncio.timeout(LIFESPAN_TIMEOUT):
            await self._started

    async def shut_down(self) -> None:
        if self._task is None or self._task.done():
            return
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        try:
            async with asyncio.timeout(LIFESPAN_TIMEOUT):
                await self._ended
        except (TimeoutError, RuntimeError):
            logger.exception("the ASGI application did not shut down cleanly")
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._messages.get, self._send)
        except Exception as error:
            if self._started.done():
                logger.exception("the lifespan task of the ASGI application failed")
                return
            # ASGI: "If an exception is raised when calling the application callable with a
            # lifespan.startup message or a scope of type lifespan, the server must continue but
            # not send any lifespan events."
            logger.debug("the ASGI application does not support lifespan: %r", error)
        finally:
            for future in (self._started, self._ended):
                if not future.done():
                    future.set_result(None)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        future = self._started if kind.startswith("lifespan.startup") else self._ended
        if future.done():
            return
        if kind.endswith(".failed"):
            future.set_exception(
                RuntimeError(message.get("message") or f"the ASGI application sent {kind}")
            )
        else:
            future.set_result(None)
