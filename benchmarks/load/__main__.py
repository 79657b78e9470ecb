"""Measure the server under load, next to Node: `python -m benchmarks.load [--only PART ...]`.

idle       connections that the machine's limit of open files allows, and another client meanwhile
acks       the highest rate of acked events whose 99th percentile of latency stays below 250 ms
reconnect  5,000 clients after a kill of the server
drops      delivery of events while connections break all the time, with recovery

The servers run in turns. The program prints each figure with its median and its range; `--write`
writes the table of docs/benchmarks.md. A full run takes about ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop

from benchmarks.load.acks import measure_acks
from benchmarks.load.drops import measure_drops
from benchmarks.load.generator import check_generator
from benchmarks.load.idle import measure_idle
from benchmarks.load.reconnect import measure_reconnect
from benchmarks.load.rows import Row, format_lines, write_table
from benchmarks.peers import PeerMissingError, describe_machine, raise_file_limit

PARTS: Final[dict[str, Callable[[int], Awaitable[list[Row]]]]] = {
    "idle": measure_idle,
    "acks": measure_acks,
    "reconnect": measure_reconnect,
    "drops": measure_drops,
}


async def measure(names: list[str], rounds: int) -> list[Row]:
    """Return the rows of some parts; print each part when it is measured."""
    rows: list[Row] = []
    for name in names:
        found = await PARTS[name](rounds)
        print(f"{name}\n{format_lines(found)}\n", flush=True)
        rows += found
        await asyncio.sleep(1)  # the ports of the ended connections
    return rows


def main() -> int:
    """Measure, print and optionally write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the table; needs all parts")
    options = parser.parse_args()
    if options.write and set(options.only) != set(PARTS):
        parser.error("--write needs all parts: leave --only out")
    raise_file_limit(1 << 20)
    try:
        check_generator()
        rows = uvloop.run(measure(options.only, options.rounds))
    except PeerMissingError as error:
        print(f"benchmarks.load: {error}", file=sys.stderr)
        return 2
    if options.write:
        write_table(rows, options.rounds, describe_machine())
    return 0


if __name__ == "__main__":
    sys.exit(main())
