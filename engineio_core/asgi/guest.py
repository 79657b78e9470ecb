"""The ASGI application of an engine: routes requests of a host to the engine or to another app."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, final

from engineio_core.admission import ConnectionRefusal
from engineio_core.asgi.exchange import GuestExchange
from engineio_core.asgi.host_workers import count_host_workers
from engineio_core.asgi.request import create_request, path_below_mount
from engineio_core.asgi.sender import GuestSender
from engineio_core.errors import UNKNOWN_SID
from engineio_core.http.message import InvalidTargetError
from engineio_core.lifecycle import ServerEvent

if TYPE_CHECKING:
    from engineio_core.engine import BaseEngine
    from engineio_core.http.exchange import Exchange

logger = logging.getLogger("engineio_core")

AsgiApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


# No load balancer can choose a worker of a port that several workers share.
_WORKERS_REMEDY: Final = (
    "run one worker, or one process on each port with an adapter and sticky sessions of the load "
    "balancer, or the server's own workers, which need neither (docs/fastapi.md)"
)


@final
class AsgiGuest:
    """An ASGI 3 application for the paths of an engine; other paths go to `other_app`.

    `start` and `stop` run at the startup and the shutdown of the host, if it calls the lifespan of
    this application; a router calls it only for its outermost application.
    """

    def __init__(
        self,
        engine: BaseEngine,
        other_app: AsgiApp | None,
        start: Callable[[], None],
        stop: Callable[[], Awaitable[None]],
        *,
        is_alone: bool,
    ) -> None:
        """`is_alone`: events do not reach the clients of other processes."""
        self._engine = engine
        self._other_app = other_app
        self._start = start
        self._stop = stop
        self._has_warned = False
        self._sender = GuestSender()
        hooks = engine._hooks["connection_error"]
        if not any(isinstance(getattr(each, "__self__", None), AsgiGuest) for each in hooks):
            # One warning, even if the engine has several applications
            engine.on("connection_error", self._request_refused)
            if is_alone:
                process = multiprocessing.current_process()
                _warn_of_workers(count_host_workers(sys.argv, os.environ, process))

    def _request_refused(self, refusal: ConnectionRefusal) -> None:
        """Log the first request of an unknown session: another worker may have the session."""
        if refusal.code == UNKNOWN_SID.code and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "a request names a session that this process does not have: after a restart this "
                "is normal; if the ASGI server runs several workers, %s",
                _WORKERS_REMEDY,
            )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope of the host."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        path = path_below_mount(scope)
        if not self._engine._serves(path):
            await self._pass_on(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await receive()  # websocket.connect
        try:
            request = create_request(scope, path)
        except InvalidTargetError:
            await self._pass_on(scope, receive, send, status=400)
            return
        exchange = GuestExchange(scope, request, receive, send, self._sender)
        # The engine uses the members that both kinds of exchanges have.
        self._engine._route(cast("Exchange", exchange))
        websocket = await exchange.serve()
        if websocket is not None:
            del exchange, request  # a WebSocket may live long
            await websocket.run()

    async def _pass_on(self, scope: Any, receive: Any, send: Any, status: int = 404) -> None:
        if self._other_app is not None and status == 404:
            await self._other_app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            body = b""
            if status == 404:
                # The scope does not always contain the public path of the mount.
                path = self._engine.options.path
                body = (
                    f"Not found: the Socket.IO server is at {path}, below the mount of its "
                    "application if it has one\n"
                ).encode()
            headers = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
            ]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the lifespan of the other application, or a lifespan of its own.

        Django and the routers of Channels raise an exception for this scope. The host would then
        run without a lifespan, and the server would not be informed of the shutdown.
        """
        if self._other_app is not None:
            has_begun = False

            async def observed() -> Any:
                nonlocal has_begun
                has_begun = True
                return await self._observe(receive)

            try:
                await self._other_app(scope, observed, send)
            except Exception as error:
                if has_begun:
                    raise
                logger.debug("the other application has no lifespan: %s", error)
            if has_begun:
                return
        await receive()
        self._begin()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    def _begin(self) -> None:
        self._engine._advance(ServerEvent.STARTED)
        self._start()

    async def _observe(self, receive: Any) -> Any:
        message = await receive()
        if message["type"] == "lifespan.startup":
            self._begin()
        elif message["type"] == "lifespan.shutdown":
            await self._stop()
        return message


def _warn_of_workers(count: int) -> None:
    if count > 1:
        logger.warning(
            "the ASGI server runs at least %d workers, and this server has no adapter: events do "
            "not reach the clients of the other workers, and polling clients lose their sessions; "
            "%s",
            count, _WORKERS_REMEDY,
        )  # fmt: skip
