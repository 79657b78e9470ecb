"""The way of a session from polling to WebSocket, as the new connection goes it.

Knows: the two packets that are legal on it, and how long they may take.
Does not know: frames, polls; the session's table says which step is legal when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engineio_core.codec import packet as packets
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.session_state import UpgradeEvent

if TYPE_CHECKING:
    from engineio_core.session import Session, SessionContext
    from engineio_core.transports.interface import CandidateTransport


class UpgradeCandidate:
    """A WebSocket that wants to carry a polling session: it may say `2probe` and `5`."""

    __slots__ = ("_session", "_timer", "_transport")

    def __init__(
        self, session: Session, transport: CandidateTransport, context: SessionContext
    ) -> None:
        self._session = session
        self._transport = transport
        self._timer = context.clock.call_later(context.options.upgrade_timeout, self._give_up)

    def receive_text(self, packet: bytes) -> None:
        """Take a packet from the candidate."""
        if packet == b"2probe" and self._session.advance_upgrade(UpgradeEvent.PROBE):
            self._transport.send(packets.PROBE_REPLY_PACKET)
        elif packet == b"5" and self._session.advance_upgrade(UpgradeEvent.UPGRADE):
            self._timer.cancel()
            self._transport.listener = self._session
            self._session.change_transport(self._transport)
        else:
            packet.decode()  # what is not UTF-8 is the worse fault
            self._give_up()

    def receive_binary(self, data: bytes) -> None:
        """Give up: no binary message is legal before the upgrade."""
        self._give_up()

    def outbox_wanted(self) -> None:
        """Do nothing: the outbox goes to the current transport."""

    def transport_closed(self, reason: CloseReason, description: str) -> None:
        """The WebSocket is gone; the session stays with polling."""
        self._timer.cancel()
        self._session.advance_upgrade(UpgradeEvent.CANDIDATE_LEFT)

    def fail(self, error: ProtocolError) -> None:
        """The WebSocket broke a rule; the session stays with polling."""
        self.transport_closed(error.reason, error.description)

    def abandon(self) -> None:
        """Close the WebSocket: the session ends."""
        self._give_up()

    def _give_up(self) -> None:
        self.transport_closed(CloseReason.TRANSPORT_CLOSE, "")
        self._transport.close()


class Deaf:
    """The listener of a WebSocket that is being closed."""

    def receive_text(self, packet: bytes) -> None:
        """Drop it."""

    def receive_binary(self, data: bytes) -> None:
        """Drop it."""

    def outbox_wanted(self) -> None:
        """There is none."""

    def transport_closed(self, reason: CloseReason, description: str) -> None:
        """As expected."""

    def fail(self, error: ProtocolError) -> None:
        """It does not matter any more."""
