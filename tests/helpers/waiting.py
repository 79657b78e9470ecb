"""Waiting in tests: for a condition, or for the steps of tasks that wait for nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

LIMIT = 300.0
#: Options of the client of the package `websockets`, whose defaults of ten and twenty seconds are
#: too short for a busy machine.
PATIENT: dict[str, Any] = {"open_timeout": LIMIT, "close_timeout": LIMIT, "ping_interval": None}


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds that other tasks, threads or the network change.

    Raises TimeoutError after `LIMIT` seconds.
    """
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - no event marks the change
            await asyncio.sleep(0.001)


async def settle(turns: int = 100) -> None:
    """Let the event loop turn so often that tasks without timers and sockets take all their steps.

    A time would not do: on a busy machine it may be over at the first turn.
    """
    for _ in range(turns):
        await asyncio.sleep(0)
