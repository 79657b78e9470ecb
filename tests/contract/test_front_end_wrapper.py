"""A page of HexTrackr with the official client: row S1 and the reconnection rules.

The page connects with polling, upgrades, and joins a session before its import exists. It
reconnects only after a disconnect by the server.
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
TIMEOUT = 300.0


class Page:
    """A page that runs in a Node process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.reports: list[tuple[str, Any]] = []

    async def wait_for(self, event: str) -> Any:
        """Read reports until an event, and return its detail."""
        return await self.wait_for_any({event})

    async def wait_for_any(self, events: set[str]) -> Any:
        """Read reports until one of several events, and return its detail."""
        assert self._process.stdout is not None
        async with asyncio.timeout(TIMEOUT):
            while line := await self._process.stdout.readline():
                report = json.loads(line)
                self.reports.append((report["event"], report["detail"]))
                if report["event"] in events:
                    return report["detail"]
        raise AssertionError(f"the page ended without any of {events}: {self.reports}")

    async def wait_until_upgraded(self) -> None:
        """Wait until the page has opened a session over polling, connected and upgraded."""
        assert await self.wait_for("open") == "polling"
        before = len(self.reports)
        # The connect and the upgrade may arrive in either order.
        while not {"connect", "upgrade"} <= {event for event, _ in self.reports[before:]}:
            await self.wait_for_any({"connect", "upgrade"})

    def send_command(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())

    async def quit(self) -> None:
        if self._process.returncode is None:
            self.send_command("quit")
            await asyncio.wait_for(self._process.wait(), TIMEOUT)


async def open_page(hub: HubHarness, headers: dict[str, str]) -> Page:
    node = shutil.which("node")
    assert node, "the page needs Node: install Node 20 or later"
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
    await opened.quit()


async def upload(hub: HubHarness, session: str, content: str) -> Response:
    """Upload a CSV file with the form of the page."""
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


async def wait_for_join(hub: HubHarness, session: str) -> None:
    adapter = hub.io.main.adapter
    await hub.wait_until(lambda: any(
        f"progress-{session}" in adapter.rooms_of(each) for each in list(hub.io.sockets)
    ))  # fmt: skip


async def test_s001_page_receives_progress_when_it_joined_before_the_import(
    hub: HubHarness, page: Page
) -> None:
    await page.wait_until_upgraded()
    session = "import-1735088423891-a3b2c1d4e"
    page.send_command(f"join {session}")
    await wait_for_join(hub, session)
    answer = await upload(hub, session, VALID_CSV)
    assert (answer.status, answer.json()["message"]) == (200, "CSV import started")
    complete = await page.wait_for("progress-complete")
    updates = [detail for event, detail in page.reports if event == "progress-update"]
    assert updates, "the page must receive progress before the end"
    assert [each["progress"] for each in updates] == sorted(each["progress"] for each in updates)
    assert {each["sessionId"] for each in updates} == {session}
    assert (complete["progress"], complete["status"]) == (100, "completed")
    summary = complete["metadata"]["importSummary"]
    assert isinstance(summary["comparison"]["percentageChange"], float | int)
    assert all(each["severity"].lower() for each in summary["cveDiscovery"]["newCves"])
    page.send_command(f"join {session}")
    assert (await page.wait_for("progress-status"))["status"] == "completed"
    page.send_command("ping")
    await page.wait_for("pong")
    page.send_command(f"leave {session}")


async def test_s120_page_receives_the_status_error_when_an_import_fails(
    hub: HubHarness, page: Page
) -> None:
    await page.wait_until_upgraded()
    page.send_command("join import-1-bad")
    await wait_for_join(hub, "import-1-bad")
    await upload(hub, "import-1-bad", UNKNOWN_COLUMNS_CSV)
    # The join may find the import after its start: then it first reports the current status.
    while (status := await page.wait_for("progress-status"))["status"] == "processing":
        pass
    assert (status["status"], "no known format" in status["message"]) == ("error", True)


async def test_s034_page_reconnects_when_the_server_disconnects_it(
    hub: HubHarness, page: Page
) -> None:
    await page.wait_until_upgraded()
    hub.io.in_("user-7").disconnect_sockets()
    assert await page.wait_for("disconnect") == "io server disconnect"
    await page.wait_until_upgraded()
    page.send_command("join import-1-again")
    await wait_for_join(hub, "import-1-again")


async def test_s034_page_does_not_reconnect_when_the_transport_closes(
    hub: HubHarness, page: Page
) -> None:
    await page.wait_until_upgraded()
    for session in list(hub.io.engine.sessions.values()):
        session.close()
    assert await page.wait_for("disconnect") == "transport close"
    page.send_command("quit")
    await page.quit()
    assert page.reports[-1] == ("disconnect", "transport close")


async def test_s020_page_gives_up_after_five_retries_when_it_is_not_logged_in(
    hub: HubHarness,
) -> None:
    page = await open_page(hub, hub.session_store.headers("sid-unknown"))
    await page.wait_for("gave up")
    errors = [detail for event, detail in page.reports if event == "connect_error"]
    assert len(errors) == 6
    await page.quit()
