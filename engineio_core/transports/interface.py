"""What a session may ask of its transport, and of the clock.

Knows: two interfaces and their contracts.  Does not know: who implements them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import CloseReason, ProtocolError


class Transport(Protocol):
    """What carries the packets of one session. No member raises, or waits.

    A transport reports its own end by calling `transport_closed` of its listener, once at the
    most, and never out of `send`, `wake`, `close` or `discard`.
    """

    @property
    def name(self) -> str:
        """`"polling"` or `"websocket"`."""

    @property
    def writable(self) -> bool:
        """Whether `send` may be called now; otherwise a packet goes to the session's outbox."""

    def send(self, packet: EncodedPacket) -> None:
        """Send one packet now. The packet may be kept, and is never changed."""

    def send_bare(self, packet: bytes) -> None:
        """Send one text packet now, given as its bytes, digit first."""

    def wake(self) -> None:
        """Fetch from the session's outbox as soon as possible: something was put there."""

    def is_idle(self) -> bool:
        """Tell whether nothing waits between us and the kernel, as a volatile packet wants it."""

    def buffered_amount(self) -> int:
        """Return the bytes that the transport holds and the kernel has not taken."""

    def close(self) -> bool:
        """End in good order: tell the client, then go.

        Returns whether that is done; if not, the client has yet to come for it, and
        `transport_closed` follows.
        """

    def discard(self) -> None:
        """End at once; what waits is dropped."""

    def pause_reading(self) -> None:
        """Read nothing more from this client until `resume_reading`."""

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""


class TransportListener(Protocol):
    """Who hears what arrives on a transport: a session, or a candidate for one."""

    def receive_text(self, packet: bytes) -> None:
        """Take one packet in text form, type digit first, not decoded yet.

        May raise ProtocolError, or the UnicodeDecodeError of what is not UTF-8.
        """

    def receive_binary(self, data: bytes) -> None:
        """Take one binary message."""

    def outbox_wanted(self) -> None:
        """The transport can take packets again."""

    def transport_closed(self, reason: CloseReason, description: str) -> None:
        """The transport has ended; called once."""

    def fail(self, error: ProtocolError) -> None:
        """The transport has ended because the peer broke a rule; called instead of the above."""


class CandidateTransport(Transport, Protocol):
    """A transport whose listener can change: the one that an upgrade leads to."""

    listener: TransportListener


class Clock(Protocol):
    """Time as an asyncio event loop gives it; tests inject their own."""

    def time(self) -> float:
        """Return monotonic seconds."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Any:
        """Call back after what is under way now."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Any:
        """Call back at `when`, in seconds of `time()`."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Any:
        """Call back after `delay` seconds."""
