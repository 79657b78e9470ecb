"""Runners: eager start, hand-over to a task, deadlines, contexts and shutdown."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from socketio_core.handlers import runner as runners
from socketio_core.handlers.runner import PublicRunner, Runner, SpareTaskRunner, create_runner

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


@pytest.fixture
async def runner() -> Runner:
    return create_runner(asyncio.get_running_loop)


class Outcome:
    """Recorder of the arguments of `done`, which a test awaits."""

    def __init__(self) -> None:
        self.future: asyncio.Future[tuple[Any, BaseException | None]] = asyncio.Future()

    def done(self, result: Any, error: BaseException | None) -> None:
        self.future.set_result((result, error))


async def test_runner_reports_the_result_of_a_coroutine_that_suspends(runner: Runner) -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        assert asyncio.current_task() is not None
        return 7

    outcome = Outcome()
    runner.start(work(), outcome.done, "work")
    assert await outcome.future == (7, None)
    await asyncio.sleep(0)
    assert not runner.tasks


async def test_runner_reports_an_exception_after_a_suspension(runner: Runner) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    outcome = Outcome()
    runner.start(work(), outcome.done, "work")
    result, error = await outcome.future
    assert result is None
    assert isinstance(error, KeyError)


async def test_runner_reports_an_exception_of_the_first_step(runner: Runner) -> None:
    async def work() -> None:
        raise KeyError("x")

    outcome = Outcome()
    runner.start(work(), outcome.done, "work")
    result, error = await outcome.future
    assert result is None
    assert isinstance(error, KeyError)


@pytest.mark.eager_start
async def test_runner_returns_the_result_of_a_coroutine_that_does_not_suspend(
    runner: Runner,
) -> None:
    async def work() -> int:
        return 7

    assert runner.starts_eagerly
    assert runner.begin(work()) == 7


@pytest.mark.eager_start
async def test_runner_restores_the_current_task_after_the_first_step(runner: Runner) -> None:
    caller = asyncio.current_task()
    seen: list[Any] = []

    async def inner() -> None:
        seen.append(asyncio.current_task())

    async def outer() -> None:
        before = asyncio.current_task()
        runner.begin(inner())
        assert asyncio.current_task() is before
        seen.append(before)

    runner.begin(outer())
    assert asyncio.current_task() is caller
    assert None not in seen
    assert caller not in seen


@pytest.mark.eager_start
async def test_runner_starts_coroutines_with_and_without_a_current_task(runner: Runner) -> None:
    loop = asyncio.get_running_loop()
    seen: list[Any] = []

    async def work() -> None:
        seen.append(asyncio.current_task())

    def begin_twice() -> None:
        assert asyncio.current_task() is None
        runner.begin(work())
        runner.begin(work())
        assert asyncio.current_task() is None
        called.set_result(None)

    for _ in range(2):  # as in a callback of TCP, and in a task of an ASGI host
        called = loop.create_future()
        loop.call_soon(begin_twice)
        await called
        caller = asyncio.current_task()
        runner.begin(work())
        runner.begin(work())
        assert asyncio.current_task() is caller
    assert len(seen) == 8
    assert None not in seen
    assert caller not in seen


async def test_runner_offers_asyncio_timeout_in_the_first_step(runner: Runner) -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "late"
        return "never"

    outcome = Outcome()
    runner.start(work(), outcome.done, "work")
    assert await outcome.future == ("late", None)


async def test_runner_cancels_a_coroutine_after_its_time_limit(runner: Runner) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    outcome = Outcome()
    runner.start(work(), outcome.done, "work", 0.01)
    _, error = await outcome.future
    assert isinstance(error, TimeoutError)
    assert ended == ["work"]


async def test_runner_keeps_context_variables_of_coroutines_apart(runner: Runner) -> None:
    async def work(value: int) -> int:
        assert variable.get() == 0
        variable.set(value)
        await asyncio.sleep(0)
        return variable.get()

    outcomes = [Outcome(), Outcome()]
    for value, outcome in enumerate(outcomes, 1):
        runner.start(work(value), outcome.done, "work")
    assert [await outcome.future for outcome in outcomes] == [(1, None), (2, None)]
    assert variable.get() == 0


async def test_close_cancels_coroutines_and_reports_them(runner: Runner) -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    outcome = Outcome()
    runner.start(work(), outcome.done, "work")
    await runner.close(0)
    _, error = await outcome.future
    assert isinstance(error, asyncio.CancelledError)
    assert not runner.tasks


async def test_close_waits_for_coroutines_within_the_grace_period(runner: Runner) -> None:
    async def work() -> int:
        await asyncio.sleep(0.01)
        return 7

    outcome = Outcome()
    runner.start(work(), outcome.done, "work")
    await runner.close(5)
    assert await outcome.future == (7, None)


def test_spare_tasks_of_another_loop_are_dropped() -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    runner = SpareTaskRunner(lambda: loops[-1])
    tasks: list[asyncio.Task[Any] | None] = []

    async def work() -> None:
        pass

    async def begin_another() -> None:
        tasks.append(asyncio.current_task())
        runner.begin(work())

    async def set_variable() -> None:
        variable.set(1)  # its task begins no other coroutine

    def use() -> None:
        runner.enter_loop()
        runner.begin(begin_another())
        runner.begin(set_variable())

    for _ in range(2):
        loops.append(asyncio.new_event_loop())
        loops[-1].call_soon(use)
        loops[-1].run_until_complete(asyncio.sleep(0))
    try:
        assert [task and task.get_loop() for task in tasks] == loops
    finally:
        for loop in loops:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


async def test_environment_variable_selects_the_public_runner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(runners.RUNNER_VARIABLE, "public")
    assert isinstance(create_runner(asyncio.get_running_loop), PublicRunner)
    monkeypatch.delenv(runners.RUNNER_VARIABLE)
    assert isinstance(create_runner(asyncio.get_running_loop), SpareTaskRunner)


async def test_public_runner_replaces_missing_private_functions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(runners.RUNNER_VARIABLE, raising=False)
    monkeypatch.setattr(runners, "HAS_PRIVATE_FUNCTIONS", False)
    assert isinstance(create_runner(asyncio.get_running_loop), PublicRunner)
