"""Runs a target in one process without atheris: its seeds, then mutations of them.

`python -m fuzz --plain` starts one such process per target. It mutates the corpus of the guided
runs as well, several times as fast as they do, because nothing traces the code.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from time import monotonic

from fuzz.mutation import Mutator
from fuzz.slow_inputs import SlowInputs
from fuzz.target import Target, load, write_failure

#: The limit of the memory of a process; for a guided one, libFuzzer applies it.
MEGABYTES = 2048
#: Inputs between two looks at the time.
_BATCH = 500


def run_plainly(
    target: Target,
    runs: int | None,
    seed: int = 1,
    *,
    corpus: Sequence[bytes] = (),
    seconds: float | None = None,
    failures: Path | None = None,
) -> int:
    """Run the seeds of a target and mutations of them; return the number of executions.

    The run ends after `runs` mutations, or after `seconds`. `corpus` contains further inputs to
    mutate. Raises AssertionError with the input that violates an invariant, which `failures` keeps.
    """
    seeds = target.seeds()
    short = [each for each in seeds if len(each) <= 4 * target.longest]
    mutator = Mutator(
        Random(seed), [*short, *corpus], target.tokens, target.longest, target.borders
    )
    slow = SlowInputs()
    end = None if seconds is None else monotonic() + seconds
    done = 0

    def run(data: bytes) -> None:
        nonlocal done
        done += 1
        slow.begin()
        try:
            target.run(data)
        except BaseException as error:
            if failures is not None:
                write_failure(failures, data)
            raise AssertionError(f"the target fails on the input {data!r}") from error

    with slow:
        for data in seeds:
            run(data)
        while runs is None or done < len(seeds) + runs:
            run(mutator.make())
            if end is not None and done % _BATCH == 0 and monotonic() >= end:
                break
    return done


def limit_memory() -> None:
    """Limit the address space of this process; an input above the limit raises MemoryError."""
    size, hard = MEGABYTES << 20, resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > size:
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def main(name: str, failures: Path, corpus: Path, limit: str, seed: str) -> int:
    """Run a target with the limit of `python -m fuzz`, and print its executions as libFuzzer."""
    inputs = [path.read_bytes() for path in sorted(corpus.iterdir())]
    kind, _, number = limit.partition("=")
    executions = run_plainly(
        load(name),
        int(number) if kind == "-runs" else None,
        int(seed) or Random().getrandbits(32),
        corpus=inputs,
        seconds=None if kind == "-runs" else float(number),
        failures=failures,
    )
    print(f"stat::number_of_executed_units: {executions}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    limit_memory()
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.argv[5]))
