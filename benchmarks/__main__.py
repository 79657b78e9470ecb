"""Compare this server with its peers: `python -m benchmarks [--full] [--only WORDS] [--write]`.

The benchmark needs Linux, Node and the packages that `benchmarks/setup` installs. All traffic
stays on the loopback interface. `--write` updates docs/benchmarks.md, README.md and the results.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import uvloop

from . import chart, report, stage_report
from .experiments import EXPERIMENTS, Experiment
from .figures import Cost, Outcome, Ratio, evaluate
from .goals import FIGURES
from .hop_budget import LEAVING, measure_leaving
from .idle import Idle, measure_idle
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
STAGE_ROUNDS = 9
IDLE_NAME = "idle connections, as many as the machine allows"


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
        "--output", type=Path, default=ROOT / "build" / "benchmarks" / "results",
        help="directory of the results",
    )  # fmt: skip
    parser.add_argument(
        "--write", action="store_true", help="update docs/benchmarks.md, README.md and the results"
    )
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write needs all experiments: leave out --only")
    if arguments.write:
        arguments.output = BENCHMARKS / "results"
    return arguments


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
    ours, base = (Cost(each, each, each) for each in (many, few))
    return Outcome(
        name=LEAVING, unit="us", ours=ours, compiled=None, base_name="10 rooms", base=base,
        others={}, to_base=ratio,
    )  # fmt: skip


def select_effort(arguments: argparse.Namespace) -> Effort:
    """Return the short or the full effort, with the number of rounds of the command line."""
    effort = FULL if arguments.full else SHORT
    if arguments.rounds is None:
        return effort
    extra_rounds = min(arguments.rounds, effort.extra_rounds)
    return Effort(effort.seconds, arguments.rounds, extra_rounds, effort.warm_up)


def write_documents(
    tables: list[report.Rows],
    outcomes: list[Outcome],
    machine: dict[str, str],
    command: str,
) -> None:
    """Rewrite the generated parts of docs/benchmarks.md and README.md."""
    page = ROOT / "docs" / "benchmarks.md"
    report.rewrite_table(page, report.format_document(tables, machine, command))
    outcome = stage_report.find_outcome(outcomes)
    if outcome is None:
        report_progress("not written: where the time goes (it needs both floors)")
        return
    stages = stage_report.measure_stages(STAGE_ROUNDS)
    markers = (stage_report.BEGIN, stage_report.END)
    rows = report.format_markdown(stage_report.make_rows(stages, outcome))
    report.rewrite_table(page, rows, *markers)
    report.rewrite_table(ROOT / "README.md", stage_report.format_text(stages, outcome), *markers)


def main() -> int:
    """Measure, print the results and write them; the exit code is 1 if an experiment failed."""
    arguments = parse_arguments()
    try:
        check_installed()
    except PeerMissingError as error:
        report_progress(f"benchmarks: {error}")
        return 1
    file_limit = raise_file_limit()
    effort = select_effort(arguments)
    selected = [
        experiment
        for experiment in EXPERIMENTS
        if arguments.only in experiment.name and (arguments.full or not experiment.only_full)
    ]
    machine = describe_machine()
    results, failures = uvloop.run(run_all(selected, effort))
    outcomes = [found for figure in FIGURES if (found := evaluate(figure, results)) is not None]
    idle: list[Idle] = []
    if not arguments.only:
        outcomes.append(measure_leaving_outcome())
    if arguments.only in IDLE_NAME:
        report_progress(IDLE_NAME)
        idle, failed = uvloop.run(measure_idle(file_limit, report_progress))
        failures += failed
    record = report.make_record(results, outcomes, idle, effort, machine, failures)
    name = "full" if arguments.full else "short"
    report.write_record(arguments.output / f"{name}.json", record)
    (arguments.output / f"{name}.svg").write_text(chart.draw(outcomes), encoding="utf-8")
    tables = report.make_tables(outcomes, results, idle)
    report_progress(f"\n{report.format_details(results)}")
    for rows in tables:
        report_progress(f"\n{report.format_columns(rows)}")
    if arguments.write:
        command = "make bench-full" if arguments.full else "make bench"
        write_documents(tables, outcomes, machine, command)
    for failure in failures:
        report_progress(f"failed: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("benchmarks: CPU time and memory are read from Linux interfaces: run on Linux")
    sys.exit(main())
