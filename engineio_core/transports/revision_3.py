"""A WebSocket with clients of revision 3 of Engine.IO: binary messages carry their packet type.

`RevisionThreeTransport` stands between the session and the WebSocket for outgoing packets,
`RevisionThreeListener` for incoming ones. Text packets pass unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet_v3 import (
    base64_form,
    binary_form,
    decode_base64_packet,
    decode_binary_packet,
)
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.transports.interface import CandidateTransport, TransportListener

_BASE64: Final = ord("b")


@final
class RevisionThreeListener:
    """Listener of a WebSocket that passes packets on without the type of binary messages."""

    __slots__ = ("_listener",)

    def __init__(self, listener: TransportListener) -> None:
        self._listener = listener

    def _receive_text(self, packet: bytes) -> None:
        """Pass on a text packet; decode a binary message in base64."""
        if packet and packet[0] == _BASE64:
            self._pass_on(decode_base64_packet(packet.decode()))
        else:
            self._listener._receive_text(packet)

    def _receive_binary(self, data: bytes) -> None:
        """Pass on a binary message without its type byte."""
        self._pass_on(decode_binary_packet(data))

    def _pass_on(self, packet: str | bytes) -> None:
        if isinstance(packet, bytes):
            self._listener._receive_binary(packet)
        else:
            self._listener._receive_text(packet.encode())

    def _transport_writable(self) -> None:
        """Pass on that the WebSocket is writable again."""
        self._listener._transport_writable()

    def _transport_closed(self, reason: CloseReason, description: str) -> None:
        """Pass on the end of the WebSocket."""
        self._listener._transport_closed(reason, description)

    def _transport_failed(self, error: ProtocolError) -> None:
        """Pass on the end of the WebSocket after a protocol error."""
        self._listener._transport_failed(error)


@final
class RevisionThreeTransport:
    """Transport that adds the type to binary messages; with `has_base64`, as text in base64."""

    __slots__ = ("_encode", "_inner", "close", "discard", "pause_reading", "resume_reading",
                 "send_bare", "wake")  # fmt: skip

    name = "websocket"

    def __init__(self, inner: CandidateTransport, *, has_base64: bool) -> None:
        self._inner = inner
        self._encode: Callable[[EncodedPacket], EncodedPacket] = (
            base64_form if has_base64 else binary_form
        )
        # The inner methods themselves, so that text packets do not take a detour.
        self.send_bare = inner.send_bare
        self.wake = inner.wake
        self.close = inner.close
        self.discard = inner.discard
        self.pause_reading = inner.pause_reading
        self.resume_reading = inner.resume_reading

    @property
    def listener(self) -> TransportListener:
        """The receiver of packets and events."""
        return self._inner.listener

    @listener.setter
    def listener(self, listener: TransportListener) -> None:
        self._inner.listener = RevisionThreeListener(listener)

    @property
    def writable(self) -> bool:
        """Whether `send` may be called now."""
        return self._inner.writable

    def send(self, packet: EncodedPacket) -> None:
        """Send one packet now."""
        self._inner.send(self._encode(packet) if packet.is_binary else packet)

    def is_idle(self) -> bool:
        """Return whether a packet could leave now."""
        return self._inner.is_idle()

    def has_just_sent(self) -> bool:
        """Return whether a packet was sent in this iteration of the event loop."""
        return self._inner.has_just_sent()

    def buffered_amount(self) -> int:
        """Return the number of bytes that the kernel has not taken."""
        return self._inner.buffered_amount()

    def partial_amount(self) -> int:
        """Return the number of bytes that have arrived of unfinished messages."""
        return self._inner.partial_amount()
