"""The spelling of client addresses: one per client, in limits and logs."""

from __future__ import annotations

import logging

import pytest

from tests.helpers.client import Server

SPELLINGS = ("127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:7f00:0001")


def address_of(server: Server, peer: str, headers: dict[str, str] | None = None) -> str:
    connection = server.connect(peer=(peer, 50000, 0, 0))
    connection.request("GET", server.target(transport="polling"), headers)
    assert connection.response().status == 200
    return server.session.request.remote_address


@pytest.mark.parametrize("peer", SPELLINGS)
def test_ipv4_client_has_its_ipv4_address(peer: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert address_of(Server(), peer) == "127.0.0.1"
    assert "from 127.0.0.1" in caplog.text
    assert "ffff" not in caplog.text


@pytest.mark.parametrize("peer", SPELLINGS)
@pytest.mark.parametrize("client", ["::ffff:192.0.2.9", "::FFFF:c000:209", "192.0.2.9"])
@pytest.mark.parametrize("network", ["127.0.0.0/8", "::ffff:127.0.0.0/104"])
def test_forwarded_ipv4_client_has_its_ipv4_address(peer: str, client: str, network: str) -> None:
    server = Server(trusted_proxies=[network])
    assert address_of(server, peer, {"X-Forwarded-For": client}) == "192.0.2.9"
    assert address_of(server, peer, {"Forwarded": f'for="[{client}]"'}) == "192.0.2.9"


@pytest.mark.parametrize("peer", ["2001:db8::1", "::1", "fe80::1%eth0"])
def test_ipv6_client_keeps_its_address(peer: str) -> None:
    assert address_of(Server(), peer) == peer
