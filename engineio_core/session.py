"""One Engine.IO session, whatever carries it.

Knows: packets, the members of its transport, its outbox, its upgrade.
Does not know: HTTP, frames, TCP, Socket.IO; clock and transport are handed in.
A session closes once, in `_end`; after that every method is a no-op.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from engineio_core.clock import Clock
from engineio_core.codec import packet as packets
from engineio_core.codec.encoded_packet import PING_PACKET, EncodedPacket
from engineio_core.errors import CloseReason, ProtocolError, SessionClosedError
from engineio_core.heartbeat import Deadline, Heartbeat
from engineio_core.noop import noop
from engineio_core.options import EngineOptions
from engineio_core.session_state import (
    SESSION_TRANSITIONS,
    UPGRADE_TRANSITIONS,
    SessionEvent,
    SessionState,
    UpgradeEvent,
    UpgradeState,
)
from engineio_core.transports.interface import CandidateTransport, Transport
from engineio_core.upgrade import UpgradeCandidate

logger = logging.getLogger("engineio_core")

OPEN = SessionState.OPEN
MESSAGE: Final = ord(packets.MESSAGE)


class SessionContext(NamedTuple):
    """What all sessions of one engine share."""

    options: EngineOptions
    clock: Clock
    heartbeat: Heartbeat
    ended: Callable[[Session, CloseReason, str], None]
    make_future: Callable[[], Any]


class Session:
    """One client, from its handshake to its end.

    Who listens sets `on_text(str)`, `on_binary(bytes)`, `on_close(reason, description)` and, if it
    cares, `on_upgrade()` and `on_drain()`. They are plain functions, called from the read loop:
    they do not block, and an exception in one is logged and closes nothing. `sid` is a secret
    between server and client: never show it to others. `request` is the handshake's.

    Where `on_packet(bytes)` is set, it is called instead of `on_text`, with the whole packet as
    it came: the digit 4, and behind it what should be UTF-8 and was not looked at. It may raise
    the UnicodeDecodeError of what is not, which is the client's fault then.
    """

    __slots__ = (
        "_candidate", "_closing_timer", "_context", "_is_reading_paused", "_outbox", "_outbox_size",
        "_waiters", "beat", "heard", "on_binary", "on_close", "on_drain", "on_packet", "on_text",
        "on_upgrade", "request", "sid", "state", "transport", "upgrade_state",
    )  # fmt: skip

    def __init__(
        self, sid: str, request: Any, transport: Transport, context: SessionContext
    ) -> None:
        # What it is
        self.sid = sid
        self.request = request
        self.transport = transport
        self.state = OPEN
        # Who listens
        self.on_text: Callable[[str], Any] = noop
        self.on_packet: Callable[[bytes], Any] | None = None
        self.on_binary: Callable[[bytes], Any] = noop
        self.on_close: Callable[[CloseReason, str], Any] = noop
        self.on_upgrade: Callable[[], Any] = noop
        self.on_drain: Callable[[], Any] = noop
        # What waits for the transport
        self._outbox: deque[EncodedPacket] | None = None
        self._outbox_size = 0
        self._waiters: list[Any] | None = None
        # Heartbeat, upgrade, end
        self.beat: Deadline | None = None
        self.heard = False
        is_polling = transport.name == "polling"
        self.upgrade_state = UpgradeState.POLLING if is_polling else UpgradeState.FINAL
        self._candidate: UpgradeCandidate | None = None
        self._closing_timer: Any = None
        self._is_reading_paused = False
        self._context = context

    # -- sending

    def send(self, packet: EncodedPacket) -> None:
        """Send one packet, now or as soon as the transport can take it.

        A packet to a session that is not open is dropped. A client that does not fetch what
        waits for it, `max_outbox_size` bytes, is closed with reason "slow consumer".
        """
        # hot path: benchmarks/hop_budget.py
        if self.state is OPEN:
            transport = self.transport
            if transport.writable and not self._outbox:
                transport.send(packet)
            else:
                self._enqueue(packet)

    def send_bare(self, packet: bytes) -> None:
        """Do as `send`, for a text packet that is for this client alone: its bytes, digit first."""
        # hot path: benchmarks/hop_budget.py
        if self.state is OPEN:
            transport = self.transport
            if transport.writable and not self._outbox:
                transport.send_bare(packet)
            else:
                self._enqueue(EncodedPacket(packet))

    def send_volatile(self, packet: EncodedPacket) -> bool:
        """Send one packet if it can leave at once, else drop it; tell which."""
        return self.send_volatile_group((packet,))

    def send_volatile_group(self, group: tuple[EncodedPacket, ...]) -> bool:
        """Send packets that belong together if they can leave at once, else drop them all."""
        if self.state is not OPEN or self._outbox or not self.transport.is_idle():
            return False
        for packet in group:
            self.send(packet)
        return True

    def send_text(self, text: str) -> None:
        """Send one text message."""
        self.send_bare(packets.MESSAGE_PREFIX + text.encode())

    def send_binary(self, data: bytes) -> None:
        """Send one binary message."""
        self.send(EncodedPacket(data, is_binary=True))

    def _enqueue(self, packet: EncodedPacket) -> None:
        if self._outbox_size >= self._context.options.max_outbox_size:
            self._fail(CloseReason.SLOW_CONSUMER, f"{self._outbox_size} bytes wait for the client")
            return
        if self._outbox is None:
            self._outbox = deque()
        self._outbox.append(packet)
        self._outbox_size += len(packet.payload)
        self.transport.wake()

    def take_outbox(self, limit: int) -> list[EncodedPacket]:
        """Hand the transport what waits: at least one packet, more up to `limit` bytes.

        Called by the transport only. A limit counts the packets in their polling form, with
        their separators.
        """
        outbox = self._outbox
        if not outbox:
            return []
        taken: list[EncodedPacket] = []
        size = 0
        while outbox:
            packet = outbox[0]
            length = len(packet.payload)
            size += 1 + (length if not packet.is_binary else 1 + 4 * ((length + 2) // 3))
            if taken and size - 1 > limit:
                break
            taken.append(outbox.popleft())
            self._outbox_size -= length
        return taken

    def outbox_wanted(self) -> None:
        """The transport can take packets again: hand it what waits. Called by the transport."""
        outbox = self._outbox
        transport = self.transport
        while outbox and transport.writable:
            packet = outbox.popleft()
            self._outbox_size -= len(packet.payload)
            transport.send(packet)
        if not outbox:
            self.outbox_emptied()

    def outbox_emptied(self) -> None:
        """Nothing waits any more. Called by the transport."""
        if self._waiters is not None:
            waiters, self._waiters = self._waiters, None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        if self.state is SessionState.CLOSING:
            self._close_transport()
        elif self.state is OPEN:
            self._tell(self.on_drain)

    @property
    def has_outbox(self) -> bool:
        """Whether packets wait for the transport."""
        return bool(self._outbox)

    @property
    def outbox(self) -> tuple[EncodedPacket, ...]:
        """What waits for the transport; still there while `on_close` runs."""
        return tuple(self._outbox or ())

    @property
    def buffered_amount(self) -> int:
        """The bytes that wait for this client: in the outbox, and in the transport's buffer."""
        return self._outbox_size + self.transport.buffered_amount()

    @property
    def writable(self) -> bool:
        """Whether a packet would leave at once."""
        return self.state is OPEN and not self._outbox and self.transport.is_idle()

    async def drain(self) -> None:
        """Wait until the outbox is empty. Raises SessionClosedError if the session ends first."""
        if self.state is SessionState.CLOSED:
            raise SessionClosedError(CloseReason.FORCED_CLOSE)
        if self._outbox:
            waiter = self._context.make_future()
            self._waiters = [*(self._waiters or ()), waiter]
            await waiter

    # -- receiving: called by the transport

    def receive_text(self, packet: bytes) -> None:
        """Take one packet in text form. Raises ProtocolError for what is none."""
        # hot path: benchmarks/hop_budget.py
        if self.state is OPEN:
            self.heard = True
            if packet and packet[0] == MESSAGE:
                # Bound first: the interpreter is quicker at an attribute and a call than at what
                # looks like a method and is none.
                on_packet = self.on_packet
                if on_packet is not None:
                    on_packet(packet)
                else:
                    self.on_text(packet[1:].decode())
            else:
                self._receive_control(packet.decode())
        elif packet[:1] == b"1" and self.state is SessionState.CLOSING:
            # Nobody comes any more for what is left.
            self._fail(CloseReason.FORCED_CLOSE, "the client sent a close packet")

    def receive_binary(self, data: bytes) -> None:
        """Take one binary message."""
        if self.state is OPEN:
            self.heard = True
            self.on_binary(data)

    def _receive_control(self, text: str) -> None:
        kind = text[:1]
        if kind == packets.PONG:
            self._context.heartbeat.pong(self)
        elif kind == packets.CLOSE:
            # Node ignores this one over WebSocket; the protocol's suite expects an end.
            self.transport.close()
            self._end(CloseReason.TRANSPORT_CLOSE, "the client sent a close packet")
        elif kind == packets.PING:
            raise ProtocolError("invalid heartbeat direction")
        elif not kind or kind not in packets.TYPES:
            raise packets.malformed(f"unknown packet type {kind!r}")

    def pause_reading(self) -> None:
        """Take nothing more from this client until `resume_reading`."""
        self._is_reading_paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self._is_reading_paused = False
        self.transport.resume_reading()

    # -- heartbeat

    def send_ping(self) -> None:
        """Send a ping. Called by the heartbeat."""
        self.send(PING_PACKET)

    def pong_overdue(self) -> None:
        """End: no pong came in time. Called by the heartbeat."""
        self._fail(CloseReason.PING_TIMEOUT, "no pong in time")

    # -- upgrade

    def admit_candidate(self, transport: CandidateTransport) -> UpgradeCandidate | None:
        """Take a WebSocket that wants to carry this session; None where it can't.

        The candidate is the listener of the WebSocket until it is the session's transport.
        """
        follower = UPGRADE_TRANSITIONS[self.upgrade_state].get(UpgradeEvent.CANDIDATE_CAME)
        if follower is None or self.state is not OPEN:
            return None
        self.upgrade_state = follower
        self._candidate = UpgradeCandidate(
            transport, self._context, self.advance_upgrade, self.change_transport
        )
        return self._candidate

    def advance_upgrade(self, event: UpgradeEvent) -> bool:
        """Move the upgrade on; False where the event is not legal. Called by the candidate."""
        follower = UPGRADE_TRANSITIONS[self.upgrade_state].get(event)
        if follower is None:
            return False
        self.upgrade_state = follower
        if event is UpgradeEvent.PROBE:
            # Engine.IO v4, Upgrade: the server sends a noop packet to any pending GET request.
            # Node waits for 100 ms before it does so.
            self.transport.wake()
        elif event is UpgradeEvent.CANDIDATE_LEFT:
            self._candidate = None
        return True

    def change_transport(self, transport: CandidateTransport) -> None:
        """Replace the transport by the candidate's. Called by the candidate."""
        former, self.transport = self.transport, transport
        transport.listener = self
        self._candidate = None
        former.discard()
        if self._is_reading_paused:
            transport.pause_reading()
        logger.info("session %s upgraded to %s", self.sid[:6], transport.name)
        self._tell(self.on_upgrade)
        self.outbox_wanted()

    # -- the end

    def close(self, *, discard: bool = False) -> None:
        """End with reason "forced close": what waits is delivered first, unless `discard`."""
        if discard:
            self._fail(CloseReason.FORCED_CLOSE, "the server discarded the session")
            return
        follower = SESSION_TRANSITIONS[self.state].get(SessionEvent.CLOSE_BEGUN)
        if follower is None:
            return
        self.state = follower
        self._context.heartbeat.stop(self)
        if self._candidate is not None and self.upgrade_state is UpgradeState.CANDIDATE:
            self._candidate.abandon()
        # One that was probed stays: the client has stopped to poll, and fetches what is left,
        # the close included, over the new transport.
        if self._outbox:
            self._limit_closing()
            self.transport.wake()
        else:
            self._close_transport()

    def _close_transport(self) -> None:
        """The outbox is empty: close the transport, and with it the session.

        A polling client must come for its close packet; until then the session is CLOSING.
        """
        if self.transport.close():
            self._end(CloseReason.FORCED_CLOSE, "the server closed the session")
        else:
            self._limit_closing()

    def _limit_closing(self) -> None:
        if self._closing_timer is None:
            self._closing_timer = self._context.clock.call_later(
                self._context.options.close_timeout,
                self._fail,
                CloseReason.FORCED_CLOSE,
                "the client did not fetch what was left",
            )

    def transport_closed(self, reason: CloseReason, description: str) -> None:
        """End: the transport has. Called by the current transport."""
        if self.state is SessionState.CLOSING:
            reason = CloseReason.FORCED_CLOSE
        self._end(reason, description)

    def fail(self, error: ProtocolError) -> None:
        """End because the peer broke a rule. Called by the transport that found it."""
        self._end(error.reason, error.description)

    def _fail(self, reason: CloseReason, description: str) -> None:
        if self.state is not SessionState.CLOSED:
            transport = self.transport
            self._end(reason, description)
            transport.discard()

    def _end(self, reason: CloseReason, description: str) -> None:
        follower = SESSION_TRANSITIONS[self.state].get(SessionEvent.ENDED)
        if follower is None:
            return
        self.state = follower
        self._context.heartbeat.stop(self)
        if self._closing_timer is not None:
            self._closing_timer.cancel()
            self._closing_timer = None
        if self._candidate is not None:
            self._candidate.abandon()
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_exception(SessionClosedError(reason))
        self._context.ended(self, reason, description)
        on_close = self.on_close
        self.on_text = self.on_binary = self.on_close = self.on_upgrade = self.on_drain = noop
        self.on_packet = None
        self._tell(on_close, reason, description)
        self._outbox = None
        self._outbox_size = 0

    def _tell(self, listener: Callable[..., object], *args: object) -> None:
        """Call a listener; what it raises is logged and goes no further."""
        try:
            listener(*args)
        except Exception:
            logger.exception("a listener of session %s failed", self.sid[:6])
