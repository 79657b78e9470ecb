"""Counts what a process holds: objects of our packages, threads, descriptors and processes."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("engineio_core", "socketio_core", "hextrackr_server")
#: Signals whose handlers a server changes while it runs.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 300.0
_DESCRIPTORS = Path("/proc/self/fd")


def live_objects(packages: tuple[str, ...] = PACKAGES) -> Counter[str]:
    """Return the number of live objects per class of the packages, after a full collection."""
    gc.collect()
    found: Counter[str] = Counter()
    # Some objects of other packages warn about the access to their class.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in gc.get_objects():
            kind = type(each)
            module = kind.__module__
            if isinstance(module, str) and module.partition(".")[0] in packages:
                found[f"{module}.{kind.__qualname__}"] += 1
    return found


def held_resources() -> Counter[str]:
    """Return the number of threads by name, of open files by name, and of other resources."""
    found: Counter[str] = Counter()
    found.update(f"thread {each.name}" for each in threading.enumerate())
    for each in os.listdir(_DESCRIPTORS):
        # The descriptor of the listing itself has ended.
        name = os.readlink(_DESCRIPTORS / each) if (_DESCRIPTORS / each).is_symlink() else ""
        if name:
            found[f"descriptor {name.partition(':[')[0]}"] += 1
    found["processes"] = len(multiprocessing.active_children()) + len(_children())
    for each in (None, *PACKAGES):
        found[f"log handlers of {each}"] = len(logging.getLogger(each).handlers)
        found[f"log filters of {each}"] = len(logging.getLogger(each).filters)
    for number in SIGNALS:
        found[f"{number.name} {signal.getsignal(number)!r}"] += 1
    return found


def _children() -> list[str]:
    path = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    return path.read_text().split() if path.exists() else []


def assert_nothing_remains(run: Callable[[], object], times: int = 3) -> None:
    """Run a function once, then several times more: objects and resources must not increase.

    The first run loads modules and fills caches. Threads have `PATIENCE` seconds to end.
    """
    run()
    run()
    objects, resources = live_objects(), held_resources()
    for _ in range(times):
        run()
    stop = time.monotonic() + PATIENCE
    while (more := _increase(resources, held_resources())) and time.monotonic() < stop:
        time.sleep(0.01)
    assert not more, f"resources after {times} more runs: {more}"
    assert not (more := _increase(objects, live_objects())), f"objects of {times} more runs: {more}"


def _increase(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    return {name: count - before[name] for name, count in after.items() if count > before[name]}
