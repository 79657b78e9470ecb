"""The WebTransport transport over a fake stream: delivery, back-pressure, pauses and ends."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from engineio_core import EncodedPacket, SessionState, read_turn
from engineio_core.budgets import LARGE_MESSAGE
from engineio_core.read_turn import TURN_BYTES
from engineio_core.webtransport.transport import (
    CLOSING_PINGS,
    HIGH_WATER,
    LOW_WATER,
    MAX_DROPPED,
    PACKET_BYTES,
)

from .support import OPEN, Client, EchoEngine, frame

PINGS = [(False, b"2")] * CLOSING_PINGS


async def connect(engine: EchoEngine) -> Client:
    client = Client(engine)
    before = len(engine.opened)
    await client.send(OPEN)
    assert len(engine.opened) == before + 1
    client.stream.written = b""
    return client


async def test_messages_pass_in_both_directions() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    await client.send(frame(b"4hello") + frame(b"\x00\xff", is_binary=True))
    assert client.packets == [(False, b"4hello"), (True, b"\x00\xff")]
    assert engine.opened[0].transport.name == "webtransport"


async def test_session_queues_packets_until_the_network_takes_bytes() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    session = engine.opened[0]
    client.stream.is_stuck = True
    session.send_binary(bytes(HIGH_WATER))
    assert not session.writable
    assert client.stream.is_held
    written = len(client.stream.written)
    session.send_text("later")
    assert len(client.stream.written) == written
    assert [each.payload for each in session.outbox] == [b"4later"]
    assert session.buffered_amount == client.stream.unsent + len(b"4later")

    client.stream.unsent = LOW_WATER + 1
    client.transport.check_writable()
    assert session.outbox
    client.stream.unsent = LOW_WATER
    client.transport.check_writable()
    assert not session.outbox
    assert not client.stream.is_held
    assert client.packets[-1] == (False, b"4later")


async def test_client_that_takes_nothing_is_a_slow_consumer() -> None:
    engine = EchoEngine(slow_consumer_timeout=5)
    client = await connect(engine)
    session = engine.opened[0]
    client.stream.is_stuck = True
    for _ in range(40):
        session.send_binary(bytes(64 * 1024))
    engine.fake_clock.advance(6)
    assert engine.ends[0][0] == "slow consumer"
    assert client.stream.end == ("aborted",)


async def test_pause_keeps_packets_until_reading_resumes() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    session = engine.opened[0]
    received: list[str] = []

    def receive(text: str) -> None:
        received.append(text)
        if text == "b":
            session.pause_reading()

    session.on_text = receive
    await client.send(frame(b"4a") + frame(b"4b") + frame(b"4c"), frame(b"4d"))
    assert received == ["a", "b"]
    assert client.stream.is_held
    session.resume_reading()
    assert received == ["a", "b", "c", "d"]
    assert not client.stream.is_held


async def test_packets_of_a_pause_are_delivered_when_the_client_leaves() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    session = engine.opened[0]
    received: list[str] = []
    session.on_text = received.append
    session.pause_reading()
    await client.send(frame(b"4last"))
    client.transport.stream_ended("the client closed")
    assert received == ["last"]
    assert engine.ends == [("transport close", "the client closed")]


async def test_volatile_packet_is_dropped_while_bytes_wait_for_the_network() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    session = engine.opened[0]
    engine.fake_clock.run()
    assert session.send_volatile(EncodedPacket(b"4now"))
    assert not session.send_volatile(EncodedPacket(b"4same iteration"))
    engine.fake_clock.run()
    client.stream.unsent = 1
    assert not session.send_volatile(EncodedPacket(b"4busy"))
    client.stream.unsent = 0
    assert session.send_volatile(EncodedPacket(b"4again"))


async def test_close_ends_the_stream_after_the_packets() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    session = engine.opened[0]
    session.send_text("bye")
    session.close()
    assert client.packets == [(False, b"4bye"), *PINGS]
    assert client.stream.end == ("finished", 0, "")
    assert engine.ends[0][0] == "forced close"
    await client.send(frame(b"4ignored"))
    assert client.packets == [(False, b"4bye"), *PINGS]


async def test_session_stays_open_until_the_client_has_read_the_last_packets() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    session = engine.opened[0]
    session.pause_reading()
    session.close()
    assert not client.stream.is_held  # the pongs must arrive
    # Messages of the client, and a pong of the heartbeat, precede the pong of the last ping.
    await client.send(frame(b"4late") + frame(b"3", is_binary=True) + frame(b"3"))
    assert client.stream.is_unread
    await client.send(frame(b"3")[:1], frame(b"3")[1:])
    assert not client.stream.is_unread
    await client.send(frame(b"3"))  # without effect


async def test_packets_of_a_pause_are_dropped_in_portions_after_the_close() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    engine.opened[0].pause_reading()
    await client.send(frame(b"4") * (2 * MAX_DROPPED))
    engine.opened[0].close()
    await client.send(frame(b"3") * 2)
    assert client.stream.is_unread  # a part of the packets, the pongs among them, is left
    await client.send(frame(b"4"))
    assert client.stream.is_unread
    await client.send(frame(b"4"))
    assert not client.stream.is_unread


# -- the memory of unfinished packets


async def test_unfinished_packet_above_the_budget_closes_its_session() -> None:
    packet = frame(b"4" + b"x" * 200_000)
    engine = EchoEngine(max_total_unfinished_size=2 * len(packet))
    first, second, third = [await connect(engine) for _ in range(3)]
    for client in (first, second, third):
        await client.send(packet[:100], packet[100:-1])
    assert engine.ends == [("transport error", "too many unfinished messages")]
    assert engine._budgets.known.used == 2 * 200_001
    await first.send(packet[-1:])
    assert first.packets == [(False, b"4" + b"x" * 200_000)]
    assert engine._budgets.known.used == 200_001
    second.transport.stream_ended("the client left")
    assert engine._budgets.known.used == 0


async def test_budget_counts_the_length_of_the_current_packet() -> None:
    engine = EchoEngine(max_total_unfinished_size=10**6)
    client = await connect(engine)
    long = frame(b"4" + b"x" * 99_999)
    await client.send(long[:50])
    assert engine._budgets.known.used == 100_000
    await client.send(long[50:] + frame(b"4" + b"y" * 199_999)[:50])
    assert engine._budgets.known.used == 200_000
    await client.send(b"y" * 200_000)
    assert engine._budgets.known.used == 0


async def test_unfinished_packet_of_a_client_without_a_session_counts_for_strangers() -> None:
    engine = EchoEngine(max_total_unfinished_size=400_000)
    client = Client(engine)
    await client.send(frame(b"0" + b" " * 100_000)[:50])
    assert engine._budgets.strangers.used == 0, "a quarter is less than the packet"
    assert client.transport._is_closed
    client = Client(engine)
    await client.send(frame(b"0" + b" " * 90_000)[:50])
    assert engine._budgets.strangers.used == 90_001


async def test_short_unfinished_packet_does_not_count() -> None:
    engine = EchoEngine(max_total_unfinished_size=1)
    client = await connect(engine)
    await client.send(frame(b"4" + bytes(LARGE_MESSAGE - 1))[:-1])
    assert engine._budgets.known.used == 0
    assert engine.ends == []


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each check of a turn be late."""
    seconds = count(0.0, 1.0)
    monkeypatch.setattr(read_turn, "perf_counter", lambda: next(seconds))


@pytest.mark.usefixtures("slow_machine")
async def test_packets_of_one_client_are_delivered_in_turns() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    client.transport.data_received(frame(b"4a") * 1000)
    assert 0 < len(client.packets) <= 3 * TURN_BYTES // PACKET_BYTES
    assert client.stream.is_held
    client.transport.data_received(frame(b"4b"))
    client.transport.resume_reading()
    assert len(client.packets) < 1000
    assert client.stream.is_held, "until the packets are delivered"
    engine.fake_clock.run()
    assert client.packets == [(False, b"4a")] * 1000 + [(False, b"4b")]
    assert not client.stream.is_held


@pytest.mark.usefixtures("slow_machine")
async def test_end_of_a_stream_follows_the_packets_of_later_turns() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    client.transport.data_received(frame(b"4a") * 1000)
    client.transport.stream_ended("the client ended its stream")
    client.transport.stream_ended("the connection was lost")
    assert engine.ends == []
    engine.fake_clock.run()
    assert client.packets == [(False, b"4a")] * 1000
    assert engine.ends == [("transport close", "the client ended its stream")]


@pytest.mark.usefixtures("slow_machine")
async def test_closed_session_receives_no_packet_of_a_later_turn() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    received: list[str] = []
    engine.opened[0].on_text = received.append
    client.transport.data_received(frame(b"4a") * 1000)
    engine.opened[0].close()
    before = len(received)
    engine.fake_clock.run()
    assert len(received) == before < 1000
    client.transport.stream_ended("the client closed")
    assert [reason for reason, _ in engine.ends] == ["forced close"]


@pytest.mark.usefixtures("slow_machine")
async def test_network_that_takes_bytes_between_two_turns_leaves_the_stream_held() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    client.transport.data_received(frame(b"4a") * 1000)
    client.stream.is_stuck = True
    engine.opened[0].send_binary(bytes(HIGH_WATER))
    client.stream.unsent = 0
    client.transport.check_writable()
    assert client.stream.is_held
    client.stream.is_stuck = False
    engine.fake_clock.run()
    assert not client.stream.is_held


async def test_session_closes_without_pongs_after_an_invalid_packet() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    engine.opened[0].close()
    assert client.stream.is_unread
    await client.send(b"\x00")
    assert not client.stream.is_unread


async def test_discarded_session_waits_for_no_pong() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    engine.opened[0].close(discard=True)
    assert client.packets == []
    assert (client.stream.end, client.stream.is_unread) == (("finished", 0, ""), False)


async def test_orderly_close_waits_for_the_outbox() -> None:
    engine = EchoEngine()
    client = await connect(engine)
    session = engine.opened[0]
    client.stream.is_stuck = True
    session.send_binary(bytes(HIGH_WATER))
    session.send_text("last")
    session.close()
    assert session.state is SessionState.CLOSING
    client.stream.unsent = 0
    client.transport.check_writable()
    assert client.packets[1:] == [(False, b"4last"), *PINGS]
    assert client.stream.end == ("finished", 0, "")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00", "parse error"),
        (frame(b"9"), "parse error"),
        (frame(b"4\xff"), "parse error"),
        (frame(b"1"), "transport close"),
    ],
)
async def test_invalid_packet_or_close_packet_ends_the_session(data: bytes, reason: str) -> None:
    engine = EchoEngine()
    client = await connect(engine)
    await client.send(data)
    assert [end for end, _ in engine.ends] == [reason]
    assert (client.stream.end, client.stream.is_unread) == (("finished", 0, ""), False)


async def test_exception_of_a_callback_is_logged_and_the_session_continues(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = EchoEngine()
    client = await connect(engine)
    session = engine.opened[0]

    def fail(_: Any) -> None:
        raise RuntimeError("a fault of the application")

    session.on_text = fail
    await client.send(frame(b"4x") + frame(b"\x01", is_binary=True))
    assert "a fault of the application" in caplog.text
    assert client.packets == [(True, b"\x01")]


async def test_heartbeat_ends_a_silent_session_but_not_one_that_uploads() -> None:
    engine = EchoEngine(ping_interval=10, ping_timeout=5)
    client = await connect(engine)
    engine.fake_clock.advance(11)
    assert client.packets == [(False, b"2")]
    # A long message that arrives slowly delays the pong behind it.
    await client.send(frame(bytes(100_000), is_binary=True)[:10])
    for _ in range(5):
        engine.fake_clock.advance(4)
        await client.send(bytes(6000))
    assert not engine.ends
    engine.fake_clock.advance(60)
    assert [end for end, _ in engine.ends] == ["ping timeout"]
    await asyncio.sleep(0)
