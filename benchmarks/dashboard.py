"""Measure the dashboard in Chromium at 20 kB per second, and compare each figure with its limit.

    python -m benchmarks.dashboard [--rounds 5]

first paint    time until the browser shows the first content, without a cache
usable         time until the page is signed in and connected
transferred    bytes of scripts and styles until then
build          gzip-compressed size of all files of the build

The exit code is 1 if a limit is exceeded.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from hextrackr_server.http.dashboard_files import BUILD
from tests.dashboard.hub import running_hub
from tests.dashboard.support import require_build, running_browser

CASE = "the page is usable at 20 kB per second"
FIRST_PAINT = 1000.0  # milliseconds
BUILD_SIZE = 300.0  # kilobytes


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    require_build()
    measured = measure(rounds)
    build = sum(path.stat().st_size for path in BUILD.rglob("*.gz")) / 1000
    paint = statistics.median(each["paint"] for each in measured)
    lines = [
        ("first paint", paint, "ms", FIRST_PAINT),
        ("usable", statistics.median(each["usable"] for each in measured), "ms", None),
        ("transferred", statistics.median(each["bytes"] for each in measured) / 1000, "kB", None),
        ("build", build, "kB", BUILD_SIZE),
    ]
    for name, value, unit, limit in lines:
        text = "" if limit is None else f"  limit {limit:,.0f} {unit}"
        print(f"{name:<14}{value:>9,.0f} {unit}{text}")
    return int(any(limit is not None and value > limit for _, value, _, limit in lines))


def measure(rounds: int) -> list[dict[str, float]]:
    """Load the page several times, each time with an empty cache."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_hub(Path(folder)) as hub,
        running_browser() as browser,
    ):
        given = {"url": hub.url, "token": hub.token("1", "admin")}
        return [browser.run("connection.js", CASE, given) for _ in range(rounds)]


if __name__ == "__main__":
    sys.exit(main())
