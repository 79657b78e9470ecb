"""The paths of an event do not need more calls than their budget; no time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.hop_budget import BUDGET

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def calls() -> dict[str, float]:
    """Return the calls of each path, counted in a process without the checks of the tests."""
    command = [sys.executable, "-m", "benchmarks.hop_budget", "--json", "--counts"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {path: hop["calls"] for path, hop in json.loads(done.stdout).items()}


def test_every_path_has_a_budget(calls: dict[str, float]) -> None:
    assert set(calls) == set(BUDGET)


@pytest.mark.parametrize("path", BUDGET)
def test_path_stays_within_its_budget(path: str, calls: dict[str, float]) -> None:
    assert calls[path] <= BUDGET[path], (
        f"{path}: {calls[path]} calls; see `python -m benchmarks.hop_budget`, and raise the budget "
        "in benchmarks/hop_budget.py only for a reason that the commit message gives"
    )
