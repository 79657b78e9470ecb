"""Fixtures of the contract's tests.

Knows: the stage.  Does not know: what is played on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.contract.support import Stage


@pytest.fixture
async def set_up(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Make a stage with settings of one's own: `stage = await set_up(max_rooms=9)`."""
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> Stage:
            return await stack.enter_async_context(Stage(tmp_path, **settings))

        yield make


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """The whole application on a clock that is moved by hand."""
    async with Stage(tmp_path) as made:
        yield made
