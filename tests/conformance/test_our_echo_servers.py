"""The echo servers of the examples pass every dialogue of their profiles.

`make conformance` plays the dialogues that need more features.
"""

from __future__ import annotations

import asyncio

import pytest

from socketio_conformance.dialogue import Dialogue, load
from socketio_conformance.player import describe
from socketio_conformance.probe import probe
from socketio_conformance.session import Outcome, Result, make_plan, play

from .support import example

SHORT = ("--ping-interval", "0.3", "--ping-timeout", "0.2")
LONG = ("--ping-interval", "25", "--ping-timeout", "20")
DIALOGUES = load()
PLAYED = [each for each in DIALOGUES if not each.needs - {"short-heartbeat", "eio3"}]


async def play_examples(urls: list[str]) -> dict[str, Result]:
    endpoints = [endpoint for url in urls for endpoint in await probe(url)]
    summary = await play(make_plan(PLAYED, endpoints, jobs=8))
    assert not summary.left_out
    return {result.dialogue.name: result for result in summary.results}


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    with (
        example("engineio_echo.py", *LONG) as engine,
        example("engineio_echo.py", *SHORT) as short_engine,
        example("socketio_echo.py", *LONG) as sockets,
        example("socketio_echo.py", *SHORT) as short_sockets,
        example("engineio_echo.py", *LONG, "--eio3") as old_engine,
        example("engineio_echo.py", *SHORT, "--eio3") as short_old_engine,
        example("socketio_echo.py", *LONG, "--eio3") as old_sockets,
    ):
        current = [engine, short_engine, sockets, short_sockets]
        return asyncio.run(play_examples([*current, old_engine, short_old_engine, old_sockets]))


@pytest.mark.parametrize("dialogue", [pytest.param(each, id=each.name) for each in PLAYED])
def test_dialogue_passes(dialogue: Dialogue, results: dict[str, Result]) -> None:
    result = results[dialogue.name]
    if result.outcome is not Outcome.PASSED:
        failure = result.failure
        assert failure is not None
        pytest.fail(
            f"step {failure.number}: {describe(failure.step)}\n"
            f"expected  {failure.expected}\nobserved  {failure.observed}\n"
            f"source    {dialogue.source}",
            pytrace=False,
        )
