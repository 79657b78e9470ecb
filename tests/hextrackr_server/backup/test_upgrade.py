"""The commands of docs/upgrade.md, with databases of earlier versions."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sqlite3
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.application import Application
from hextrackr_server.backup.manifest import NEWEST_SCHEMA
from hextrackr_server.config import settings
from tests.hextrackr_server.backup.support import contents_of
from tests.hextrackr_server.storage.former_databases import (
    load_version_1,
    load_version_4,
    load_version_6,
)
from tests.hextrackr_server.support import SECRET

GUIDE = Path(__file__).parents[3] / "docs" / "upgrade.md"
LOADERS = {1: load_version_1, 4: load_version_4, 6: load_version_6}


def commands(section: str) -> list[list[str]]:
    """Return the commands of the hub in the shell blocks of a section of the guide."""
    text = GUIDE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    found = [shlex.split(line) for block in blocks for line in block.strip().splitlines()]
    return [each for each in found if each[0] == "hextrackr-server"]


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the default database, in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    monkeypatch.setenv("PORT", "0")
    Path("data").mkdir()
    return Path("data/hextrackr.db")


async def serve_once() -> None:
    """Start the hub with the settings of the environment until it is ready, and stop it."""
    application = Application(settings.load(os.environ))
    port = await application.listen()

    def ready() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=300) as response:
            return int(response.status)

    assert await asyncio.to_thread(ready) == 200
    await application.io.shutdown()


@pytest.mark.parametrize("version", LOADERS)
def test_upgrade_and_rollback_follow_the_guide(
    database: Path, version: int, capsys: pytest.CaptureFixture[str]
) -> None:
    load: Callable[[Path], None] = LOADERS[version]
    load(database)
    former = dump(database)
    *before, serve = commands("Upgrade the hub")
    assert serve == ["hextrackr-server", "serve"]
    assert [each[1] for each in before] == ["backup", "restore", "check"]
    for _, *arguments in before:
        assert main(arguments) == 0
    assert dump(database) == former, "the commands before the start change nothing"
    asyncio.run(serve_once())
    migrated = contents_of(database)
    assert ("schema_version", str(NEWEST_SCHEMA)) in migrated["meta"]

    # Return to the former version, which has no command `restore`.
    for each in Path("data").iterdir():
        each.rename(each.with_name("former-" + each.name))
    with zipfile.ZipFile("before-upgrade.zip") as archive:
        database.write_bytes(archive.read("hextrackr.db"))
    assert dump(database) == former

    # A version with the command migrates the same backup.
    database.unlink()
    ((_, *arguments),) = commands("Return to the former version")
    capsys.readouterr()
    assert main(arguments) == 0
    assert f"schema {version}\n" in capsys.readouterr().out
    assert contents_of(database) == migrated


def test_guide_names_the_current_schema() -> None:
    assert f"| migration to schema {NEWEST_SCHEMA} |" in GUIDE.read_text()
