"""Errors of backups, and the translation of errors of the system."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from hextrackr_server.errors import HexTrackrError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WRITE_FAILURES = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE"})


class BackupError(HexTrackrError):
    """A backup that cannot be written or restored; the text is one line with the remedy."""


class StorageFailedError(BackupError):
    """A disk or a database that does not work now; the backup itself may be good."""


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn errors of the disk of a folder, or of a database file, into StorageFailedError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full(folder) from error
        reason = error.strerror or type(error).__name__
        name = error.filename or folder
        raise StorageFailedError(f"{os.fspath(name)} cannot be used: {reason}") from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") in _WRITE_FAILURES:
            raise _full(folder) from error
        raise StorageFailedError(f"SQLite reports for a file in {folder}: {error}") from error
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorname", "") in _WRITE_FAILURES:
            raise _full(folder) from error
        reason = str(error.orig).strip().splitlines()[0]
        raise StorageFailedError(f"the database reports: {reason}") from error


def _full(folder: Path) -> StorageFailedError:
    return StorageFailedError(
        f"the disk of {folder} is full, or a limit for the size of files is reached: free space, "
        "or choose another folder; incomplete files are deleted"
    )
