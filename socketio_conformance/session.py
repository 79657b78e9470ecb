"""Plays many dialogues at the same time and collects the results.

Assigns dialogues to endpoints and limits the number of parallel dialogues. `player` plays one
dialogue, `report` formats the results.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

from .dialogue import Dialogue
from .player import Failure, Player
from .probe import Endpoint

# Longer than the sum of the waits and deadlines of any dialogue.
LIMIT = 30.0
# Attempts after the first one, at a dialogue with a short heartbeat and at another one.
SHORT_REPEATS = 5
REPEATS = 2


class Outcome(Enum):
    """The outcome of one dialogue."""

    PASSED = "passed"
    FAILED = "failed"
    DIFFERS = "differs"  # in the way that `node_differs` of the dialogue describes


class Result(NamedTuple):
    """One dialogue, played with one server."""

    dialogue: Dialogue
    endpoint: Endpoint
    outcome: Outcome
    seconds: float
    failure: Failure | None
    is_second: bool = False  # the dialogue failed in parallel and was played again alone


class Omission(NamedTuple):
    """A dialogue that is not played, and the feature that no server has."""

    dialogue: Dialogue
    reason: str


class Summary(NamedTuple):
    """All results, and the omitted dialogues."""

    results: list[Result]
    omitted: list[Omission]

    @property
    def left_out(self) -> Counter[str]:
        """The number of omitted dialogues per missing feature."""
        return Counter(each.reason for each in self.omitted)

    @property
    def is_partial(self) -> bool:
        """Whether less than half of the dialogues was played."""
        return len(self.results) < len(self.omitted)

    def count(self, outcome: Outcome) -> int:
        """Return the number of dialogues with this outcome."""
        return sum(result.outcome is outcome for result in self.results)


class Plan(NamedTuple):
    """The dialogues to play, with their endpoints and options."""

    pairs: list[tuple[Dialogue, Endpoint]]
    omitted: list[Omission]
    may_differ: bool
    jobs: int
    fail_fast: bool = False


def make_plan(
    dialogues: Iterable[Dialogue],
    endpoints: list[Endpoint],
    *,
    may_differ: bool = False,
    jobs: int = 16,
    fail_fast: bool = False,
) -> Plan:
    """Assign each dialogue to the first endpoint with its features.

    `may_differ` accepts the marked differences of the official servers.
    """
    pairs = []
    omitted = []
    for dialogue in dialogues:
        reasons = []
        for endpoint in endpoints:
            reason = endpoint.lacks(dialogue)
            if reason is None:
                pairs.append((dialogue, endpoint))
                break
            reasons.append(reason)
        else:
            # Prefer the reason of an endpoint with the right protocol.
            reasons.sort(key=lambda each: each.startswith("a server of"))
            omitted.append(Omission(dialogue, reasons[0]))
    return Plan(pairs, omitted, may_differ, jobs, fail_fast)


async def play(plan: Plan, watch: Callable[[Result], None] = lambda _: None) -> Summary:
    """Play all dialogues; call `watch` with each result as it arrives.

    A failed dialogue is played again, alone, because a deadline may expire on a busy machine
    without a fault of the server: up to REPEATS times, or SHORT_REPEATS times if it depends on the
    short heartbeat, whose steps have limits of a tenth of a second. The last result counts. With
    `fail_fast`, the first result counts.
    """
    results = await _play_in_parallel(plan, watch)
    if not plan.fail_fast:
        for index, result in enumerate(results):
            is_short = "short-heartbeat" in result.dialogue.needs
            repeats = SHORT_REPEATS if is_short else REPEATS
            while result.outcome is Outcome.FAILED and repeats:
                result = await _play_one(result.dialogue, result.endpoint, plan.may_differ)
                results[index] = result._replace(is_second=True)
                repeats -= 1
    return Summary(results, plan.omitted)


async def _play_in_parallel(plan: Plan, watch: Callable[[Result], None]) -> list[Result]:
    gate = asyncio.Semaphore(plan.jobs)
    results: list[Result] = []
    is_stopped = False

    async def play_one(dialogue: Dialogue, endpoint: Endpoint) -> None:
        nonlocal is_stopped
        async with gate:
            if is_stopped:
                return
            result = await _play_one(dialogue, endpoint, plan.may_differ)
            results.append(result)
            watch(result)
            is_stopped = plan.fail_fast and result.outcome is Outcome.FAILED

    async with asyncio.TaskGroup() as group:
        for dialogue, endpoint in plan.pairs:
            group.create_task(play_one(dialogue, endpoint), name=dialogue.name)
    return results


async def _play_one(dialogue: Dialogue, endpoint: Endpoint, may_differ: bool) -> Result:
    began = time.monotonic()
    try:
        player = Player(endpoint.address, endpoint.path)
        failure = await asyncio.wait_for(player.play(dialogue), LIMIT)
    except TimeoutError:
        failure = Failure(0, {}, f"the end of the dialogue within {LIMIT:g} s", "still playing")
    outcome = Outcome.PASSED
    if failure is not None:
        is_known = may_differ and dialogue.node_differs is not None
        outcome = Outcome.DIFFERS if is_known else Outcome.FAILED
    return Result(dialogue, endpoint, outcome, time.monotonic() - began, failure)
