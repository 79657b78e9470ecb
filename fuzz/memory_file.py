"""A file without a disk: the readers of exports open the same input several times."""

from __future__ import annotations

import io
from copy import copy
from functools import cache
from pathlib import Path, PosixPath
from typing import Any, NamedTuple


class _Size(NamedTuple):
    st_size: int


class MemoryFile(PosixPath):
    """A path whose file consists of given bytes."""

    content: bytes

    def open(self, *arguments: Any, **options: Any) -> Any:
        """Open the bytes for reading."""
        return io.BytesIO(self.content)

    def stat(self, *, follow_symlinks: bool = True) -> Any:
        """Return the size of the file."""
        return _Size(len(self.content))


def memory_file(content: bytes, name: str = "export.csv") -> Path:
    """Return the path of a file with these bytes."""
    path = copy(_empty(name))
    path.content = content
    return path


# A copy takes a fifth of the time of a new path, which parses its name.
_empty = cache(MemoryFile)
