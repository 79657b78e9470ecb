"""Compare this checkout with another one: `python -m benchmarks.compare DIR [--only WORDS]`.

Every row runs both checkouts in turns on the same interpreter, so that a busy machine disturbs both
alike. A ratio above 1 means that this checkout is slower. First come the servers (CPU per message
over the loopback interface), then the paths of `benchmarks.hop_budget` (no network).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

import uvloop

from .experiments import EXPERIMENTS, Contender, Experiment
from .measure import SHORT, Bench, Effort, Results
from .peers import OUR_PYTHON, OURS_ASYNC, OURS_SYNC, ROOT, raise_file_limit

LIMIT = 1.03
_HOP_BUDGET = (str(OUR_PYTHON), "-m", "benchmarks.hop_budget", "--json")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("other", type=Path, help="a checkout of another commit")
    parser.add_argument("--only", default="", help="only rows whose name contains this text")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=SHORT.seconds, help="of each measurement")
    parser.add_argument("--limit", type=float, default=LIMIT, help="ratio that counts as slower")
    return parser.parse_args()


def pair_experiments(other: Path) -> list[Experiment]:
    """Return the experiments of this project's servers, with one contender per checkout."""
    paired = []
    for experiment in EXPERIMENTS:
        for contender in experiment.contenders:
            peer = contender.peer
            is_ours = peer.command[:3] == OURS_ASYNC.command[:3] and peer.checkout == ROOT
            if not is_ours or experiment.only_full:
                continue
            here = replace(contender, name="here")
            there = Contender(
                "there", replace(contender.peer, checkout=other), contender.make_workload,
                contender.instance,
            )  # fmt: skip
            handler = "plain" if contender.peer.command == OURS_SYNC.command else contender.name
            name = f"{experiment.name}, {handler}"
            paired.append(Experiment(name, experiment.make_workload, (here, there)))
    return paired


def measure_servers(
    experiments: list[Experiment], effort: Effort
) -> tuple[dict[str, list[float]], list[str]]:
    """Return the ratio of each round by experiment, and the failures."""
    bench = Bench(effort, lambda text: print(text, flush=True))

    async def run_all() -> Results:
        try:
            for experiment in experiments:
                await bench.run(experiment)
        finally:
            bench.close()
        return bench.results

    ratios = {
        name: [a.cost / b.cost for a, b in zip(found["here"], found["there"], strict=False)]
        for name, found in uvloop.run(run_all()).items()
    }
    return ratios, bench.failures


def measure_paths(other: Path, rounds: int, only: str) -> dict[str, list[float]]:
    """Return the ratio of each round by path of the hop budget."""
    ratios: dict[str, list[float]] = {}
    for _ in range(rounds):
        here, there = (run_hop_budget(checkout) for checkout in (ROOT, other))
        for path in sorted(here.keys() & there.keys()):
            if only in path:
                ratios.setdefault(f"hop: {path}", []).append(here[path] / there[path])
    return ratios


def run_hop_budget(checkout: Path) -> dict[str, float]:
    """Return the microseconds of each path, measured in a process of its own."""
    done = subprocess.run(_HOP_BUDGET, cwd=checkout, capture_output=True, text=True, check=True)
    return {name: hop["microseconds"] for name, hop in json.loads(done.stdout).items()}


def main() -> int:
    """Measure and print; the exit code is 1 if a row is slower than the limit."""
    arguments = parse_arguments()
    other = arguments.other.resolve()
    if not (other / "benchmarks" / "servers" / "ours.py").is_file():
        sys.exit(f"{other} is not a checkout of this project")
    raise_file_limit()
    effort = Effort(arguments.seconds, arguments.rounds, arguments.rounds, SHORT.warm_up)
    chosen = [each for each in pair_experiments(other) if arguments.only in each.name]
    ratios, failures = measure_servers(chosen, effort)
    ratios |= measure_paths(other, arguments.rounds, arguments.only)
    slower = 0
    for name, found in ratios.items():
        if not found:
            continue
        is_slower = median(found) > arguments.limit
        slower += is_slower
        print(
            f"{name:72} {median(found):5.2f}  ({min(found):.2f} to {max(found):.2f})"
            f"{'  slower' if is_slower else ''}"
        )
    for failure in failures:
        print(f"failed: {failure}")
    return 1 if failures or slower else 0


if __name__ == "__main__":
    sys.exit(main())
