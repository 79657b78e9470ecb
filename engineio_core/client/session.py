"""One Engine.IO session of a client: handshake, heartbeat, upgrade, outbox and close.

The session has no I/O of its own: transports call it, and it takes its clock as an argument. It
connects once; `socketio_core.client` creates a new session for each reconnection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from engineio_core.client.errors import TransportError
from engineio_core.client.handshake import Handshake, decode_handshake
from engineio_core.client.interface import ClientContext, ClientTransport
from engineio_core.client.polling import PollingTransport
from engineio_core.client.states import (
    CLIENT_TRANSITIONS,
    PROBE_TRANSITIONS,
    ClientEvent,
    ClientState,
    ProbeEvent,
    ProbeState,
)
from engineio_core.client.websocket import WebSocketTransport
from engineio_core.codec.encoded_packet import PONG_PACKET, EncodedPacket
from engineio_core.codec.packet import CLOSE, MESSAGE, OPEN, PING, TYPES, malformed
from engineio_core.errors import CloseReason
from engineio_core.noop import noop

PROBE_PACKET: Final = EncodedPacket(b"2probe")
UPGRADE_PACKET: Final = EncodedPacket(b"5")
PROBE_ANSWER: Final = b"3probe"
_LATE: Final = 0.5  # seconds by which a timer is late if the event loop was blocked


class ClientSession:
    """An Engine.IO session; the owner sets the callbacks before `open`.

    `on_text` receives the bytes of a message with its type digit. `on_close(reason, error)` is
    called once, also if the session does not open.
    """

    def __init__(self, context: ClientContext) -> None:
        self._context = context
        self._transports = deque(_order(context))
        self._transport: ClientTransport = self._create_transport(self._transports.popleft())
        self._candidate: WebSocketTransport | None = None
        # After the upgrade, until the first packet shows that the server has completed it
        self._replaced: PollingTransport | None = None
        self._outbox: deque[EncodedPacket] = deque()
        self._handshake: Handshake | None = None
        self._alive_at = 0.0
        self._is_paused = False  # reading
        self._timers: dict[str, Any] = {}
        self._ended: set[ClientTransport] = set()
        self.state = ClientState.OPENING
        self.probe = ProbeState.NONE
        self.amount = 0
        """The size of the unsent packets in bytes."""
        self.on_open: Callable[[], Any] = noop
        self.on_text: Callable[[bytes], Any] = noop
        self.on_binary: Callable[[bytes], Any] = noop
        self.on_close: Callable[[CloseReason, Exception | None], Any] = noop
        self.on_drain: Callable[[], Any] = noop

    @property
    def sid(self) -> str | None:
        """The session ID; None before the handshake."""
        return None if self._handshake is None else self._handshake.sid

    @property
    def transport_name(self) -> str:
        """The name of the current transport."""
        return self._transport.name

    @property
    def is_writable(self) -> bool:
        """Whether a packet would leave at once; volatile events are dropped otherwise."""
        return (
            self.state is ClientState.OPEN
            and self._transport.is_writable
            and self.probe is not ProbeState.PAUSING
            and not self._outbox
        )

    def open(self) -> None:
        """Connect with the first transport."""
        self._set_timer("open", self._context.options.timeout, self._open_expired)
        self._transport.open()

    def send(self, packets: tuple[EncodedPacket, ...]) -> None:
        """Send packets, or queue them until the transport is writable."""
        if self.state is not ClientState.OPEN:
            return
        self._outbox.extend(packets)
        self.amount += sum(len(packet.payload) for packet in packets)
        self._flush()

    def pause_reading(self) -> None:
        """Deliver no further messages until `resume_reading`, as far as the transport allows.

        The server ends a session whose pause lasts longer than its heartbeat allows.
        """
        if self.state is ClientState.OPEN and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Deliver messages again after `pause_reading`."""
        if self._is_paused:
            self._is_paused = False
            self._alive_at = self._context.clock.time()
            self._transport.resume_reading()

    def close(self) -> None:
        """Send the queued packets and end the session with the reason "forced close"."""
        if self.state is ClientState.OPENING:
            self._end(CloseReason.FORCED_CLOSE, None)
        elif self.state is ClientState.OPEN:
            self._advance(ClientEvent.CLOSE_BEGUN)
            self._set_timer(
                "close", self._context.options.close_timeout, self._end, CloseReason.FORCED_CLOSE
            )
            self._close_if_drained()

    def abort(self, reason: CloseReason, error: Exception | None = None) -> None:
        """End the session at once, without sending the queued packets."""
        self._end(reason, error)

    async def wait_closed(self) -> None:
        """Wait until all transports have ended, at most for their close timeouts."""
        for transport in {*self._ended, self._transport}:
            await transport.wait_closed()
        if self._candidate is not None:
            await self._candidate.wait_closed()

    # -- calls of the transports

    def transport_opened(self, transport: ClientTransport) -> None:
        """Send the probe of a candidate."""
        if transport is self._candidate:
            self._advance_probe(ProbeEvent.CONNECTED)
            transport.send([PROBE_PACKET])

    def packet_received(self, transport: ClientTransport, packet: bytes, is_binary: bool) -> None:
        """Handle a packet. Raises ProtocolError for an invalid packet."""
        if transport is self._candidate:
            self._candidate_received(packet)
            return
        if transport is not self._transport or self.state is ClientState.CLOSED:
            return
        self._alive_at = self._context.clock.time()
        self._replaced = None
        if is_binary:
            if self.state is not ClientState.OPENING:
                self.on_binary(packet)
        elif packet[:1] == MESSAGE.encode():
            if self.state is not ClientState.OPENING:
                self.on_text(packet)
        else:
            self._control_received(packet[:1].decode("latin-1"), packet[1:])

    def transport_drained(self, transport: ClientTransport) -> None:
        """Send queued packets, and continue a close that waits for them."""
        if transport is self._transport:
            self._flush()
            if not self._outbox:
                self.on_drain()
            self._close_if_drained()

    def transport_ended(
        self, transport: ClientTransport, reason: CloseReason, error: Exception | None
    ) -> None:
        """End the session, try the next transport, or give an upgrade up."""
        self._ended.add(transport)
        if transport is self._candidate:
            self._candidate = None
            self._candidate_failed()
        elif transport is self._transport and self.state is ClientState.OPENING:
            if self._transports and self._context.options.try_all_transports:
                self._transport = self._create_transport(self._transports.popleft())
                self._transport.open()
            else:
                self._end(reason, error)
        elif transport is self._transport:
            if self._replaced is not None:
                self._replaced.notify_end()
            self._end(reason, error)

    # -- packets

    def _control_received(self, kind: str, data: bytes) -> None:
        if kind == OPEN and self.state is ClientState.OPENING:
            self._open_received(data)
        elif kind == PING:
            self._outbox.appendleft(PONG_PACKET)
            self.amount += 1
            self._flush()
        elif kind == CLOSE:
            self._end(CloseReason.TRANSPORT_CLOSE, None)
        elif kind not in TYPES or not kind:
            raise malformed(f"unknown packet type {kind!r}")

    def _open_received(self, data: bytes) -> None:
        handshake = decode_handshake(data)
        self._handshake = handshake
        self._cancel_timer("open")
        self._advance(ClientEvent.HANDSHAKE_RECEIVED)
        if isinstance(self._transport, PollingTransport):
            self._transport.handshake_received(handshake.sid)
        else:
            self._context.has_used_websocket = True
        self._check_heartbeat()
        self.on_open()
        if self.state is ClientState.OPEN:
            self._start_upgrade()

    # -- heartbeat

    def _check_heartbeat(self) -> None:
        """End the session if the server has sent nothing for one interval and one timeout."""
        assert self._handshake is not None, "the heartbeat starts with the handshake"
        now = self._context.clock.time()
        if self._is_paused:
            self._alive_at = now  # unread heartbeats may wait in the socket
        due = self._alive_at + self._handshake.silence
        if now < due:
            self._set_timer("heartbeat", due - now, self._heartbeat_due, due)
        else:
            self._end(CloseReason.PING_TIMEOUT, None)

    def _heartbeat_due(self, due: float) -> None:
        # If this process was blocked or suspended, unread packets may wait in the socket.
        if self._context.clock.time() - due > _LATE:
            self._set_timer("heartbeat", _LATE, self._check_heartbeat)
        else:
            self._check_heartbeat()

    # -- upgrade

    def _start_upgrade(self) -> None:
        options, handshake = self._context.options, self._handshake
        if (
            handshake is None
            or self._transport.name != "polling"
            or not options.upgrade
            or "websocket" not in options.transports
            or "websocket" not in handshake.upgrades
        ):
            return
        self._advance_probe(ProbeEvent.STARTED)
        self._candidate = WebSocketTransport(self._context, self, handshake.sid)
        self._set_timer("probe", options.upgrade_timeout, self._probe_expired)
        self._candidate.open()

    def _candidate_received(self, packet: bytes) -> None:
        if self.probe is ProbeState.PROBING and packet == PROBE_ANSWER:
            self._advance_probe(ProbeEvent.ANSWERED)
            assert isinstance(self._transport, PollingTransport), "only polling is upgraded"
            self._transport.pause(self._polling_paused)
        elif self.probe is ProbeState.PROBING:
            self._abort_candidate()

    def _polling_paused(self) -> None:
        candidate = self._candidate
        if candidate is None or self.state is ClientState.CLOSED:
            return
        self._cancel_timer("probe")
        self._advance_probe(ProbeEvent.POLLING_PAUSED)
        self._ended.add(self._transport)
        if isinstance(self._transport, PollingTransport):
            self._replaced = self._transport
        self._transport, self._candidate = candidate, None
        self._context.has_used_websocket = True
        self._alive_at = self._context.clock.time()
        if self._is_paused:
            candidate.pause_reading()
        candidate.send([UPGRADE_PACKET])
        self._close_if_drained()

    def _probe_expired(self) -> None:
        self._abort_candidate()

    def _abort_candidate(self) -> None:
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            self._ended.add(candidate)
            candidate.abort()
            self._candidate_failed()

    def _candidate_failed(self) -> None:
        self._cancel_timer("probe")
        was_pausing = self.probe is ProbeState.PAUSING
        self._advance_probe(ProbeEvent.FAILED)
        if was_pausing:
            # The server has taken the WebSocket for the session, and polling has stopped.
            self._end(CloseReason.TRANSPORT_ERROR, TransportError("the upgrade failed"))
        else:
            self._close_if_drained()

    # -- sending

    def _flush(self) -> None:
        if (
            not self._outbox
            or self.state in {ClientState.OPENING, ClientState.CLOSED}
            or not self._transport.is_writable
            or self.probe is ProbeState.PAUSING
        ):
            return
        packets = self._take_packets()
        self.amount -= sum(len(packet.payload) for packet in packets)
        self._transport.send(packets)

    def _take_packets(self) -> list[EncodedPacket]:
        """Take the packets of one request: over polling, at most `maxPayload` bytes.

        A packet that is larger by itself is sent alone; the server refuses it.
        """
        outbox = self._outbox
        assert self._handshake is not None, "packets are sent after the handshake"
        limit = self._handshake.max_payload
        if limit is None or self._transport.name != "polling":
            packets = list(outbox)
            outbox.clear()
            return packets
        packets, size = [], 0
        while outbox and (not packets or size + 1 + len(outbox[0].polling) <= limit):
            packet = outbox.popleft()
            size += len(packet.polling) + (1 if packets else 0)
            packets.append(packet)
        return packets

    # -- end

    def _close_if_drained(self) -> None:
        if (
            self.state is ClientState.CLOSING
            and not self._outbox
            and self.probe in {ProbeState.NONE, ProbeState.UPGRADED}
            and self._transport.is_writable
        ):
            self._end(CloseReason.FORCED_CLOSE, None)

    def _open_expired(self) -> None:
        self._end(CloseReason.TRANSPORT_ERROR, TimeoutError("the server sent no handshake in time"))

    def _end(self, reason: CloseReason, error: Exception | None = None) -> None:
        if self.state is ClientState.CLOSED:
            return
        was_open = self.state is not ClientState.OPENING
        self._advance(ClientEvent.ENDED)
        self.resume_reading()  # a close handshake must be read
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._outbox.clear()
        self.amount = 0
        if self._candidate is not None:
            self._candidate.abort()
        if was_open:
            self._transport.close()
        else:
            self._transport.abort()
        self.on_close(reason, error)

    def _create_transport(self, name: str) -> ClientTransport:
        if name == "polling":
            return PollingTransport(self._context, self)
        return WebSocketTransport(self._context, self)

    def _advance(self, event: ClientEvent) -> None:
        self.state = CLIENT_TRANSITIONS[self.state].get(event, self.state)

    def _advance_probe(self, event: ProbeEvent) -> None:
        self.probe = PROBE_TRANSITIONS[self.probe].get(event, self.probe)

    def _set_timer(
        self, name: str, seconds: float, callback: Callable[..., object], *args: Any
    ) -> None:
        self._cancel_timer(name)
        self._timers[name] = self._context.clock.call_later(seconds, callback, *args)

    def _cancel_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _order(context: ClientContext) -> list[str]:
    """Return the transports in the order in which the session tries them."""
    options = context.options
    names = list(dict.fromkeys(options.transports))
    if options.remember_upgrade and options.upgrade and context.has_used_websocket:
        names.sort(key=lambda name: name != "websocket")
    return names
