"""UpgradeCandidate in isolation: a fake transport and two callbacks replace the session."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from engineio_core import CloseReason, EngineOptions, ProtocolError
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.session_state import UpgradeEvent
from engineio_core.timers import TimerQueue
from engineio_core.transports.interface import CandidateTransport
from engineio_core.upgrade import UpgradeCandidate
from tests.helpers.fake_clock import FakeClock

TIMEOUT = 7.0


class Context(NamedTuple):
    options: EngineOptions
    timers: TimerQueue


class FakeTransport:
    """Transport that records the packets and the close."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closes = 0

    def send(self, packet: EncodedPacket) -> None:
        self.sent.append(packet.payload)

    def close(self) -> bool:
        self.closes += 1
        return True


class Stage:
    """Candidate with its transport and its recorded calls."""

    def __init__(self, *illegal: UpgradeEvent) -> None:
        self.illegal = illegal
        self.events: list[UpgradeEvent] = []
        self.changed: list[CandidateTransport] = []
        self.clock = FakeClock()
        self.transport: Any = FakeTransport()
        self.candidate = UpgradeCandidate(
            self.transport,
            Context(EngineOptions(upgrade_timeout=TIMEOUT), TimerQueue(self.clock)),
            self.advance,
            self.changed.append,
        )

    def advance(self, event: UpgradeEvent) -> bool:
        self.events.append(event)
        return event not in self.illegal


def test_probe_receives_a_pong_and_upgrade_changes_the_transport() -> None:
    stage = Stage()
    stage.candidate._receive_text(b"2probe")
    assert stage.transport.sent == [b"3probe"]
    stage.candidate._receive_text(b"5")
    assert stage.changed == [stage.transport]
    assert stage.events == [UpgradeEvent.PROBE, UpgradeEvent.UPGRADE]
    stage.clock.advance(TIMEOUT * 2)
    assert stage.transport.closes == 0


@pytest.mark.parametrize("packet", [b"2", b"2probe!", b"3probe", b"4hello", b"", b"55"])
def test_other_packet_closes_the_candidate(packet: bytes) -> None:
    stage = Stage()
    stage.candidate._receive_text(packet)
    assert stage.events == [UpgradeEvent.CANDIDATE_LEFT]
    assert stage.transport.closes == 1
    assert stage.transport.sent == []


@pytest.mark.parametrize(
    ("packet", "event"), [(b"2probe", UpgradeEvent.PROBE), (b"5", UpgradeEvent.UPGRADE)]
)
def test_packet_that_the_session_rejects_closes_the_candidate(
    packet: bytes, event: UpgradeEvent
) -> None:
    stage = Stage(event)
    stage.candidate._receive_text(packet)
    assert stage.events == [event, UpgradeEvent.CANDIDATE_LEFT]
    assert stage.changed == []
    assert stage.transport.closes == 1


def test_binary_message_closes_the_candidate() -> None:
    stage = Stage()
    stage.candidate._receive_binary(b"x")
    assert stage.transport.closes == 1


def test_text_that_is_not_utf8_raises() -> None:
    stage = Stage()
    with pytest.raises(UnicodeDecodeError):
        stage.candidate._receive_text(b"4\xff")
    assert stage.transport.closes == 0, "the transport closes with code 1007"


def test_candidate_closes_after_the_upgrade_timeout() -> None:
    stage = Stage()
    stage.clock.advance(TIMEOUT - 0.1)
    assert stage.events == []
    stage.clock.advance(0.2)
    assert stage.events == [UpgradeEvent.CANDIDATE_LEFT]
    assert stage.transport.closes == 1


@pytest.mark.parametrize("has_failed", [False, True])
def test_lost_candidate_ends_the_upgrade_and_its_timeout(has_failed: bool) -> None:
    stage = Stage()
    if has_failed:
        stage.candidate._transport_failed(ProtocolError("invalid opcode"))
    else:
        stage.candidate._transport_closed(CloseReason.TRANSPORT_CLOSE, "lost")
    stage.clock.advance(TIMEOUT * 2)
    assert stage.events == [UpgradeEvent.CANDIDATE_LEFT]
    assert stage.transport.closes == 0


def test_abandoned_candidate_closes() -> None:
    stage = Stage()
    stage.candidate.abandon()
    assert stage.transport.closes == 1
