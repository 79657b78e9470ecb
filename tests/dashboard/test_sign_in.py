"""Sign-in to the dashboard in Chromium: each case of `sign_in.js` is one test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from tests.contract.support import SESSION_SECRET, SessionStore
from tests.interop.program import SECRET

from .hub import Hub, running_hub
from .support import Browser, find_cases, require_build

pytestmark = pytest.mark.timeout(900)

SCRIPT = "sign_in.js"


def sign(seconds: float) -> str:
    claims = {"sub": "7", "username": "alice", "role": "user", "exp": int(time.time() + seconds)}
    return jwt.encode(claims, SECRET, algorithm="HS256")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    require_build()
    directory = tmp_path_factory.mktemp("hub")
    SessionStore(directory / "sessions.db")
    with running_hub(
        directory,
        SESSION_SECRET=SESSION_SECRET.decode(),
        SESSIONS_DATABASE=str(directory / "sessions.db"),
        HEXTRACKR_RECHECK_INTERVAL="1",
    ) as hub:
        yield hub


@pytest.fixture
def sessions(hub: Hub) -> SessionStore:
    return SessionStore(hub.directory / "sessions.db")


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "gateways"])
def test_link_of_the_development_server_signs_in(
    browser: Browser, tmp_path: Path, options: tuple[str, ...]
) -> None:
    require_build()
    with running_hub(tmp_path, "--dev", *options) as hub:
        (link,) = (word for word in hub.banner.split() if "#token=" in word)
        given = {"url": hub.url, "link": link}
        browser.run(SCRIPT, "a link signs in and leaves no token in the address", given)


CASES = [case for case in find_cases(SCRIPT) if not case.startswith("a link")]


@pytest.mark.parametrize("case", CASES)
def test_case_passes_in_chromium(
    browser: Browser, hub: Hub, sessions: SessionStore, case: str
) -> None:
    def cookie() -> str:
        return sessions.log_in("7")["cookie"].split("hextrackr.sid=")[1]

    given = {
        "url": hub.url, "token": sign(3600), "expired": sign(-60), "cookie": cookie(),
    }  # fmt: skip
    browser.run(
        SCRIPT, case, given,
        sign_briefly=sign, log_in=cookie, log_out=lambda: sessions.log_out("7"),
    )  # fmt: skip
