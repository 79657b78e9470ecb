"""Measure several processes: `python -m benchmarks.scale [--only PART ...] [--write]`.

workers   workers of one server, next to Node's cluster adapter
redis     two servers on Redis, next to Node's Redis adapter
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

from benchmarks.peers import describe_machine, raise_file_limit
from benchmarks.scale.hub_rows import measure_hub
from benchmarks.scale.redis_rows import measure_redis
from benchmarks.scale.results import (
    BEGIN,
    END,
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
    "hub": measure_hub,
}


def main() -> int:
    """Measure, print and optionally write the results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=_ROWS, default=list(_ROWS))
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--members", type=int, default=500, help="clients of a broadcast")
    parser.add_argument("--write", action="store_true", help="write the results and the tables")
    options = parser.parse_args()
    raise_file_limit()
    for name in options.only:
        rows = asyncio.run(_ROWS[name](options.seconds, options.rounds, options.members))
        print(f"{name}\n{format_lines(rows)}\n", flush=True)
        if options.write:
            write_part(name, {"machine": describe_machine(), "rows": rows_to_json(rows)})
    if options.write:
        _write_table()
    return 0


def _write_table() -> None:
    record = read_record()
    measured = [record[name] for name in _ROWS if name in record]
    rows = [row for part in measured for row in rows_from_json(part["rows"])]
    write_section(format_table(rows, measured[-1]["machine"]), BEGIN, END)


if __name__ == "__main__":
    sys.exit(main())
