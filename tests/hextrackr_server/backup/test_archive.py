"""Files of backups: damaged, of other versions, and after a kill or on a full disk."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hextrackr_server.backup.archive import read_manifest, write_backup
from hextrackr_server.backup.errors import BackupError
from hextrackr_server.backup.preparing import PREPARED, prepare, prepare_in_process
from hextrackr_server.backup.restoring import restore_backup
from hextrackr_server.storage.database import Database
from tests.hextrackr_server.backup.support import contents_of
from tests.hextrackr_server.storage.former_databases import (
    load_version_1,
    load_version_4,
    load_version_6,
)
from tests.hextrackr_server.support import Workbench, finding_row

ROWS = [finding_row(host=f"h-{number}") for number in range(20)]


@pytest.fixture
def backup(workbench: Workbench, tmp_path: Path) -> Path:
    """Return the file of a backup with findings."""
    workbench.import_rows(ROWS)
    path, _ = write_backup(tmp_path / "test.db", tmp_path / "b.zip")
    return path


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Change the members of an archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def set_manifest(path: Path, **values: object) -> None:
    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["manifest.json"]) | values
        members["manifest.json"] = json.dumps(manifest).encode()

    rewrite(path, change)


def refusal(path: Path, folder: Path) -> str:
    with pytest.raises(BackupError) as refused:
        prepare(path, folder)
    return str(refused.value)


def test_database_of_the_archive_opens_without_the_hub(backup: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(backup) as archive:
        archive.extract("hextrackr.db", tmp_path / "out")
    with closing(sqlite3.connect(tmp_path / "out" / "hextrackr.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        query = "SELECT count(*) FROM vulnerabilities_current"
        assert connection.execute(query).fetchone() == (len(ROWS),)
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["hextrackr.db"]


def test_damaged_database_is_refused(backup: Path, tmp_path: Path) -> None:
    def flip(members: dict[str, bytes]) -> None:
        content = bytearray(members["hextrackr.db"])
        content[len(content) // 2] ^= 1
        members["hextrackr.db"] = bytes(content)

    rewrite(backup, flip)
    assert "has another checksum than its manifest" in refusal(backup, tmp_path)


def test_damaged_archive_is_refused(backup: Path, tmp_path: Path) -> None:
    content = bytearray(backup.read_bytes())
    middle = len(content) // 2
    # One changed bit may still inflate to the same content.
    content[middle : middle + 64] = bytes(each ^ 0xFF for each in content[middle : middle + 64])
    backup.write_bytes(content)
    assert "is not a complete backup" in refusal(backup, tmp_path)


def change_headers(path: Path, change: Callable[[bytearray, int], None]) -> None:
    """Change the entry of the last member in the directory of an archive."""
    content = bytearray(path.read_bytes())
    change(content, content.rindex(b"PK\x01\x02"))
    path.write_bytes(content)


def encrypt(content: bytearray, entry: int) -> None:
    content[entry + 8] |= 1


def compress_otherwise(content: bytearray, entry: int) -> None:
    content[entry + 10] = zipfile.ZIP_BZIP2


def spoil_name(content: bytearray, entry: int) -> None:
    content[entry + 9] |= 8  # the name is UTF-8
    content[entry + 46] = 0xFF


@pytest.mark.parametrize("change", [encrypt, compress_otherwise, spoil_name])
def test_archive_of_another_form_is_refused(
    backup: Path, tmp_path: Path, change: Callable[[bytearray, int], None]
) -> None:
    change_headers(backup, change)
    with pytest.raises(BackupError, match=r"is not a (complete )?backup of the hub"):
        prepare(backup, tmp_path / "copy.db")


def test_version_with_control_characters_is_refused(backup: Path) -> None:
    set_manifest(backup, program_version="\x1b[31m")
    with pytest.raises(BackupError, match=r"its manifest is invalid"):
        read_manifest(backup)


def test_incomplete_archive_is_refused(backup: Path, tmp_path: Path) -> None:
    backup.write_bytes(backup.read_bytes()[:-100])
    assert "is not a complete backup" in refusal(backup, tmp_path)


def test_larger_database_than_announced_is_refused(backup: Path, tmp_path: Path) -> None:
    set_manifest(backup, size=100)
    assert "has another checksum" in refusal(backup, tmp_path)
    assert (tmp_path / PREPARED).stat().st_size <= 100


def test_smaller_database_than_announced_is_refused(backup: Path, tmp_path: Path) -> None:
    set_manifest(backup, size=read_manifest(backup).size + 1)
    assert "has another checksum" in refusal(backup, tmp_path)


def test_database_with_a_reference_to_a_missing_row_is_refused(
    backup: Path, tmp_path: Path
) -> None:
    def remove_imports(members: dict[str, bytes]) -> None:
        file = tmp_path / "changed.db"
        file.write_bytes(members["hextrackr.db"])
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("DELETE FROM import_jobs")
        members["hextrackr.db"] = file.read_bytes()

    rewrite(backup, remove_imports)
    with zipfile.ZipFile(backup) as archive:
        content = archive.read("hextrackr.db")
    rows = read_manifest(backup).rows | {"import_jobs": 0}
    set_manifest(backup, size=len(content), sha256=hashlib.sha256(content).hexdigest(), rows=rows)
    assert "the database is damaged: a row refers to a missing row" in refusal(backup, tmp_path)


def test_manifest_with_other_numbers_is_refused(backup: Path, tmp_path: Path) -> None:
    set_manifest(backup, rows={"findings": 1})
    assert "does not match its manifest" in refusal(backup, tmp_path)


@pytest.mark.parametrize("name", ["schema_version", "format_version"])
def test_backup_of_a_newer_server_is_refused(backup: Path, tmp_path: Path, name: str) -> None:
    set_manifest(backup, **{name: 99, "program_version": "9.0.0"})
    message = refusal(backup, tmp_path)
    assert "was written by a newer server (version 9.0.0" in message
    assert "upgrade this server" in message


@pytest.mark.parametrize(
    "content",
    [b"", b"hostname,cve\n", b'{"format": "other"}', b"PK\x05\x06" + bytes(18)],
)
def test_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(content)
    assert "is not a complete backup" in refusal(path, tmp_path)


@pytest.mark.parametrize(
    "manifest", [b"no JSON", b"{}", b'{"format": 1}', b"[" * 100_000, b"x" * 100_000]
)
def test_archive_with_an_invalid_manifest_is_refused(tmp_path: Path, manifest: bytes) -> None:
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", manifest)
    assert "not a backup of the hub" in refusal(path, tmp_path)


def test_archive_of_another_program_is_refused(backup: Path, tmp_path: Path) -> None:
    set_manifest(backup, format="other")
    assert "not a backup of the hub: its format is 'other'" in refusal(backup, tmp_path)


def test_archive_with_a_very_long_manifest_is_refused(backup: Path) -> None:
    set_manifest(backup, rows={f"table {number}": 1 for number in range(5000)})
    with pytest.raises(BackupError, match="its manifest is too large"):
        read_manifest(backup)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "b.zip cannot be read: No such file" in refusal(tmp_path / "b.zip", tmp_path)


def test_backup_into_a_missing_folder_names_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    with pytest.raises(BackupError, match=f"^the folder {re.escape(str(folder))} does not exist"):
        write_backup(tmp_path / "hub.db", folder / "b.zip")


def test_other_database_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE x (id INTEGER)")
    with pytest.raises(BackupError, match="not a database of the hub"):
        write_backup(tmp_path / "other.db", tmp_path / "b.zip")
    with pytest.raises(BackupError, match=r"there is no database .*missing\.db"):
        write_backup(tmp_path / "missing.db", tmp_path / "b.zip")
    assert [each.name for each in tmp_path.iterdir()] == ["other.db"]


@pytest.mark.parametrize("load", [load_version_1, load_version_4, load_version_6])
def test_backup_of_an_earlier_schema_is_migrated_by_the_restore(
    tmp_path: Path, load: Callable[[Path], None]
) -> None:
    load(tmp_path / "old.db")
    path, manifest = write_backup(tmp_path / "old.db", tmp_path / "b.zip")
    restore_backup(path, tmp_path / "new.db", tmp_path / "work")
    assert manifest.schema_version < read_newest(tmp_path)
    # The migration of the file itself.
    restored = contents_of(tmp_path / "new.db")
    assert restored == contents_of(tmp_path / "old.db")
    assert restored["findings"]


def read_newest(folder: Path) -> int:
    Database(folder / "newest.db").close()
    _, manifest = write_backup(folder / "newest.db", folder / "newest.zip")
    return manifest.schema_version


def test_process_prepares_a_backup_as_the_function_does(backup: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert prepare_in_process(backup, first) == prepare(backup, second) == read_manifest(backup)
    assert contents_of(first / PREPARED) == contents_of(second / PREPARED)


def test_process_reports_a_refusal(backup: Path, tmp_path: Path) -> None:
    set_manifest(backup, schema_version=99)
    with pytest.raises(BackupError, match="was written by a newer server"):
        prepare_in_process(backup, tmp_path)


# -- a full disk, and kills

_KILLED = """
import os, signal, sys
from pathlib import Path
from hextrackr_server.backup import archive, snapshot
snapshot.PAGES_PER_STEP = 4
def step(copied, total):
    if copied:
        os.kill(os.getpid(), signal.SIGKILL)
archive.write_backup(Path(sys.argv[1]), Path(sys.argv[2]), on_step=step)
"""


def test_killed_backup_leaves_no_file_of_that_name(workbench: Workbench, tmp_path: Path) -> None:
    workbench.import_rows(ROWS)
    folder = tmp_path / "backups"
    folder.mkdir()
    target = folder / "b.zip"
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "test.db"), str(target)]
    done = subprocess.run(command, check=False)
    assert done.returncode == -signal.SIGKILL
    left = {each.name for each in folder.iterdir()}
    assert "b.zip" not in left
    assert all(each.startswith(".b.zip.part") for each in left)
    # The next backup uses the file again, and deletes it.
    write_backup(tmp_path / "test.db", target)
    assert [each.name for each in folder.iterdir()] == ["b.zip"]


def test_full_disk_is_reported_and_leaves_no_file(workbench: Workbench, tmp_path: Path) -> None:
    """A limit for the size of files stands for the full disk."""
    workbench.import_rows([finding_row(host=f"h-{number}") for number in range(3000)])
    folder = tmp_path / "backups"
    folder.mkdir()
    command = [sys.executable, "-m", "hextrackr_server", "backup", str(folder / "b.zip")]
    done = subprocess.run(
        [*command, "--database", str(tmp_path / "test.db")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert f"the disk of {folder} is full" in done.stderr
    assert not list(folder.iterdir())


def test_disk_that_fills_at_the_end_leaves_no_file_and_keeps_the_former_one(
    workbench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench.import_rows(ROWS)
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "b.zip").write_text("former")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackupError, match="is full"):
        write_backup(tmp_path / "test.db", folder / "b.zip", replace=True)
    assert [each.read_text() for each in folder.iterdir()] == ["former"]


def test_restore_without_space_is_refused_before_it_writes(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "has 1,000 free bytes, the restore needs" in refusal(backup, tmp_path)
