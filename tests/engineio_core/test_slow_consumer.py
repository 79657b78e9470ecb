"""Sessions whose clients take queued packets slowly, or not at all."""

from __future__ import annotations

import asyncio

from engineio_core import EngineOptions
from socketio_core import Recovery
from tests.helpers.client import Client, Server

MEGABYTE = 1_000_000
CALM = {"ping_interval": 1000.0, "ping_timeout": 1000.0}


def open_stalled(transport: str, **options: float) -> tuple[Server, Client]:
    """Return a server and a client that has stopped reading."""
    server = Server(**{**CALM, **options})
    client = server.open(transport)
    if transport == "websocket":
        client.tcp.stall()
        server.session.send_text("x" * 70_000)
    return server, client


def send_megabytes(server: Server, count: int) -> None:
    for _ in range(count * 10):
        server.session.send_text("x" * (MEGABYTE // 10 - 1))


def test_burst_reaches_a_healthy_client(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    if transport == "websocket":
        client.tcp.stall()  # the state while a handler sends the burst
    for number in range(20_000):
        server.session.send_text(f"{number:05}" + "x" * 1000)
    assert server.closed == []
    if transport == "websocket":
        client.tcp.unstall()
    assert [int(str(text)[:5]) for text in client.messages()] == list(range(20_000))


def test_session_closes_when_its_client_makes_no_progress(transport: str) -> None:
    server, client = open_stalled(transport, slow_consumer_timeout=30.0)
    send_megabytes(server, 4)
    server.clock.advance(29)
    assert server.closed == []
    server.clock.advance(2)
    assert server.reasons == ["slow consumer"]
    assert "30 seconds" in server.closed[0][1]
    assert client.is_over


def test_session_stays_when_its_client_takes_packets_slowly() -> None:
    server, client = open_stalled("polling", slow_consumer_timeout=30.0)
    send_megabytes(server, 6)
    while server.session.outbox:
        server.clock.advance(29)
        assert client.poll().response().status == 200
    assert server.closed == []


def test_session_stays_when_the_kernel_takes_bytes_of_a_long_packet() -> None:
    server, client = open_stalled("websocket", slow_consumer_timeout=30.0)
    send_megabytes(server, 4)
    for _ in range(5):
        server.clock.advance(29)
        del client.tcp._buffer[:1000]
    assert server.closed == []
    server.clock.advance(61)
    assert server.reasons == ["slow consumer"]


def test_session_with_a_short_queue_is_not_closed(transport: str) -> None:
    server, _ = open_stalled(transport, slow_consumer_timeout=5.0)
    server.session.send_text("x" * 100_000)
    server.clock.advance(900)
    assert server.closed == []


def test_watch_ends_when_the_queue_is_short_again(transport: str) -> None:
    server, client = open_stalled(transport, slow_consumer_timeout=5.0)
    send_megabytes(server, 2)
    if transport == "websocket":
        client.tcp.unstall()
    client.messages()
    server.clock.advance(20)
    assert server.closed == []


def test_session_closes_above_the_byte_limit(transport: str) -> None:
    server, client = open_stalled(transport, max_outbox_size=3 * MEGABYTE)
    send_megabytes(server, 3)
    assert server.closed == []
    server.session.send_text("one more")
    assert server.reasons == ["slow consumer"]
    assert "drain()" in server.closed[0][1]
    assert client.is_over


def test_end_of_a_session_stops_the_watch(transport: str) -> None:
    server, _ = open_stalled(transport, slow_consumer_timeout=5.0)
    send_megabytes(server, 2)
    server.session.close(discard=True)
    server.clock.advance(20)
    assert server.reasons == ["forced close"]


def test_ping_overtakes_a_long_queue(transport: str) -> None:
    server, client = open_stalled(transport, ping_interval=10.0, ping_timeout=5.0)
    send_megabytes(server, 2)
    server.clock.advance(10.2)
    assert server.session.outbox[0].payload == b"2"
    if transport == "websocket":
        client.tcp.unstall()
    packets = client.packets()
    assert "2" in packets[:2]  # the buffers of the WebSocket already contain one message
    client.send_packet("3")
    server.clock.advance(9)
    assert server.closed == []


def test_default_limit_of_the_queue_is_far_above_that_of_recovery() -> None:
    assert EngineOptions().max_outbox_size >= 2 * Recovery().max_bytes


async def test_drain_returns_when_the_client_has_taken_all_packets() -> None:
    server, client = open_stalled("polling")
    send_megabytes(server, 3)
    waiting = asyncio.ensure_future(server.session.drain())
    while server.session.outbox:
        await asyncio.sleep(0)
        assert not waiting.done()
        client.poll()
    await waiting
    assert server.session.outbox == ()
