"""Tests of opening files in the import inbox."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hextrackr_server.errors import ErrorCode, ServiceError, SettingsError
from hextrackr_server.imports.inbox import MAXIMUM_PATH, ImportInbox


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an inbox with files inside and outside, and links of each kind between them."""
    folder = tmp_path / "inbox"
    (folder / "week").mkdir(parents=True)
    (folder / "scan.csv").write_text("a scan")
    (folder / "week" / "scan 2.csv").write_text("another")
    (tmp_path / "secret").write_text("not for anybody")
    (tmp_path / "inbox-2").mkdir()
    (tmp_path / "inbox-2" / "scan.csv").write_text("not for anybody")
    (folder / "link.csv").symlink_to(tmp_path / "secret")
    (folder / "near.csv").symlink_to("scan.csv")
    (folder / "away").symlink_to(tmp_path)
    (folder / "dangling").symlink_to("nothing")
    os.mkfifo(folder / "pipe.csv")
    return folder


def read(folder: Path, path: str) -> str:
    with ImportInbox(folder).open(path) as file:
        return file.read().decode()


def refused(folder: Path | None, path: str) -> ServiceError:
    with pytest.raises(ServiceError) as refusal, ImportInbox(folder).open(path):
        pass
    return refusal.value


def lowest_free_descriptor() -> int:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def test_file_is_opened_by_relative_or_absolute_path(folder: Path) -> None:
    assert read(folder, "scan.csv") == read(folder, str(folder / "scan.csv")) == "a scan"
    assert read(folder, "week/scan 2.csv") == read(folder, "./week//scan 2.csv") == "another"


def test_inbox_may_be_a_symbolic_link(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "named"
    link.symlink_to(folder)
    for path in ("scan.csv", str(link / "scan.csv"), str(folder / "scan.csv")):
        assert read(link, path) == "a scan"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../secret", ErrorCode.FORBIDDEN),
        ("week/../scan.csv", ErrorCode.FORBIDDEN),
        ("{parent}/secret", ErrorCode.FORBIDDEN),
        ("{parent}/inbox-2/scan.csv", ErrorCode.FORBIDDEN),
        ("/etc/passwd", ErrorCode.FORBIDDEN),
        ("link.csv", ErrorCode.FORBIDDEN),
        ("near.csv", ErrorCode.FORBIDDEN),
        ("dangling", ErrorCode.FORBIDDEN),
        ("away/secret", ErrorCode.FORBIDDEN),
        ("away/inbox/scan.csv", ErrorCode.FORBIDDEN),
        ("nothing.csv", ErrorCode.NOT_FOUND),
        ("nowhere/scan.csv", ErrorCode.NOT_FOUND),
        ("scan.csv/x", ErrorCode.NOT_FOUND),
        ("week", ErrorCode.VALIDATION_ERROR),
        (".", ErrorCode.VALIDATION_ERROR),
        ("pipe.csv", ErrorCode.VALIDATION_ERROR),
        ("", ErrorCode.VALIDATION_ERROR),
        ("scan.csv\0", ErrorCode.VALIDATION_ERROR),
        ("x" * (MAXIMUM_PATH + 1), ErrorCode.VALIDATION_ERROR),
        ("x" * MAXIMUM_PATH, ErrorCode.FORBIDDEN),
    ],
)
def test_path_is_refused_when_it_is_not_a_file_of_the_inbox(
    folder: Path, path: str, code: ErrorCode
) -> None:
    refusal = refused(folder, path.format(parent=folder.parent))
    assert refusal.code is code
    assert str(folder) not in refusal.message
    if code is ErrorCode.VALIDATION_ERROR:
        assert refusal.fields is not None
        assert refusal.fields[0]["path"] == "path"


def test_refusal_closes_all_descriptors(folder: Path) -> None:
    before = lowest_free_descriptor()
    for path in ("week/none", "away/secret", "week", "pipe.csv", "scan.csv/x"):
        refused(folder, path)
    assert lowest_free_descriptor() == before


def test_reading_leaves_the_file_unchanged(folder: Path) -> None:
    before = (folder / "scan.csv").stat()
    read(folder, "scan.csv")
    after = (folder / "scan.csv").stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_size,
    )


def test_refusal_names_the_setting_when_no_inbox_is_configured() -> None:
    refusal = refused(None, "scan.csv")
    assert refusal.code is ErrorCode.FORBIDDEN
    assert "set HEXTRACKR_IMPORT_INBOX" in refusal.message


def test_missing_inbox_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="HEXTRACKR_IMPORT_INBOX must name an existing folder"):
        ImportInbox(tmp_path / "missing")


def test_file_is_reported_missing_when_the_inbox_was_moved(folder: Path) -> None:
    inbox = ImportInbox(folder)
    folder.rename(folder.with_name("moved"))
    with pytest.raises(ServiceError) as refusal, inbox.open("scan.csv"):
        pass
    assert refusal.value.code is ErrorCode.NOT_FOUND
