"""Opens files by path in the folder from which administrators may import.

The folder is the only one that a path can reach, and only its regular files are opened. Files are
read, never moved, changed or deleted. The module leaves permissions to its callers.

Each component of a path is opened relative to its parent folder without following links, so that
a change between check and open cannot lead out of the folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

from hextrackr_server.errors import ErrorCode, ServiceError, SettingsError, invalid

SETTING = "HEXTRACKR_IMPORT_INBOX"
MAXIMUM_PATH = 4096
# O_NONBLOCK: opening a named pipe must not wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ImportInbox:
    """The import folder, if one is configured; every method blocks.

    Raises SettingsError if the configured path is not a folder.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise SettingsError(f"{SETTING} must name an existing folder, got {folder}")
        self._named = None if folder is None else Path(os.path.abspath(folder))
        self._real = None if folder is None else folder.resolve()

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Open a file by its relative or absolute path; raise ServiceError if that fails."""
        parts = self._parts(path)
        assert self._real is not None
        try:
            opened = _open_below(self._real, parts)
        except FileNotFoundError as error:
            message = "The inbox has no such file: check the path"
            raise ServiceError(ErrorCode.NOT_FOUND, message) from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            message = f"The server cannot read this file of the inbox: {reason}"
            raise ServiceError(ErrorCode.FORBIDDEN, message) from error
        with os.fdopen(opened, "rb") as file:
            yield file

    def _parts(self, path: str) -> tuple[str, ...]:
        if self._real is None or self._named is None:
            message = f"Import by path is disabled: set {SETTING} to the folder to read from"
            raise ServiceError(ErrorCode.FORBIDDEN, message)
        if not path or len(path) > MAXIMUM_PATH or not path.isprintable():
            message = f"must be 1 to {MAXIMUM_PATH} printable characters"
            raise invalid("Invalid path", [("path", message)])
        pure = PurePath(path)
        if pure.is_absolute():
            folder = next((f for f in (self._named, self._real) if pure.is_relative_to(f)), None)
            if folder is None:
                raise _outside()
            pure = pure.relative_to(folder)
        if ".." in pure.parts:
            raise _outside()
        if not pure.parts:
            raise _no_file()
        return pure.parts


def _open_below(folder: Path, parts: tuple[str, ...]) -> int:
    """Return a file descriptor of the file that the path components lead to."""
    at = os.open(folder, _FLAGS | os.O_DIRECTORY)
    try:
        for number, name in enumerate(parts, 1):
            mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                message = "The path must not contain symbolic links: name the file itself"
                raise ServiceError(ErrorCode.FORBIDDEN, message)
            if number < len(parts) and not stat.S_ISDIR(mode):
                raise FileNotFoundError
            following = os.open(name, _FLAGS, dir_fd=at)
            at, former = following, at
            os.close(former)
        if not stat.S_ISREG(os.fstat(at).st_mode):
            raise _no_file()
    except BaseException:
        os.close(at)
        raise
    return at


def _outside() -> ServiceError:
    message = "The path must stay within the inbox: name a file in that folder"
    return ServiceError(ErrorCode.FORBIDDEN, message)


def _no_file() -> ServiceError:
    return invalid("Invalid path", [("path", "must name a regular file")])
