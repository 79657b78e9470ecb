"""Returns memory that a large transaction has freed to the operating system."""

from __future__ import annotations

import ctypes


def release_freed_memory() -> None:
    """Return freed memory to the system; without effect on C libraries other than glibc.

    glibc keeps the pages of a thread that has used much memory: after an import of 100,000 rows the
    server would keep 40 MB, which the process that reads the next file needs
    (`python -m benchmarks.imports --only cpu`).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
