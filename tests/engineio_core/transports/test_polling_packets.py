"""The number of packets of a poll response."""

from __future__ import annotations

import pytest

from tests.helpers.client import PollingClient, Server


def fetch(timestamp: str) -> list[int]:
    """Return the numbers of packets in the responses that a client fetches."""
    server = Server()
    opened = server.get(transport="polling", t=timestamp).response()
    client = PollingClient(server, opened)
    for number in range(40):
        server.session.send_text(str(number))
    counts = []
    while server.session.outbox:
        counts.append(len(client.poll().response().text.split("\x1e")))
    return counts


def test_response_for_a_python_client_has_at_most_sixteen_packets() -> None:
    assert fetch("1764313200.123456") == [16, 16, 8]


@pytest.mark.parametrize("timestamp", ["", "abc123", "OxY.z-1", "1764313200"])
def test_response_for_another_client_has_all_packets(timestamp: str) -> None:
    assert fetch(timestamp) == [40]
