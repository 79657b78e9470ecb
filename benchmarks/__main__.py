"""Compare this server with its peers: `python -m benchmarks [--full] [--only WORDS]`.

The benchmark needs Linux, Node and the packages that `benchmarks/setup` installs. All traffic
stays on the loopback interface.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import uvloop

from . import chart, report
from .experiments import EXPERIMENTS, FIGURES, Experiment
from .figures import Outcome, Ratio, evaluate
from .hop_budget import LEAVING, measure_leaving
from .measure import FULL, SHORT, Bench, Effort, Results
from .peers import (
    BENCHMARKS,
    ROOT,
    PeerMissingError,
    check_installed,
    describe_machine,
    raise_file_limit,
)

#: The limit is above 1, because a larger dict misses the CPU cache more often.
MAX_LEAVING_RATIO = 1.25


def report_progress(text: str) -> None:
    """Print one line immediately."""
    print(text, flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="longer measurements and more experiments"
    )
    parser.add_argument("--only", default="", help="only experiments whose name contains this text")
    parser.add_argument("--rounds", type=int, help="number of rounds of each experiment")
    parser.add_argument(
        "--output", type=Path, default=BENCHMARKS / "results", help="directory of the results"
    )
    parser.add_argument("--no-write", action="store_true", help="do not update docs/benchmarks.md")
    return parser.parse_args()


async def run_all(experiments: list[Experiment], effort: Effort) -> tuple[Results, list[str]]:
    """Run the experiments one after the other; return the samples and the failures."""
    bench = Bench(effort, report_progress)
    began = time.monotonic()
    try:
        for experiment in experiments:
            report_progress(f"{time.monotonic() - began:5.0f} s  {experiment.name}")
            await bench.run(experiment)
    finally:
        bench.close()
    return bench.results, bench.failures


def measure_leaving_outcome() -> Outcome:
    """Compare the cost of a leaving socket on a server with many rooms and with few rooms."""
    few, many, ratios = measure_leaving()
    ordered = sorted(ratios)
    ratio = Ratio(ordered[len(ordered) // 2], ordered[0], ordered[-1], MAX_LEAVING_RATIO)
    return Outcome(
        name=LEAVING, unit="us", ours=many, compiled=None, base_name="10 rooms", base=few,
        others={}, to_base=ratio, to_rust=None, limit=None,
    )  # fmt: skip


def select_effort(arguments: argparse.Namespace) -> Effort:
    """Return the short or the full effort, with the number of rounds of the command line."""
    effort = FULL if arguments.full else SHORT
    if arguments.rounds is None:
        return effort
    extra_rounds = min(arguments.rounds, effort.extra_rounds)
    return Effort(effort.seconds, arguments.rounds, extra_rounds, effort.warm_up)


def main() -> int:
    """Measure, write the results and print them; the exit code is 1 if an experiment failed."""
    arguments = parse_arguments()
    try:
        check_installed()
    except PeerMissingError as error:
        report_progress(f"benchmarks: {error}")
        return 1
    raise_file_limit()
    effort = select_effort(arguments)
    selected = [
        experiment
        for experiment in EXPERIMENTS
        if arguments.only in experiment.name and (arguments.full or not experiment.only_full)
    ]
    machine = describe_machine()
    results, failures = uvloop.run(run_all(selected, effort))
    outcomes = [found for figure in FIGURES if (found := evaluate(figure, results)) is not None]
    if not arguments.only:
        outcomes.append(measure_leaving_outcome())
    record = report.make_record(results, outcomes, effort, machine, failures)
    name = "full" if arguments.full else "short"
    report.write_record(arguments.output / f"{name}.json", record)
    (arguments.output / f"{name}.svg").write_text(chart.draw(outcomes), encoding="utf-8")
    if not (arguments.only or arguments.no_write):
        command = "make bench-full" if arguments.full else "make bench"
        report.rewrite_table(
            ROOT / "docs" / "benchmarks.md", report.format_table(outcomes, machine, command)
        )
    report_progress(f"\n{report.format_details(results)}\n\n{report.format_lines(outcomes)}")
    for failure in failures:
        report_progress(f"failed: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("benchmarks: CPU time and memory are read from Linux interfaces: run on Linux")
    sys.exit(main())
