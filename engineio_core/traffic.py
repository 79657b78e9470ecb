"""Counters of the messages of an engine, for statistics and metrics.

Sessions add to them; an engine without counters has sessions that only find none.
"""

from __future__ import annotations

from typing import final


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
        """The number of sent messages."""
        return self.sent_out + self.replies_out
