"""The response of a mounted ASGI application: order of its messages, back-pressure, its end.

A refused WebSocket handshake has the same messages with another prefix.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import Final, final

from engineio_core.http.asgi_scope import Message
from engineio_core.http.exchange import Exchange
from engineio_core.http.message import HttpResponse
from engineio_core.http.states import FINISHED, GONE, STREAMING

SENDS_PER_ITERATION: Final = 16  # pieces of a response that are sent without waiting

# After a disconnect, `send` does nothing at first: a generator is then canceled where it waits,
# and its `finally` runs at once. Applications that neither wait nor receive need the error.
MAX_SENDS_AFTER_DISCONNECT: Final = 64
DISCONNECT_NOTICE: Final = 1.0  # seconds


class ClientLeftError(OSError):
    """The client has disconnected, and the application continues to send."""


@final
class ResponseWriter:
    """Sends the messages of one response; `prefix` is `http.response` for requests."""

    __slots__ = (
        "_exchange", "_has_started", "_head", "_left_at", "_prefix", "_sends_after_disconnect",
        "_sends_in_a_row", "_writable",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, prefix: str) -> None:
        self._exchange = exchange
        self._prefix = prefix
        self._head: tuple[int, list[tuple[str, str]]] | None = None
        self._has_started = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._left_at = 0.0
        self._sends_after_disconnect = 0
        self._sends_in_a_row = 0
        exchange.on_writable = self._writable_changed

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
        is_start = kind == f"{self._prefix}.start"
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
        if kind != f"{self._prefix}.body":
            raise RuntimeError(f"the ASGI application sent an unknown message {kind!r}")
        if self._head is not None:
            # The head is sent with the first piece of the body: until then, a failure can still be
            # reported with status 500.
            head, self._head = self._head, None
            exchange.start_stream(*head)
        exchange.write(bytes(message.get("body", b"")))
        if not message.get("more_body", False):
            exchange.finish()
        elif not self._writable.is_set():
            await self._writable.wait()
        else:
            # An application that only sends must not keep other clients, and the end of its own
            # client, from the event loop.
            self._sends_in_a_row = (self._sends_in_a_row + 1) % SENDS_PER_ITERATION
            if not self._sends_in_a_row:
                await asyncio.sleep(0)

    def give_up(self) -> None:
        """End a response that the application does not complete."""
        if self._exchange.state is STREAMING:
            # The head is sent: only an abort shows the client that the body is incomplete.
            self._exchange.abort()
        else:
            self._exchange.respond(HttpResponse(500, b"Internal Server Error"))

    def client_left(self) -> None:
        """Resume `send`: the client has disconnected."""
        self._left_at = asyncio.get_running_loop().time()
        self._writable.set()

    def _writable_changed(self, is_writable: bool) -> None:
        if is_writable:
            self._writable.set()
        else:
            self._writable.clear()


def release_frames(error: BaseException) -> None:
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
