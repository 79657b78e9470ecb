"""The folder out of which administrators may import files by name.

Knows: one folder, how a name leads to a regular file in it and nowhere else.
Does not know: imports, who asks.  Files are read, never moved, changed or deleted.

Every step of a path is opened from the folder before it, without following links: what changes
between a check and the opening cannot lead out.
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
# O_NONBLOCK: a pipe of that name must not hold us until somebody writes to it.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ImportInbox:
    """A folder, or none; everything here blocks. SettingsError for what is no folder."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise SettingsError(f"{SETTING} must name a folder that exists, not {folder}")
        self._named = None if folder is None else Path(os.path.abspath(folder))
        self._real = None if folder is None else folder.resolve()

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """A file by its path, within the folder or absolute; ServiceError where there is none."""
        parts = self._parts(path)
        assert self._real is not None
        try:
            opened = _open_below(self._real, parts)
        except FileNotFoundError as error:
            raise ServiceError(ErrorCode.NOT_FOUND, "There is no such file in the inbox") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            message = f"The server cannot read this file of the inbox: {reason}"
            raise ServiceError(ErrorCode.FORBIDDEN, message) from error
        with os.fdopen(opened, "rb") as file:
            yield file

    def _parts(self, path: str) -> tuple[str, ...]:
        if self._real is None or self._named is None:
            message = f"Imports by path are off: set {SETTING} to the folder that they may read"
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
    """A descriptor of the file that the parts lead to."""
    at = os.open(folder, _FLAGS | os.O_DIRECTORY)
    try:
        for number, name in enumerate(parts, 1):
            mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                message = "The path leads over a symbolic link: name the file itself"
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
    return ServiceError(ErrorCode.FORBIDDEN, "The path leads out of the inbox")


def _no_file() -> ServiceError:
    return invalid("Invalid path", [("path", "must name a regular file")])
