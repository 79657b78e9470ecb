"""Fixtures of the hub's tests that need no socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.hextrackr_server.support import ImportHarness, Workbench


@pytest.fixture
def target(tmp_path: Path) -> str:
    """Return the path or the URL of an empty database."""
    return str(tmp_path / "test.db")


@pytest.fixture
def empty(target: str) -> Callable[[], None]:
    """Return a function that empties the database, which must be closed."""

    def delete() -> None:
        for file in Path(target).parent.glob(Path(target).name + "*"):
            file.unlink()

    return delete


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
