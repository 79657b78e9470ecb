"""Planned deadline of a pong: slack, late requests, one restart and long transfers."""

from __future__ import annotations

import pytest

from engineio_core.transports.websocket import WebSocketTransport
from tests.helpers.client import PollingClient, Server
from tests.helpers.wire import BINARY, CONT, TEXT, client_frame, http_request

INTERVAL, TIMEOUT = 0.3, 0.2
SLOW = {"ping_interval": 10.0, "ping_timeout": 5.0}


def open_client(transport: str) -> tuple[Server, object]:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    return server, server.open(transport)


@pytest.mark.parametrize("late", [0.0005, 0.002, 0.004, 0.008, 0.05])
def test_poll_of_a_silent_client_is_refused_after_the_planned_deadline(late: float) -> None:
    server, client = open_client("polling")
    assert isinstance(client, PollingClient)
    server.clock.advance(INTERVAL + TIMEOUT + late)
    response = client.poll().response()
    assert (response.status, response.json["code"]) == (400, 1)
    assert server.reasons == ["ping timeout"]


@pytest.mark.parametrize("late", [0.006, 0.05, 0.1])
def test_late_ping_does_not_extend_the_deadline(late: float) -> None:
    server, client = open_client("polling")
    assert isinstance(client, PollingClient)
    server.clock.advance(INTERVAL)
    server.clock._now += late  # a busy event loop runs the timer late
    server.clock.run()
    server.clock.advance(TIMEOUT - late + 0.004)
    assert client.poll().response().status == 400
    assert server.reasons == ["ping timeout"]


def test_post_of_a_silent_client_is_refused_after_the_planned_deadline() -> None:
    server, client = open_client("polling")
    assert isinstance(client, PollingClient)
    server.clock.advance(INTERVAL + TIMEOUT + 0.001)
    assert client.post("3").response().status == 400
    assert server.reasons == ["ping timeout"]


def test_session_ends_at_most_one_slack_after_the_deadline(transport: str) -> None:
    server, _ = open_client(transport)
    server.clock.advance(INTERVAL + TIMEOUT - 0.001)
    assert server.closed == []
    server.clock.advance(0.001 + 0.0041)  # the slack is two percent of the timeout
    assert server.reasons == ["ping timeout"]


@pytest.mark.parametrize("packet", ["3", "4late"])
def test_frame_after_the_planned_deadline_ends_the_session(packet: str) -> None:
    server, client = open_client("websocket")
    server.clock.advance(INTERVAL + TIMEOUT + 0.001)
    client.send_packet(packet)
    assert server.reasons == ["ping timeout"]
    assert server.received == []


def test_packet_after_the_pong_does_not_start_the_ping_timeout(transport: str) -> None:
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    client = server.open(transport)
    server.clock.advance(INTERVAL + 0.01)
    client.send_packet("3")
    client.send_packet("4message")
    server.clock.advance(TIMEOUT + 0.05)  # before the next ping
    assert server.received == ["message"]
    assert server.closed == []


def test_frame_after_a_blocked_loop_keeps_the_session(transport: str) -> None:
    server, client = open_client(transport)
    server.clock.advance(INTERVAL + 0.01)
    server.clock._now += 1.0  # no timer fires in between; the pong is unread in the kernel
    client.send_packet("3")
    server.clock.advance(0.2)
    assert server.closed == []


def test_first_packet_restarts_the_ping_timeout_once_from_its_arrival(transport: str) -> None:
    server = Server(**SLOW)
    client = server.open(transport)
    server.clock.advance(10.1)
    server.clock.advance(3)
    client.send("first")  # at 13.1 s: the deadline moves from 15 s to 18.1 s
    server.clock.advance(3)
    client.send("second")  # no effect
    server.clock.advance(1.9)
    assert server.closed == []
    server.clock.advance(0.3)
    assert server.reasons == ["ping timeout"]


def test_pong_after_a_restart_begins_the_next_interval(transport: str) -> None:
    server = Server(**SLOW)
    client = server.open(transport)
    for _ in range(3):
        server.clock.advance(10.2)
        assert client.packets() == ["2"]
        client.send("x")
        server.clock.advance(4)
        client.send_packet("3")
    assert server.closed == []


def test_slow_frame_keeps_the_session_while_its_bytes_arrive() -> None:
    server = Server(**SLOW)
    client = server.open_websocket()
    frame = client_frame(TEXT, b"4" + b"x" * 200_000)
    for start in range(0, len(frame), 2_000):
        client.feed(frame[start : start + 2_000])
        server.clock.advance(1)
    assert server.closed == []
    assert len(server.received) == 1
    client.send_packet("3")
    server.clock.advance(9)
    assert server.closed == []


def test_slow_fragments_keep_the_session_while_their_bytes_arrive() -> None:
    server = Server(**SLOW)
    client = server.open_websocket()
    client.frame(BINARY, b"x", fin=False)
    for _ in range(60):
        client.frame(CONT, b"x" * 2_000, fin=False)
        server.clock.advance(1)
    assert server.closed == []


def test_frame_below_the_body_rate_does_not_keep_the_session() -> None:
    server = Server(**SLOW)
    client = server.open_websocket()
    frame = client_frame(TEXT, b"4" + b"x" * 200_000)
    for start in range(0, 6_000, 300):
        client.feed(frame[start : start + 300])
        server.clock.advance(1)
    assert server.reasons == ["ping timeout"]


def test_slow_post_keeps_the_session_while_its_bytes_arrive() -> None:
    server = Server(**SLOW)
    client = server.open_polling()
    body = b"4" + b"x" * 100_000
    wire = http_request("POST", server.target(transport="polling", sid=client.sid), {}, body)
    connection = server.connect()
    for start in range(0, len(wire), 2_000):
        connection.feed(wire[start : start + 2_000])
        server.clock.advance(1)
    assert connection.response().text == "ok"
    assert server.closed == []
    assert len(server.received) == 1


def test_post_below_the_body_rate_does_not_keep_the_session() -> None:
    server = Server(**SLOW, body_timeout=100.0)
    client = server.open_polling()
    body = b"4" + b"x" * 100_000
    wire = http_request("POST", server.target(transport="polling", sid=client.sid), {}, body)
    connection = server.connect()
    for start in range(0, 6_000, 300):
        connection.feed(wire[start : start + 300])
        server.clock.advance(1)
    assert server.reasons == ["ping timeout"]


def test_slow_download_keeps_the_session_while_the_pong_is_unread() -> None:
    server = Server(**SLOW)
    client = server.open_websocket()
    client.tcp.stall()
    for _ in range(20):
        server.session.send_text("x" * 100_000)
    assert client.tcp.is_reading_paused
    client.send_packet("3")  # unread, because the client has not read the packets
    for _ in range(19):
        server.clock.advance(3)
        client.tcp.read_some(100_014)
    assert server.closed == []
    assert isinstance(server.session.transport, WebSocketTransport)
