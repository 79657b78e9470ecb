"""Counters of the messages of an engine, for statistics and metrics.

An engine without counters has plain sessions, which pay nothing for them.
"""

from __future__ import annotations

from typing import final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.session import MESSAGE, OPEN, Session


@final
class Traffic:
    """The messages of all sessions since the start of the count, both text and binary.

    Bytes are those of the message, without the digit of its type and without frames. Packets
    without data, such as pings, do not count.
    """

    __slots__ = ("bytes_in", "bytes_out", "packets_in", "packets_out")

    def __init__(self) -> None:
        self.packets_in = 0
        self.bytes_in = 0
        self.packets_out = 0
        self.bytes_out = 0


def make_counting_session(traffic: Traffic) -> type[Session]:
    """Return a class of sessions that count their messages in `traffic`."""
    # Functions rather than super(), which costs a call more per message.
    send, send_bare = Session.send, Session.send_bare
    receive_text, receive_binary = Session._receive_text, Session._receive_binary

    class CountingSession(Session):
        """A session that counts its messages."""

        __slots__ = ()

        def send(self, packet: EncodedPacket) -> None:
            """Count one packet and send it."""
            if self.state is OPEN:
                payload = packet.payload
                if packet.is_binary:
                    traffic.packets_out += 1
                    traffic.bytes_out += len(payload)
                elif payload[0] == MESSAGE:
                    traffic.packets_out += 1
                    traffic.bytes_out += len(payload) - 1
            send(self, packet)

        def send_bare(self, packet: bytes) -> None:
            """Count one encoded text packet and send it."""
            if self.state is OPEN:
                traffic.packets_out += 1
                traffic.bytes_out += len(packet) - 1
            send_bare(self, packet)

        def _receive_text(self, packet: bytes) -> None:
            if packet and packet[0] == MESSAGE and self.state is OPEN:
                traffic.packets_in += 1
                traffic.bytes_in += len(packet) - 1
            receive_text(self, packet)

        def _receive_binary(self, data: bytes) -> None:
            if self.state is OPEN:
                traffic.packets_in += 1
                traffic.bytes_in += len(data)
            receive_binary(self, data)

    return CountingSession
