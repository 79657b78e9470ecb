"""Keeps the memory of the process small after a large transaction, if the C library is glibc."""

from __future__ import annotations

import ctypes
import os
from typing import Final

#: The parameters of mallopt() in glibc's malloc.h.
_ARENA_MAX: Final = -8
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
#: Sizes in bytes: blocks below _LARGE are part of the heap, whose free end stays up to _KEPT.
_LARGE: Final = 32 << 20
_KEPT: Final = 64 << 20


def use_one_arena() -> bool:
    """Let all threads allocate from one heap; return whether the C library does. Call it early.

    A thread otherwise gets a heap of its own, whose free end `release_freed_memory` cannot return:
    after an import of 100,000 rows the server would keep 9 MB (`benchmarks.imports --only cpu`).
    Threads of Python hold the interpreter's lock while they allocate, so they rarely wait. The
    heap keeps its free end between queries, which would otherwise return and request it again. The
    variable MALLOC_ARENA_MAX has precedence.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is None or "MALLOC_ARENA_MAX" in os.environ:
        return False
    return all(
        [
            change(_ARENA_MAX, 1),
            change(_MMAP_THRESHOLD, _LARGE),
            change(_TRIM_THRESHOLD, _KEPT),
        ]
    )


def release_freed_memory() -> None:
    """Return freed memory to the system; without effect on C libraries other than glibc.

    glibc keeps the pages of a thread that has used much memory: after an import of 100,000 rows the
    server would keep 40 MB, which the process that reads the next file needs
    (`python -m benchmarks.imports --only cpu`).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
