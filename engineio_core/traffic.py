"""Counters of the messages of an engine, for statistics and metrics.

An engine without counters has plain sessions, which pay nothing for them. A counting session costs
additions, but no call: its methods repeat those of `Session`, and a test compares both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, final

from engineio_core.codec.encoded_packet import PONG_PACKET, EncodedPacket
from engineio_core.session import MESSAGE, OPEN, Session


class Amounts(NamedTuple):
    """The messages of all sessions since the start of the count, both text and binary.

    Bytes are those of the packets, without frames. Packets that are not messages, such as pings, do
    not count.
    """

    packets_in: int
    bytes_in: int
    sent_out: int
    replies_out: int
    """The messages that answer a message of the client: acks."""
    bytes_out: int


@final
class Traffic:
    """The counters of an engine; `session_type` is the class of the sessions that they count."""

    __slots__ = ("read", "session_type")

    def __init__(self) -> None:
        self.session_type, self.read = make_counting_session()

    @property
    def packets_in(self) -> int:
        """The number of received messages."""
        return self.read().packets_in

    @property
    def bytes_in(self) -> int:
        """The bytes of received messages."""
        return self.read().bytes_in

    @property
    def packets_out(self) -> int:
        """The number of sent messages."""
        amounts = self.read()
        return amounts.sent_out + amounts.replies_out

    @property
    def bytes_out(self) -> int:
        """The bytes of sent messages."""
        return self.read().bytes_out


def make_counting_session() -> tuple[type[Session], Callable[[], Amounts]]:
    """Return a class of sessions that count their messages, and the function that reads the count.

    The counters are variables of this function: adding to an attribute takes twice as long.
    """
    packets_in = bytes_in = sent_out = replies_out = bytes_out = 0

    class CountingSession(Session):
        """A session that counts its messages."""

        __slots__ = ()

        def send(self, packet: EncodedPacket) -> None:
            """Count one packet and send it."""
            # hot path: python -m benchmarks.hop_budget --metrics
            nonlocal sent_out, bytes_out
            if self.state is OPEN:
                sent_out += 1
                bytes_out += len(packet.payload)
                websocket = self._websocket
                if websocket is not None and websocket.writable and not self._outbox:
                    websocket.send(packet)
                elif websocket is None and self.transport.writable and not self._outbox:
                    self.transport.send(packet)
                else:
                    self._enqueue(packet)

        def _send_reply(self, packet: EncodedPacket) -> None:
            nonlocal replies_out, bytes_out
            if self.state is OPEN:
                replies_out += 1
                bytes_out += len(packet.payload)
                websocket = self._websocket
                if websocket is not None and websocket.writable and not self._outbox:
                    websocket.send(packet)
                elif websocket is None and self.transport.writable and not self._outbox:
                    self.transport.send(packet)
                else:
                    self._enqueue(packet)

        def send_bare(self, packet: bytes) -> None:
            """Count one encoded text packet and send it."""
            nonlocal replies_out, bytes_out
            if self.state is OPEN:
                replies_out += 1
                bytes_out += len(packet)
                websocket = self._websocket
                if websocket is not None and websocket.writable and not self._outbox:
                    websocket.send_bare(packet)
                elif websocket is None and self.transport.writable and not self._outbox:
                    self.transport.send_bare(packet)
                else:
                    self._enqueue(EncodedPacket(packet))

        def _receive_text(self, packet: bytes) -> None:
            nonlocal packets_in, bytes_in
            if self.state is OPEN:
                if self._awaits_packet and packet != PONG_PACKET.payload and not self._is_alive():
                    return
                if packet and packet[0] == MESSAGE:
                    packets_in += 1
                    bytes_in += len(packet)
                    on_packet = self._on_packet
                    if on_packet is not None:
                        on_packet(packet)
                    else:
                        self._on_text(packet[1:].decode())
                    return
            super()._receive_text(packet)

        def _receive_binary(self, data: bytes) -> None:
            nonlocal packets_in, bytes_in
            if self.state is OPEN:
                packets_in += 1
                bytes_in += len(data)
            super()._receive_binary(data)

    def read() -> Amounts:
        return Amounts(packets_in, bytes_in, sent_out, replies_out, bytes_out)

    return CountingSession, read
