"""The commands `backup` and `restore` with a running server and connected clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.application import Application
from hextrackr_server.backup.archive import read_manifest
from hextrackr_server.config.settings import Settings
from tests.hextrackr_server.client import Client, connected
from tests.hextrackr_server.support import SECRET, csv_text, finding_row

FIRST = csv_text([finding_row(host=f"h-{number}") for number in range(50)])
SECOND = csv_text([finding_row(host=f"new-{number}", severity="Low") for number in range(20)])


class Site:
    """A running server, its database, and clients of its users."""

    def __init__(self, application: Application, port: int, folder: Path) -> None:
        self.application = application
        self.url = f"http://127.0.0.1:{port}"
        self.database = folder / "site.db"
        self.backup = folder / "b.zip"

    def token(self, user: str = "1", role: str = "admin") -> str:
        return self.application.services.authority.sign(user, role=role)

    def client(self) -> Any:
        return connected(self.url, {"token": self.token("7", "user")})

    async def run(self, *arguments: str) -> int:
        return await asyncio.to_thread(main, list(arguments))

    async def back_up(self) -> None:
        arguments = (str(self.backup), "--database", str(self.database))
        assert await self.run("backup", *arguments) == 0

    async def restore(self, *arguments: str, role: str = "admin") -> int:
        options = ("--url", self.url, "--token", self.token(role=role), *arguments)
        return await self.run("restore", str(self.backup), *options)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    settings = Settings(
        host="127.0.0.1", port=0, database=tmp_path / "site.db", jwt_secret=SECRET, dev=False
    )
    application = Application(settings)
    yield Site(application, await application.listen(), tmp_path)
    await application.io.shutdown()


async def run_import(client: Client, content: str, number: int = 1) -> None:
    payload = {"source": "inline", "filename": "scan.csv", "csv": content}
    assert (await client.emit_with_ack("start-import", payload))["success"]
    assert (await client.receive_event("import-finished", number))["status"] == "completed"


async def statistics(client: Client) -> Any:
    answer = await client.emit_with_ack("get-vulnerability-stats")
    return answer["data"]["bySeverity"]


async def test_clients_see_the_restored_data_without_a_reconnection(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    async with site.client() as client:
        await run_import(client, FIRST)
        expected = await statistics(client)
        await site.back_up()
        await run_import(client, SECOND, 2)
        assert await statistics(client) != expected
        assert await site.restore("--yes") == 0
        notice = await client.receive_event("system-notification")
        assert notice["type"] == "data-restored"
        created = read_manifest(site.backup).created
        (summary,) = [
            each["data"]
            for each in client.payloads("vulnerability-change")
            if "dataRestored" in each["data"]
        ]
        assert summary["backupTime"] == created.timestamp() * 1000
        # Cached statistics are those of the restored data.
        assert await statistics(client) == expected
        await run_import(client, SECOND, 3)
        assert await statistics(client) != expected
    output = capsys.readouterr().out
    assert "  findings   50\n" in output
    assert "is restored" in output


async def test_maintenance_window_of_the_running_server_stays(site: Site) -> None:
    await site.back_up()
    maintenance, epoch_ms = site.application.services.maintenance, site.application.clock.epoch_ms
    planned = maintenance.schedule(epoch_ms() + 3_600_000, 60_000, "restore", "1")
    assert await site.restore("--yes") == 0
    assert [each["id"] for each in maintenance.notices()] == [planned]
    with site.application.database.reading() as connection:
        stored = connection.exec_driver_sql("SELECT id FROM maintenance_windows").scalars().all()
    assert stored == [planned]


async def test_restore_needs_a_confirmation_when_there_are_imports(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    async with site.client() as client:
        await run_import(client, FIRST)
        await site.back_up()
        assert await site.restore() == 1
    assert "the database has 1 import," in capsys.readouterr().err


async def test_restore_is_for_administrators(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    await site.back_up()
    assert await site.restore("--yes", role="user") == 1
    assert "Only administrators may restore a backup (FORBIDDEN)" in capsys.readouterr().err


async def test_restore_without_url_names_the_option_when_a_server_runs(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    await site.back_up()
    assert await site.run("restore", str(site.backup), "--database", str(site.database)) == 1
    assert "to restore while the hub runs, add --url" in capsys.readouterr().err


async def test_check_verifies_and_changes_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    await site.back_up()
    assert await site.run("restore", str(site.backup), "--check") == 0
    assert "is complete and can be restored" in capsys.readouterr().out
    site.backup.write_bytes(site.backup.read_bytes()[:-50])
    assert await site.run("restore", str(site.backup), "--check") == 1
    assert "is not a complete backup of the hub" in capsys.readouterr().err
