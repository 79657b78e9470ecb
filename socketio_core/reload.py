"""Restarts the command `python -m socketio_core` after each change of a Python file."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

#: Seconds within which a server must end before it is killed
END_SECONDS = 10.0

Watch: TypeAlias = Callable[..., Iterable[set[tuple[Any, str]]]]


class WatchfilesMissingError(Exception):
    """The package watchfiles is not installed."""


def find_watch() -> Watch:
    """Return the function that yields changes. Raises WatchfilesMissingError."""
    try:
        from watchfiles import PythonFilter, watch  # noqa: PLC0415 - optional
    except ImportError:
        raise WatchfilesMissingError from None

    def watch_python(*folders: Path, stop: Event) -> Iterable[set[tuple[Any, str]]]:
        return watch(*folders, watch_filter=PythonFilter(), stop_event=stop, raise_interrupt=False)

    return watch_python


def run_with_reload(command: Sequence[str], folders: Sequence[Path], watch: Watch) -> int:
    """Run a command, and again after each change, until a signal ends this process.

    A command that ends by itself, for example after a syntax error, starts again at the next
    change. Return the exit code.
    """
    stop = Event()
    former = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    print(f"Watching {', '.join(map(str, folders))} for changes", flush=True)
    process = subprocess.Popen(command)
    try:
        for changes in watch(*folders, stop=stop):
            if stop.is_set():
                break
            names = sorted({_short(path) for _, path in changes})
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            print(f"Restarting: {names[0]}{more} changed", flush=True)
            _end(process)
            process = subprocess.Popen(command)
    finally:
        _end(process)
        for number, handler in former.items():
            signal.signal(number, handler)
    return 0


def make_command(arguments: Sequence[str]) -> list[str]:
    """Return the command of the server: the same arguments without those of the reload."""
    kept: list[str] = []
    skipped = False
    for each in arguments:
        if skipped or each == "--reload" or each.startswith("--reload-dir="):
            skipped = False
        elif each == "--reload-dir":
            skipped = True
        else:
            kept.append(each)
    return [sys.executable, "-m", "socketio_core", *kept]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server, which disconnects its clients; kill it if it does not end in time."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _short(path: str) -> str:
    """Return a path relative to the working directory, if it is inside of it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
