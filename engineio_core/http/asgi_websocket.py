"""One WebSocket of a mounted ASGI application: the handshake, `receive`, `send` and the close.

`WebSocketTransport` reads and writes the frames. `asgi_response` sends a response in place of the
handshake, and `asgi_host` starts the application.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Final, final

from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.http.asgi_messages import (
    added_headers,
    check_close,
    count_bytes,
    encode_message,
)
from engineio_core.http.asgi_response import ClientLeftError, ResponseWriter, release_frames
from engineio_core.http.asgi_scope import AsgiApp, Message, make_scope
from engineio_core.http.exchange import Exchange
from engineio_core.http.message import HttpResponse
from engineio_core.http.states import MountedState
from engineio_core.transports.interface import TransportContext
from engineio_core.transports.websocket import NO_STATUS, WebSocketTransport
from engineio_core.transports.websocket_handshake import Accepted, encode_switch

logger = logging.getLogger("engineio_core")

SPEC_VERSION: Final = "2.4"
DENIAL: Final = "websocket.http.response"
ACCEPT_TIMEOUT: Final = 60.0  # seconds that an application has to answer a handshake
MAX_QUEUE: Final = 256 * 1024  # bytes of messages that are queued for the application
# Bytes of one iteration of the event loop after which `send` lets the loop write to the kernel
SENDING_LIMIT: Final = 64 * 1024
SENDS_PER_ITERATION: Final = 16  # messages that are sent without waiting

NORMAL: Final = 1000
ABNORMAL: Final = 1006  # RFC 6455, section 7.1.5: the connection ended without a close frame
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012  # of the IANA registry; uvicorn sends it at a shutdown as well

CONNECTING: Final = MountedState.CONNECTING
DENYING: Final = MountedState.DENYING
OPEN: Final = MountedState.OPEN
CLOSED: Final = MountedState.CLOSED
GONE: Final = MountedState.GONE


@final
class MountedWebSocket:
    """One call of the application for a WebSocket; the listener of its transport."""

    __slots__ = (
        "_accepted", "_context", "_disconnect", "_exchange", "_has_connected", "_lifespan_state",
        "_messages", "_queued", "_received", "_response", "_sends_in_a_row", "_subprotocols",
        "_timer", "_transport", "_wakeup", "_writable", "state",
    )  # fmt: skip

    state: MountedState

    def __init__(
        self,
        exchange: Exchange,
        accepted: Accepted,
        context: TransportContext,
        lifespan_state: dict[str, Any],
    ) -> None:
        self.state = CONNECTING
        self._exchange = exchange
        self._accepted = accepted
        self._context = context
        self._lifespan_state = lifespan_state
        offered = exchange.request.headers.get("sec-websocket-protocol", "")
        self._subprotocols = [each.strip() for each in offered.split(",") if each.strip()]
        self._timer: Any = None
        self._response = ResponseWriter(exchange, DENIAL)
        self._transport: WebSocketTransport | None = None
        # Received messages
        self._has_connected = False
        self._messages: deque[Message] = deque()
        self._queued = 0
        self._received = 0
        self._disconnect: Message | None = None
        self._wakeup = asyncio.Event()
        # Sent messages
        self._writable = asyncio.Event()
        self._writable.set()
        self._sends_in_a_row = 0
        exchange.on_abort = self._client_left

    # -- called by the host

    async def run(self, app: AsgiApp) -> None:
        """Run the application; refuse or close if it returns or fails before it has done so."""
        path = self._exchange.request.path
        try:
            await app(self._scope(), self.receive, self.send)
        except (NotImplementedError, AssertionError) as error:
            if self._has_connected:
                logger.exception("the ASGI application failed on the WebSocket %s", path)
                self._end(500, INTERNAL_ERROR)
            else:
                # The usual refusal of applications that serve HTTP only; any client can cause it.
                logger.info("the ASGI application serves no WebSocket on %s: %r", path[:200], error)
                self._end(403, NORMAL)
            release_frames(error)
        except Exception as error:
            if self.state is GONE and _is_disconnect(error):
                logger.debug("the ASGI application ended with its WebSocket: %r", error)
            else:
                logger.exception("the ASGI application failed on the WebSocket %s", path)
            self._end(500, INTERNAL_ERROR)
            release_frames(error)
        except asyncio.CancelledError:
            self._end(503, SERVICE_RESTART)
            raise
        else:
            if self.state is CONNECTING:
                logger.info("the ASGI application returned without accepting %s", path)
            elif self.state is DENYING:
                logger.error("the ASGI application did not complete its response on %s", path)
            self._end(403, NORMAL)
        finally:
            self._stop_timer()

    def limit_handshake(self, task: asyncio.Task[None]) -> None:
        """Refuse the handshake and cancel `task` if the application does not answer in time."""

        def refuse() -> None:
            logger.error(
                "the ASGI application did not answer the WebSocket handshake on %s within %d s",
                self._exchange.request.path, ACCEPT_TIMEOUT,
            )  # fmt: skip
            self._refuse(503)
            task.cancel()

        self._timer = self._context.clock.call_later(ACCEPT_TIMEOUT, refuse)

    def shut_down(self) -> None:
        """Close with code 1012, or refuse the handshake; a denial response continues."""
        if self.state is CONNECTING:
            self._exchange.respond(HttpResponse(503, b"", [("Retry-After", "5")]))
            self._lost(SERVICE_RESTART)
        elif self.state is OPEN and self._transport is not None:
            self._transport.close_with(SERVICE_RESTART)
            self._lost(SERVICE_RESTART)

    def _scope(self) -> dict[str, Any]:
        return make_scope(self._exchange, self._lifespan_state) | {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
            "scheme": "wss" if self._exchange.request.secure else "ws",
            "subprotocols": list(self._subprotocols),
            "extensions": {DENIAL: {}},
        }

    # -- awaited by the application

    async def receive(self) -> Message:
        """Return `websocket.connect`, then each message, and `websocket.disconnect` at the end."""
        if not self._has_connected:
            self._has_connected = True
            return {"type": "websocket.connect"}
        while not self._messages and self._disconnect is None:
            self._wakeup.clear()
            await self._wakeup.wait()
        if not self._messages:
            assert self._disconnect is not None
            return dict(self._disconnect)
        message = self._messages.popleft()
        was_full = self._queued > MAX_QUEUE
        self._queued -= count_bytes(message)
        if was_full and self._queued <= MAX_QUEUE and self.state is OPEN:
            assert self._transport is not None
            self._transport.resume_reading()
        return message

    async def send(self, message: Message) -> None:
        """Answer the handshake, send a message, or close.

        Raises ClientLeftError after a disconnect (ASGI WebSocket 2.4), RuntimeError for a message
        out of order, and ValueError or TypeError for invalid content.
        """
        kind = message["type"]
        if self.state is GONE:
            if kind == "websocket.close":
                return
            raise ClientLeftError("the WebSocket has ended: receive() returns the close code")
        if self.state is CONNECTING:
            await self._answer(kind, message)
        elif self.state is DENYING:
            await self._response.send(message)
            if not self._exchange.is_open:
                self._denied()
        elif self.state is OPEN and kind == "websocket.send":
            await self._send_message(message)
        elif self.state is OPEN and kind == "websocket.close":
            self._close(message.get("code"), message.get("reason"))
        else:
            expected = (
                "no further message, because the WebSocket is closed"
                if self.state is CLOSED
                else "'websocket.send' or 'websocket.close'"
            )
            raise RuntimeError(
                f"the ASGI application sent {kind!r} out of order: expected {expected}"
            )

    async def _answer(self, kind: str, message: Message) -> None:
        match kind:
            case "websocket.accept":
                self._accept(message)
            case "websocket.close":
                # ASGI: "If this is sent before the socket is accepted, the server must close the
                # connection with an HTTP 403 error code (Forbidden)".
                self._refuse(403)
            case "websocket.http.response.start":
                await self._response.send(message)
                self._stop_timer()
                self.state = DENYING
            case _:
                raise RuntimeError(
                    f"the ASGI application sent {kind!r} out of order: expected "
                    f"'websocket.accept', 'websocket.close' or '{DENIAL}.start'"
                )

    # -- the handshake

    def _accept(self, message: Message) -> None:
        headers = added_headers(message.get("headers") or ())
        lines = [
            line for line in self._accepted.headers if line[0].lower() != "sec-websocket-protocol"
        ]
        subprotocol = message.get("subprotocol")
        if subprotocol is not None:
            # RFC 6455, section 4.1: clients fail the connection otherwise.
            if subprotocol not in self._subprotocols:
                raise ValueError(
                    "the accepted subprotocol must be one that the client offers "
                    f"({', '.join(self._subprotocols) or 'none'}), got {subprotocol!r}"
                )
            lines.append(("Sec-WebSocket-Protocol", subprotocol))
        head = encode_switch(Accepted([*lines, *headers], self._accepted.extensions), ())
        self._stop_timer()
        self.state = OPEN
        tcp, rest = self._exchange.upgrade()
        transport = WebSocketTransport(tcp, self._context, self._accepted.extensions, head)
        self._transport = transport
        transport.listener = self
        tcp.set_protocol(transport)
        transport.flush()
        if not tcp.is_closing():
            tcp.resume_reading()
        self._await_ping()
        if rest:
            transport.data_received(rest)

    def _refuse(self, status: int) -> None:
        self._stop_timer()
        self.state = CLOSED
        self._exchange.respond(HttpResponse(status))
        self._set_disconnect(ABNORMAL)

    def _denied(self) -> None:
        if self.state is DENYING:
            self.state = CLOSED
            self._set_disconnect(ABNORMAL)

    # -- messages of the application

    async def _send_message(self, message: Message) -> None:
        transport = self._transport
        assert transport is not None
        transport.send(encode_message(message))
        # Let the loop write before the buffer grows, and other clients have their turn.
        self._sends_in_a_row = (self._sends_in_a_row + 1) % SENDS_PER_ITERATION
        if not self._sends_in_a_row or transport.buffered_amount() > SENDING_LIMIT:
            await asyncio.sleep(0)
        while self.state is OPEN and not transport.writable:
            self._writable.clear()
            await self._writable.wait()

    def _close(self, code: int | None, reason: str | None) -> None:
        code, reason = NORMAL if code is None else code, reason or ""
        check_close(code, reason)
        assert self._transport is not None
        self._stop_timer()
        self.state = CLOSED
        self._drop_messages()
        self._transport.close_with(None if code == NO_STATUS else code, reason)
        self._set_disconnect(code, reason)

    def _end(self, status: int, code: int) -> None:
        """Refuse with `status`, or close with `code`, unless the application has done so."""
        if self.state is CONNECTING:
            self._refuse(status)
        elif self.state is DENYING:
            self._response.give_up()
            self._denied()
        elif self.state is OPEN:
            self._close(code, None)
        self._drop_messages()

    # -- TransportListener

    def _receive_text(self, packet: bytes) -> None:
        self._queue({"type": "websocket.receive", "text": packet.decode()})

    def _receive_binary(self, data: bytes) -> None:
        self._queue({"type": "websocket.receive", "bytes": data})

    def _queue(self, message: Message) -> None:
        self._received += 1
        self._messages.append(message)
        self._queued += count_bytes(message)
        if self._queued > MAX_QUEUE and self._transport is not None:
            self._transport.pause_reading()
        self._wakeup.set()

    def _transport_writable(self) -> None:
        self._writable.set()

    def _transport_closed(self, reason: CloseReason, description: str) -> None:
        assert self._transport is not None
        self._lost(*(self._transport.close_frame or (ABNORMAL, "")))

    def _transport_failed(self, error: ProtocolError) -> None:
        logger.info(
            "the WebSocket %s of %s failed: %s",
            self._exchange.request.path[:200], self._exchange.request.remote_address, error,
        )  # fmt: skip
        self._lost(error.websocket_code or ABNORMAL)

    # -- pings, which keep the connection open in proxies and find clients that are gone

    def _await_ping(self) -> None:
        interval = self._context.options.ping_interval
        self._timer = self._context.clock.call_later(interval, self._ping)

    def _ping(self) -> None:
        assert self._transport is not None
        self._transport.ping()
        timeout = self._context.options.ping_timeout
        signs = self._signs_of_life()
        self._timer = self._context.clock.call_later(timeout, self._check_pong, signs)

    def _check_pong(self, signs: tuple[int, int, int]) -> None:
        transport = self._transport
        assert transport is not None
        # A pong may lie behind frames that the server does not read, or the ping behind frames
        # that the client does not read: the connection is then full, and not lost.
        is_read = transport.writable and self._queued <= MAX_QUEUE
        if is_read and self._signs_of_life() == signs:
            transport.close_with(INTERNAL_ERROR, "ping timeout")
            self._lost(ABNORMAL)
        else:
            self._await_ping()

    def _signs_of_life(self) -> tuple[int, int, int]:
        assert self._transport is not None
        return self._received, self._transport.pongs, self._transport.partial_amount()

    # -- the end

    def _client_left(self) -> None:
        """Handle the end of the connection before the handshake is answered."""
        self._response.client_left()
        self._lost(ABNORMAL)

    def _lost(self, code: int, reason: str = "") -> None:
        if self.state is CLOSED or self.state is GONE:
            return
        self._stop_timer()
        self.state = GONE
        self._set_disconnect(code, reason)

    def _set_disconnect(self, code: int, reason: str = "") -> None:
        if self._disconnect is None:
            self._disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self._wakeup.set()
        self._writable.set()

    def _drop_messages(self) -> None:
        self._messages.clear()
        self._queued = 0

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


def _is_disconnect(error: BaseException) -> bool:
    """Return whether an exception only reports the end of the WebSocket.

    Starlette raises its WebSocketDisconnect from a route that does not handle it.
    """
    return isinstance(error, OSError) or type(error).__name__ == "WebSocketDisconnect"
