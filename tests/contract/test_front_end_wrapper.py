"""HexTrackr's pages, played by the official client: row S1, and what surrounds it.

They connect by polling and upgrade, join a session before its import exists, poll HTTP beside it,
and connect again by themselves only when the server has told them to leave.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.imports import UNKNOWN_COLUMNS_CSV, VALID_CSV
from tests.contract.support import HubHarness, Response

pytestmark = pytest.mark.interop

SCRIPT = Path(__file__).with_suffix(".js")
CLIENT = Path(__file__).parent.parent / "interop" / "node_modules" / "socket.io-client-481"
BOUNDARY = "frontier"
TIMEOUT = 60.0


class Page:
    """A page in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: list[tuple[str, Any]] = []

    async def until(self, what: str) -> Any:
        """Read on until it tells of something; the detail of that."""
        return await self.until_any({what})

    async def until_any(self, wanted: set[str]) -> Any:
        """Read on until it tells of one of several things; the detail of that."""
        assert self._process.stdout is not None
        async with asyncio.timeout(TIMEOUT):
            while line := await self._process.stdout.readline():
                told = json.loads(line)
                self.seen.append((told["what"], told["detail"]))
                if told["what"] in wanted:
                    return told["detail"]
        raise AssertionError(f"the page ended without {wanted}: {self.seen}")

    async def ready(self) -> None:
        """Read on until it is connected, having begun with polling, and has upgraded."""
        assert await self.until("open") == "polling"
        before = len(self.seen)
        # The namespace and the upgrade overtake each other.
        while not {"connect", "upgrade"} <= {what for what, _ in self.seen[before:]}:
            await self.until_any({"connect", "upgrade"})

    def do(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())

    async def end(self) -> None:
        if self._process.returncode is None:
            self.do("quit")
            await asyncio.wait_for(self._process.wait(), TIMEOUT)


async def open_page(hub: HubHarness, headers: dict[str, str]) -> Page:
    node = shutil.which("node")
    assert node, "Node is missing: install it, the pages need it"
    assert CLIENT.is_dir(), f"{CLIENT} is missing: run `make setup`"
    process = await asyncio.create_subprocess_exec(
        node,
        str(SCRIPT),
        str(CLIENT),
        hub.url,
        headers["cookie"],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    return Page(process)


@pytest.fixture
async def page(hub: HubHarness) -> AsyncIterator[Page]:
    opened = await open_page(hub, hub.session_store.log_in("7"))
    yield opened
    await opened.end()


async def upload(hub: HubHarness, session: str, content: str) -> Response:
    """POST a form as the page does."""
    fields = {"vendor": "cisco", "scanDate": "2025-09-30", "sessionId": session}
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="csvFile"; filename="scan.csv"\r\n'
        f"content-type: text/csv\r\n\r\n{content}\r\n--{BOUNDARY}--\r\n"
    )
    headers = hub.session_store.headers("sid-7") | {
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "origin": hub.url,
    }
    path = "/api/vulnerabilities/import-staging"
    return await hub.request("POST", path, headers, "".join(parts).encode())


async def joined(hub: HubHarness, session: str) -> None:
    adapter = hub.io.main.adapter
    await hub.wait_until(lambda: any(
        f"progress-{session}" in adapter.rooms_of(each) for each in list(hub.io.sockets)
    ))  # fmt: skip


async def test_s001_an_import_is_watched_by_a_page_that_joined_before_it_existed(
    hub: HubHarness, page: Page
) -> None:
    await page.ready()
    session = "import-1735088423891-a3b2c1d4e"
    page.do(f"join {session}")
    await joined(hub, session)
    answer = await upload(hub, session, VALID_CSV)
    assert (answer.status, answer.json()["message"]) == (200, "CSV import started")
    complete = await page.until("progress-complete")
    updates = [detail for what, detail in page.seen if what == "progress-update"]
    assert updates, "progress comes before the end"
    assert [each["progress"] for each in updates] == sorted(each["progress"] for each in updates)
    assert {each["sessionId"] for each in updates} == {session}
    assert (complete["progress"], complete["status"]) == (100, "completed")
    summary = complete["metadata"]["importSummary"]
    assert isinstance(summary["comparison"]["percentageChange"], float | int)
    assert all(each["severity"].lower() for each in summary["cveDiscovery"]["newCves"])
    page.do(f"join {session}")
    assert (await page.until("progress-status"))["status"] == "completed"
    page.do("ping")
    await page.until("pong")
    page.do(f"leave {session}")


async def test_s120_a_page_sees_an_error_as_a_status_that_it_understands(
    hub: HubHarness, page: Page
) -> None:
    await page.ready()
    page.do("join import-1-bad")
    await joined(hub, "import-1-bad")
    await upload(hub, "import-1-bad", UNKNOWN_COLUMNS_CSV)
    status = await page.until("progress-status")
    assert (status["status"], "no host" in status["message"]) == ("error", True)


async def test_s034_a_page_comes_back_when_the_server_tells_it_to_leave(
    hub: HubHarness, page: Page
) -> None:
    await page.ready()
    hub.io.in_("user-7").disconnect_sockets()
    assert await page.until("disconnect") == "io server disconnect"
    await page.ready()
    page.do("join import-1-again")
    await joined(hub, "import-1-again")


async def test_s034_a_page_whose_connection_is_lost_stays_away(hub: HubHarness, page: Page) -> None:
    await page.ready()
    for session in list(hub.io.engine.sessions.values()):
        session.close()
    assert await page.until("disconnect") == "transport close"
    page.do("quit")
    await page.end()
    assert page.seen[-1] == ("disconnect", "transport close")


async def test_s020_a_page_that_is_not_logged_in_gives_up_after_five_attempts(
    hub: HubHarness,
) -> None:
    page = await open_page(hub, hub.session_store.headers("sid-unknown"))
    await page.until("gave up")
    errors = [detail for what, detail in page.seen if what == "connect_error"]
    assert len(errors) == 6
    await page.end()
