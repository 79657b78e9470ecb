"""The accounts of addresses: sessions, buffered bytes, and the limits of both."""

from __future__ import annotations

from typing import Any

import pytest

from engineio_core import EncodedPacket
from engineio_core.accounts import Account, Ledger, network_of
from engineio_core.budgets import FAIR_QUEUE
from tests.helpers.client import Client, Server, WebSocketClient
from tests.helpers.wire import TEXT, client_frame, http_request

FIRST, SECOND = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
MESSAGE = client_frame(TEXT, b"4" + bytes(200_000))
LENGTH = len(MESSAGE)


def make_server(**options: Any) -> Server:
    return Server(trusted_proxies=["0.0.0.0/0"], **options)


def open_client(server: Server, transport: str, headers: dict[str, str]) -> Client:
    polls = transport == "polling"
    return server.open_polling(headers) if polls else server.open_websocket(headers)


def accounts(server: Server) -> dict[str, tuple[int, int]]:
    found = server.engine._addresses.accounts.values()
    return {each.key: (each.sessions, each.buffered) for each in found}


def begin(server: Server, headers: dict[str, str]) -> WebSocketClient:
    client = server.open_websocket(headers)
    client.feed(MESSAGE[:-1])
    return client


def test_account_exists_while_its_address_has_sessions(transport: str) -> None:
    server = make_server()
    open_client(server, transport, FIRST)
    open_client(server, transport, FIRST)
    open_client(server, transport, SECOND)
    assert accounts(server) == {"203.0.113.1": (2, 0), "203.0.113.2": (1, 0)}
    for session in server.sessions[1:]:
        session.close(discard=True)
    assert accounts(server) == {"203.0.113.1": (1, 0)}
    server.sessions[0].close(discard=True)
    assert accounts(server) == {}


def test_clients_of_an_untrusted_proxy_share_its_account() -> None:
    server = Server()
    for headers in (FIRST, SECOND):
        server.open_websocket(headers)
    assert [sessions for sessions, _ in accounts(server).values()] == [2]


def test_handshake_receives_429_when_its_address_has_too_many_sessions(transport: str) -> None:
    server = make_server(max_sessions_per_address=1)
    open_client(server, transport, FIRST)
    for connection in (server.get(FIRST, transport="polling"), server.upgrade(FIRST)):
        response = connection.response()
        assert (response.status, response.header("Retry-After")) == (429, "5")
    assert server.engine._addresses.limited["sessions"] == 2
    assert server.engine._counts.handshakes[transport, "full_address"] == 1
    open_client(server, transport, SECOND)
    server.sessions[0].close(discard=True)
    open_client(server, transport, FIRST)


def test_address_may_have_all_sessions_by_default() -> None:
    assert Server(max_sessions=1_000_000).engine._addresses.max_sessions == 1_000_000


def test_queued_packets_count_until_the_client_takes_them(transport: str) -> None:
    server = make_server()
    client = open_client(server, transport, FIRST)
    if isinstance(client, WebSocketClient):
        client.tcp.stall()
        server.session.send_text("x" * 70_000)
    for _ in range(3):
        server.session.send_text("x" * 999)
    assert accounts(server) == {"203.0.113.1": (1, 3000)}
    if isinstance(client, WebSocketClient):
        client.tcp.unstall()
    assert len(client.messages()) >= 3
    assert accounts(server) == {"203.0.113.1": (1, 0)}


def test_client_with_a_long_queue_is_closed_when_its_address_exceeds_the_limit() -> None:
    server = make_server(max_buffered_size_per_address=2 * FAIR_QUEUE)
    for headers in (FIRST, FIRST, FIRST, SECOND):
        server.open_polling(headers)
    first, second, third, other = server.sessions
    packet = EncodedPacket.message("x" * (FAIR_QUEUE - 1))
    for session in (first, second, third, other, other):
        session.send(packet)
    assert server.closed == [], "the queues of these clients are short"
    first.send(EncodedPacket.message("x"))
    ((reason, description),) = server.closed
    assert reason == "slow consumer"
    assert description.startswith(f"{3 * FAIR_QUEUE + 2} bytes are buffered for the clients of one")
    assert accounts(server)["203.0.113.1"] == (2, 2 * FAIR_QUEUE)
    assert server.engine._addresses.limited["buffered"] == 1


def test_unfinished_message_above_the_limit_of_its_address_is_refused() -> None:
    server = make_server(max_buffered_size_per_address=2 * LENGTH)
    begin(server, FIRST)
    begin(server, FIRST)
    refused = begin(server, FIRST)
    assert refused.close_code == 1013
    assert accounts(server)["203.0.113.1"] == (2, 2 * LENGTH)
    other = begin(server, SECOND)
    other.feed(MESSAGE[-1:])
    assert len(server.received) == 1
    for session in server.sessions:
        session.close(discard=True)
    assert accounts(server) == {}


def test_post_above_the_limit_of_its_address_is_refused_with_413() -> None:
    server = make_server(max_buffered_size_per_address=100_000)
    client = server.open_polling(FIRST)
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    body = b"4" + bytes(150_000)
    connection.feed(http_request("POST", target, {}, body)[:-1])
    assert connection.response().status == 413
    assert server.engine._addresses.limited["buffered"] == 1


def test_session_can_be_charged_to_a_second_account() -> None:
    server, users = make_server(), Ledger(10, 1000, 10)
    server.open_polling(FIRST)
    session, user = server.session, users.get("7")
    session.send_text("x" * 99)
    assert session._charge_to(user)
    assert not session._charge_to(user)
    session.send_text("x" * 99)
    assert (user.sessions, user.buffered) == (1, 200)
    session.close(discard=True)
    assert (user.sessions, user.buffered, users.accounts) == (0, 0, {})
    assert not session._charge_to(users.get("7"))
    assert users.accounts == {}


def test_ledger_reports_the_largest_numbers() -> None:
    ledger = Ledger(10, 10, 10)
    assert ledger.read_largest() == (0, 0, 0)
    first, second = ledger.get("a"), ledger.get("b")
    first.sessions, second.buffered, first.handlers, second.handlers = 3, 9, 1, 2
    assert ledger.read_largest() == (3, 9, 2)


def test_account_with_running_handlers_stays() -> None:
    ledger = Ledger(10, 10, 10)
    account = ledger.get("a")
    account.handlers = 1
    ledger.drop(account)
    assert ledger.get("a") is account
    account.handlers = 0
    ledger.drop(account)
    later = ledger.get("a")
    later.sessions = 1
    ledger.drop(Account(ledger, "a"))
    assert ledger.accounts == {"a": later}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unix", "unix"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network
