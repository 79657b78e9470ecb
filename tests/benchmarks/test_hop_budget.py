"""An event's way through the server takes no more calls than it did; no time is asserted."""

from __future__ import annotations

import pytest

from benchmarks import hop_budget


@pytest.fixture(scope="module")
def hops() -> dict[str, hop_budget.Hop]:
    found: dict[str, hop_budget.Hop] = hop_budget.on_loop(hop_budget.count_all)
    return found


def test_every_way_has_a_budget(hops: dict[str, hop_budget.Hop]) -> None:
    assert set(hops) == set(hop_budget.BUDGET)


@pytest.mark.parametrize("way", hop_budget.BUDGET)
def test_calls_stay_within_the_budget(way: str, hops: dict[str, hop_budget.Hop]) -> None:
    assert hops[way].calls <= hop_budget.BUDGET[way], (
        f"{way}: {hops[way].calls} calls; see `python -m benchmarks.hop_budget`, and raise the "
        "budget in benchmarks/hop_budget.py only for a reason that its commit tells"
    )
