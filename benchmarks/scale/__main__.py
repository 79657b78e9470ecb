"""Measure several processes: `python -m benchmarks.scale [--only PART ...] [--write]`.

workers   workers of one server, next to Node's cluster adapter
redis     two servers on Redis, next to Node's Redis adapter
outage    two servers while Redis stops and starts again
hub       gateways of the hub, next to a hub of one process
fanout    2, 4 and 8 servers on Redis, next to the prediction of the capacity model
capacity  the capacity model of a million connections, from the last results (no measurement)

The program prints each figure with its goal. `--write` stores the figures in
benchmarks/results/scale.json and writes the tables of docs/scaling.md. The exit code is 0 if all
parts were measured, whether or not their goals are reached.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.peers import describe_machine, raise_file_limit
from benchmarks.scale.capacity import (
    PROFILES,
    Assumptions,
    format_figures,
    format_plans,
    plan,
    read_figures,
)
from benchmarks.scale.fanout_runs import format_checks, measure_fanout
from benchmarks.scale.hub_rows import measure_hub
from benchmarks.scale.outage_rows import measure_outage
from benchmarks.scale.redis_rows import measure_redis
from benchmarks.scale.results import (
    Row,
    format_lines,
    format_table,
    read_record,
    rows_from_json,
    rows_to_json,
    write_part,
    write_section,
)
from benchmarks.scale.worker_rows import measure_workers

_ROWS: dict[str, Callable[[float, int, int], Awaitable[list[Row]]]] = {
    "workers": measure_workers,
    "redis": measure_redis,
    "outage": measure_outage,
    "hub": measure_hub,
}


def main() -> int:
    """Measure, print and optionally write the results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parts = (*_ROWS, "fanout", "capacity")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--members", type=int, default=500, help="clients of a broadcast")
    parser.add_argument("--write", action="store_true", help="write the results and the tables")
    options = parser.parse_args()
    raise_file_limit()
    for name in options.only:
        if name in _ROWS:
            rows = asyncio.run(_ROWS[name](options.seconds, options.rounds, options.members))
            print(f"{name}\n{format_lines(rows)}\n", flush=True)
            found: dict[str, Any] = {"rows": rows_to_json(rows)}
        elif name == "fanout":
            found = asyncio.run(measure_fanout(options.seconds, options.rounds))
            print(f"{name}\n{format_checks(found)}\n", flush=True)
        else:
            continue
        if options.write:
            write_part(name, {"machine": describe_machine()} | found)
    if "capacity" in options.only:
        print(format_capacity(read_record()))
    if options.write:
        write_tables(read_record())
    return 0


def format_capacity(record: dict[str, Any]) -> str:
    """Return the tables of the capacity model. Raises KeyError if a part was not measured."""
    figures = read_figures(record)
    plans = [plan(profile, figures, Assumptions()) for profile in PROFILES]
    return f"{format_plans(plans)}\n\n{format_figures(figures)}"


def write_tables(record: dict[str, Any]) -> None:
    """Write the tables of the parts that were measured to docs/scaling.md."""
    measured = [record[name] for name in _ROWS if name in record]
    if measured:
        rows = [row for part in measured for row in rows_from_json(part["rows"])]
        write_section("bench-scale", format_table(rows, measured[-1]["machine"]))
    if "fanout" in record:
        write_section("fanout", format_checks(record["fanout"]))
    if {"workers", "fanout"} <= record.keys():
        write_section("capacity", format_capacity(record))


if __name__ == "__main__":
    sys.exit(main())
