"""Every target holds for its seeds and for mutations of them, without atheris."""

from __future__ import annotations

import pytest

from fuzz.plain import run_plainly
from fuzz.target import load, names

RUNS = 300


@pytest.mark.parametrize("name", names())
def test_target_holds_for_mutated_input(name: str) -> None:
    target = load(name)
    assert target.seeds()
    assert run_plainly(target, RUNS) >= RUNS
