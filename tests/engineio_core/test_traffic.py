"""The counters of messages that an engine keeps on request."""

from __future__ import annotations

import pytest

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.session import Session
from tests.helpers.client import Server


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_traffic_counts_messages_without_digit_and_pings(transport: str) -> None:
    server = Server()
    traffic = server.engine._count_traffic()
    client = server.open(transport)
    session = server.sessions[-1]
    client.send("hello")
    client.send("ä")
    session.send_text("hey")
    session.send(EncodedPacket(b"\x00\x01", is_binary=True))
    session._send_ping()
    assert (traffic.packets_in, traffic.bytes_in) == (2, 7)
    assert (traffic.packets_out, traffic.bytes_out) == (2, 5)
    session.close(discard=True)
    session.send_text("late")
    assert traffic.packets_out == 2


def test_traffic_has_the_same_counters_for_each_caller() -> None:
    server = Server()
    assert server.engine._count_traffic() is server.engine._count_traffic()


def test_sessions_are_plain_without_counters() -> None:
    server = Server()
    server.open("websocket")
    assert type(server.sessions[-1]) is Session
