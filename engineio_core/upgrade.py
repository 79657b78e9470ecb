"""The candidate of an upgrade: a WebSocket that is to replace the polling transport of a session.

The candidate accepts the two packets that are legal before the upgrade and limits its duration.
The session owns the state of the upgrade and decides which step is legal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from engineio_core.codec.encoded_packet import PROBE_REPLY_PACKET
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.session_state import UpgradeEvent

if TYPE_CHECKING:
    from engineio_core.transports.interface import CandidateTransport, TransportContext


@final
class UpgradeCandidate:
    """Listener of a WebSocket that may replace the polling transport: accepts `2probe` and `5`.

    `advance(event)` moves the upgrade of the session and returns False if the event is not legal.
    `change_transport(transport)` makes the WebSocket the transport and its session the listener.
    """

    __slots__ = ("_advance", "_change_transport", "_timer", "_transport")

    def __init__(
        self,
        transport: CandidateTransport,
        context: TransportContext,
        advance: Callable[[UpgradeEvent], bool],
        change_transport: Callable[[CandidateTransport], None],
    ) -> None:
        self._transport = transport
        self._advance = advance
        self._change_transport = change_transport
        self._timer = context.timers.call_later(context.options.upgrade_timeout, self._give_up)

    def _receive_text(self, packet: bytes) -> None:
        """Accept `2probe` and `5`; close the WebSocket on any other packet."""
        if packet == b"2probe" and self._advance(UpgradeEvent.PROBE):
            self._transport.send(PROBE_REPLY_PACKET)
        elif packet == b"5" and self._advance(UpgradeEvent.UPGRADE):
            self._timer.cancel()
            self._change_transport(self._transport)
        else:
            packet.decode()  # text that is not UTF-8 takes precedence: close code 1007
            self._give_up()

    def _receive_binary(self, data: bytes) -> None:
        """Close the WebSocket: a binary message is not legal before the upgrade."""
        self._give_up()

    def _transport_writable(self) -> None:
        """Do nothing: the outbox belongs to the current transport."""

    def _transport_closed(self, reason: CloseReason, description: str) -> None:
        """End the upgrade; the session continues with polling."""
        self._timer.cancel()
        self._advance(UpgradeEvent.CANDIDATE_LEFT)

    def _transport_failed(self, error: ProtocolError) -> None:
        """End the upgrade after a protocol error; the session continues with polling."""
        self._transport_closed(error.reason, error.description)

    def abandon(self) -> None:
        """Close the WebSocket because the session ends."""
        self._give_up()

    def _give_up(self) -> None:
        self._transport_closed(CloseReason.TRANSPORT_CLOSE, "")
        self._transport.close()
