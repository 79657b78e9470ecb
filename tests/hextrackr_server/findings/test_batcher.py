"""Tests of `batch-updates` events."""

from __future__ import annotations

import pytest

from hextrackr_server.findings import batcher
from hextrackr_server.findings.batcher import UpdateBatcher
from tests.hextrackr_server.support import FakeClock, Recorder


class Bench:
    def __init__(self, **limits: int) -> None:
        self.clock, self.sent = FakeClock(), Recorder()
        self.batcher = UpdateBatcher(self.sent, self.clock, **limits)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_updates_are_sent_together_after_half_a_second(bench: Bench) -> None:
    bench.batcher.add("all", "changed", 1)
    bench.clock.advance(0.4)
    bench.batcher.add("all", "created", {"id": 2})
    bench.batcher.add("all", "changed", 3)
    assert bench.sent.sent == []
    bench.clock.advance(0.1)
    expected = {"changed": [1, 3], "created": [{"id": 2}]}
    assert bench.sent.sent == [("all", "batch-updates", expected)]
    bench.clock.advance(10)
    assert len(bench.sent.sent) == 1


def test_each_room_has_its_own_batch(bench: Bench) -> None:
    bench.batcher.add("one", "x", 1)
    bench.batcher.add("two", "x", 2)
    bench.batcher.flush("one")
    bench.batcher.flush("nobody")
    assert bench.sent.sent == [("one", "batch-updates", {"x": [1]})]


def test_full_batch_is_sent_immediately() -> None:
    bench = Bench(maximum_updates=3)
    for number in range(7):
        bench.batcher.add("all", "x", number)
    assert [payload["x"] for _, _, payload in bench.sent.sent] == [[0, 1, 2], [3, 4, 5]]
    bench.clock.advance(0.5)
    assert bench.sent.sent[-1][2] == {"x": [6]}


def test_batch_stays_within_its_size_unless_one_update_exceeds_it() -> None:
    bench = Bench(maximum_bytes=100)
    for text in ("a" * 40, "b" * 40, "c" * 40, "d" * 500):
        bench.batcher.add("all", "x", text)
    assert [payload["x"] for _, _, payload in bench.sent.sent] == [
        ["a" * 40, "b" * 40],
        ["c" * 40],
        ["d" * 500],
    ]


def test_close_sends_all_batches(bench: Bench) -> None:
    bench.batcher.add("one", "x", 1)
    bench.batcher.add("two", "x", 2)
    bench.batcher.close()
    assert [room for room, _, _ in bench.sent.sent] == ["one", "two"]
    bench.clock.advance(1)
    assert len(bench.sent.sent) == 2


def test_oldest_batch_is_sent_when_too_many_rooms_have_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "MAXIMUM_ROOMS", 2)
    for room in ("one", "two", "three"):
        bench.batcher.add(room, "x", 1)
    assert [room for room, _, _ in bench.sent.sent] == ["one"]


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString", "", "a b", "x" * 65, "1"])
def test_invalid_update_type_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(ValueError, match="an update type must"):
        bench.batcher.add("all", name, 1)
    bench.batcher.close()
    assert bench.sent.sent == []


def test_unserializable_update_is_refused_without_changing_the_batch(bench: Bench) -> None:
    with pytest.raises(TypeError):
        bench.batcher.add("all", "x", object())
    bench.batcher.close()
    assert bench.sent.sent == []
