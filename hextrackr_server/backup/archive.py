"""Writes and reads the file of a backup: a ZIP archive with a database and its manifest.

manifest.json    the description of the backup, with the checksum of the database
hextrackr.db     the data as a SQLite database, also of a server with PostgreSQL
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, BinaryIO, Final

from hextrackr_server.backup.errors import BackupError, writing_to
from hextrackr_server.backup.manifest import MAXIMUM_BYTES, Manifest, decode_manifest
from hextrackr_server.backup.snapshot import OnStep, copy_database

DATABASE: Final = "hextrackr.db"
MANIFEST: Final = "manifest.json"
_CHUNK: Final = 1 << 20
#: A flag of a member of a ZIP archive, and the compression of both members.
_ENCRYPTED: Final = 1
_COMPRESSION: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def write_backup(
    source: Path | str, target: Path, *, replace: bool = False, on_step: OnStep = lambda *_: None
) -> tuple[Path, Manifest]:
    """Back up a database into a file and return its path and manifest.

    A folder gets a file with the time in its name. The file appears under its name when it is
    complete and on the disk, readable by its owner only. Raises BackupError.
    """
    now = datetime.now(UTC)
    if target.is_dir():
        target /= f"hextrackr-{now:%Y%m%dT%H%M%SZ}.zip"
    elif not target.parent.is_dir():
        raise BackupError(
            f"the folder {target.parent} does not exist: create it, or choose another folder"
        )
    if target.exists() and not replace:
        raise BackupError(f"{target} exists: choose another name, or replace it with --force")
    with writing_to(target.parent), _part(target) as (part, file):
        copy = part.with_name(part.name + ".db")
        copy.unlink(missing_ok=True)
        try:
            snapshot = copy_database(source, copy, on_step)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                size, digest = _store(archive, copy)
                manifest = Manifest(
                    created_at=f"{now:%Y-%m-%dT%H:%M:%SZ}",
                    schema_version=snapshot.schema_version,
                    source="sqlite" if isinstance(source, Path) else "postgresql",
                    size=size,
                    sha256=digest,
                    rows=snapshot.rows,
                )
                archive.writestr(MANIFEST, manifest.encode())
        finally:
            for each in copy.parent.glob(copy.name + "*"):
                each.unlink(missing_ok=True)
        file.flush()
        os.fsync(file.fileno())
        part.replace(target)
        _sync_folder(target.parent)
    return target, manifest


def read_manifest(archive: Path) -> Manifest:
    """Return the manifest of a backup that this program can restore. Raises BackupError."""
    with _opened(archive) as opened:
        return _manifest(opened)


def extract(archive: Path, file: Path) -> Manifest:
    """Write the database of a backup into a new file and compare its checksum.

    Raises BackupError for a file that is damaged, not a backup, or of a newer server.
    """
    with writing_to(file.parent), _opened(archive) as opened:
        manifest = _manifest(opened)
        free = shutil.disk_usage(file.parent).free
        if manifest.size > free:
            raise BackupError(
                f"the disk of {file.parent} has {free:,} free bytes, the restore needs "
                f"{manifest.size:,}: free space"
            )
        with opened.open(DATABASE) as content, _create(file) as target:
            digest, left = hashlib.sha256(), manifest.size
            while chunk := content.read(min(_CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    break
                digest.update(chunk)
                target.write(chunk)
        if left or digest.hexdigest() != manifest.sha256:
            raise BackupError(
                f"{archive} is damaged: its database has another checksum than its manifest; use "
                "another backup"
            )
    return manifest


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            _check_members(archive, opened)
            yield opened
    # A name of a file that is not UTF-8 raises UnicodeDecodeError.
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError, NotImplementedError,
            UnicodeDecodeError) as error:  # fmt: skip
        raise BackupError(f"{archive} is not a complete backup of the hub ({error})") from error
    except OSError as error:
        if error.filename is None or Path(error.filename) != archive:
            raise
        raise BackupError(f"{archive} cannot be read: {error.strerror}") from error


def _check_members(archive: Path, opened: zipfile.ZipFile) -> None:
    """Refuse forms of a ZIP archive that `write_backup` does not write."""
    for member in opened.infolist():
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _COMPRESSION:
            raise BackupError(
                f"{archive} is not a backup of the hub: its content is encrypted, or has another "
                "compression; use the file that the command backup has written"
            )


def _manifest(opened: zipfile.ZipFile) -> Manifest:
    if opened.getinfo(MANIFEST).file_size > MAXIMUM_BYTES:
        raise BackupError("not a backup of the hub: its manifest is too large")
    manifest = decode_manifest(opened.read(MANIFEST))
    manifest.check()
    return manifest


@contextmanager
def _part(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield the path and the file of an unfinished backup, and delete the file at the end.

    A file that a killed command left is used again.
    """
    part = target.with_name(f".{target.name}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BackupError(f"another backup to {target} is running: wait for its end") from error
        try:
            os.fchmod(file.fileno(), 0o600)
            file.truncate()
            yield part, file
        finally:
            part.unlink(missing_ok=True)


def _store(archive: zipfile.ZipFile, copy: Path) -> tuple[int, str]:
    """Add a database to an archive; return its size and checksum."""
    digest, size = hashlib.sha256(), 0
    with copy.open("rb") as content, archive.open(DATABASE, "w", force_zip64=True) as stored:
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
            stored.write(chunk)
    return size, digest.hexdigest()


def _create(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _sync_folder(folder: Path) -> None:
    """Write the new name to the disk, if the file system supports it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
