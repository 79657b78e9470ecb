"""One request of an ASGI host and its response, as the engine sees them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, final

from engineio_core.asgi.request import encode_head
from engineio_core.asgi.sender import GuestSender
from engineio_core.asgi.websocket import GuestWebSocket
from engineio_core.http.exchange import TOO_LARGE, BodyCollector
from engineio_core.http.message import NO_STORE, HttpRequest, HttpResponse
from engineio_core.http.states import FINISHED, GONE, WAITING, ExchangeState
from engineio_core.noop import noop
from engineio_core.transports.interface import TransportContext

logger = logging.getLogger("engineio_core")

#: The extension with which a host sends a response to a refused WebSocket handshake.
DENIAL: Final = "websocket.http.response"


@final
class GuestExchange:
    """One request that waits for its response; implements `http.message.Responder`.

    The host closes connections by its own rules, so `keep_alive` and `is_of_session` have no
    effect, and `abort` sends an error response.
    """

    def __init__(
        self,
        scope: dict[str, Any],
        request: HttpRequest,
        receive: Any,
        send: Any,
        sender: GuestSender,
    ) -> None:
        self.request = request
        self.keep_alive = True
        self.is_of_session = False
        self.state: ExchangeState = WAITING
        self.on_abort: Callable[[], None] = noop
        self._scope = scope
        self._receive = receive
        self._send = send
        self._sender = sender
        self._collector: BodyCollector | None = None
        self._body_amount = 0
        self._is_body_read = False
        self._progress = asyncio.Event()
        self._response: HttpResponse | None = None
        self.websocket: GuestWebSocket | None = None

    # -- called by the engine

    @property
    def is_open(self) -> bool:
        """Whether the response can still be sent."""
        return self.state is WAITING

    @property
    def is_body_read(self) -> bool:
        """Whether the request has no body, or its body is read: handshakes have none."""
        return True

    @property
    def body_amount(self) -> int:
        """The number of bytes of the body that have arrived."""
        return self._body_amount

    def respond(self, response: HttpResponse) -> None:
        """Send the response. A second response, or one to a client that left, is dropped."""
        if self.state is WAITING:
            self.state = FINISHED
            self.on_abort = noop
            self._response = response
            self._progress.set()

    def respond_ok(self, content_type: tuple[str, str], body: bytes) -> None:
        """Send a response with status 200, a content type, and no other header of its own."""
        self.respond(HttpResponse(200, body, (content_type, NO_STORE)))

    def read_body(
        self, limit: int, done: Callable[[bytes], None], too_large: Callable[[str], None]
    ) -> None:
        """Collect the body; call `done(body)`, or `too_large(description)` above `limit` bytes."""
        length = self.request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            too_large(TOO_LARGE)
            return
        self._collector = BodyCollector(limit, done, too_large)
        self._progress.set()

    def abort(self) -> None:
        """End the request: a guest cannot close the connection."""
        self.respond(HttpResponse(400))

    def accept_websocket(
        self, context: TransportContext, headers: list[tuple[str, str]]
    ) -> GuestWebSocket:
        """Accept the handshake of a WebSocket and return its transport."""
        self.state = FINISHED
        self.on_abort = noop
        lines = encode_head(self.request, HttpResponse(204, b"", headers))
        self.websocket = GuestWebSocket(context, self._receive, self._send, lines, self._sender)
        self._progress.set()
        return self.websocket

    # -- called by the guest

    async def serve(self) -> GuestWebSocket | None:
        """Receive the body and send the response; return the WebSocket, if it is accepted."""
        leaving: asyncio.Task[None] | None = None
        try:
            while self._response is None and self.websocket is None and self.state is not GONE:
                if self._collector is not None and not self._is_body_read:
                    self._progress.clear()
                    await self._receive_body(self._collector)
                    continue
                if leaving is None and self.request.method != "POST":
                    leaving = asyncio.ensure_future(self._wait_for_disconnect())
                await self._progress.wait()
                self._progress.clear()
        finally:
            if leaving is not None:
                leaving.cancel()
            if self.state is WAITING:  # the host cancels the request
                self._client_left()
        if self.websocket is None and self._response is not None:
            await self._send_response(self._response)
        return self.websocket

    async def _receive_body(self, collector: BodyCollector) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._client_left()
            return
        data = message.get("body", b"")
        self._body_amount += len(data)
        if data:
            collector.body_data(data)
        if not message.get("more_body", False):
            self._is_body_read = True
            collector.body_complete()

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] not in {"http.disconnect", "websocket.disconnect"}:
            pass
        self._client_left()

    def _client_left(self) -> None:
        if self.state is WAITING:
            self.state = GONE
            on_abort, self.on_abort = self.on_abort, noop
            on_abort()
            self._progress.set()

    async def _send_response(self, response: HttpResponse) -> None:
        try:
            headers = encode_head(self.request, response)
        except ValueError:
            logger.exception("invalid header in the response to %s", self.request.path)
            response, headers = HttpResponse(500), [(b"content-length", b"0")]
        kind = "http.response"
        if self.request.is_upgrade:
            if DENIAL not in (self._scope.get("extensions") or {}):
                await self._send({"type": "websocket.close", "code": 1000})  # sends 403
                return
            kind = DENIAL
        start = {"type": f"{kind}.start", "status": response.status, "headers": headers}
        body = b"" if self.request.method == "HEAD" else response.body
        await self._send(start)
        await self._send({"type": f"{kind}.body", "body": body, "more_body": False})
