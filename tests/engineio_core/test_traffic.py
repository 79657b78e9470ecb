"""The counters of messages that an engine keeps on request."""

from __future__ import annotations

import base64

import pytest

from engineio_core.codec.encoded_packet import EncodedPacket
from tests.helpers.client import Server


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_traffic_counts_messages_without_pings(transport: str) -> None:
    server = Server()
    counts = server.engine._count_traffic()
    client = server.open(transport)
    sender = server.sessions[-1]
    client.send("hello")
    client.send("ä")
    sender.send_text("hey")
    sender.send(EncodedPacket(b"\x00\x01", is_binary=True))
    sender._send_ping()
    assert (counts.packets_in, counts.bytes_in) == (2, 9)
    assert (counts.packets_out, counts.bytes_out) == (2, 6)
    sender.close(discard=True)
    sender.send_text("late")
    assert counts.packets_out == 2


def test_traffic_has_the_same_counters_for_each_caller() -> None:
    server = Server()
    assert server.engine._count_traffic() is server.engine._count_traffic()


def test_traffic_counts_a_binary_message_that_a_websocket_carries_as_text() -> None:
    server = Server()
    counts = server.engine._count_traffic()
    server.open("websocket")
    server.sessions[-1]._receive_text(b"b" + base64.b64encode(b"\x00\x01\x02"))
    assert (counts.packets_in, counts.bytes_in) == (1, 3)


def test_sessions_count_nothing_without_counters() -> None:
    server = Server()
    client = server.open("websocket")
    client.send("hello")
    assert server.sessions[-1]._traffic is None
    assert server.engine._counts.traffic is None
