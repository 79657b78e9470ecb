"""Measure the server under load, next to Node: `python -m benchmarks.load [--only PART ...]`.

idle       connections that the machine's limit of open files allows, and another client meanwhile
acks       the highest rate of acked events whose 99th percentile of latency stays below 250 ms
reconnect  5,000 clients after a kill of the server
drops      delivery of events while connections break all the time, with recovery
cluster    the same with two servers and Redis, to which the clients return in turns

The servers run in turns. The program prints each figure with its median and its range; `--write`
writes the table of docs/benchmarks.md. A full run takes about five minutes on an idle machine,
`--quick` half a minute. A part that fails does not stop the others; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import uvloop

from benchmarks.load.acks import measure_acks
from benchmarks.load.drops import measure_cluster_drops, measure_drops
from benchmarks.load.effort import FULL, QUICK, Effort
from benchmarks.load.generator import GeneratorError, check_generator
from benchmarks.load.idle import measure_idle
from benchmarks.load.reconnect import measure_reconnect
from benchmarks.load.rows import Row, format_lines, write_table
from benchmarks.peers import (
    PeerMissingError,
    ServerEndedError,
    check_installed,
    describe_machine,
    raise_file_limit,
)

PARTS: Final[dict[str, Callable[[Effort], Awaitable[list[Row]]]]] = {
    "idle": measure_idle,
    "acks": measure_acks,
    "reconnect": measure_reconnect,
    "drops": measure_drops,
    "cluster": measure_cluster_drops,
}


async def measure(names: list[str], effort: Effort) -> tuple[list[Row], list[str]]:
    """Return the rows of some parts, and the names of failed parts; print each part at its end."""
    rows: list[Row] = []
    failed = []
    for name in names:
        began = time.monotonic()
        try:
            found = await PARTS[name](effort)
        except* (
            PeerMissingError,
            ServerEndedError,
            GeneratorError,
            OSError,
            ValueError,
        ) as group:
            failed.append(name)
            reasons = "; ".join(f"{type(each).__name__}: {each}" for each in group.exceptions)
            print(f"benchmarks.load: {name} failed: {reasons}\n", file=sys.stderr, flush=True)
            found = []
        if found:
            seconds = time.monotonic() - began
            print(f"{name} ({seconds:.0f} s)\n{format_lines(found)}\n", flush=True)
        rows += found
        await asyncio.sleep(1)  # the ports of the ended connections
    return rows, failed


def main() -> int:
    """Measure, print and optionally write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=FULL.rounds)
    parser.add_argument("--quick", action="store_true", help="few clients, and one round")
    parser.add_argument("--write", action="store_true", help="write the table; needs all parts")
    options = parser.parse_args()
    if options.write and (options.quick or set(options.only) != set(PARTS)):
        parser.error("--write needs all parts and their usual effort: omit --only and --quick")
    raise_file_limit(1 << 20)
    effort = QUICK if options.quick else replace(FULL, rounds=options.rounds)
    try:
        check_installed()
        check_generator()
    except PeerMissingError as error:
        print(f"benchmarks.load: {error}", file=sys.stderr)
        return 2
    rows, failed = uvloop.run(measure(options.only, effort))
    if options.write and rows:
        write_table(rows, effort.rounds, describe_machine(), failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
