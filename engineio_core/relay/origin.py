"""The origin's side of the links: sessions that gateways hold, as sessions of this engine.

The engine and the program see ordinary sessions. `gateway` is the other side; a gateway that
disappears ends its sessions with "transport close".
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, final

from engineio_core import errors
from engineio_core.admission import ConnectionRefusal
from engineio_core.codec.encoded_packet import PING_PACKET, PONG_PACKET, EncodedPacket
from engineio_core.errors import CloseReason, HandshakeRefusedError, ProtocolError
from engineio_core.handshake import is_current
from engineio_core.http.message import HttpRequest
from engineio_core.noop import noop
from engineio_core.relay.frames import (
    AMOUNT,
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
from engineio_core.session import Session

if TYPE_CHECKING:
    from engineio_core.engine import BaseEngine

logger = logging.getLogger("engineio_core")

#: Bytes that may be on their way to one client; more wait in the outbox of its session.
WINDOW: Final = 1024 * 1024
#: Bytes on their way above which a client counts as busy: it gets no volatile packet.
IDLE_LIMIT: Final = 128 * 1024
#: Admitted handshakes whose sessions have not opened yet.
MAX_ADMITTED: Final = 4096
#: Seconds in which the gateways read the last frames of an origin that stops.
STOP_LIMIT: Final = 3.0


@final
class RelayTransport:
    """The transport of a session whose connection a gateway holds."""

    __slots__ = (
        "_in_flight", "_is_paused", "_link", "_sent_in", "_session", "name", "number", "writable",
    )  # fmt: skip

    def __init__(self, link: Link, number: int, name: str) -> None:
        self.name = name
        self.number = number
        self.writable = True
        self._link = link
        self._in_flight = 0
        self._sent_in = -1
        self._is_paused = False
        self._session: Session | None = None

    def attach(self, session: Session) -> None:
        """Set the session, which receives the messages of the client."""
        self._session = session

    def send(self, packet: EncodedPacket) -> None:
        """Send one packet to the gateway, which sends its own pings."""
        if packet is PING_PACKET:
            asyncio.get_running_loop().call_soon(self._answer_ping)
            return
        self._in_flight += len(packet.payload)
        self._sent_in = self._link.flushes
        if self._in_flight >= WINDOW:
            self.writable = False
        self._link.send_packet(packet, self.number)

    def send_bare(self, packet: bytes) -> None:
        """Send one encoded text packet to the gateway."""
        self.send(EncodedPacket(packet))

    def wake(self) -> None:
        """Do nothing: the outbox waits for the gateway's report."""

    def is_idle(self) -> bool:
        """Return whether little is on its way to the client."""
        return self._in_flight < IDLE_LIMIT and not self._is_paused

    def has_just_sent(self) -> bool:
        """Return whether a packet was sent in this iteration of the event loop."""
        return self._sent_in == self._link.flushes

    def buffered_amount(self) -> int:
        """Return the number of bytes that the client's connection has not taken."""
        return self._in_flight

    def partial_amount(self) -> int:
        """Return 0: messages arrive whole."""
        return 0

    def close(self) -> bool:
        """Close at the gateway, after the packets on their way."""
        self._link.send(Kind.CLOSE, NUMBER.pack(self.number))
        return True

    def discard(self) -> None:
        """Close at the gateway immediately."""
        self._link.send(Kind.DISCARD, NUMBER.pack(self.number))

    def pause_reading(self) -> None:
        """Let the gateway read no further message of this client."""
        self._link.send(Kind.PAUSE, NUMBER.pack(self.number))

    def resume_reading(self) -> None:
        """Let the gateway read again."""
        self._link.send(Kind.RESUME, NUMBER.pack(self.number))

    def taken(self, amount: int) -> None:
        """Send queued packets: the client's connection has taken some bytes."""
        self._in_flight = max(0, self._in_flight - amount)
        self._update()

    def pause(self, is_paused: bool) -> None:
        """Queue packets while the gateway reads slowly."""
        self._is_paused = is_paused
        self._update()

    def _update(self) -> None:
        was_writable, self.writable = (
            self.writable,
            self._in_flight < WINDOW and not self._is_paused,
        )
        if self.writable and not was_writable and self._session is not None:
            self._session._transport_writable()

    def _answer_ping(self) -> None:
        if self._session is not None:
            self._session._receive_text(PONG_PACKET.payload)


class _Gateway:
    """The sessions of one link, and the handshakes that were admitted."""

    def __init__(self) -> None:
        self.sessions: dict[int, tuple[Session, RelayTransport]] = {}
        self.admitted: OrderedDict[int, HttpRequest] = OrderedDict()


@final
class Origin:
    """The links of one engine; a `LinkUser`.

    `on_lag` receives the delays of timers in gateways, in seconds.
    """

    def __init__(
        self, engine: BaseEngine, secret: bytes, on_lag: Callable[[float], None] = noop
    ) -> None:
        self._engine = engine
        self._on_lag = on_lag
        self._secret = secret
        self._gateways: dict[Link, _Gateway] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def make_link(self) -> Link:
        """Return the protocol of one connection: the factory for `loop.create_server`."""
        return Link(self, self._secret, is_origin=True)

    @property
    def gateways(self) -> int:
        """The number of linked gateways."""
        return len(self._gateways)

    async def stop(self) -> None:
        """End all links when the gateways have read their queued frames, or after STOP_LIMIT."""
        for task in self._tasks:
            task.cancel()
        links = list(self._gateways)
        for link in links:
            link.send(Kind.LEAVING, encode(Leaving(None)))
            link.finish("the origin stopped")
        if links:
            await asyncio.wait([link.closed for link in links], timeout=STOP_LIMIT)
        for link in links:
            link.close("the origin stopped")

    # -- called by links

    def link_opened(self, link: Link) -> None:
        """Accept sessions of a gateway."""
        self._gateways[link] = _Gateway()
        logger.info("a gateway connected; %d in total", len(self._gateways))

    def link_lost(self, link: Link, reason: str) -> None:
        """End the sessions of a gateway that has gone."""
        gateway = self._gateways.pop(link)
        logger.info("a gateway left with %d sessions: %s", len(gateway.sessions), reason)
        for session, _ in list(gateway.sessions.values()):
            session._transport_closed(CloseReason.TRANSPORT_CLOSE, f"the gateway left: {reason}")

    def link_paused(self, link: Link, is_paused: bool) -> None:
        """Queue packets in the sessions while the gateway reads slowly."""
        for _, transport in list(self._gateways[link].sessions.values()):
            transport.pause(is_paused)

    def link_frame(self, link: Link, kind: int, body: bytes) -> None:
        """Receive one frame of a gateway."""
        # hot path
        gateway = self._gateways.get(link)
        if gateway is None:
            return
        if kind == Kind.TEXT:
            self._receive(gateway, link, body, is_binary=False)
        elif kind == Kind.BINARY:
            self._receive(gateway, link, body, is_binary=True)
        else:
            self._receive_control(gateway, link, kind, body)

    def _receive(self, gateway: _Gateway, link: Link, body: bytes, *, is_binary: bool) -> None:
        (number,) = NUMBER.unpack_from(body)
        held = gateway.sessions.get(number)
        if held is None:
            return  # the session has ended here, and the gateway is not yet informed
        session = held[0]
        try:
            if is_binary:
                session._receive_binary(body[4:])
            else:
                session._receive_text(body[4:])
        except ProtocolError as error:
            link.send(Kind.DISCARD, NUMBER.pack(number))
            session._transport_failed(error)
        except Exception:
            # The session of one client must not end the link of all.
            logger.exception("a message of session %s could not be processed", session.sid[:6])
            session.close(discard=True)

    def _receive_control(self, gateway: _Gateway, link: Link, kind: int, body: bytes) -> None:
        match kind:
            case Kind.ADMIT:
                request = decode(RelayedRequest, body[4:]).restore()
                self._spawn_admission(gateway, link, body[:4], request)
            case Kind.OPEN:
                self._open(gateway, link, _number(body), decode(Opened, body[4:]))
            case Kind.TAKEN:
                number, amount = AMOUNT.unpack(body)
                if held := gateway.sessions.get(number):
                    held[1].taken(amount)
            case Kind.UPGRADED:
                if held := gateway.sessions.get(_number(body)):
                    session, transport = held
                    transport.name = "websocket"
                    session._context.counts.upgrades += 1
                    session._call(session._on_upgrade)
            case Kind.CLOSED:
                closed: Closed = decode(Closed, body[4:])
                if held := gateway.sessions.pop(_number(body), None):
                    held[0]._transport_closed(CloseReason(closed.reason), closed.description)
            case Kind.LEAVING:
                leaving: Leaving = decode(Leaving, body)
                sessions = [session for session, _ in gateway.sessions.values()]
                self._start(self._engine._close_sessions(sessions, leaving.drain))
            case Kind.LAG:
                self._on_lag(*SECONDS.unpack(body))
            case Kind.REFUSED:
                self._report_refusal(decode(Refused, body))
            case _:
                raise LinkError(f"a gateway must not send frames of kind {kind}")

    # -- handshakes

    def _spawn_admission(
        self, gateway: _Gateway, link: Link, number: bytes, request: HttpRequest
    ) -> None:
        self._start(self._admit(gateway, link, number, request))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="engineio relay")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _admit(
        self, gateway: _Gateway, link: Link, number: bytes, request: HttpRequest
    ) -> None:
        response, has_failed = None, False
        headers: list[tuple[str, str]] = []
        try:
            answer = self._engine._refuse_when_full(request)
            if answer is None:
                answer = await self._engine._screen(request)
            if answer is not None:
                response = (answer.status, answer.body, answer.headers)
            self._engine._decorate(request, headers)
        except HandshakeRefusedError as refusal:
            self._engine._log_refusal(request, str(refusal.context.get("error", refusal)))
            has_failed = True
        headers = [*request.response_headers.items(), *headers]
        if response is None and not has_failed and not request.query.get("sid"):
            gateway.admitted[int.from_bytes(number)] = request
            if len(gateway.admitted) > MAX_ADMITTED:
                gateway.admitted.popitem(last=False)
        link.send(Kind.ADMITTED, number, encode(Verdict(response, has_failed, headers)))

    def _open(self, gateway: _Gateway, link: Link, number: int, opened: Opened) -> None:
        request = gateway.admitted.pop(opened.admitted, None)
        if request is None:
            request = opened.request.restore()
        transport = RelayTransport(link, number, opened.transport)
        if opened.sid in self._engine.sessions:
            transport.discard()
            return
        protocol = 4 if is_current(request.query) else 3
        session = self._engine._open_session(request, lambda _: transport, opened.sid, protocol)
        transport.attach(session)
        gateway.sessions[number] = session, transport

    def _report_refusal(self, refused: Refused) -> None:
        refusal = errors.Refusal(refused.code, refused.message, 400)
        error = HandshakeRefusedError(refusal, message=refused.message)
        request = refused.request.restore()
        self._engine._count_refusal(request, refused.code)
        self._engine._call_hooks("connection_error", ConnectionRefusal(request, error))


def _number(body: bytes) -> int:
    """Return the number at the start of a body."""
    return int.from_bytes(body[:4])
