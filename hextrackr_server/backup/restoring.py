"""Restores a backup into a database that no server uses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from hextrackr_server.backup.errors import BackupError
from hextrackr_server.backup.manifest import Manifest
from hextrackr_server.backup.preparing import PREPARED, prepare
from hextrackr_server.backup.replacing import replace_data
from hextrackr_server.clock import epoch_ms
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.schema import import_jobs


def restore_backup(
    archive: Path, target: Path | str, folder: Path, *, replace: bool = False
) -> tuple[Manifest, dict[str, int]]:
    """Restore a backup into a SQLite file or a PostgreSQL database, given by its URL.

    `folder` is created for the restore and deleted at its end. Returns the manifest, and the number
    of rows of each table. Raises BackupError, SettingsError if the database cannot be opened, and
    DatabaseInUseError if a server uses it.
    """
    is_new = isinstance(target, Path) and not target.exists()
    # The lock of the database also protects the folder from another restore.
    database = Database(target)
    is_done = False
    try:
        with working_folder(folder):
            check_replaceable(database, replace=replace)
            manifest = prepare(archive, folder)
            rows = replace_data(database, folder / PREPARED, epoch_ms())
        is_done = True
    finally:
        database.close()
        if is_new and not is_done:
            assert isinstance(target, Path)
            target.unlink(missing_ok=True)
    return manifest, rows


def check_replaceable(database: Database, *, replace: bool) -> None:
    """Raise BackupError if a database has imports, unless they are to be replaced."""
    if replace:
        return
    with database.reading() as connection:
        number = connection.scalar(select(func.count()).select_from(import_jobs))
    if number:
        raise BackupError(
            f"the database has {number:,} import{'s' * (number > 1)}, and a restore replaces all "
            "data: back up the database, then restore with --yes (in requests: ?replace=true)"
        )


@contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """Create an empty folder for this user only, and delete it at the end.

    Files of an interrupted restore are deleted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_of(database: Path) -> Path:
    """Return the folder for the files of a restore, next to the SQLite file of the settings."""
    return database.absolute().with_name(database.name + ".restore")
