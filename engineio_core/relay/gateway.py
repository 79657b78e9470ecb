"""The gateway's side of a link: an engine whose sessions are relayed to the origin.

The engine serves handshakes, polling, upgrades, WebSockets and heartbeats by itself. Its
middlewares run in the origin. Without a link, handshakes receive 503, and the sessions are closed:
their clients connect again.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Awaitable, Callable
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Final, final

from engineio_core import errors
from engineio_core.admission import ConnectionRefusal
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import CloseReason, HandshakeRefusedError
from engineio_core.http.message import HttpRequest, HttpResponse
from engineio_core.noop import noop
from engineio_core.relay.frames import (
    AMOUNT,
    GROUP,
    IS_BINARY,
    IS_UNCOMPRESSED,
    NUMBER,
    SECONDS,
    Closed,
    Kind,
    Leaving,
    LinkError,
    Opened,
    Refused,
    RelayedRequest,
    Verdict,
    decode,
    encode,
)
from engineio_core.relay.link import Link
from engineio_core.relay.loop_lag import LoopLag
from engineio_core.session import Session
from engineio_core.session_state import SessionState
from engineio_core.waves import LONGEST_DEFAULT

if TYPE_CHECKING:
    from engineio_core.engine import BaseEngine

logger = logging.getLogger("engineio_core")

#: Bytes that a client's connection has taken before the origin is informed.
REPORT_SIZE: Final = 64 * 1024
#: Seconds that a request waits for the origin. At `handshake_timeout`, ten seconds by default, the
#: engine would answer 400: the fault is not the client's.
ADMISSION_LIMIT: Final = 9.0
#: Seconds between two attempts to reach the origin.
RETRY_SECONDS: Final = 0.2
#: Seconds in addition to the drain time in which the origin closes the sessions of a gateway that
#: ends, and seconds between two looks at them.
LEAVING_LIMIT: Final = 3.0
LEAVING_INTERVAL: Final = 0.02
WARN_AFTER: Final = 10  # attempts: the origin may start later than its gateways
_ADMITTED: Final = "engineio_core.relay"  # the key in `request.state`
_MASK: Final = 0xFFFFFFFF

Connect = Callable[[Callable[[], Link]], Awaitable[object]]
"""Connects a protocol, such as `partial(loop.create_unix_connection, path=...)`."""


@final
class _Held:
    """A session that this gateway holds, and the bytes of which the origin is not informed."""

    __slots__ = ("number", "pending", "session")

    def __init__(self, session: Session, number: int) -> None:
        self.session = session
        self.number = number
        self.pending = 0


@final
class Gateway:
    """Relays the sessions of one engine to the origin; a `LinkUser`."""

    def __init__(self, engine: BaseEngine, secret: bytes) -> None:
        self._engine = engine
        self._secret = secret
        self._link: Link | None = None
        self._lag: LoopLag | None = None
        self._held: dict[int, _Held] = {}
        self._numbers = count(1)
        self._verdicts: dict[int, asyncio.Future[Verdict]] = {}
        self._is_reading_paused = False
        self._is_end_expected = False
        self._has_link = asyncio.Event()
        engine.use(self._admit)
        engine.on("connection", self._session_opened)
        engine.on("connection_error", self._request_refused)

    @property
    def is_linked(self) -> bool:
        """Whether the origin is reachable."""
        return self._link is not None

    async def linked(self) -> None:
        """Wait until the origin is reachable."""
        await self._has_link.wait()

    async def leave(self, drain: float | None) -> None:
        """Let the origin close the sessions, and wait for their ends for a limited time.

        Only the origin has the handlers of the clients. Without a link, do nothing.
        """
        if self._link is None:
            return
        self._link.send(Kind.LEAVING, encode(Leaving(drain)))
        stop = monotonic() + (LONGEST_DEFAULT if drain is None else drain) + LEAVING_LIMIT
        # Polling saves a call for each session that ends while the gateway runs.
        while self._held and self.is_linked and monotonic() < stop:  # noqa: ASYNC110
            await asyncio.sleep(LEAVING_INTERVAL)

    async def run(self, connect: Connect) -> None:
        """Keep a link to the origin until the task is canceled."""
        failures = 0
        while True:
            link = Link(self, self._secret, is_origin=False)
            try:
                await connect(lambda link=link: link)  # type: ignore[misc]
            except OSError as error:
                failures += 1
                if failures == WARN_AFTER:
                    logger.warning("the origin is not reachable: %s", error)
            else:
                try:
                    await link.closed
                finally:
                    self._is_end_expected = True
                    link.close("the gateway stopped")
                failures = 0
            await asyncio.sleep(RETRY_SECONDS)

    # -- called by the link

    def link_opened(self, link: Link) -> None:
        """Relay sessions from now on."""
        self._link = link
        self._is_end_expected = False
        self._lag = LoopLag(
            asyncio.get_running_loop(), lambda delay: link.send(Kind.LAG, SECONDS.pack(delay))
        )
        self._has_link.set()
        logger.info("linked to the origin")

    def link_lost(self, link: Link, reason: str) -> None:
        """Close all sessions: their state was in the origin."""
        self._link = None
        if self._lag is not None:
            self._lag.stop()
            self._lag = None
        self._has_link.clear()
        if self._is_end_expected:
            logger.info("the link to the origin has ended: this gateway or the origin stops")
        else:
            logger.warning("the link to the origin is lost: %s", reason)
        for verdict in self._verdicts.values():
            if not verdict.done():
                verdict.set_exception(ConnectionError(reason))
        held, self._held = self._held, {}
        for each in held.values():
            each.session._on_close = noop
            # A session that the origin has closed still delivers its last packets.
            if each.session.state is SessionState.OPEN:
                each.session.close(discard=True)

    def link_paused(self, link: Link, is_paused: bool) -> None:
        """Read nothing from clients while the origin reads slowly."""
        self._is_reading_paused = is_paused
        for each in self._held.values():
            if is_paused:
                each.session.pause_reading()
            else:
                each.session.resume_reading()

    def link_frame(self, link: Link, kind: int, body: bytes) -> None:
        """Receive one frame of the origin."""
        # hot path
        if kind == Kind.SEND:
            self._send(body)
            return
        if kind == Kind.ADMITTED:
            verdict = self._verdicts.get(*NUMBER.unpack_from(body))
            if verdict is not None and not verdict.done():
                verdict.set_result(decode(Verdict, body[4:]))
            return
        if kind == Kind.LEAVING:
            self._is_end_expected = True
            return
        held = self._held.get(*NUMBER.unpack(body))
        match kind:
            case Kind.CLOSE if held is not None:
                held.session.close()
            case Kind.DISCARD if held is not None:
                held.session.close(discard=True)
            case Kind.PAUSE if held is not None:
                held.session.pause_reading()
            case Kind.RESUME if held is not None and not self._is_reading_paused:
                held.session.resume_reading()
            case Kind.CLOSE | Kind.DISCARD | Kind.PAUSE | Kind.RESUME:
                pass  # the session has ended here, and the origin is not yet informed
            case _:
                raise LinkError(f"the origin must not send frames of kind {kind}")

    def _send(self, body: bytes) -> None:
        flags, receivers = GROUP.unpack_from(body)
        start = GROUP.size
        end = start + 4 * receivers
        packet = EncodedPacket(
            body[end:], is_binary=bool(flags & IS_BINARY), compress=not flags & IS_UNCOMPRESSED
        )
        size = len(packet.payload)
        numbers = array("I", body[start:end])
        numbers.byteswap()
        all_held = self._held
        for number in numbers:
            held = all_held.get(number)
            if held is not None:
                held.session.send(packet)
                held.pending += size
                if held.pending >= REPORT_SIZE:
                    self._report(held)

    def _report(self, held: _Held) -> None:
        """Inform the origin of the bytes that the connection of a client has taken."""
        left = min(held.pending, held.session.buffered_amount)
        taken = held.pending - left
        held.pending = left
        link = self._link
        if link is None:
            return
        if taken:
            link.send(Kind.TAKEN, AMOUNT.pack(held.number, taken))
        if held.session._has_outbox:
            held.session._on_drain = lambda: self._drained(held)

    def _drained(self, held: _Held) -> None:
        held.session._on_drain = noop
        taken, held.pending = held.pending, 0
        if self._link is not None:
            self._link.send(Kind.TAKEN, AMOUNT.pack(held.number, taken))

    # -- called by the engine

    async def _admit(self, request: HttpRequest) -> HttpResponse | None:
        """Let the middlewares of the origin decide about a request."""
        link = self._link
        if link is None:
            return _unavailable()
        number = next(self._numbers) & _MASK
        verdict = self._verdicts[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ADMISSION_LIMIT):
                link.send(Kind.ADMIT, NUMBER.pack(number), encode(RelayedRequest.of(request)))
                response, has_failed, headers = await verdict
        except (ConnectionError, TimeoutError):
            return _unavailable()
        finally:
            del self._verdicts[number]
        if has_failed:
            raise HandshakeRefusedError(errors.BAD_REQUEST, {"name": "MIDDLEWARE_FAILURE"})
        if response is not None:
            status, body, lines = response
            return HttpResponse(status, body, [*lines, *headers])
        request.response_headers.update(headers)
        request.state[_ADMITTED] = number
        return None

    def _session_opened(self, session: Session) -> None:
        link = self._link
        if link is None:
            session.close(discard=True)
            return
        number = next(self._numbers) & _MASK
        held = self._held[number] = _Held(session, number)
        prefix = NUMBER.pack(number)
        request = session.request
        opened = Opened(
            session.sid,
            session.transport.name,
            request.state.get(_ADMITTED, 0),
            RelayedRequest.of(request),
        )
        link.send(Kind.OPEN, prefix, encode(opened))

        def relay_text(packet: bytes) -> None:
            # hot path
            if not packet.isascii():
                packet.decode()  # the transport turns the error into one of the client
            link.send(Kind.TEXT, prefix, packet)

        def relay_binary(data: bytes) -> None:
            link.send(Kind.BINARY, prefix, data)

        def relay_upgrade() -> None:
            link.send(Kind.UPGRADED, prefix)

        def relay_close(reason: CloseReason, description: str) -> None:
            if self._held.pop(held.number, None) is not None:
                link.send(Kind.CLOSED, prefix, encode(Closed(str(reason), description)))

        session._on_packet = relay_text
        session._on_binary = relay_binary
        session._on_upgrade = relay_upgrade
        session._on_close = relay_close
        if self._is_reading_paused:
            session.pause_reading()

    def _request_refused(self, refusal: ConnectionRefusal) -> None:
        if self._link is not None:
            request = RelayedRequest.of(refusal.request)
            self._link.send(Kind.REFUSED, encode(Refused(refusal.code, refusal.message, request)))


def _unavailable() -> HttpResponse:
    return HttpResponse(503, b"", [("Retry-After", "1")])
