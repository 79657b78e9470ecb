"""Restores into the database of a running server: permissions, imports meanwhile, and failures."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.backup.archive import write_backup
from hextrackr_server.backup.manifest import Manifest
from hextrackr_server.backup.preparing import prepare
from hextrackr_server.backup.service import RestoreService
from hextrackr_server.errors import ServiceError
from tests.hextrackr_server.backup.support import contents
from tests.hextrackr_server.support import ADMIN, ALICE, ImportHarness, csv_text, finding_row

FIRST = csv_text([finding_row(host=f"h-{number}") for number in range(20)])
SECOND = csv_text([finding_row(host=f"new-{number}") for number in range(20)])


class Site:
    """A restore service next to the services of imports, with a backup of one import."""

    def __init__(self, harness: ImportHarness, folder: Path) -> None:
        self.harness = harness
        self.database = harness.bench.database
        self.folder = folder / "work"
        self.archive = folder / "b.zip"
        self.restored: list[Manifest] = []
        self.service = self.create(prepare)

    def create(
        self, prepare: Callable[[Path, Path], Manifest], seconds: float = 60
    ) -> RestoreService:
        return RestoreService(
            self.database,
            self.harness.imports,
            self.folder,
            self.restored.append,
            prepare,
            seconds,
        )

    async def restore(self, principal: Any = ADMIN, *, replace: bool = True) -> dict[str, Any]:
        return await self.service.restore(self.chunks(), principal, replace=replace)

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self.archive.read_bytes()
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    async def run_import(self, content: str) -> None:
        answer = await self.harness.submit(content)
        assert (await self.harness.ended(answer["importId"]))["status"] == "completed"


@pytest.fixture
async def site(harness: ImportHarness, tmp_path: Path) -> Site:
    site = Site(harness, tmp_path)
    await site.run_import(FIRST)
    write_backup(Path(str(site.database)), site.archive)
    return site


async def test_restored_data_are_those_of_the_backup(site: Site) -> None:
    expected = contents(site.database)
    await site.run_import(SECOND)
    answer = await site.restore()
    assert contents(site.database) == expected
    assert (answer["success"], answer["rows"]["findings"]) == (True, 20)
    assert [each.created_at for each in site.restored] == [answer["createdAt"]]
    assert not site.folder.exists()
    await site.run_import(SECOND)
    assert len(site.harness.bench.findings()) == 40


async def refused(site: Site, *args: Any, **options: Any) -> str:
    """Return the code of a refused restore, which must not change the data."""
    former = contents(site.database)
    with pytest.raises(ServiceError) as refusal:
        await site.restore(*args, **options)
    assert contents(site.database) == former
    assert not site.restored
    assert not site.folder.exists()
    return str(refusal.value.code)


async def test_restore_is_for_administrators(site: Site) -> None:
    assert await refused(site, ALICE) == "FORBIDDEN"


async def test_imports_are_replaced_on_request_only(site: Site) -> None:
    assert await refused(site, replace=False) == "CONFLICT"


async def test_damaged_backup_is_refused(site: Site) -> None:
    site.archive.write_bytes(site.archive.read_bytes()[:-10])
    assert await refused(site) == "VALIDATION_ERROR"


async def test_full_disk_is_reported_as_unavailable(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hextrackr_server.backup.replacing._raise_ids", full)
    assert await refused(site) == "UNAVAILABLE"


async def test_broken_upload_is_deleted(site: Site) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"PK"
        raise ConnectionResetError

    with pytest.raises(ServiceError):
        await site.service.restore(chunks(), ADMIN, replace=True)
    assert not site.folder.exists()


class Gate:
    """A place at which a thread waits."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._reached = threading.Event()

    def wait(self) -> None:
        self._reached.set()
        assert self._open.wait(300)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, 300)

    def open(self) -> None:
        self._open.set()


async def test_second_restore_is_refused_while_one_runs(site: Site) -> None:
    gate = Gate()

    def slow(archive: Path, folder: Path) -> Manifest:
        gate.wait()
        return prepare(archive, folder)

    site.service = site.create(slow)
    first = asyncio.create_task(site.restore())
    await gate.reached()
    with pytest.raises(ServiceError, match="A backup is being restored"):
        await site.restore()
    assert site.folder.exists()
    gate.open()
    assert (await first)["success"]


async def test_restore_waits_for_imports_and_refuses_new_ones(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = contents(site.database)
    gate, run = Gate(), site.harness.bench.importer.run

    def slow(*args: Any) -> dict[str, Any]:
        gate.wait()
        return run(*args)

    monkeypatch.setattr(site.harness.bench.importer, "run", slow)
    running = await site.harness.submit(SECOND)
    await gate.reached()
    restore = asyncio.create_task(site.restore())
    while site.harness.imports._paused is None:  # noqa: ASYNC110 - no event marks it
        await asyncio.sleep(0.005)
    with pytest.raises(ServiceError, match="A backup is being restored") as refusal:
        await site.harness.submit(FIRST)
    assert str(refusal.value.code) == "UNAVAILABLE"
    with pytest.raises(ServiceError, match="A backup is being restored"):
        await site.harness.imports.undo(1, ADMIN)
    gate.open()
    assert (await site.harness.ended(running["importId"]))["status"] == "completed"
    await restore
    # The import ended first, and the restore replaced its result.
    assert contents(site.database) == expected


async def test_restore_is_refused_when_imports_do_not_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, run = Gate(), site.harness.bench.importer.run

    def slow(*args: Any) -> dict[str, Any]:
        gate.wait()
        return run(*args)

    monkeypatch.setattr(site.harness.bench.importer, "run", slow)
    site.service = site.create(prepare, seconds=0.01)
    running = await site.harness.submit(SECOND)
    await gate.reached()
    assert await refused(site) == "CONFLICT"
    gate.open()
    assert (await site.harness.ended(running["importId"]))["status"] == "completed"
    await site.run_import(FIRST)


async def test_files_of_a_killed_restore_are_deleted_at_the_start(site: Site) -> None:
    site.folder.mkdir()
    (site.folder / "restored.db").write_text("left")
    site.create(prepare)
    assert not site.folder.exists()


async def test_import_during_the_verification_needs_a_confirmation(
    harness: ImportHarness, tmp_path: Path
) -> None:
    site = Site(harness, tmp_path)
    write_backup(Path(str(site.database)), site.archive)

    def importing(archive: Path, folder: Path) -> Manifest:
        harness.bench.run(FIRST)
        return prepare(archive, folder)

    site.service = site.create(importing)
    with pytest.raises(ServiceError, match="the database has 1 import, and"):
        await site.restore(replace=False)
    assert len(harness.bench.findings()) == 20
