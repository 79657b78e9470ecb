"""Fixtures of the hub's tests that need no socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.hextrackr_server.support import ImportHarness, Workbench


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    bench = Workbench(tmp_path)
    yield bench
    bench.database.close()


@pytest.fixture
async def harness(workbench: Workbench) -> AsyncIterator[ImportHarness]:
    harness = ImportHarness(workbench)
    await harness.imports.start()
    yield harness
    await harness.imports.stop()
    harness.tracker.close()
