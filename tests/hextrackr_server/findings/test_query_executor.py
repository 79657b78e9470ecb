"""Whose question the database answers next."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.findings import query_executor as question_turns
from hextrackr_server.findings.query_executor import AT_ONCE, MAXIMUM_WAITING, QuestionTurns


class Slow:
    """Questions that are answered when told so."""

    def __init__(self) -> None:
        self.turns = QuestionTurns()
        self.may_end = threading.Event()
        self.begun = threading.Semaphore(0)

    def question(self) -> str:
        self.begun.release()
        assert self.may_end.wait(10)
        return "answer"

    def ask(self, number: int, user_id: str = "7") -> list[asyncio.Task[str]]:
        return [asyncio.create_task(self.turns.ask(user_id, self.question)) for _ in range(number)]

    async def wait_until_begun(self, number: int) -> None:
        for _ in range(number):
            assert await asyncio.to_thread(self.begun.acquire, timeout=10)


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.may_end.set()
    slow.turns.close()


async def test_a_user_with_many_questions_keeps_nobody_waiting(slow: Slow) -> None:
    many = slow.ask(20)
    await slow.wait_until_begun(AT_ONCE)
    assert await slow.turns.ask("8", lambda: "at once") == "at once"
    assert not slow.begun.acquire(blocking=False)
    slow.may_end.set()
    assert await asyncio.gather(*many) == ["answer"] * 20


async def test_more_questions_than_may_wait_are_refused(slow: Slow) -> None:
    many = slow.ask(MAXIMUM_WAITING)
    await slow.wait_until_begun(AT_ONCE)
    with pytest.raises(ServiceError) as refusal:
        await slow.turns.ask("7", slow.question)
    assert refusal.value.code is ErrorCode.RATE_LIMITED
    slow.may_end.set()
    await asyncio.gather(*many)
    assert await slow.turns.ask("7", slow.question) == "answer"
    assert not slow.turns._lines


async def test_who_gives_up_has_no_other_turn_before_his_thread_is_free(slow: Slow) -> None:
    given_up = slow.ask(AT_ONCE)
    await slow.wait_until_begun(AT_ONCE)
    for task in given_up:
        task.cancel()
    (patient,) = slow.ask(1)
    await asyncio.wait(given_up)
    assert not slow.begun.acquire(blocking=False)
    slow.may_end.set()
    assert await patient == "answer"


async def test_a_question_does_not_wait_for_ever(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = slow.ask(AT_ONCE)
    await slow.wait_until_begun(AT_ONCE)
    monkeypatch.setattr(question_turns, "WAIT_SECONDS", 0.0)
    with pytest.raises(ServiceError) as refusal:
        await slow.turns.ask("7", slow.question)
    assert refusal.value.code is ErrorCode.TIMEOUT
    slow.may_end.set()
    await asyncio.gather(*running)


async def test_what_a_question_raises_reaches_who_asked(slow: Slow) -> None:
    with pytest.raises(ZeroDivisionError):
        await slow.turns.ask("7", lambda: 1 / 0)
    assert not slow.turns._lines
