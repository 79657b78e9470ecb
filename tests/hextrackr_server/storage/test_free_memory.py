"""Memory that threads free returns to the system."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a function of glibc")

# Freeing a block of its own mapping raises the size from which glibc trims a heap by itself, as
# large blocks of the hub do. A thread then allocates 40 MB in small blocks and frees them.
_THREAD = """
import ctypes, threading
from hextrackr_server.storage.free_memory import release_freed_memory, use_one_arena
changed = use_one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if "RssAnon" in line)

def work():
    blocks = [libc.malloc(4096) for _ in range(10_000)]
    for block in blocks:
        libc.memset(block, 1, 4096)
    for block in blocks:
        libc.free(block)

libc.free(libc.malloc(30 << 20))
before = resident()
thread = threading.Thread(target=work)
thread.start()
thread.join()
release_freed_memory()
print(changed, resident() - before)
"""


def test_memory_that_a_thread_has_freed_returns_to_the_system() -> None:
    changed, kept = _run({})
    assert changed == "True"
    assert kept < 10_000  # KiB, of 40,000


def test_variable_of_the_c_library_has_precedence() -> None:
    changed, _ = _run({"MALLOC_ARENA_MAX": "4"})
    assert changed == "False"


def _run(variables: dict[str, str]) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", _THREAD],
        env=os.environ | variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    changed, kept = done.stdout.split()
    return changed, int(kept)
