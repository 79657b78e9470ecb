"""One Engine.IO session: its packets, outbox, upgrade and end, over any transport.

HTTP, WebSocket frames and TCP are the responsibility of the transport; the session receives its
transport and its clock as arguments. `_end` closes a session once; afterwards its methods do
nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import Any, Final, NamedTuple, final

from engineio_core.accounts import BUFFERED, Account
from engineio_core.budgets import FAIR_QUEUE, Budgets, make_budgets
from engineio_core.callbacks import require_plain_function
from engineio_core.client_heartbeat import ClientHeartbeat
from engineio_core.clock import Clock
from engineio_core.codec import packet as packets
from engineio_core.codec.encoded_packet import PING_PACKET, PONG_PACKET, EncodedPacket
from engineio_core.counts import EngineCounts
from engineio_core.errors import CloseReason, ProtocolError, SessionClosedError
from engineio_core.heartbeat import Heartbeat, HeartbeatTarget
from engineio_core.http.compression import CompressionQueue
from engineio_core.iteration import Iteration
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
from engineio_core.timers import TimerQueue
from engineio_core.traffic import Traffic
from engineio_core.transports.interface import Abortable, CandidateTransport, Transport
from engineio_core.transports.polling import PollingTransport
from engineio_core.transports.websocket import WebSocketTransport
from engineio_core.upgrade import UpgradeCandidate

logger = logging.getLogger("engineio_core")

# Bytes from which the queued packets of a client are watched for progress: a client that reads at
# all empties a smaller queue, and the heartbeat ends a client that does not.
WATCHED_OUTBOX_SIZE: Final = 1024 * 1024

# Bytes from which the queued packets of an upgrade leave no room for a volatile packet
MAX_HELD_VOLATILE: Final = 64 * 1024

# A compiled module reads a Final name of its own faster than a member of an enum.
OPEN: Final = SessionState.OPEN
_CLOSING: Final = SessionState.CLOSING
_ENDED: Final = SessionEvent.ENDED
_POLLING: Final = UpgradeState.POLLING
_FINAL: Final = UpgradeState.FINAL
UNLIMITED: Final = make_budgets(2**60, 2**60)
MESSAGE: Final = ord(packets.MESSAGE)


class SessionContext(NamedTuple):
    """The objects that all sessions of one engine and one revision of the protocol share."""

    options: EngineOptions
    clock: Clock
    timers: TimerQueue
    heartbeat: Heartbeat | ClientHeartbeat
    ended: Callable[[Session, CloseReason, str], None]
    make_future: Callable[[], Any]
    upgraded: set[Abortable]
    iteration: Iteration
    counts: EngineCounts
    compressions: CompressionQueue
    thread: int = 0  # of the event loop; 0 if not known
    protocol: int = 4  # the revision of Engine.IO
    budgets: Budgets = UNLIMITED


@final
class Session(HeartbeatTarget):
    """One connection of a client, from its handshake to its end, across a change of transport.

    Assign `on_text(str)`, `on_binary(bytes)`, `on_close(reason, description)`, `on_upgrade()` and
    `on_drain()` to receive messages and events. These callbacks are plain functions that must not
    block. An exception in a callback is logged and does not close the session.

    `sid` is a secret between server and client: do not disclose it to other clients. `request` is
    the HTTP request of the handshake.
    """

    __slots__ = (
        "_accounts", "_candidate", "_closing_timer", "_context", "_is_stranger", "_on_binary",
        "_on_close", "_on_drain", "_on_packet", "_on_text", "_on_upgrade", "_outbox",
        "_outbox_size", "_progress_timer", "_taken", "_traffic", "_unsent", "_upgrade_state",
        "_volatile_sent_in", "_waiters", "_websocket", "request", "sid", "state", "transport",
    )  # fmt: skip

    def __init__(
        self, sid: str, request: Any, transport: Transport, context: SessionContext
    ) -> None:
        self.sid = sid
        self.request = request
        self.transport = transport
        # The transport again, if it is a WebSocket: a compiled build calls it directly.
        self._websocket = transport if isinstance(transport, WebSocketTransport) else None
        self.state = OPEN
        # Callbacks. The user assigns them through the properties, which check the function;
        # socketio_core assigns its own here. If `_on_packet` is set, the session calls it instead
        # of `_on_text`, with the encoded packet: the type digit 4 and the text, not yet checked to
        # be UTF-8. A UnicodeDecodeError of `_on_packet` is an error of the client if the packet is
        # not UTF-8.
        self._on_text: Callable[[str], Any] = noop
        self._on_packet: Callable[[bytes], Any] | None = None
        self._on_binary: Callable[[bytes], Any] = noop
        self._on_close: Callable[[CloseReason, str], Any] = noop
        self._on_upgrade: Callable[[], Any] = noop
        self._on_drain: Callable[[], Any] = noop
        # Packets that the transport has not taken
        self._outbox: deque[EncodedPacket] | None = None
        self._outbox_size = 0
        self._waiters: list[Any] | None = None
        self._taken = 0  # bytes that the transport has taken from the outbox
        # Bytes taken and bytes unsent at the last check for progress
        self._unsent = (0, 0)
        self._progress_timer: Any = None
        # Heartbeat, upgrade, end
        self._deadline = None
        self._awaits_packet = False
        self._volatile_sent_in = -1  # the number of an iteration of the event loop
        is_polling = transport.name == "polling"
        self._upgrade_state = _POLLING if is_polling else _FINAL
        self._candidate: UpgradeCandidate | None = None
        self._closing_timer: Any = None
        self._is_reading_paused = False
        self._is_stranger = False  # a client of Socket.IO that has joined no namespace
        self._accounts: tuple[Account, ...] = ()  # those of its address and user
        self._context = context
        self._traffic: Traffic | None = context.counts.traffic

    @property
    def protocol(self) -> int:
        """The revision of the Engine.IO protocol: 4, or 3 for older clients."""
        return self._context.protocol

    # -- callbacks

    @property
    def on_text(self) -> Callable[[str], Any]:
        """Called with each text message."""
        return self._on_text

    @on_text.setter
    def on_text(self, callback: Callable[[str], Any]) -> None:
        require_plain_function("session.on_text", callback)
        self._on_text = callback

    @property
    def on_binary(self) -> Callable[[bytes], Any]:
        """Called with each binary message."""
        return self._on_binary

    @on_binary.setter
    def on_binary(self, callback: Callable[[bytes], Any]) -> None:
        require_plain_function("session.on_binary", callback)
        self._on_binary = callback

    @property
    def on_close(self) -> Callable[[CloseReason, str], Any]:
        """Called once with the reason and a description when the session has closed."""
        return self._on_close

    @on_close.setter
    def on_close(self, callback: Callable[[CloseReason, str], Any]) -> None:
        require_plain_function("session.on_close", callback)
        self._on_close = callback

    @property
    def on_upgrade(self) -> Callable[[], Any]:
        """Called when the session has changed from polling to another transport."""
        return self._on_upgrade

    @on_upgrade.setter
    def on_upgrade(self, callback: Callable[[], Any]) -> None:
        require_plain_function("session.on_upgrade", callback)
        self._on_upgrade = callback

    @property
    def on_drain(self) -> Callable[[], Any]:
        """Called when the transport has taken all queued packets."""
        return self._on_drain

    @on_drain.setter
    def on_drain(self, callback: Callable[[], Any]) -> None:
        require_plain_function("session.on_drain", callback)
        self._on_drain = callback

    # -- sending

    def send(self, packet: EncodedPacket) -> None:
        """Send one packet immediately, or queue it until the transport is writable.

        A session that is not open drops the packet. The session closes with reason "slow consumer"
        if the queued packets already exceed `max_outbox_size` bytes, or if the client takes none
        of a long queue for `slow_consumer_timeout` seconds.
        """
        # hot path: benchmarks/hop_budget.py
        if self.state is OPEN:
            traffic = self._traffic
            if traffic is not None:
                traffic.sent_out += 1
                traffic.bytes_out += len(packet.payload)
            websocket = self._websocket
            if websocket is not None and websocket.writable and not self._outbox:
                websocket.send(packet)
            elif websocket is None and self.transport.writable and not self._outbox:
                self.transport.send(packet)
            else:
                self._enqueue(packet)

    def send_bare(self, packet: bytes) -> None:
        """Send one encoded text packet, with its type digit, to this client only.

        Equivalent to `send(EncodedPacket(packet))`, but usually creates no EncodedPacket.
        """
        # hot path: benchmarks/hop_budget.py
        if self.state is OPEN:
            traffic = self._traffic
            if traffic is not None:
                traffic.replies_out += 1
                traffic.bytes_out += len(packet)
            websocket = self._websocket
            if websocket is not None and websocket.writable and not self._outbox:
                websocket.send_bare(packet)
            elif websocket is None and self.transport.writable and not self._outbox:
                self.transport.send_bare(packet)
            else:
                self._enqueue(EncodedPacket(packet))

    # Two methods that repeat `send`, because their packets count separately.

    def _send_reply(self, packet: EncodedPacket) -> None:
        """Send a packet that answers a message of the client."""
        # hot path: benchmarks/hop_budget.py
        if self.state is OPEN:
            traffic = self._traffic
            if traffic is not None:
                traffic.replies_out += 1
                traffic.bytes_out += len(packet.payload)
            websocket = self._websocket
            if websocket is not None and websocket.writable and not self._outbox:
                websocket.send(packet)
            elif websocket is None and self.transport.writable and not self._outbox:
                self.transport.send(packet)
            else:
                self._enqueue(packet)

    def _send_control(self, packet: EncodedPacket) -> None:
        """Send a packet that is not a message of the application."""
        # hot path: benchmarks/hop_budget.py
        if self.state is OPEN:
            websocket = self._websocket
            if websocket is not None and websocket.writable and not self._outbox:
                websocket.send(packet)
            elif websocket is None and self.transport.writable and not self._outbox:
                self.transport.send(packet)
            else:
                self._enqueue(packet)

    def send_volatile(self, packet: EncodedPacket) -> bool:
        """Send one packet if it can leave immediately, else drop it; return whether it was sent.

        Over each transport, a session drops a volatile packet after another packet of the same
        iteration of the event loop.
        """
        return self.send_volatile_group((packet,))

    def send_volatile_group(self, group: tuple[EncodedPacket, ...]) -> bool:
        """Send all packets of a group if they can leave immediately, else drop the group."""
        iteration = self._context.iteration
        if (
            self.state is not OPEN
            or self._volatile_sent_in == iteration.number
            or self._has_no_room_for_volatile()
        ):
            self._context.counts.volatile_dropped += 1
            return False
        self._volatile_sent_in = iteration.number
        if not iteration.is_noted:
            iteration.note()
        for packet in group:
            self.send(packet)
        return True

    def _has_no_room_for_volatile(self) -> bool:
        if self._upgrade_state is UpgradeState.PROBED:
            # The client no longer polls; the next transport takes the packets in a moment.
            return self._outbox_size > MAX_HELD_VOLATILE
        # Node: a transport is not writable again before the next iteration of the event loop.
        return bool(self._outbox) or self.transport.has_just_sent() or not self.transport.is_idle()

    def send_text(self, text: str) -> None:
        """Send one text message. Call it in the thread of the event loop."""
        self._check_thread("send_text")
        self.send_bare(packets.MESSAGE_PREFIX + text.encode())

    def send_binary(self, data: bytes) -> None:
        """Send one binary message. Call it in the thread of the event loop."""
        self._check_thread("send_binary")
        self.send(EncodedPacket(data, is_binary=True))

    def _check_thread(self, method: str) -> None:
        """Raise RuntimeError in another thread, where a polling client would wait for a ping."""
        if get_ident() != self._context.thread != 0:
            raise RuntimeError(
                f"session.{method}() must be called in the thread of the event loop: from another "
                f"thread use loop.call_soon_threadsafe(session.{method}, ...)"
            )

    @property
    def outbox(self) -> tuple[EncodedPacket, ...]:
        """The packets that the transport has not taken; still available during `on_close`."""
        return tuple(self._outbox or ())

    @property
    def buffered_amount(self) -> int:
        """The number of bytes in the outbox and in the buffers of the transport."""
        return self._outbox_size + self.transport.buffered_amount()

    @property
    def writable(self) -> bool:
        """Whether a packet would leave immediately."""
        return self.state is OPEN and not self._outbox and self.transport.is_idle()

    async def drain(self) -> None:
        """Wait until the outbox is empty. Raises SessionClosedError if the session ends first."""
        if self.state is SessionState.CLOSED:
            raise SessionClosedError(CloseReason.FORCED_CLOSE)
        if self._outbox:
            waiter = self._context.make_future()
            self._waiters = [*(self._waiters or ()), waiter]
            await waiter

    def _has_room(self, size: int) -> bool:
        """Return whether the outbox can hold this number of bytes more."""
        return self._outbox_size + size <= self._context.options.max_outbox_size

    def _enqueue(self, packet: EncodedPacket) -> None:
        if self._outbox_size >= self._context.options.max_outbox_size:
            self._terminate(
                CloseReason.SLOW_CONSUMER,
                f"{self._outbox_size} bytes are queued, the limit (max_outbox_size) is "
                f"{self._context.options.max_outbox_size}: await drain() between large batches",
            )
            return
        if self._outbox is None:
            self._outbox = deque()
        self._outbox.append(packet)
        self._count_queued(len(packet.payload))
        if self._outbox_size > FAIR_QUEUE and (excess := self._describe_excess()):
            self._terminate(CloseReason.SLOW_CONSUMER, excess)
            return
        if self._outbox_size > WATCHED_OUTBOX_SIZE and self._progress_timer is None:
            self._watch_progress()
        self.transport.wake()

    def _count_queued(self, size: int) -> None:
        """Count bytes that enter the outbox, or leave it if the number is negative."""
        self._outbox_size += size
        self._context.budgets.queued.used += size
        for account in self._accounts:
            account.buffered += size

    def _describe_excess(self) -> str:
        """Return the limit of several clients that the queues exceed, or ""."""
        queued = self._context.budgets.queued
        if queued.used > queued.limit:
            return (
                f"{queued.used} bytes are queued for all clients, {self._outbox_size} of them for "
                f"this one; the limit (max_total_outbox_size) is {queued.limit}"
            )
        for account in self._accounts:
            ledger = account.ledger
            if account.buffered > ledger.max_buffered:
                ledger.limited[BUFFERED] += 1
                return (
                    f"{account.buffered} bytes are buffered for the clients of one address or "
                    f"user, {self._outbox_size} of them for this one; the limit is "
                    f"{ledger.max_buffered}"
                )
        return ""

    def _watch_progress(self) -> None:
        """Check the progress of the client again after `slow_consumer_timeout` seconds."""
        self._unsent = (self._taken, self.transport.buffered_amount())
        self._progress_timer = self._context.clock.call_later(
            self._context.options.slow_consumer_timeout, self._check_progress
        )

    def _check_progress(self) -> None:
        """Close the session if its client has taken no packet since the last check."""
        self._progress_timer = None
        if self._outbox_size <= WATCHED_OUTBOX_SIZE:
            return
        taken, unsent = self._unsent
        if self._taken == taken and self.transport.buffered_amount() >= unsent:
            self._terminate(
                CloseReason.SLOW_CONSUMER,
                f"the client has taken none of {self._outbox_size} queued bytes for "
                f"{self._context.options.slow_consumer_timeout:g} seconds",
            )
        else:
            self._watch_progress()

    # -- accounts: called by the engine, and by the connection of Socket.IO

    def _charge_to(self, account: Account) -> bool:
        """Count the session and its queue in one more account; return whether it was missing."""
        if account in self._accounts or self.state is SessionState.CLOSED:
            account.ledger.drop(account)
            return False
        account.sessions += 1
        account.buffered += self._outbox_size
        self._accounts = (*self._accounts, account)
        return True

    # -- the outbox: called by the transport

    @property
    def _has_outbox(self) -> bool:
        """Whether packets are queued for the transport."""
        return bool(self._outbox)

    def _take_outbox(self, limit: int, max_packets: int) -> list[EncodedPacket]:
        """Remove and return queued packets: at least one, more up to `limit` bytes.

        The limit counts the packets in their polling form, with separators.
        """
        outbox = self._outbox
        if not outbox:
            return []
        taken: list[EncodedPacket] = []
        size = payloads = 0
        while outbox and len(taken) < max_packets:
            packet = outbox[0]
            length = len(packet.payload)
            size += 1 + (length if not packet.is_binary else 1 + 4 * ((length + 2) // 3))
            if taken and size - 1 > limit:
                break
            taken.append(outbox.popleft())
            payloads += length
        self._taken += payloads
        self._count_queued(-payloads)
        return taken

    def _transport_writable(self) -> None:
        """Send the queued packets: the transport is writable again."""
        outbox = self._outbox
        transport = self.transport
        while outbox and transport.writable:
            packet = outbox.popleft()
            size = len(packet.payload)
            self._taken += size
            self._count_queued(-size)
            transport.send(packet)
        if not outbox:
            self._outbox_emptied()

    def _outbox_emptied(self) -> None:
        """Complete `drain`, and an orderly close that waits for the outbox."""
        if self._waiters is not None:
            waiters, self._waiters = self._waiters, None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        if self.state is _CLOSING:
            self._close_transport()
        elif self.state is OPEN and self._on_drain is not noop:
            self._call(self._on_drain)

    # -- receiving: called by the transport

    def _receive_text(self, packet: bytes) -> None:
        """Receive one text packet. Raises ProtocolError for an invalid packet."""
        # hot path: benchmarks/hop_budget.py
        if self.state is OPEN:
            if self._awaits_packet and packet != PONG_PACKET.payload and not self._is_alive():
                return
            if packet and packet[0] == MESSAGE:
                traffic = self._traffic
                if traffic is not None:
                    traffic.packets_in += 1
                    traffic.bytes_in += len(packet)
                # A local name first: an attribute and a call are faster here than a method call on
                # an instance attribute (benchmarks/tricks.py).
                on_packet = self._on_packet
                if on_packet is not None:
                    on_packet(packet)
                else:
                    self._on_text(packet[1:].decode())
            else:
                self._receive_control(packet.decode())
        elif packet[:1] == b"1" and self.state is _CLOSING:
            # The client will not fetch the remaining packets.
            self._terminate(CloseReason.FORCED_CLOSE, "the client sent a close packet")

    def _receive_binary(self, data: bytes) -> None:
        """Receive one binary message."""
        if self.state is OPEN:
            if self._awaits_packet and not self._is_alive():
                return
            traffic = self._traffic
            if traffic is not None:
                traffic.packets_in += 1
                traffic.bytes_in += len(data)
            self._on_binary(data)

    def _receive_control(self, text: str) -> None:
        kind = text[:1]
        if kind == packets.PONG:
            self._context.heartbeat.pong(self)
        elif kind == packets.CLOSE:
            # Node ignores a close packet over WebSocket; the test suite of the protocol expects
            # the end of the session.
            self.transport.close()
            self._end(CloseReason.TRANSPORT_CLOSE, "the client sent a close packet")
        elif kind == packets.BINARY:
            # The official client with `forceBase64` sends its binary messages as text.
            self._receive_binary(packets.decode_binary_record(text[1:]))
        elif kind == packets.PING:
            self._context.heartbeat.ping(self)
        elif not kind or kind not in packets.TYPES:
            raise packets.malformed(f"unknown packet type {kind!r}")

    def pause_reading(self) -> None:
        """Receive no further message from this client until `resume_reading`."""
        self._is_reading_paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Receive messages again after `pause_reading`."""
        self._is_reading_paused = False
        self.transport.resume_reading()

    def _is_alive(self) -> bool:
        """Restart the ping timeout; return False if it is over and the session has closed."""
        return self._context.heartbeat.packet_received(self)

    def _has_time_left(self) -> bool:
        """Return False if the pong is overdue and the session has closed."""
        return self._context.heartbeat.check(self)

    # -- called by the heartbeat

    def _measure_transfer(self) -> int:
        """Return a number that grows by each byte of a long transfer that may delay the pong.

        A WebSocket or WebTransport stream whose client reads slowly is not read either: its pong
        waits until the client has taken the outbox.
        """
        websocket = self._websocket
        if websocket is not None:
            return websocket.partial_amount() + self._taken - websocket.buffered_amount()
        transport = self.transport
        size = transport.partial_amount()
        if transport.name != "polling":
            size += self._taken - transport.buffered_amount()
        return size

    def _send_ping(self) -> None:
        if self._outbox_size > WATCHED_OUTBOX_SIZE and self._outbox and self.state is OPEN:
            # In front of a long queue: a client that takes packets all the time would otherwise
            # receive the ping too late.
            self._outbox.appendleft(PING_PACKET)
            self._count_queued(len(PING_PACKET.payload))
            self.transport.wake()
        else:
            self._send_control(PING_PACKET)

    def _send_pong(self) -> None:
        self._send_control(PONG_PACKET)

    def _pong_overdue(self) -> None:
        missing = "pong" if self.protocol == 4 else "ping"
        self._terminate(CloseReason.PING_TIMEOUT, f"no {missing} in time")

    # -- upgrade

    def _admit_candidate(self, transport: CandidateTransport) -> UpgradeCandidate | None:
        """Begin an upgrade from polling; return None if an upgrade is not legal.

        The candidate is the listener of the new transport until it replaces the polling transport.
        """
        follower = UPGRADE_TRANSITIONS[self._upgrade_state].get(UpgradeEvent.CANDIDATE_CAME)
        if follower is None or self.state is not OPEN:
            return None
        self._upgrade_state = follower
        self._candidate = UpgradeCandidate(
            transport, self._context, self._advance_upgrade, self._change_transport
        )
        return self._candidate

    def _advance_upgrade(self, event: UpgradeEvent) -> bool:
        """Advance the upgrade; return False if the event is not legal. Called by the candidate."""
        follower = UPGRADE_TRANSITIONS[self._upgrade_state].get(event)
        if follower is None:
            if event is UpgradeEvent.CANDIDATE_LEFT:
                self._leave_while_upgrading()
            return False
        self._upgrade_state = follower
        if event is UpgradeEvent.PROBE:
            # Engine.IO v4, Upgrade: the server sends a noop packet to any pending GET request.
            # Node waits for 100 ms first.
            self.transport.wake()
        elif event is UpgradeEvent.CANDIDATE_LEFT:
            self._candidate = None
            self._context.counts.upgrades_failed += 1
        return True

    def _change_transport(self, transport: CandidateTransport) -> None:
        """Replace the transport by that of the candidate. Called by the candidate."""
        former = self.transport
        if isinstance(former, PollingTransport) and former.has_rest:
            # The packets of a POST, which take several turns, precede those of the WebSocket.
            transport.pause_reading()
            former.call_when_read(partial(self._complete_upgrade, transport))
            return
        self.transport = transport
        self._websocket = transport if isinstance(transport, WebSocketTransport) else None
        transport.listener = self
        self._candidate = None
        former.discard()
        if self._is_reading_paused:
            transport.pause_reading()
        self._context.counts.upgrades += 1
        logger.info("session %s upgraded to %s", self.sid[:6], transport.name)
        self._call(self._on_upgrade)
        self._transport_writable()

    def _complete_upgrade(self, transport: CandidateTransport) -> None:
        """Replace the transport, after the packets of a POST."""
        if self.state is not SessionState.CLOSED:
            self._change_transport(transport)
            if not self._is_reading_paused:
                transport.resume_reading()

    def _leave_while_upgrading(self) -> None:
        """End the session if its upgrade waits for the packets of a POST: the client has left."""
        former = self.transport
        if (
            isinstance(former, PollingTransport)
            and self._upgrade_state is UpgradeState.FINAL
            and self.state is not SessionState.CLOSED
        ):
            former.client_left()

    # -- the end

    def close(self, *, discard: bool = False) -> None:
        """Close with reason "forced close", after the queued packets; drop these if `discard`."""
        self._check_thread("close")
        if discard:
            self._terminate(CloseReason.FORCED_CLOSE, "the server discarded the session")
            return
        follower = SESSION_TRANSITIONS[self.state].get(SessionEvent.CLOSE_BEGUN)
        if follower is None:
            return
        self.state = follower
        self._context.heartbeat.stop(self)
        if self._candidate is not None and self._upgrade_state is UpgradeState.CANDIDATE:
            self._candidate.abandon()
        # A probed candidate stays: the client no longer polls and fetches the remaining packets,
        # including the close packet, over the new transport.
        if self._outbox:
            self._limit_closing()
            self.transport.wake()
        else:
            self._close_transport()

    def _close_transport(self) -> None:
        """Close the transport and end the session; the outbox is empty.

        A polling client must fetch its close packet first; until then the session is CLOSING.
        """
        if self.transport.close():
            self._end(CloseReason.FORCED_CLOSE, "the server closed the session")
        elif self.state is _CLOSING:  # not if this has completed an upgrade
            self._limit_closing()

    def _limit_closing(self) -> None:
        if self._closing_timer is None:
            self._closing_timer = self._context.clock.call_later(
                self._context.options.close_timeout,
                self._terminate,
                CloseReason.FORCED_CLOSE,
                "the client did not fetch the remaining packets in time",
            )

    def _transport_closed(self, reason: CloseReason, description: str) -> None:
        """End the session because its transport has closed. Called by the current transport."""
        if self.state is _CLOSING:
            reason = CloseReason.FORCED_CLOSE
        self._end(reason, description)

    def _transport_failed(self, error: ProtocolError) -> None:
        """End the session after a protocol error of the client. Called by the transport."""
        self._end(error.reason, error.description)

    def _terminate(self, reason: CloseReason, description: str) -> None:
        """End the session and discard its transport."""
        if self.state is not SessionState.CLOSED:
            transport = self.transport
            self._end(reason, description)
            transport.discard()

    def _end(self, reason: CloseReason, description: str) -> None:
        follower = SESSION_TRANSITIONS[self.state].get(_ENDED)
        if follower is None:
            return
        self.state = follower
        self._context.heartbeat.stop(self)
        if self._progress_timer is not None:
            self._progress_timer.cancel()
            self._progress_timer = None
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
        on_close = self._on_close
        self._on_text = self._on_binary = self._on_close = self._on_upgrade = self._on_drain = noop
        self._on_packet = None
        self._call(on_close, reason, description)
        self._outbox = None
        if self._outbox_size:
            self._count_queued(-self._outbox_size)
        for account in self._accounts:
            account.sessions -= 1
            if not account.sessions:
                account.ledger.drop(account)

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        """Call a callback of the user and log its exception."""
        try:
            callback(*args)
        except Exception:
            logger.exception("a callback of session %s failed", self.sid[:6])
