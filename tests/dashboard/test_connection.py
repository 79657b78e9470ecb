"""Lost connections of the dashboard in Chromium: each case of `connection.js` is one test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from .hub import Hub, running_hub
from .support import Browser, find_cases, require_build

pytestmark = pytest.mark.timeout(900)

SCRIPT = "connection.js"
#: An import of so many rows takes many seconds.
LONG_ROWS = 120_000
_numbers = count(1)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    require_build()
    directory = tmp_path_factory.mktemp("hub")
    # A short heartbeat, so that a silent network is detected soon; recovery also for slow cases.
    times = {
        "HEXTRACKR_PING_INTERVAL": "2",
        "HEXTRACKR_PING_TIMEOUT": "10",
        "HEXTRACKR_RECOVERY_SECONDS": "900",
    }
    with running_hub(directory, **times) as hub:
        yield hub


@pytest.mark.parametrize("case", find_cases(SCRIPT))
def test_case_passes_in_chromium(browser: Browser, hub: Hub, case: str) -> None:
    def import_file() -> str:
        number = next(_numbers)
        path = hub.directory / f"scan-{number}.csv"
        path.write_text(
            "asset.name,definition.id,definition.cve,severity\n"
            f"host-{number},{number},CVE-2030-{1000 + number},High\n"
        )
        hub.import_file(path)
        return path.name

    def start_long_import() -> dict[str, Any]:
        path = hub.sample(LONG_ROWS)
        return {"id": hub.start_import(path), "name": path.name}

    given = {"url": hub.url, "token": hub.token("1", "admin")}
    measured = browser.run(
        SCRIPT, case, given, start=hub.start, stop=hub.stop, kill=hub.kill,
        import_file=import_file, start_long_import=start_long_import,
    )  # fmt: skip
    if measured is not None:
        print(measured)
