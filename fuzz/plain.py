"""Runs a target in this process without atheris: its seeds, then mutations of them."""

from __future__ import annotations

from random import Random

from fuzz.mutation import Mutator
from fuzz.target import Target


def run_plainly(target: Target, runs: int, seed: int = 1) -> int:
    """Run the seeds of a target and a number of mutations; return the number of executions.

    Raises AssertionError with the input that violates an invariant.
    """
    seeds = target.seeds()
    short = [each for each in seeds if len(each) <= 4 * target.longest]
    mutator = Mutator(Random(seed), short, target.tokens, target.longest, target.borders)
    for data in seeds:
        _run(target, data)
    for _ in range(runs):
        _run(target, mutator.make())
    return len(seeds) + runs


def _run(target: Target, data: bytes) -> None:
    try:
        target.run(data)
    except Exception as error:
        raise AssertionError(f"the target fails on the input {data!r}") from error
