"""A process with its descendants, and the TCP ports on which they listen, from Linux interfaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_LISTENING: Final = "0A"
"""The state TCP_LISTEN in /proc/net/tcp."""


def find_tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for each in found:
        found += _children(each)
    return found


def _children(pid: int) -> Iterator[int]:
    # A child is listed by the thread that started it.
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            yield from (int(word) for word in task.read_text().split())
        except OSError:  # the thread or the process has ended
            continue


def listening_ports(pid: int) -> set[int]:
    """Return the TCP ports on which a process and its descendants listen."""
    inodes = {inode for each in find_tree(pid) for inode in _sockets(each)}
    ports = set()
    for name in ("tcp", "tcp6"):
        with suppress(OSError):  # a kernel without IPv6 has no tcp6
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENING and words[9] in inodes:
                    ports.add(int(words[1].rpartition(":")[2], 16))
    return ports


def _sockets(pid: int) -> Iterator[str]:
    """Return the inodes of the sockets of a process."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:  # the process has ended
        return
    for name in names:
        with suppress(OSError):  # the process has closed it
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.startswith("socket:["):
                yield target[8:-1]
