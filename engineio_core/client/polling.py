"""Long-polling of a client: the pending GET, and one POST at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from engineio_core.client.errors import TransportError, refused
from engineio_core.client.http_channel import Answer, HttpPool
from engineio_core.client.interface import ClientContext, TaskGroup, TransportListener
from engineio_core.codec.encoded_packet import CLOSE_PACKET, EncodedPacket
from engineio_core.codec.packet import CLOSE
from engineio_core.codec.payload import decode_payload, encode_payload
from engineio_core.errors import CloseReason, ProtocolError

#: A session may be closed several times, while the network is still unstable.
CLOSE_ATTEMPTS: Final = 3


class PollingTransport:
    """The polling transport of one session.

    The session ends a poll that the server does not answer, by its heartbeat.
    """

    name = "polling"

    def __init__(self, context: ClientContext, listener: TransportListener) -> None:
        self._context = context
        self._listener = listener
        self._pool = HttpPool(context.network, context.clock, context.options.max_message_size)
        self._tasks = TaskGroup()
        self.sid: str | None = None
        self.is_writable = False
        self._is_polling = False
        self._is_posting = False
        self._is_over = False
        self._paused: Callable[[], None] | None = None
        self._readable: asyncio.Future[None] | None = None

    def open(self) -> None:
        """Send the first GET, whose response contains the handshake."""
        self._is_polling = True
        self._tasks.start(self._poll(), "socketio poll")

    def handshake_received(self, sid: str) -> None:
        """Use the session ID in all further requests."""
        self.sid = sid
        self.is_writable = True

    def send(self, packets: list[EncodedPacket]) -> None:
        """Send packets in one POST."""
        self.is_writable = False
        self._is_posting = True
        self._tasks.start(self._post(packets), "socketio post")

    def pause_reading(self) -> None:
        """Send no further GET for now; the packets of the pending one are delivered."""
        if self._readable is None:
            self._readable = asyncio.get_running_loop().create_future()

    def resume_reading(self) -> None:
        """Poll again after `pause_reading`."""
        readable, self._readable = self._readable, None
        if readable is not None and not readable.done():
            readable.set_result(None)

    def pause(self, paused: Callable[[], None]) -> None:
        """Stop polling; call `paused` when the pending requests have ended."""
        self.is_writable = False
        self._paused = paused
        self.resume_reading()
        self._report_pause()

    def close(self) -> None:
        """Send a close packet in the background."""
        if self._is_over:
            return
        self._is_over = True
        self.is_writable = False
        if self.sid is None:
            self.abort()
        else:
            self._tasks.start(self._post_close(), "socketio close")

    def notify_end(self) -> None:
        """Send a close packet in the background, after the end of the transport.

        Without a pending poll, the server notices a lost connection only by its heartbeat. Until
        then, it cannot restore the session for the next connection.
        """
        if self.sid is not None:
            self._tasks.start(self._post_close(), "socketio close")

    def abort(self) -> None:
        """End all requests at once."""
        self._is_over = True
        self.is_writable = False
        self._tasks.cancel()
        self._pool.close()

    async def wait_closed(self) -> None:
        """Wait until all tasks have ended."""
        await self._tasks.wait()

    async def _poll(self) -> None:
        """Poll until the transport is paused or ends."""
        while not self._is_over and self._paused is None:
            try:
                if self._readable is not None:
                    await self._readable
                    continue
                # The handshake has a deadline in the session, every other poll its heartbeat.
                answer = await self._request("GET", None, None)
                self._check(answer)
                self._receive(answer.body)
            except ProtocolError as error:
                self._end(CloseReason.PARSE_ERROR, error)
            except Exception as error:  # OSError, TransportError, or an invalid host name
                self._end(CloseReason.TRANSPORT_ERROR, error)
        self._is_polling = False
        self._report_pause()

    async def _post(self, packets: list[EncodedPacket]) -> None:
        try:
            timeout = self._context.options.request_timeout
            self._check(await self._request("POST", encode_payload(packets), timeout))
        except Exception as error:
            self._end(CloseReason.TRANSPORT_ERROR, error)
            return
        self._is_posting = False
        self._report_pause()
        if self._paused is None and not self._is_over:
            self.is_writable = True
            self._listener.transport_drained(self)

    async def _post_close(self) -> None:
        timeout = self._context.options.close_timeout
        try:
            for _ in range(CLOSE_ATTEMPTS):
                # After the last attempt, the server ends the session by its heartbeat.
                with suppress(OSError, TransportError):
                    await self._request("POST", encode_payload([CLOSE_PACKET]), timeout)
                    break
        finally:
            self.abort()

    async def _request(self, method: str, body: bytes | None, timeout: float | None) -> Answer:
        context = self._context
        target = context.target(self.name, self.sid)
        headers = context.headers(target)
        if body is not None:
            headers.append(("Content-Type", "text/plain;charset=UTF-8"))
        proxy = context.network.forward_proxy
        absolute = target
        if proxy is not None:
            absolute = context.address.origin + target
            if proxy.authorization is not None:
                headers.append(("Proxy-Authorization", proxy.authorization))
        answer = await self._pool.request(
            method,
            absolute,
            headers,
            body,
            connect_timeout=context.options.timeout,
            timeout=timeout,
        )
        context.store_cookies(target, answer.headers)
        return answer

    def _check(self, answer: Answer) -> None:
        """Raise TransportError for a status other than 200."""
        if answer.status != 200:
            raise refused("a request of polling", answer.status, answer.body)

    def _receive(self, body: bytes) -> None:
        """Pass the packets of a response to the session. Raises ProtocolError."""
        for record in decode_payload(body):
            if self._is_over:
                return
            if isinstance(record, bytes):
                self._listener.packet_received(self, record, True)
            elif record == CLOSE:
                self._end(CloseReason.TRANSPORT_CLOSE, None)
            else:
                self._listener.packet_received(self, record.encode(), False)

    def _report_pause(self) -> None:
        paused = self._paused
        if paused is not None and not (self._is_polling or self._is_posting or self._is_over):
            self._is_over = True
            self._pool.close()
            paused()

    def _end(self, reason: CloseReason, error: Exception | None) -> None:
        if self._is_over:
            return
        self.abort()
        was_refused = isinstance(error, TransportError) and error.status is not None
        if error is not None and not was_refused:
            self.notify_end()
        self._listener.transport_ended(self, reason, error)
