"""All views of the dashboard in Chromium: each case of `views.js` is one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hextrackr_server.http.dashboard_files import BUILD

from .hub import Hub, running_hub
from .support import Browser, find_cases, require_build

pytestmark = pytest.mark.timeout(900)

SCRIPT = "views.js"
MAXIMUM_BYTES = 300_000


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    require_build()
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        hub.fill(1000)
        yield hub


@pytest.mark.parametrize("case", find_cases(SCRIPT))
def test_case_passes_in_chromium(browser: Browser, hub: Hub, case: str) -> None:
    given = {"url": hub.url, "token": hub.token("1", "admin"), "user": hub.token("7")}
    browser.run(SCRIPT, case, given)


def test_compressed_build_is_small() -> None:
    require_build()
    files = [path for path in BUILD.rglob("*.gz") if path.is_file()]
    assert len(files) > 5
    assert sum(path.stat().st_size for path in files) < MAXIMUM_BYTES
