"""Attempts at a dialogue that fails, as on a busy machine."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_conformance import session
from socketio_conformance.dialogue import Dialogue
from socketio_conformance.player import Failure
from socketio_conformance.probe import Endpoint
from socketio_conformance.session import REPEATS, SHORT_REPEATS, Outcome, Plan, Result


@pytest.mark.parametrize(
    ("needs", "failures", "outcome", "attempts"),
    [
        ([], 0, Outcome.PASSED, 1),
        ([], REPEATS, Outcome.PASSED, REPEATS + 1),
        ([], REPEATS + 1, Outcome.FAILED, REPEATS + 1),
        (["short-heartbeat"], SHORT_REPEATS, Outcome.PASSED, SHORT_REPEATS + 1),
        (["short-heartbeat"], SHORT_REPEATS + 1, Outcome.FAILED, SHORT_REPEATS + 1),
    ],
)
async def test_last_attempt_counts(
    monkeypatch: pytest.MonkeyPatch,
    needs: list[str],
    failures: int,
    outcome: Outcome,
    attempts: int,
) -> None:
    played: list[Result] = []

    async def play_one(dialogue: Dialogue, endpoint: Endpoint, may_differ: bool) -> Result:
        failure = Failure(1, {}, "a close", "still open") if len(played) < failures else None
        result = Outcome.PASSED if failure is None else Outcome.FAILED
        played.append(Result(dialogue, endpoint, result, 0.0, failure))
        return played[-1]

    monkeypatch.setattr(session, "_play_one", play_one)
    endpoint: Any = None
    dialogue = Dialogue("test", "engineio", "group", frozenset(needs), (), "source", None)
    plan = Plan([(dialogue, endpoint)], [], may_differ=False, jobs=1)
    summary = await session.play(plan)
    assert [each.outcome for each in summary.results] == [outcome]
    assert summary.results[0].is_second == (attempts > 1)
    assert len(played) == attempts
