"""Administration in Chromium: each case of `administration.js` is one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hextrackr_server.kev_support import feed, item
from tests.hextrackr_server.support import csv_text, finding_row

from .hub import Hub, running_hub
from .support import Browser, find_cases, require_build

pytestmark = pytest.mark.timeout(900)

SCRIPT = "administration.js"
CVE = "CVE-2024-1000"
ENTRIES = 30
CASES = find_cases(SCRIPT)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    require_build()
    directory = tmp_path_factory.mktemp("hub")
    (directory / "kev.json").write_text("{}")
    with running_hub(directory, HEXTRACKR_KEV_FILE=str(directory / "kev.json")) as hub:
        (directory / "one.csv").write_text(csv_text([finding_row(cve=CVE)]))
        hub.import_file(directory / "one.csv")
        yield hub


@pytest.mark.parametrize("case", CASES)
def test_case_passes_in_chromium(browser: Browser, hub: Hub, case: str) -> None:
    others = [item(f"CVE-1999-{1000 + each}") for each in range(ENTRIES - 1)]

    def write_catalog() -> None:
        (hub.directory / "kev.json").write_bytes(feed(item(CVE), *others))

    # The clients of former cases may still be connected.
    user = str(100 + CASES.index(case))
    given = {
        "url": hub.url, "token": hub.token("1", "admin"),
        "user": user, "user_token": hub.token(user),
        "kev": {"entries": ENTRIES, "cve": CVE},
    }  # fmt: skip
    browser.run(SCRIPT, case, given, write_catalog=write_catalog)
