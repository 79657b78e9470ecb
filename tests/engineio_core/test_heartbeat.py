"""Pings, pongs, and what becomes of those who do not answer."""

from __future__ import annotations

from tests.helpers.client import Client, Server

INTERVAL, TIMEOUT = 10.0, 5.0
SLACK = 0.1  # one timer serves what is due within two per cent of the timeout


def open_client(transport: str) -> tuple[Server, Client]:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open(transport)
    assert client.packets() == []
    return server, client


def test_the_first_ping_comes_after_the_interval(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL - 0.01)
    assert client.packets() == []
    server.clock.advance(SLACK + 0.02)
    assert client.packets() == ["2"]


def test_a_client_that_answers_is_pinged_again_and_again(transport: str) -> None:
    server, client = open_client(transport)
    for _ in range(3):
        server.clock.advance(INTERVAL + SLACK)
        assert client.packets() == ["2"]
        client.send_packet("3")
    server.clock.advance(TIMEOUT)
    assert server.closed == []


def test_a_timeout_that_is_longer_than_the_interval_delays_no_ping(transport: str) -> None:
    server = Server(ping_interval=1, ping_timeout=10)
    client = server.open(transport)
    client.packets()
    for _ in range(5):
        server.clock.advance(1.05)
        assert client.packets() == ["2"]
        client.send_packet("3")
    server.clock.advance(12)
    assert server.reasons == ["ping timeout"]


def test_a_client_that_does_not_answer_is_closed_with_ping_timeout(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL + SLACK)
    assert client.packets() == ["2"]
    server.clock.advance(TIMEOUT - SLACK)
    assert server.closed == []
    server.clock.advance(2 * SLACK)
    assert server.closed == [("ping timeout", "no pong in time")]
    assert client.is_over


def test_a_client_that_does_not_even_poll_is_closed_with_ping_timeout() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_polling()
    server.clock.advance(INTERVAL + TIMEOUT + 2 * SLACK)
    assert server.reasons == ["ping timeout"]
    assert client.poll().response().status == 400


def test_a_poll_that_waits_is_told_of_the_timeout() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_polling()
    first = client.poll()
    server.clock.advance(INTERVAL + SLACK)
    assert first.response().text == "2"
    second = client.poll()
    server.clock.advance(TIMEOUT + SLACK)
    assert second.response().text == "1"


def test_a_websocket_that_times_out_gets_a_close_frame() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_websocket()
    server.clock.advance(INTERVAL + TIMEOUT + 2 * SLACK)
    assert client.close_code == 1005


def test_whoever_sends_anything_is_alive(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL + SLACK)
    server.clock.advance(TIMEOUT - SLACK)
    client.send("busy with a long upload, the pong waits behind it")
    server.clock.advance(TIMEOUT - SLACK)
    assert server.closed == []
    server.clock.advance(5 * SLACK)
    assert server.reasons == ["ping timeout"]


def test_a_server_that_was_held_up_does_not_blame_its_clients(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL + SLACK)
    server.clock._now += 3 * TIMEOUT  # the loop stands still: no timer fires in between
    server.clock.run()
    assert server.closed == []
    client.send_packet("3")
    server.clock.advance(TIMEOUT + SLACK)
    assert server.closed == []


def test_a_pong_that_nobody_asked_for_does_not_put_the_ping_off(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL / 2)
    for _ in range(100):
        client.send_packet("3")
    assert len(server.engine._session_context().heartbeat._to_ping) == 1
    server.clock.advance(INTERVAL / 2 + SLACK)
    assert client.packets() == ["2"]


def test_pings_keep_their_place_among_the_messages(transport: str) -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open(transport)
    server.session.send_text("before")
    server.clock.advance(INTERVAL + SLACK)
    server.session.send_text("after")
    assert client.packets() == ["4before", "2", "4after"]


def test_an_upgraded_session_does_not_time_out() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_polling()
    poll = client.poll()
    server.clock.advance(INTERVAL + SLACK)
    assert poll.response().text == "2"  # and the pong is lost with the change of transports
    websocket = client.upgrade()
    websocket.send_packet("2probe")
    websocket.send_packet("5")
    websocket.send_packet("3")
    server.clock.advance(INTERVAL + SLACK)
    assert websocket.packets()[-1] == "2"
    websocket.send_packet("3")
    server.clock.advance(TIMEOUT + SLACK)
    assert server.closed == []


def test_thousands_of_sessions_share_one_timer() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    for _ in range(50):
        server.open_websocket()
    assert server.clock.pending == 1
    server.clock.advance(INTERVAL + TIMEOUT + 2 * SLACK)
    assert server.reasons == ["ping timeout"] * 50


def test_a_session_that_ended_is_forgotten_at_once() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open_websocket()
    session = server.session
    client.tcp.lose()
    assert session._deadline is None
    heartbeat = server.engine._session_context().heartbeat
    assert [beat.session for beat in heartbeat._to_ping] == [None]
    server.clock.advance(INTERVAL + SLACK)
    assert server.clock.pending == 0


def test_a_close_listener_may_open_a_session_when_another_times_out() -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    server.open_websocket()
    opened: list[Client] = []
    server.session.on_close = lambda reason, why: opened.append(server.open_websocket())
    server.clock.advance(INTERVAL + TIMEOUT + 2 * SLACK)
    server.clock.advance(INTERVAL + SLACK)
    assert opened[0].packets() == ["2"]
    assert server.clock.pending == 2, "the closing of the first, and one timer for the heartbeat"
