"""Session in isolation, with a fake transport and a fake clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engineio_core import CloseReason, EncodedPacket, EngineOptions, Session, SessionClosedError
from engineio_core.counts import EngineCounts
from engineio_core.heartbeat import Heartbeat
from engineio_core.http.compression import CompressionQueue
from engineio_core.iteration import Iteration
from engineio_core.session import SessionContext
from engineio_core.session_state import SessionState
from engineio_core.timers import TimerQueue
from tests.helpers.fake_clock import FakeClock


class FakeTransport:
    """Transport that is writable on request and records the packets."""

    name = "websocket"

    def __init__(self) -> None:
        self.writable = False
        self.sent: list[bytes] = []
        self.is_discarded = False

    def send(self, packet: EncodedPacket) -> None:
        self.sent.append(packet.payload)

    def wake(self) -> None:
        pass

    def close(self) -> bool:
        return True

    def discard(self) -> None:
        self.is_discarded = True


class Stage:
    """Session with its transport and its recorded close reasons."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.ended: list[CloseReason] = []
        self.transport: Any = FakeTransport()
        context = SessionContext(
            EngineOptions(),
            clock,
            TimerQueue(clock),
            Heartbeat(clock, 25, 20),
            lambda session, reason, description: self.ended.append(reason),
            lambda: asyncio.get_running_loop().create_future(),
            set(),
            Iteration(clock),
            EngineCounts(),
            CompressionQueue(clock),
        )
        self.session = Session("sid", None, self.transport, context)

    def make_writable(self) -> None:
        self.transport.writable = True
        self.session._transport_writable()


async def begin_drain(session: Session) -> asyncio.Task[None]:
    waiting = asyncio.create_task(session.drain())
    await asyncio.sleep(0)
    return waiting


async def test_drain_returns_when_the_outbox_is_empty() -> None:
    stage = Stage()
    stage.session.send_text("queued")
    cancelled, waiting = await begin_drain(stage.session), await begin_drain(stage.session)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    stage.make_writable()
    await waiting
    assert stage.transport.sent == [b"4queued"]
    assert cancelled.cancelled()


async def test_drain_fails_when_the_session_ends() -> None:
    stage = Stage()
    stage.session.send_text("queued")
    cancelled, waiting = await begin_drain(stage.session), await begin_drain(stage.session)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    stage.session.close(discard=True)
    with pytest.raises(SessionClosedError) as caught:
        await waiting
    assert caught.value.reason is CloseReason.FORCED_CLOSE
    assert stage.transport.is_discarded


async def test_drain_of_a_closed_session_fails() -> None:
    stage = Stage()
    stage.session.close(discard=True)
    with pytest.raises(SessionClosedError):
        await stage.session.drain()


def test_transport_that_stays_blocked_keeps_the_outbox() -> None:
    stage = Stage()
    stage.session.send_text("queued")
    stage.session._transport_writable()
    assert [packet.payload for packet in stage.session.outbox] == [b"4queued"]


def test_closed_session_ignores_packets_and_further_ends() -> None:
    stage = Stage()
    received: list[object] = []
    stage.session.on_text = received.append
    stage.session.on_binary = received.append
    stage.session.close(discard=True)
    stage.session._receive_text(b"4late")
    stage.session._receive_binary(b"late")
    stage.session._transport_writable()
    stage.session._transport_closed(CloseReason.TRANSPORT_CLOSE, "lost")
    stage.session.close()
    stage.session.close(discard=True)
    assert stage.ended == [CloseReason.FORCED_CLOSE]
    assert stage.session.state is SessionState.CLOSED
    assert received == []
