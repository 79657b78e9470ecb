"""CPU time and memory of a process and its descendants, from Linux interfaces."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers import cpu_seconds
from benchmarks.process_tree import find_tree

_TICKS = os.sysconf("SC_CLK_TCK")
_SETTLED_SECONDS = 0.5
_SETTLED_CPU = 0.02
_SETTLE_LIMIT_SECONDS = 20.0


def tree_cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its descendants, including those that have ended.

    A parent takes over the CPU time of a child when it waits for the child.
    """
    total = 0.0
    for each in find_tree(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += cpu_seconds(each)
        except OSError:
            continue
        total += (int(fields[13]) + int(fields[14])) / _TICKS
    return total


def wait_until_idle(pid: int) -> None:
    """Wait until a process and its descendants have finished their work, with a time limit."""
    end = time.monotonic() + _SETTLE_LIMIT_SECONDS
    before = tree_cpu_seconds(pid)
    while time.monotonic() < end:
        time.sleep(_SETTLED_SECONDS)
        now = tree_cpu_seconds(pid)
        if now - before < _SETTLED_CPU:
            return
        before = now


class MemoryWatch:
    """The peak memory of a process and its descendants, sampled in a thread.

    The peak is the largest sum of the resident memory of all processes at one time. Memory that
    processes share, such as libraries, counts in each of them.
    """

    _SECONDS = 0.05

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self.peak_mb = 0.0
        self._thread.start()

    def stop(self) -> None:
        """End the thread; `peak_mb` stays."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._SECONDS):
            found = {_read_memory(pid) for pid in find_tree(self._pid)} - {None}
            now = sum(each.resident for each in found if each is not None)
            self.peak_mb = max(self.peak_mb, now / 1024)


class _Memory(NamedTuple):
    """The memory of a process in KiB.

    Between vfork and exec, a child has the memory of its parent: both have equal values, and count
    once.
    """

    command: bytes
    size: int
    peak: int
    resident: int


def _read_memory(pid: int) -> _Memory | None:
    """Return the memory of a process, or None if it has ended."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    values = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    # A process that has ended, but that its parent has not waited for, has no memory.
    size, peak, resident = (
        int(values.get(name, "0 kB").split()[0]) for name in ("VmSize", "VmHWM", "VmRSS")
    )
    return _Memory(command, size, peak, resident)
