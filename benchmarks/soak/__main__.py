"""Soak the Socket.IO server and the hub: `python -m benchmarks.soak [--time 20m] [--write]`.

core       a Socket.IO server                hub        a hub on SQLite
redis      two servers that share a Redis    postgres   a hub on PostgreSQL

Official and hostile clients arrive and leave all the time, while one client sends acked events.
The program samples memory, live objects, descriptors, tasks, threads and round trips. At the end it
prints a table, writes a plot, and fails if a metric grows in the second half (`series`), or if
objects or memory remain when all clients have left. By default, core and hub run.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.duration import format_duration, parse_duration
from benchmarks.peers import PeerMissingError, raise_file_limit
from benchmarks.report import format_columns, format_markdown, rewrite_table
from benchmarks.soak.kinds import DEFAULT_KINDS, KINDS, check_shared
from benchmarks.soak.plot import draw
from benchmarks.soak.processes import ROOT, Soak
from benchmarks.soak.series import HEADS, IDLE_MEMORY, Record

PLOT: Final = ROOT / "build" / "soak.svg"
PAGE, PAGE_PLOT = ROOT / "docs" / "growth.md", ROOT / "docs" / "images" / "soak.svg"
BEGIN, END = "<!-- soak:begin -->", "<!-- soak:end -->"
SHORT: Final = 120.0
"""Seconds below which caches still fill, so that only what remains without clients counts."""
SHORT_MEMORY: Final = 0.2
WARM_UP: Final = 900.0
"""The most seconds in which the caches of the servers fill (see docs/growth.md)."""


async def soak(kind: str, duration: float) -> Record:
    """Run one server for this number of seconds, with a warm-up and two idle times."""
    is_short = duration < SHORT
    recovery = 2.0 if is_short else 20.0
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with Soak(KINDS[kind], recovery, Path(folder)) as running:
            await running.go()
            await asyncio.sleep(min(WARM_UP, max(8.0, duration / 4)))
            await running.pause()
            await running.note_idle()
            await running.go()
            began = time.monotonic()
            interval = max(0.5, min(10.0, duration / 60))
            while (passed := time.monotonic() - began) < duration:
                await asyncio.sleep(interval)
                await running.sample(passed)
            await running.pause()
            await running.note_idle()
            return running.record


async def main(duration: float, kinds: list[str], *, is_written: bool) -> int:
    """Run the servers at the same time; return the exit code."""
    records = await asyncio.gather(*(soak(kind, duration) for kind in kinds))
    rows = [row for record in records for row in record.rows()]
    print(format_columns([HEADS, *rows]))
    for record in records:
        print(f"{record.name}: {sum(record.clients.values())} clients, of these:")
        for name, count in sorted(record.clients.items()):
            print(f"  {count:8} {name}")
    title = f"{format_duration(duration)} of arriving and leaving clients"
    PLOT.parent.mkdir(exist_ok=True)
    PLOT.write_text(draw(list(records), title), encoding="utf-8")
    print(f"plot: {PLOT.relative_to(ROOT)}")
    if is_written:
        shutil.copy(PLOT, PAGE_PLOT)
        total = " and ".join(
            f"{sum(each.clients.values()):,} clients of the {each.name}" for each in records
        )
        table = format_markdown([HEADS, *rows])
        rewrite_table(PAGE, f"{format_duration(duration)}, {total}:\n\n{table}", BEGIN, END)
    is_short = duration < SHORT
    memory = SHORT_MEMORY if is_short else IDLE_MEMORY
    failures = [
        each
        for record in records
        for each in record.failures(with_growth=not is_short, idle_memory=memory)
    ]
    for note in (each for record in records for each in record.notes()):
        print(note)
    print("\n".join(failures) or "nothing grows")
    return int(bool(failures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--time", type=parse_duration, default=3600.0, help="90s, 10m, 1h (default: 1h)"
    )
    parser.add_argument("--servers", nargs="+", choices=KINDS, default=list(DEFAULT_KINDS))
    parser.add_argument("--write", action="store_true", help="write docs/growth.md")
    arguments = parser.parse_args()
    raise_file_limit()
    try:
        check_shared(arguments.servers)
    except PeerMissingError as error:
        parser.exit(2, f"benchmarks.soak: {error}\n")
    sys.exit(uvloop.run(main(arguments.time, arguments.servers, is_written=arguments.write)))
