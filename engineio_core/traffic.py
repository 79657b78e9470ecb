"""Counters of the messages of an engine, for statistics and metrics.

An engine without counters has plain sessions, which pay nothing for them. A counting session costs
additions, but no call: its methods repeat those of `Session`, and a test compares both.
"""

from __future__ import annotations

from typing import final

from engineio_core.codec.encoded_packet import PONG_PACKET, EncodedPacket
from engineio_core.session import MESSAGE, OPEN, Session


@final
class Traffic:
    """The messages of all sessions since the start of the count, both text and binary.

    Bytes are those of the packets, without frames. Packets that are not messages, such as pings, do
    not count.
    """

    __slots__ = ("bytes_in", "bytes_out", "packets_in", "replies_out", "sent_out")

    def __init__(self) -> None:
        self.packets_in = 0
        self.bytes_in = 0
        self.sent_out = 0
        self.replies_out = 0
        """The messages that answer a message of the client: acks."""
        self.bytes_out = 0

    @property
    def packets_out(self) -> int:
        """The number of messages sent."""
        return self.sent_out + self.replies_out


def make_counting_session(traffic: Traffic) -> type[Session]:
    """Return a class of sessions that count their messages in `traffic`."""

    class CountingSession(Session):
        """A session that counts its messages."""

        __slots__ = ()

        def send(self, packet: EncodedPacket) -> None:
            """Count one packet and send it."""
            # hot path: python -m benchmarks.hop_budget --metrics
            if self.state is OPEN:
                traffic.sent_out += 1
                traffic.bytes_out += len(packet.payload)
                transport = self.transport
                if transport.writable and not self._outbox:
                    transport.send(packet)
                else:
                    self._enqueue(packet)

        def _send_reply(self, packet: EncodedPacket) -> None:
            if self.state is OPEN:
                traffic.replies_out += 1
                traffic.bytes_out += len(packet.payload)
                transport = self.transport
                if transport.writable and not self._outbox:
                    transport.send(packet)
                else:
                    self._enqueue(packet)

        def send_bare(self, packet: bytes) -> None:
            """Count one encoded text packet and send it."""
            if self.state is OPEN:
                traffic.replies_out += 1
                traffic.bytes_out += len(packet)
                transport = self.transport
                if transport.writable and not self._outbox:
                    transport.send_bare(packet)
                else:
                    self._enqueue(EncodedPacket(packet))

        def _receive_text(self, packet: bytes) -> None:
            if self.state is OPEN:
                if self._awaits_packet and packet != PONG_PACKET.payload and not self._is_alive():
                    return
                if packet and packet[0] == MESSAGE:
                    traffic.packets_in += 1
                    traffic.bytes_in += len(packet)
                    on_packet = self._on_packet
                    if on_packet is not None:
                        on_packet(packet)
                    else:
                        self._on_text(packet[1:].decode())
                    return
            super()._receive_text(packet)

        def _receive_binary(self, data: bytes) -> None:
            if self.state is OPEN:
                traffic.packets_in += 1
                traffic.bytes_in += len(data)
            super()._receive_binary(data)

    return CountingSession
