"""CPU time, database size, memory and duration of imports, against the floor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

from benchmarks.imports.figures import Figure, Report
from benchmarks.imports.hub import Hub
from benchmarks.peers import ROOT

_GOAL_FIRST, _GOAL_SECOND, _GOAL_SIZE, _GOAL_MEMORY_MB, _GOAL_GROWTH = 1.3, 1.6, 2.5, 150, 2.0
_FLOOR_SECONDS = 900.0
_MILLION = 1_000_000
_LARGE_FILES = {"HEXTRACKR_IMPORT_MEGABYTES": "2000"}


def run_floor(file: Path, target: Path | str, module: str = "floor") -> list[dict[str, float]]:
    """Run a floor in a process of its own; return the times of its imports."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.imports.{module}", str(file), str(target)],
        cwd=ROOT, capture_output=True, text=True, timeout=_FLOOR_SECONDS, check=True,
    )  # fmt: skip
    measured: list[dict[str, float]] = json.loads(done.stdout)
    return measured


def measure_cpu(file: Path, directory: Path) -> Report:
    """Import the file twice, between two runs of the floor."""
    directory.mkdir()
    floors = [run_floor(file, directory / "floor-before.db")]
    costs, seconds, sizes = [], [], []
    with Hub(directory / "hub") as hub:
        hub.wait_until_idle()
        for _ in range(2):
            before = hub.cpu_seconds()
            seconds.append(hub.import_file(file))
            hub.wait_until_idle()
            costs.append(hub.cpu_seconds() - before)
            sizes.append(hub.database_bytes() / 1e6)
        peak = hub.peak_mb
    floors.append(run_floor(file, directory / "floor-after.db"))
    first, second = (mean(floor[number]["cpu"] for floor in floors) for number in range(2))
    size = file.stat().st_size / 1e6
    details = [
        f"first import: {costs[0]:.2f} s CPU in {seconds[0]:.2f} s, {sizes[0]:.0f} MB; "
        f"second import: {costs[1]:.2f} s CPU in {seconds[1]:.2f} s, {sizes[1]:.0f} MB",
        *(
            f"floor: {floor[0]['cpu']:.2f} s CPU, second import {floor[1]['cpu']:.2f} s CPU"
            for floor in floors
        ),
    ]
    return Report(
        [
            Figure("CPU time, first import", _GOAL_FIRST, "s", costs[0], first, "floor"),
            Figure("CPU time, second import", _GOAL_SECOND, "s", costs[1], second, "floor"),
            Figure("database size", _GOAL_SIZE, "MB", max(sizes), size, "file"),
            Figure("peak memory", _GOAL_MEMORY_MB, "MB", peak),
        ],
        details,
    )


def measure_million(small: Path, rows: int, large: Path, directory: Path) -> Report:
    """Compare the time per row of a million rows with that of the small file."""
    seconds = []
    for number, file in enumerate((small, large)):
        with Hub(directory / str(number), settings=_LARGE_FILES) as hub:
            seconds.append(hub.import_file(file))
            hub.wait_until_idle()
            peak = hub.peak_mb
    per_row = [seconds[0] / rows * 1e6, seconds[1] / _MILLION * 1e6]
    name = "time per row of a million rows"
    return Report(
        [
            Figure(name, _GOAL_GROWTH, "us", per_row[1], per_row[0], f"{rows:,} rows"),
            Figure("peak memory, a million rows", _GOAL_MEMORY_MB, "MB", peak),
        ],
        [f"a million rows: {seconds[1]:.1f} s"],
    )
