"""Measurements in turns: every server runs once per round, so a disturbance affects all alike."""

from __future__ import annotations

import gc

from benchmarks.workloads import Target, Workload


async def take_turns(
    pairs: list[tuple[Target, Workload]], seconds: float, rounds: int
) -> list[list[float]]:
    """Return the CPU time per message of each round, in microseconds, for each server."""
    for server, load in pairs:
        await load.prepare(server)
        await load.measure(server, seconds)  # just-in-time compilers compile the hot code
    gc.collect()
    gc.freeze()
    costs: list[list[float]] = [[] for _ in pairs]
    for _ in range(rounds):
        for (server, load), found in zip(pairs, costs, strict=True):
            found.append((await load.measure(server, seconds)).cost)
    for _, load in pairs:
        await load.finish()
    gc.unfreeze()
    return costs
