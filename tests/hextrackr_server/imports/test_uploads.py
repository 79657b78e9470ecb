"""Tests of stored uploads."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.imports.uploads import (
    MAXIMUM_WAITING_PER_USER,
    Upload,
    UploadStore,
    tidy_filename,
)
from tests.hextrackr_server.support import ALICE, BOB, FakeClock


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class UploadHarness:
    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.directory = directory
        self.store = UploadStore(directory, self.clock.monotonic, maximum=1000)

    async def kept(self, content: bytes = b"x") -> Upload:
        upload = await self.store.receive(chunks(content), "scan.csv", ALICE)
        self.store.keep(upload)
        return upload

    def files(self) -> list[Path]:
        return list(self.directory.iterdir())


@pytest.fixture
def harness(tmp_path: Path) -> UploadHarness:
    return UploadHarness(tmp_path / "uploads")


async def test_upload_is_stored_with_size_and_hash(harness: UploadHarness) -> None:
    upload = await harness.store.receive(chunks(b"a,b\n", b"", b"1,2\n"), "scan.csv", ALICE)
    assert upload.path.read_bytes() == b"a,b\n1,2\n"
    assert upload.size == 8
    assert upload.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest()


async def test_large_upload_is_stored_in_chunks(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads", FakeClock().monotonic)
    upload = await store.receive(chunks(*[bytes([n]) * 100_000 for n in range(10)]), "x.csv", ALICE)
    assert upload.path.read_bytes() == b"".join(bytes([n]) * 100_000 for n in range(10))


async def test_too_large_upload_leaves_no_file(harness: UploadHarness) -> None:
    with pytest.raises(ServiceError) as refusal:
        await harness.store.receive(chunks(b"x" * 600, b"x" * 600), "scan.csv", ALICE)
    assert refusal.value.code is ErrorCode.TOO_LARGE
    assert harness.files() == []


async def test_aborted_upload_leaves_no_file(harness: UploadHarness) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await harness.store.receive(broken(), "scan.csv", ALICE)
    assert harness.files() == []


async def test_upload_is_taken_once_by_its_owner(harness: UploadHarness) -> None:
    upload = await harness.kept()
    with pytest.raises(ServiceError, match="no such upload"):
        harness.store.take(upload.upload_id, BOB)
    assert harness.store.take(upload.upload_id, ALICE) is upload
    with pytest.raises(ServiceError, match="no such upload"):
        harness.store.take(upload.upload_id, ALICE)


async def test_upload_is_deleted_after_an_hour(harness: UploadHarness) -> None:
    upload = await harness.kept()
    harness.clock.advance(3600)
    harness.store.sweep()
    assert harness.files() == []
    with pytest.raises(ServiceError):
        harness.store.take(upload.upload_id, ALICE)


async def test_upload_is_refused_when_its_user_has_too_many(harness: UploadHarness) -> None:
    for _ in range(MAXIMUM_WAITING_PER_USER):
        await harness.kept()
    with pytest.raises(ServiceError) as refusal:
        await harness.kept()
    assert refusal.value.code is ErrorCode.CONFLICT
    assert len(harness.files()) == MAXIMUM_WAITING_PER_USER


async def test_store_deletes_old_files_at_the_start_and_its_folder_at_the_end(
    harness: UploadHarness,
) -> None:
    await harness.kept()
    store = UploadStore(harness.directory, harness.clock.monotonic)
    assert harness.files() == []
    store.close()
    assert not harness.directory.exists()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("scan.csv", "scan.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\scan.csv", "scan.csv"),
        ("a\r\nb\x1b.csv", "ab.csv"),
        ("", "upload.csv"),
        ("/", "upload.csv"),
        ("x" * 300, "x" * 255),
    ],
)
def test_file_name_is_made_displayable(given: str, shown: str) -> None:
    assert tidy_filename(given) == shown
