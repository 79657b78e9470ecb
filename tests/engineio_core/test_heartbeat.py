"""Heartbeat: pings, pongs and ping timeouts."""

from __future__ import annotations

from tests.helpers.client import Client, Server

INTERVAL, TIMEOUT = 10.0, 5.0
SLACK = 0.1  # one timer serves all deadlines within 2 % of the timeout


def open_client(transport: str) -> tuple[Server, Client]:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open(transport)
    assert client.packets() == []
    return server, client


def test_first_ping_is_sent_after_the_interval(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL - 0.01)
    assert client.packets() == []
    server.clock.advance(SLACK + 0.02)
    assert client.packets() == ["2"]


def test_client_that_sends_pongs_receives_further_pings(transport: str) -> None:
    server, client = open_client(transport)
    for _ in range(3):
        server.clock.advance(INTERVAL + SLACK)
        assert client.packets() == ["2"]
        client.send_packet("3")
    server.clock.advance(TIMEOUT)
    assert server.closed == []


def test_pings_are_not_delayed_when_the_timeout_is_longer_than_the_interval(transport: str) -> None:
    server = Server(ping_interval=1, ping_timeout=10)
    client = server.open(transport)
    client.packets()
    for _ in range(5):
        server.clock.advance(1.05)
        assert client.packets() == ["2"]
        client.send_packet("3")
    server.clock.advance(12)
    assert server.reasons == ["ping timeout"]


def test_session_closes_with_ping_timeout_when_no_pong_arrives(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL + SLACK)
    assert client.packets() == ["2"]
    server.clock.advance(TIMEOUT - SLACK)
    assert server.closed == []
    server.clock.advance(2 * SLACK)
    assert server.closed == [("ping timeout", "no pong in time")]
    assert client.is_over


def test_session_closes_with_ping_timeout_when_the_client_does_not_poll() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_polling()
    server.clock.advance(INTERVAL + TIMEOUT + 2 * SLACK)
    assert server.reasons == ["ping timeout"]
    assert client.poll().response().status == 400


def test_pending_poll_receives_a_close_packet_at_the_ping_timeout() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_polling()
    first = client.poll()
    server.clock.advance(INTERVAL + SLACK)
    assert first.response().text == "2"
    second = client.poll()
    server.clock.advance(TIMEOUT + SLACK)
    assert second.response().text == "1"


def test_websocket_receives_a_close_frame_at_the_ping_timeout() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_websocket()
    server.clock.advance(INTERVAL + TIMEOUT + 2 * SLACK)
    assert client.close_code == 1005


def test_any_packet_extends_the_ping_timeout_once(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL + SLACK)
    server.clock.advance(TIMEOUT - SLACK)
    client.send("long upload that delays the pong")
    server.clock.advance(TIMEOUT - SLACK)
    assert server.closed == []
    server.clock.advance(5 * SLACK)
    assert server.reasons == ["ping timeout"]


def test_ping_timeout_is_extended_when_the_event_loop_was_blocked(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL + SLACK)
    server.clock._now += 3 * TIMEOUT  # the event loop is blocked: no timer fires in between
    server.clock.run()
    assert server.closed == []
    client.send_packet("3")
    server.clock.advance(TIMEOUT + SLACK)
    assert server.closed == []


def test_unsolicited_pong_does_not_delay_the_next_ping(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL / 2)
    for _ in range(100):
        client.send_packet("3")
    assert len(server.engine._session_context().heartbeat._to_ping) == 1
    server.clock.advance(INTERVAL / 2 + SLACK)
    assert client.packets() == ["2"]


def test_pings_keep_their_order_among_messages(transport: str) -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open(transport)
    server.session.send_text("before")
    server.clock.advance(INTERVAL + SLACK)
    server.session.send_text("after")
    assert client.packets() == ["4before", "2", "4after"]


def test_upgraded_session_does_not_time_out() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_polling()
    poll = client.poll()
    server.clock.advance(INTERVAL + SLACK)
    assert poll.response().text == "2"  # the client loses this pong during the upgrade
    websocket = client.upgrade()
    websocket.send_packet("2probe")
    websocket.send_packet("5")
    websocket.send_packet("3")
    server.clock.advance(INTERVAL + SLACK)
    assert websocket.packets()[-1] == "2"
    websocket.send_packet("3")
    server.clock.advance(TIMEOUT + SLACK)
    assert server.closed == []


def test_sessions_share_one_timer() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    for _ in range(50):
        server.open_websocket()
    assert server.clock.pending == 1
    server.clock.advance(INTERVAL + TIMEOUT + 2 * SLACK)
    assert server.reasons == ["ping timeout"] * 50


def test_ended_session_is_released_immediately() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_websocket()
    session = server.session
    client.tcp.lose()
    assert session._deadline is None
    heartbeat = server.engine._session_context().heartbeat
    assert [deadline.session for deadline in heartbeat._to_ping] == [None]
    server.clock.advance(INTERVAL + SLACK)
    assert server.clock.pending == 0


def test_session_opened_in_a_close_callback_at_a_ping_timeout_receives_pings() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    server.open_websocket()
    opened: list[Client] = []
    server.session.on_close = lambda reason, description: opened.append(server.open_websocket())
    server.clock.advance(INTERVAL + TIMEOUT + 2 * SLACK)
    server.clock.advance(INTERVAL + SLACK)
    assert opened[0].packets() == ["2"]
    assert server.clock.pending == 2, (
        "the close timer of the first session and the timer of the heartbeat"
    )
