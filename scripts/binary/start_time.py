"""Measure the start of the executable next to `python -m hextrackr_server`, in turns.

A start ends when the hub accepts connections. Prints medians, and the ratio of the executable to
the interpreter of this environment; the goal is at most 1.3.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL = 1.3
READY = "user token"


def start_seconds(command: tuple[str, ...], folder: Path, unpack: Path) -> float:
    """Start a hub, return the seconds until it is ready, and kill it."""
    with tempfile.TemporaryDirectory(dir=folder) as database:
        options = ("serve", "--dev", "--port", "0", "--database", f"{database}/hub.db")
        start = time.perf_counter()
        with subprocess.Popen(
            [*command, *options], cwd=folder, text=True,
            env={"HOME": str(folder), "XDG_CACHE_HOME": str(unpack)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            ready = any(READY in line for line in process.stdout)
            seconds = time.perf_counter() - start
            process.kill()
    if not ready:
        raise SystemExit(f"{command[0]} did not start")
    return seconds


def main() -> None:
    """Print the times of starts in turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("executable", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    commands = {
        "python -m": (sys.executable, "-m", "hextrackr_server"),
        "executable": (str(options.executable.resolve()),),
    }
    with tempfile.TemporaryDirectory(prefix="hextrackr-start-") as name:
        folder = Path(name)
        first = start_seconds(commands["executable"], folder, folder / "cache")
        print(f"executable, first start (unpacks): {first:.2f} s")
        seconds: dict[str, list[float]] = {title: [] for title in commands}
        for _ in range(options.rounds):
            for title, command in commands.items():
                seconds[title].append(start_seconds(command, folder, folder / "cache"))
    medians = {title: statistics.median(values) for title, values in seconds.items()}
    for title, median in medians.items():
        print(f"{title}: median {median:.2f} s, quickest {min(seconds[title]):.2f} s")
    print(f"ratio {medians['executable'] / medians['python -m']:.2f}, goal {GOAL}")


if __name__ == "__main__":
    main()
