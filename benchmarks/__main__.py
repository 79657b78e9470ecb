"""Measure this server beside its peers: `python -m benchmarks [--full] [--only WORDS]`.

Needs Linux, Node, and what `benchmarks/setup` installs. All traffic stays on the loopback.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import uvloop

from . import chart, report
from .experiments import EXPERIMENTS, FIGURES, Experiment
from .figures import Outcome, evaluate
from .hop_budget import LEAVING, measure_leaving
from .measure import FULL, SHORT, Bench, Effort, Results
from .peers import (
    BENCHMARKS,
    ROOT,
    PeerMissing,
    check_installed,
    describe_machine,
    raise_file_limit,
)

NO_GROWTH_OF_LEAVING = 1.25  # a larger dict misses the cache more often


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="longer, and more of it")
    parser.add_argument("--only", default="", help="only experiments whose name has this in it")
    parser.add_argument("--rounds", type=int, help="rounds instead of the form's number")
    parser.add_argument(
        "--output", type=Path, default=BENCHMARKS / "results", help="where the results go"
    )
    parser.add_argument("--no-readme", action="store_true", help="leave README.md as it is")
    return parser.parse_args()


async def run_all(experiments: list[Experiment], effort: Effort) -> tuple[Results, list[str]]:
    """Run the experiments, one after the other."""
    bench = Bench(effort, say)
    began = time.monotonic()
    try:
        for experiment in experiments:
            say(f"{time.monotonic() - began:5.0f} s  {experiment.name}")
            await bench.run(experiment)
    finally:
        bench.close()
    return bench.results, bench.failures


def judge_leaving() -> Outcome:
    """Measure what leaving costs in a server with many rooms, against one with few."""
    few, many, ratios = measure_leaving()
    ordered = sorted(ratios)
    return Outcome(
        name=LEAVING, unit="us", ours=many, base_name="10 rooms", base=few, python_socketio=None,
        floor=None, ratio=ordered[len(ordered) // 2], least=ordered[0], most=ordered[-1],
        goal=NO_GROWTH_OF_LEAVING,
    )  # fmt: skip


def effort_of(given: argparse.Namespace) -> Effort:
    """Return the short form or the long one."""
    effort = FULL if given.full else SHORT
    if given.rounds is None:
        return effort
    return Effort(
        effort.seconds, given.rounds, min(given.rounds, effort.extra_rounds), effort.warm_up
    )


def main() -> int:
    """Measure, write, tell."""
    given = parse_arguments()
    try:
        check_installed()
    except PeerMissing as error:
        say(f"benchmarks: {error}")
        return 1
    raise_file_limit()
    effort = effort_of(given)
    chosen = [
        experiment
        for experiment in EXPERIMENTS
        if given.only in experiment.name and (given.full or not experiment.only_full)
    ]
    machine = describe_machine()
    results, failures = uvloop.run(run_all(chosen, effort))
    outcomes = [found for figure in FIGURES if (found := evaluate(figure, results)) is not None]
    if not given.only:
        outcomes.append(judge_leaving())
    record = report.make_record(results, outcomes, effort, machine, failures)
    name = "full" if given.full else "short"
    report.write_record(given.output / f"{name}.json", record)
    (given.output / f"{name}.svg").write_text(chart.draw(outcomes), encoding="utf-8")
    if not (given.only or given.no_readme):
        command = "make bench-full" if given.full else "make bench"
        report.rewrite_readme(ROOT / "README.md", report.format_table(outcomes, machine, command))
    say(f"\n{report.format_details(results)}\n\n{report.format_lines(outcomes)}")
    for failure in failures:
        say(f"failed: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("benchmarks: processor time and memory are read as Linux tells them")
    sys.exit(main())
