"""Attacks on the dashboard from other sites, in Chromium: each case of `attacks.js` is one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hextrackr_server.http.openapi import OPERATIONS
from tests.contract.support import SESSION_SECRET, SessionStore

from .hub import Hub, running_hub
from .support import Browser, find_cases, require_build

pytestmark = pytest.mark.timeout(900)

SCRIPT = "attacks.js"
#: All routes that a user may change data with.
ROUTES = [
    each.path.replace("{import_id}", "1").replace("{upload_id}", "x")
    for each in OPERATIONS
    if each.method == "POST" and "session" in each.access
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    require_build()
    directory = tmp_path_factory.mktemp("hub")
    SessionStore(directory / "sessions.db").log_in("7", "admin")
    with running_hub(
        directory,
        SESSION_SECRET=SESSION_SECRET.decode(),
        SESSIONS_DATABASE=str(directory / "sessions.db"),
    ) as hub:
        yield hub


@pytest.mark.parametrize("case", find_cases(SCRIPT))
def test_case_passes_in_chromium(browser: Browser, hub: Hub, case: str) -> None:
    sessions = SessionStore(hub.directory / "sessions.db")
    cookie = sessions.headers("sid-7")["cookie"].split("hextrackr.sid=")[1]
    assert len(ROUTES) >= 8
    url = f"http://hub.hextrackr.test:{hub.port}"
    browser.run(SCRIPT, case, {"url": url, "cookie": cookie, "routes": ROUTES})
