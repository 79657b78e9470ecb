"""Nothing of a hostile client remains after its end, on a server with all features."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.growth.hostile import ACTS, Act, Servers
from tests.helpers.live_objects import live_objects

CYCLES = 4


async def run_cycles(servers: Servers, acts: list[Act], times: int) -> None:
    for _ in range(times):
        for act in acts:
            for tcp in (*servers.tcp, servers.alone):
                result = act(servers, tcp)
                if inspect.isawaitable(result):
                    await result
            await servers.end_of_cycle()


@pytest.fixture(autouse=True)
def logging_off() -> Iterator[None]:
    """Log nothing: the handlers of pytest keep records, and so the errors in them."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", list(ACTS))
def test_no_object_remains_after_hostile_cycles(name: str) -> None:
    async def case() -> None:
        servers = Servers()
        await run_cycles(servers, [ACTS[name]], 1)
        before = live_objects()
        await run_cycles(servers, [ACTS[name]], CYCLES)
        more = live_objects() - before
        assert not more, f"objects of {CYCLES} cycles: {dict(more)}"
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        assert len(tasks) <= 3, tasks  # the spare task of each server
        await servers.close()

    asyncio.run(case())


@pytest.fixture
def traced_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_memory_returns_after_hostile_cycles(traced_memory: None) -> None:
    """The memory of Python returns to that after the first cycle, within 5 %."""

    async def case() -> None:
        servers = Servers()
        acts = list(ACTS.values())
        await run_cycles(servers, acts, 1)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        await run_cycles(servers, acts, 2)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        assert after < 1.05 * before, f"{before} bytes before two cycles, {after} after them"
        await servers.close()

    asyncio.run(case())
