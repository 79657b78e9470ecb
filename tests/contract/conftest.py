"""Fixtures of the contract tests: the hub with default and with chosen settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.contract.support import HubHarness


@pytest.fixture
async def start_hub(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that starts a hub with chosen settings."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> HubHarness:
            return await stack.enter_async_context(HubHarness(tmp_path, **settings))

        yield start


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubHarness]:
    """Start a hub with the default settings."""
    async with HubHarness(tmp_path) as started:
        yield started
