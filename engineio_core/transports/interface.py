"""Interfaces between a session and its transport, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from engineio_core.accounts import Account
from engineio_core.budgets import Budgets
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.session_state import SessionState, UpgradeState
from engineio_core.timers import TimerQueue

if TYPE_CHECKING:
    from engineio_core.clock import Clock
    from engineio_core.http.compression import CompressionQueue
    from engineio_core.iteration import Iteration
    from engineio_core.options import EngineOptions


class Abortable(Protocol):
    """A TCP connection that can be aborted."""

    def abort(self) -> None:
        """Close immediately; unsent bytes are dropped."""


class TransportContext(Protocol):
    """The shared objects of an engine that its transports use."""

    @property
    def options(self) -> EngineOptions:
        """The options of the engine."""

    @property
    def clock(self) -> Clock:
        """The clock of all timers."""

    @property
    def timers(self) -> TimerQueue:
        """The timers that usually do not expire."""

    @property
    def budgets(self) -> Budgets:
        """The memory of all clients together."""

    @property
    def iteration(self) -> Iteration:
        """The current iteration of the event loop."""

    @property
    def compressions(self) -> CompressionQueue:
        """The bodies that are being compressed."""

    @property
    def upgraded(self) -> set[Abortable]:
        """The open TCP connections of WebSockets."""


class Transport(Protocol):
    """The connection that carries the packets of one session. No member raises or blocks.

    A transport reports its own end with `_transport_closed` of its listener, at most once, and
    never from within `send`, `wake`, `close` or `discard`.
    """

    @property
    def name(self) -> str:
        """The name in the protocol: `"polling"`, `"websocket"` or `"webtransport"`."""

    @property
    def writable(self) -> bool:
        """Whether `send` may be called now; if not, the session puts packets in its outbox."""

    def send(self, packet: EncodedPacket) -> None:
        """Send one packet now. The transport may keep the packet and must not change it."""

    def send_bare(self, packet: bytes) -> None:
        """Send one encoded text packet now; its first byte is the type digit."""

    def wake(self) -> None:
        """Fetch the packets of the session's outbox as soon as possible."""

    def is_idle(self) -> bool:
        """Return whether a packet could leave now: all buffers are empty."""

    def has_just_sent(self) -> bool:
        """Return whether a packet was sent in this iteration of the event loop."""

    def buffered_amount(self) -> int:
        """Return the number of bytes that the transport holds and the kernel has not taken."""

    def partial_amount(self) -> int:
        """Return the number of bytes that have arrived of unfinished messages, in total.

        It grows while a long message arrives; messages that arrive in one piece do not count.
        """

    def close(self) -> bool:
        """Notify the client and close the transport.

        Returns True if the transport has closed. False means that the client must first fetch the
        close packet; `_transport_closed` follows.
        """

    def discard(self) -> None:
        """Close the transport immediately and drop its pending packets."""

    def pause_reading(self) -> None:
        """Deliver no further packets until `resume_reading`."""

    def resume_reading(self) -> None:
        """Deliver packets again after `pause_reading`."""


class TransportListener(Protocol):
    """The receiver of a transport's packets and events: a session or an upgrade candidate."""

    def _receive_text(self, packet: bytes) -> None:
        """Receive one text packet, not yet decoded; its first byte is the type digit.

        Raises ProtocolError for an invalid packet, UnicodeDecodeError if it is not UTF-8.
        """

    def _receive_binary(self, data: bytes) -> None:
        """Receive one binary message."""

    def _transport_writable(self) -> None:
        """Send the packets of the outbox: the transport is writable again."""

    def _transport_closed(self, reason: CloseReason, description: str) -> None:
        """Handle the end of the transport; called at most once."""

    def _transport_failed(self, error: ProtocolError) -> None:
        """Handle the end of the transport after a protocol error; replaces `_transport_closed`."""


class PollingSession(TransportListener, Protocol):
    """The members of a session that the polling transport uses."""

    @property
    def sid(self) -> str:
        """The secret session id."""

    @property
    def state(self) -> SessionState:
        """The state of the session."""

    @property
    def _upgrade_state(self) -> UpgradeState:
        """The state of the upgrade to WebSocket."""

    @property
    def transport(self) -> Transport:
        """The current transport of the session."""

    @property
    def _is_stranger(self) -> bool:
        """Whether the client has joined no namespace of Socket.IO."""

    @property
    def _accounts(self) -> tuple[Account, ...]:
        """The accounts of its address and user."""

    @property
    def _has_outbox(self) -> bool:
        """Whether packets are queued for the transport."""

    def _take_outbox(self, limit: int, max_packets: int) -> list[EncodedPacket]:
        """Remove and return queued packets: at least one, more up to `limit` payload bytes."""

    def _outbox_emptied(self) -> None:
        """Complete `drain`: the outbox is empty."""


class CandidateTransport(Transport, Protocol):
    """A transport whose listener an upgrade replaces."""

    listener: TransportListener


class NullListener:
    """Listener that ignores all packets and events: the listener of a closing WebSocket."""

    def _receive_text(self, packet: bytes) -> None:
        """Drop a text packet."""

    def _receive_binary(self, data: bytes) -> None:
        """Drop a binary message."""

    def _transport_writable(self) -> None:
        """Ignore free capacity: there is no outbox."""

    def _transport_closed(self, reason: CloseReason, description: str) -> None:
        """Ignore the end of the transport."""

    def _transport_failed(self, error: ProtocolError) -> None:
        """Ignore an error of the peer."""


NULL_LISTENER: Final = NullListener()
