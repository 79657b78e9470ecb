"""Ends of imports while the database or the disk fails."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from hextrackr_server.imports import ends
from hextrackr_server.imports.pipeline import STAGE_SUFFIX
from hextrackr_server.imports.store import ImportStore
from tests.hextrackr_server.support import ImportHarness, csv_text, finding_row

GOOD = csv_text([finding_row()])


def lost_connection() -> OperationalError:
    return OperationalError("COMMIT", {}, Exception("reset"), connection_invalidated=True)


@pytest.fixture
def end_job(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """Yield the errors of the next calls of `end_job`."""
    errors: list[BaseException] = []
    former = ImportStore.end_job

    def fail_or_store(self: ImportStore, *args: Any) -> Any:
        if errors:
            raise errors.pop(0)
        return former(self, *args)

    monkeypatch.setattr(ImportStore, "end_job", fail_or_store)
    monkeypatch.setattr(ends, "_PAUSE_SECONDS", 0.001)
    yield errors
    assert not errors


def run_and_fail(harness: ImportHarness, error: BaseException) -> None:
    """Let imports raise an error after their commit."""
    former = harness.bench.importer.run

    def run(*args: Any) -> Any:
        former(*args)
        raise error

    harness.bench.importer.run = run  # type: ignore[method-assign]


async def test_import_is_completed_when_the_connection_is_lost_during_the_commit(
    harness: ImportHarness, end_job: list[BaseException]
) -> None:
    run_and_fail(harness, lost_connection())
    end_job += [lost_connection(), lost_connection()]
    number = (await harness.submit(GOOD))["importId"]
    state = await harness.ended(number)
    assert (state["status"], state["result"]["summary"]["inserted"]) == ("completed", 1)
    assert [each[0] for each in harness.commits] == [number]


async def test_end_that_the_database_refuses_is_stored_later(
    harness: ImportHarness, end_job: list[BaseException]
) -> None:
    end_job += [OSError(errno.ENOSPC, "full")]
    number = (await harness.submit("Location,Devices\n1,2\n"))["importId"]
    assert (await harness.ended(number))["status"] == "failed"
    job = harness.bench.store.job(number)
    assert job is not None
    assert job.status == "running"
    await harness.imports._in_writer(harness.imports._store_late_ends)
    job = harness.bench.store.job(number)
    assert job is not None
    assert (job.status, job.error_code) == ("failed", "VALIDATION_ERROR")


async def test_findings_are_announced_when_a_failed_import_proves_to_be_completed(
    harness: ImportHarness, end_job: list[BaseException]
) -> None:
    run_and_fail(harness, lost_connection())
    end_job += [lost_connection() for _ in range(ends.ATTEMPTS)]
    number = (await harness.submit(GOOD))["importId"]
    assert (await harness.ended(number))["status"] == "failed"
    end_job.append(lost_connection())
    for _ in range(2):
        assert harness.commits == []
        await harness.imports._in_writer(harness.imports._store_late_ends)
    assert [each[0] for each in harness.commits] == [number]
    job = harness.bench.store.job(number)
    assert job is not None
    assert job.status == "completed"


async def test_import_completes_when_its_files_cannot_be_deleted(
    harness: ImportHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    former = Path.unlink

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path.parent.name == "uploads":
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        former(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    numbers = [(await harness.submit(GOOD))["importId"] for _ in range(4)]
    states = [(await harness.ended(number))["status"] for number in numbers]
    assert states == ["completed"] * 4
    assert "a file of an import cannot be deleted" in caplog.text
    assert list(harness.bench.directory.glob(f"uploads/*{STAGE_SUFFIX}"))


async def test_import_completes_when_the_log_of_the_database_cannot_be_emptied(
    harness: ImportHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class FullDisk:
        def connect(self) -> Any:
            raise sqlite3.OperationalError("database or disk is full")

        def dispose(self) -> None: ...

    monkeypatch.setattr(harness.bench.database._backend, "engine", FullDisk())
    number = (await harness.submit(GOOD))["importId"]
    assert (await harness.ended(number))["status"] == "completed"
    assert "the log of the database cannot be emptied" in caplog.text
