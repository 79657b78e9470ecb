"""Where files wait for their import."""

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


class Shelf:
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
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "uploads")


async def test_a_file_is_stored_as_it_arrives(shelf: Shelf) -> None:
    upload = await shelf.store.receive(chunks(b"a,b\n", b"", b"1,2\n"), "scan.csv", ALICE)
    assert upload.path.read_bytes() == b"a,b\n1,2\n"
    assert upload.size == 8
    assert upload.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest()


async def test_a_large_file_is_stored_in_pieces(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads", FakeClock().monotonic)
    upload = await store.receive(chunks(*[bytes([n]) * 100_000 for n in range(10)]), "x.csv", ALICE)
    assert upload.path.read_bytes() == b"".join(bytes([n]) * 100_000 for n in range(10))


async def test_a_file_that_is_too_large_leaves_nothing_behind(shelf: Shelf) -> None:
    with pytest.raises(ServiceError) as refusal:
        await shelf.store.receive(chunks(b"x" * 600, b"x" * 600), "scan.csv", ALICE)
    assert refusal.value.code is ErrorCode.TOO_LARGE
    assert shelf.files() == []


async def test_an_upload_that_breaks_off_leaves_nothing_behind(shelf: Shelf) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await shelf.store.receive(broken(), "scan.csv", ALICE)
    assert shelf.files() == []


async def test_an_upload_is_taken_once_and_by_its_owner(shelf: Shelf) -> None:
    upload = await shelf.kept()
    with pytest.raises(ServiceError, match="no such upload"):
        shelf.store.take(upload.upload_id, BOB)
    assert shelf.store.take(upload.upload_id, ALICE) is upload
    with pytest.raises(ServiceError, match="no such upload"):
        shelf.store.take(upload.upload_id, ALICE)


async def test_what_waits_for_an_hour_is_deleted(shelf: Shelf) -> None:
    upload = await shelf.kept()
    shelf.clock.advance(3600)
    shelf.store.sweep()
    assert shelf.files() == []
    with pytest.raises(ServiceError):
        shelf.store.take(upload.upload_id, ALICE)


async def test_a_user_cannot_pile_up_uploads(shelf: Shelf) -> None:
    for _ in range(MAXIMUM_WAITING_PER_USER):
        await shelf.kept()
    with pytest.raises(ServiceError) as refusal:
        await shelf.kept()
    assert refusal.value.code is ErrorCode.CONFLICT
    assert len(shelf.files()) == MAXIMUM_WAITING_PER_USER


async def test_a_new_store_begins_empty_and_a_closed_one_is_gone(shelf: Shelf) -> None:
    await shelf.kept()
    store = UploadStore(shelf.directory, shelf.clock.monotonic)
    assert shelf.files() == []
    store.close()
    assert not shelf.directory.exists()


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
def test_a_clients_name_of_a_file_is_only_for_showing(given: str, shown: str) -> None:
    assert tidy_filename(given) == shown
