"""Fixtures of the application's tests.

Knows: the workbench and the office.  Does not know: sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.hextrackr_server.support import Office, Workbench


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    bench = Workbench(tmp_path)
    yield bench
    bench.database.close()


@pytest.fixture
async def office(workbench: Workbench) -> AsyncIterator[Office]:
    office = Office(workbench)
    await office.imports.start()
    yield office
    await office.imports.stop()
    office.tracker.close()
