"""Measure what each hot-path trick saves: `python -m benchmarks.tricks [--only WORDS]`.

`benchmarks/tricks.toml` lists the tricks. Each entry holds the edits that replace the trick by the
plain code. This program applies them to a copy of the packages, runs the copy and the unchanged
code in turns on every installed Python, and prints the saving in percent of the plain code's time.
A trick stays if it saves at least 3 % on one of the Pythons, in one of the paths that it concerns.

A path is a row of `benchmarks.hop_budget` (microseconds without a network) or, with the prefix
`server:`, an experiment of `benchmarks.experiments` (CPU of a server process per message).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from .experiments import EXPERIMENTS, Contender, Experiment
from .measure import SHORT, Bench, Effort
from .peers import BENCHMARKS, OUR_PYTHON, OURS_ASYNC, ROOT, raise_file_limit

WORTH_KEEPING = 0.03
TABLE = BENCHMARKS / "tricks.toml"
PACKAGES = ("engineio_core", "socketio_core", "benchmarks")
SERVER = "server:"


@dataclass(frozen=True)
class Edit:
    """A replacement in one file; `old` stands there exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Trick:
    """One entry of the table."""

    name: str
    plain: str
    """The plain code that is measured instead, in a few words."""
    paths: tuple[str, ...]
    edits: tuple[Edit, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    """Environment variables that select the plain code, instead of edits."""
    first_python: str = "3.11"
    """The first Python on which the plain code runs in the paths of the hop budget."""


def read_tricks(table: Path = TABLE) -> list[Trick]:
    """Return the tricks of the table."""
    entries: list[dict[str, Any]] = tomllib.loads(table.read_text(encoding="utf-8"))["trick"]
    return [
        Trick(
            entry["name"], entry["plain"], tuple(entry["paths"]),
            tuple(Edit(**edit) for edit in entry.get("edit", ())), entry.get("env", {}),
            entry.get("first_python", "3.11"),
        )
        for entry in entries
    ]  # fmt: skip


def find_pythons() -> dict[str, Path]:
    """Return the interpreters that have this project's dependencies, by version."""
    found: dict[str, Path] = {}
    for python in (OUR_PYTHON, *sorted((BENCHMARKS / ".venv").glob("3.*/bin/python"))):
        if python.exists():
            command = [str(python), "-c", "import platform; print(platform.python_version())"]
            version = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.setdefault(version.strip(), python)
    return found


@contextmanager
def copied(edits: tuple[Edit, ...] = ()) -> Iterator[Path]:
    """Yield a temporary copy of the packages with `edits` applied."""
    with tempfile.TemporaryDirectory(prefix="tricks-") as name:
        folder = Path(name)
        for package in PACKAGES:
            shutil.copytree(
                ROOT / package, folder / package,
                ignore=shutil.ignore_patterns(".venv", "node_modules", "results", "__pycache__"),
            )  # fmt: skip
        for edit in edits:
            apply_edit(folder, edit)
        yield folder


def apply_edit(folder: Path, edit: Edit) -> None:
    """Replace the text in the file. Raises ValueError unless it stands there exactly once."""
    path = folder / edit.file
    text = path.read_text(encoding="utf-8")
    if (count := text.count(edit.old)) != 1:
        raise ValueError(
            f"{edit.file} must contain {edit.old!r} exactly once, found {count} times: "
            f"update {TABLE.name}"
        )
    path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def run_path(python: Path, folder: Path, path: str, env: dict[str, str]) -> float:
    """Return the microseconds of a path of the hop budget, in a process of its own."""
    command = [str(python), "-m", "benchmarks.hop_budget", "--json", "--only", path]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the hop budget failed in {folder}:\n{done.stderr[-2000:]}")
    hops: dict[str, dict[str, float]] = json.loads(done.stdout)
    return hops[path]["microseconds"]


def compare_paths(
    python: Path, folders: tuple[Path, Path], path: str, env: dict[str, str], rounds: int
) -> list[tuple[float, float]]:
    """Return the costs of each round, with the trick and without it."""
    return [
        (run_path(python, folders[0], path, {}), run_path(python, folders[1], path, env))
        for _ in range(rounds)
    ]


def compare_servers(
    python: Path, folders: tuple[Path, Path], name: str, env: dict[str, str], rounds: int
) -> list[tuple[float, float]]:
    """Return the costs of each round: CPU of a server with the trick, and of one without it."""
    experiment = next(each for each in EXPERIMENTS if each.name == name)
    command = (str(python), *OURS_ASYNC.command[1:])
    peer = replace(OURS_ASYNC, command=command)
    contenders = (
        Contender("trick", replace(peer, checkout=folders[0])),
        Contender("plain", replace(peer, checkout=folders[1], env=tuple(env.items()))),
    )
    bench = Bench(Effort(SHORT.seconds, rounds, rounds, SHORT.warm_up), print)
    try:
        uvloop.run(bench.run(Experiment(name, experiment.make_workload, contenders)))
    finally:
        bench.close()
    if bench.failures:
        raise RuntimeError("; ".join(bench.failures))
    found = bench.results[name]
    return [(a.cost, b.cost) for a, b in zip(found["trick"], found["plain"], strict=True)]


def find_saving(costs: list[tuple[float, float]]) -> float:
    """Return the share of the plain code's cost that the trick saves, from the best rounds."""
    return 1 - min(trick for trick, _ in costs) / min(plain for _, plain in costs)


def runs_on(version: str, first: str) -> bool:
    """Return whether a Python version is at least `first`."""
    major, minor = version.split(".")[:2]
    return (int(major), int(minor)) >= tuple(map(int, first.split(".")))


def measure(trick: Trick, pythons: dict[str, Path], rounds: int) -> bool:
    """Print the savings of a trick; return whether it is worth keeping."""
    best = 0.0
    with copied() as ours, copied(trick.edits) as plain:
        for path in trick.paths:
            cells = []
            for version, python in pythons.items():
                if not path.startswith(SERVER) and not runs_on(version, trick.first_python):
                    continue
                if path.startswith(SERVER):
                    name = path.removeprefix(SERVER)
                    costs = compare_servers(python, (ours, plain), name, trick.env, rounds)
                else:
                    costs = compare_paths(python, (ours, plain), path, trick.env, rounds)
                saving = find_saving(costs)
                best = max(best, saving)
                middle = median(1 - a / b for a, b in costs)
                cells.append(f"{version}: {saving:6.1%} (median {middle:.1%})")
            print(f"{trick.name:36} {path:48} {'  '.join(cells)}", flush=True)
    return best >= WORTH_KEEPING


def main() -> int:
    """Measure and print; the exit code is 1 if a trick saves too little."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tricks", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--only", default="", help="only tricks whose name contains this text")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    raise_file_limit()
    pythons = find_pythons()
    if not pythons:
        sys.exit("no Python with the dependencies: run benchmarks/setup")
    too_small = [
        trick.name
        for trick in read_tricks()
        if arguments.only in trick.name and not measure(trick, pythons, arguments.rounds)
    ]
    for name in too_small:
        print(f"{name}: saves less than {WORTH_KEEPING:.0%} on every Python: remove it")
    return 1 if too_small else 0


if __name__ == "__main__":
    sys.exit(main())
