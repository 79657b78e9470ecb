"""Measure imports and queries, and compare each figure with its goal.

    python -m benchmarks.imports [--rows 100000] [--only PART ...] [--full] [--write]

cpu        CPU time of a first and a second import against the floor, database size, peak memory
wall       wall time against an older commit of this project
latency    round trips of other clients during an import
queries    CPU time of uncached statistics and lists
postgres   an import into PostgreSQL against a bare COPY and merge
million    time per row of a million rows (with --full)

All servers listen on the loopback interface and use temporary directories. The exit code is 0 if
all parts were measured, whether or not their goals are reached.
"""

from __future__ import annotations

import argparse
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.imports.cpu import measure_cpu, measure_million
from benchmarks.imports.figures import (
    Report,
    format_lines,
    format_table,
    write_results,
    write_table,
)
from benchmarks.imports.hub import HubError
from benchmarks.imports.latency import measure_latency
from benchmarks.imports.older import measure_wall
from benchmarks.imports.postgres import measure_postgres
from benchmarks.imports.queries import measure_queries
from benchmarks.peers import BENCHMARKS, ROOT, describe_machine
from hextrackr_server.cli.sample import write_sample

Part = Callable[[Path, Path], Report]
_PARTS: Mapping[str, Part] = {
    "cpu": measure_cpu,
    "wall": measure_wall,
    "latency": measure_latency,
    "queries": measure_queries,
    "postgres": measure_postgres,
}
_MILLION = "million"
_FULL_ROWS = 1_000_000
_DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.imports", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=[*_PARTS, _MILLION], help="only these parts")
    parser.add_argument("--full", action="store_true", help="import a million rows too")
    parser.add_argument(
        "--write", action="store_true", help="write the table of README.md and docs/benchmarks.md"
    )
    return parser.parse_args()


def run_parts(arguments: argparse.Namespace, directory: Path) -> tuple[Report, bool]:
    """Measure the selected parts one after the other; return their results, and if any failed."""
    file, large = directory / "sample.csv", directory / "million.csv"
    write_sample(file, arguments.rows, arguments.seed)
    print(f"{arguments.rows:,} rows, {file.stat().st_size / 1e6:.1f} MB of CSV", flush=True)
    parts = dict(_PARTS)
    if arguments.full or _MILLION in (arguments.only or ()):
        write_sample(large, _FULL_ROWS, arguments.seed)
        parts[_MILLION] = lambda small, folder: measure_million(
            small, arguments.rows, large, folder
        )
    total, has_failed = Report(), False
    began = time.monotonic()
    for name in arguments.only or parts:
        print(f"\n{time.monotonic() - began:5.0f} s  {name}", flush=True)
        try:
            report = parts[name](file, directory / name)
        except HubError as error:
            print(f"failed: {error}", flush=True)
            has_failed = True
            continue
        print("\n".join([*report.details, format_lines(report.figures)]), flush=True)
        total.figures += report.figures
        total.details += report.details
    return total, has_failed


def main() -> int:
    """Measure, print and write the results; the exit code is 0 if all parts were measured."""
    arguments = parse_arguments()
    machine = describe_machine() | {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    with tempfile.TemporaryDirectory(prefix="hextrackr-benchmark-") as directory:
        report, has_failed = run_parts(arguments, Path(directory))
    print(f"\n{format_lines(report.figures)}")
    if not arguments.only:
        name = "imports-full.json" if arguments.full else "imports.json"
        write_results(BENCHMARKS / "results" / name, report, machine, arguments.rows)
    if arguments.write:
        for document in _DOCUMENTS:
            write_table(document, format_table(report.figures, machine, arguments.rows))
    return 1 if has_failed else 0


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("benchmarks: CPU time and memory are read from Linux interfaces: run on Linux")
    sys.exit(main())
