"""The host of a mounted ASGI application, which serves the paths outside the engine's path.

It implements the http and lifespan scopes of ASGI 3 with streaming and back-pressure. WebSockets of
the application are not served.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias, final
from urllib.parse import unquote

from engineio_core.http.exchange import Exchange
from engineio_core.http.message import HttpResponse
from engineio_core.http.states import FINISHED, GONE, STREAMING

logger = logging.getLogger("engineio_core")

Message: TypeAlias = MutableMapping[str, Any]
AsgiApp: TypeAlias = Callable[
    [Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]

# From 2.4 on, Starlette notices a disconnect only when it sends: an idle stream of events would
# outlive its client. With 2.3 it awaits `http.disconnect` as well.
SPEC_VERSION: Final = "2.3"
MAX_BODY_QUEUE: Final = 256 * 1024  # bytes of a body that are queued for the application
LIFESPAN_TIMEOUT: Final = 60.0  # seconds for the startup of the application, and for its shutdown
SENDS_PER_ITERATION: Final = 16  # pieces of a response that are sent without waiting


# After a disconnect, `send` does nothing at first: a generator is then cancelled where it waits,
# and its `finally` runs at once. Applications that neither wait nor receive need the error.
MAX_SENDS_AFTER_DISCONNECT: Final = 64
DISCONNECT_NOTICE: Final = 1.0  # seconds


class ClientLeftError(OSError):
    """The client has disconnected, and the application continues to send."""


@final
class AsgiHost:
    """The tasks and the lifespan of one ASGI application."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()
        self._lifespan: _Lifespan | None = None
        self._state: dict[str, Any] = {}

    def serve(self, exchange: Exchange) -> None:
        """Run the application on one request, in a task."""
        cycle = _Cycle(exchange, self._state)
        task = asyncio.get_running_loop().create_task(
            cycle.run(self._app), name=f"asgi {exchange.request.method} {exchange.request.path}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def start_up(self) -> None:
        """Run the startup of the application. Raises RuntimeError if it fails."""
        self._lifespan = _Lifespan(self._app, self._state)
        await self._lifespan.start_up()

    async def shut_down(self) -> None:
        """Wait up to 5 seconds for running requests, cancel the rest, and run the shutdown."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=5)
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
        "_body", "_chunks", "_exchange", "_has_started", "_head", "_is_complete", "_is_end_sent",
        "_is_reading", "_left_at", "_queued", "_sends_after_disconnect", "_sends_in_a_row",
        "_state", "_wakeup", "_writable",
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
        # Response
        self._head: tuple[int, list[tuple[str, str]]] | None = None
        self._has_started = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._left_at = 0.0
        self._sends_after_disconnect = 0
        self._sends_in_a_row = 0

    async def run(self, app: AsgiApp) -> None:
        """Run the application; respond with an error if it fails or sends no complete response."""
        exchange = self._exchange
        exchange.on_abort = self._client_left
        exchange.on_writable = self._writable_changed
        try:
            await app(self._scope(), self.receive, self.send)
        except Exception as error:
            # After a disconnect the application may raise ClientLeftError, or its own exception.
            if exchange.state is not GONE:
                logger.exception("the ASGI application failed on %s", exchange.request.path)
                self._give_up()
            _release_frames(error)
        except asyncio.CancelledError:
            self._give_up()
            raise
        else:
            if exchange.is_open:
                logger.error(
                    "the ASGI application returned before the end of its response on %s",
                    exchange.request.path,
                )
                self._give_up()

    def _give_up(self) -> None:
        if self._exchange.state is STREAMING:
            # The head is sent: only an abort shows the client that the body is incomplete.
            self._exchange.abort()
        else:
            self._exchange.respond(HttpResponse(500, b"Internal Server Error"))

    def _scope(self) -> dict[str, Any]:
        request = self._exchange.request
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
            "http_version": "1.0" if self._exchange.is_http10 else "1.1",
            "method": request.method,
            "scheme": "https" if request.secure else "http",
            "path": unquote(request.path),
            "raw_path": request.path.encode("latin-1"),
            "query_string": request.query_string.encode("latin-1"),
            "root_path": "",
            "headers": self._exchange.raw_headers
            or [
                (name.encode("ascii"), value.encode("latin-1"))
                for name, value in request.headers.items()
            ],
            "client": (request.remote_address, request.remote_port),
            "server": None,
            "state": self._state.copy(),
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
        """Send the head or a piece of the body; do nothing after a disconnect (ASGI HTTP 2.3).

        Raises ClientLeftError if the application continues to send for long.
        """
        exchange = self._exchange
        if exchange.state is GONE:
            self._sends_after_disconnect += 1
            if (
                self._sends_after_disconnect > MAX_SENDS_AFTER_DISCONNECT
                or asyncio.get_running_loop().time() > self._left_at + DISCONNECT_NOTICE
            ):
                raise ClientLeftError("the client disconnected before the end of the response")
            return
        kind = message["type"]
        is_start = kind == "http.response.start"
        if exchange.state is FINISHED or is_start == self._has_started:
            raise RuntimeError(f"the ASGI application sent {kind!r} out of order")
        if is_start:
            headers = [
                (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                for name, value in message.get("headers", ())
            ]
            self._head = (message["status"], headers)
            self._has_started = True
            return
        if kind != "http.response.body":
            raise RuntimeError(f"the ASGI application sent an unknown message {kind!r}")
        if self._head is not None:
            # The head is sent with the first piece of the body: until then, a failure can still be
            # reported with status 500.
            head, self._head = self._head, None
            exchange.start_stream(*head)
        exchange.write(bytes(message.get("body", b"")))
        if not message.get("more_body", False):
            exchange.finish()
            self._wakeup.set()
        elif not self._writable.is_set():
            await self._writable.wait()
        else:
            # An application that only sends must not keep other clients, and the end of its own
            # client, from the event loop.
            self._sends_in_a_row = (self._sends_in_a_row + 1) % SENDS_PER_ITERATION
            if not self._sends_in_a_row:
                await asyncio.sleep(0)

    def _client_left(self) -> None:
        self._left_at = asyncio.get_running_loop().time()
        self._wakeup.set()
        self._writable.set()

    def _writable_changed(self, is_writable: bool) -> None:
        if is_writable:
            self._writable.set()
        else:
            self._writable.clear()


def _release_frames(error: BaseException) -> None:
    """Release the variables of the frames of an error, among them generators of bodies.

    The frames refer to the error, so that only the garbage collector would close the generators.
    """
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is None or each.__traceback__ is None:  # None as well if it was visited
            continue
        traceback.clear_frames(each.__traceback__)
        each.__traceback__ = None
        pending += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            pending += each.exceptions


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
