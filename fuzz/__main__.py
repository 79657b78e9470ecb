"""`python -m fuzz`: run the targets side by side, and print the executions of each.

Coverage guides the mutations (atheris); with `--plain` it does not, which needs no other package
and is several times as fast: such runs mutate the corpus of the guided ones. A failing input is
written to build/fuzz/failures; `--input FILE` runs it alone.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import NamedTuple

from benchmarks.duration import parse_duration
from fuzz.plain import MEGABYTES
from fuzz.record import write_record
from fuzz.target import load, names

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "fuzz"
#: Seconds after which libFuzzer reports an input that waits for ever. The limit of an input that
#: computes is in `slow_inputs`, because libFuzzer counts the time of other processes.
SECONDS = 1200
#: Seconds of a process in addition to its planned time: above SECONDS, so that libFuzzer reports
#: the input first.
GRACE_SECONDS = 1800
#: Planned seconds of an execution when `--runs` gives their number; most take milliseconds.
SECONDS_PER_RUN = 1
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERAGE = re.compile(r"cov: (\d+)")


class Outcome(NamedTuple):
    """The result of one target."""

    name: str
    executions: int
    edges: int
    failure: str
    """The end of the output of a target that failed; empty otherwise."""


def main() -> int:
    """Run the targets of the command line; return 1 if one has failed."""
    arguments = _parse()
    selected = arguments.target or names()
    if unknown := set(selected) - set(names()):
        print(f"unknown target {', '.join(sorted(unknown))}: choose from {', '.join(names())}")
        return 2
    if arguments.input:
        load(selected[0]).run(Path(arguments.input).read_bytes())
        print(f"{selected[0]} holds for this input")
        return 0
    limit = (
        f"-runs={arguments.runs}" if arguments.runs else f"-max_total_time={ceil(arguments.time)}"
    )
    planned = arguments.runs * SECONDS_PER_RUN if arguments.runs else ceil(arguments.time)
    for name in selected:
        load(name)  # the imports of two threads may wait for each other
    with ThreadPoolExecutor(arguments.jobs) as pool:
        found = pool.map(
            lambda name: _run(
                name,
                limit,
                arguments.seed,
                planned + GRACE_SECONDS,
                is_guided=not arguments.plain,
            ),
            selected,
        )
        outcomes = []
        for outcome in found:
            outcomes.append(outcome)
            state = "FAILED" if outcome.failure else "held"
            print(
                f"{outcome.name:22} {outcome.executions:>12,} executions "
                f"{outcome.edges:>6,} edges  {state}",
                flush=True,
            )
    failed = [each for each in outcomes if each.failure]
    for each in failed:
        print(f"\n==> {each.name}\n{each.failure}")
    if arguments.write:
        today = datetime.now(UTC).date()
        executions = {each.name: each.executions for each in outcomes}
        write_record(executions, today, is_guided=not arguments.plain)
    return 1 if failed else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--time", type=parse_duration, default=10.0, help="per target: 90s, 10m, 1h (default: 10s)"
    )
    parser.add_argument("--runs", type=int, help="executions per target, instead of a time")
    parser.add_argument("--target", action="append", help="only this target; repeatable")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0, help="0 chooses one")
    parser.add_argument(
        "--plain", action="store_true", help="without coverage: mutate the corpus of other runs"
    )
    parser.add_argument("--input", help="run one target on the content of a file")
    parser.add_argument("--write", action="store_true", help="add to the table of docs/fuzzing.md")
    return parser.parse_args()


def _run(name: str, limit: str, seed: int, seconds: int, *, is_guided: bool) -> Outcome:
    """Run the process of a target, for at most `seconds`."""
    target = load(name)
    corpus, seeds, failures = (BUILD / part / name for part in ("corpus", "seeds", "failures"))
    for folder in (corpus, seeds, failures):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (seeds / f"{number:04}").write_bytes(data)
    words = BUILD / "seeds" / f"{name}.dict"
    words.write_text("".join(f'"{_escape(token)}"\n' for token in target.tokens))
    plain = [
        sys.executable, "-m", "fuzz.plain", name, str(failures), str(corpus), limit, str(seed),
    ]  # fmt: skip
    guided = [
        sys.executable, "-m", "fuzz.guided", name, str(failures), str(corpus), str(seeds), limit,
        f"-seed={seed}", f"-max_len={target.longest}", f"-timeout={SECONDS}",
        f"-rss_limit_mb={MEGABYTES}", f"-dict={words}", f"-artifact_prefix={failures}/",
        "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            guided if is_guided else plain, cwd=ROOT, env=environment, capture_output=True,
            check=False, timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        ended = f"the process has not ended after {seconds:,} s\n{_end_of(_text(error.stderr))}"
        return Outcome(name, 0, 0, ended)
    output = _text(done.stderr)
    executions = _EXECUTIONS.findall(output)
    edges = _COVERAGE.findall(output)
    failure = "" if done.returncode == 0 else _end_of(_text(done.stdout) + output)
    return Outcome(
        name, int(executions[-1]) if executions else 0, int(edges[-1]) if edges else 0, failure
    )


def _text(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace")


def _end_of(output: str) -> str:
    """Return the last lines of a failed process, without those of the progress."""
    lines = [line for line in output.splitlines() if not line.startswith(("INFO:", "#"))]
    return "\n".join(lines[-40:])


def _escape(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    sys.exit(main())
