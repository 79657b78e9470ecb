"""The findings of the dashboard in Chromium: each case of `findings.js` is one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .hub import Hub, running_hub
from .support import Browser, find_cases, require_build

pytestmark = pytest.mark.timeout(900)

SCRIPT = "findings.js"
#: Rows of the sample, which have more findings than rows.
ROWS, FINDINGS = 58_000, 100_000
#: A username that runs if a page takes it for markup.
BOB = "<img src=x onerror=alert(1)>"
LIVE = (
    "asset.name,definition.id,definition.cve,severity\n"
    "live-host-1,1,CVE-2030-1000,High\n"
    "live-host-2,2,CVE-2030-1001,Low\n"
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    require_build()
    directory = tmp_path_factory.mktemp("hub")
    with running_hub(directory, HEXTRACKR_EDITING_GRACE_SECONDS="1") as hub:
        hub.import_file(hub.sample(ROWS))
        yield hub


@pytest.mark.parametrize("case", find_cases(SCRIPT))
def test_case_passes_in_chromium(browser: Browser, hub: Hub, case: str) -> None:
    def import_live() -> None:
        path = hub.directory / "live.csv"
        path.write_text(LIVE)
        hub.import_file(path)

    given = {
        "url": hub.url,
        "token": hub.token("1", "admin"),
        "alice": hub.token("alice"),
        "bob": hub.token("bob", username=BOB),
        "findings": FINDINGS,
    }
    browser.run(SCRIPT, case, given, import_live=import_live)
