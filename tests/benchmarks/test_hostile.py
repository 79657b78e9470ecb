"""The verdicts of `make hostile`, and its list of attacks."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from benchmarks.hostile import __main__ as command
from benchmarks.hostile.__main__ import ATTACKS, Outcome, is_held
from benchmarks.hostile.attack import Report
from benchmarks.hostile.official import Waits

SINGLE = next(each for each in ATTACKS if each.is_single and each.is_compared)
CROWD = next(each for each in ATTACKS if not each.is_single)


def outcome(*, waits: tuple[float, ...] = (1.0, 2.0), **changes: Any) -> Outcome:
    report = Report("kept", changes.get("is_bounded", True))
    return Outcome(report, Waits(list(waits), changes.get("lost", 0)), changes.get("growth", 0.0))


def test_waits_have_a_longest_one_and_a_percentile() -> None:
    waits = Waits([float(number) for number in range(1000)], 0)
    assert (waits.longest, waits.p99) == (999.0, 990.0)
    assert Waits([], 0).p99 == Waits([], 0).longest == float("inf")


@pytest.mark.parametrize(
    ("ours", "held"),
    [
        (outcome(), True),
        (outcome(lost=1), False),
        (outcome(is_bounded=False), False),
        (outcome(growth=SINGLE.memory + 1), False),
        (outcome(waits=(101.0,)), False),
        (outcome(waits=()), False),
        (outcome(waits=(*[1.0] * 999, 49.0)), True),
        (outcome(waits=(*[1.0] * 999, 51.0)), False),
    ],
)
def test_attack_is_held_when_all_goals_are_reached(ours: Outcome, held: bool) -> None:
    assert is_held(SINGLE, ours, None) is held


def test_wait_of_others_is_held_when_it_is_longer_in_node() -> None:
    ours, node = outcome(waits=(*[1.0] * 999, 90.0)), outcome(waits=(95.0,))
    assert is_held(SINGLE, ours, node)
    assert not is_held(SINGLE, ours, outcome(waits=(80.0,)))


def test_longest_wait_has_a_goal_when_one_connection_attacks_only() -> None:
    ours = outcome(waits=(*[1.0] * 999, 90.0))
    assert is_held(CROWD, ours, None)
    assert not is_held(SINGLE, ours, None)


def test_attacks_have_distinct_names() -> None:
    names = [each.name for each in ATTACKS]
    assert len(set(names)) == len(names)


async def test_attack_is_reported_when_its_proxy_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    proxied = next(each for each in ATTACKS if each.place == "nginx")
    monkeypatch.setattr(command, "ATTACKS", (proxied,))
    (row,) = await command.run_all("")
    assert row[3] == "nginx is not installed: run `make proxies`"
    assert row[-1] == "not run"
