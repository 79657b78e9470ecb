"""Attack this project's servers and Node's in turns: `python -m benchmarks.hostile [--only NAME]`.

For each attack and each server, the program starts new processes on the loopback interface. An
official client sends acked events all the time; the table has its longest wait and its p99 during
the attack, the events that it lost, the growth of the server's memory, and the outcome for the
attacker. The goal is that of SECURITY.md: nothing is lost, the p99 is at most 100 ms, the attack
stays within its bounds, and the longest wait during an attack of one connection is at most 50 ms or
at most Node's in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from benchmarks.hostile import crowds, downgrade, floods, handshakes, hub, sessions, smuggling
from benchmarks.hostile.attack import Attack, Report
from benchmarks.hostile.official import OfficialClient, Waits
from benchmarks.hostile.places import running
from benchmarks.peers import OUR_PYTHON
from benchmarks.peers import raise_file_limit as _raise_file_limit
from benchmarks.report import format_markdown, rewrite_table

ROOT: Final = Path(__file__).parents[2]
BEGIN, END = "<!-- hostile:begin -->", "<!-- hostile:end -->"
HEADS: Final = (
    "attack", "how many", "server", "attacker", "lost", "p99", "longest wait", "memory", "",
)  # fmt: skip
ATTACKS: Final[tuple[Attack, ...]] = (
    *floods.ATTACKS, *crowds.ATTACKS, *handshakes.ATTACKS, *sessions.ATTACKS, *hub.ATTACKS,
    *smuggling.ATTACKS, *downgrade.ATTACKS,
)  # fmt: skip
GOAL_MS: Final = 50.0
GOAL_P99_MS: Final = 100.0
_SETTLE_SECONDS: Final = 0.5
_PATHS: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_PROGRAMS: Final = {"nginx": "nginx", "haproxy": "haproxy", "apache": "apache2", "caddy": "caddy"}


class Outcome(NamedTuple):
    """The result of one attack on one server; the growth of its memory is in MB."""

    report: Report
    waits: Waits
    growth: float


async def attack(what: Attack, *, is_node: bool) -> Outcome:
    """Run an attack on new server processes."""
    with running(what.place, is_node=is_node) as server:
        client = OfficialClient(
            server.url, server.event, server.pause, server.token,
            is_msgpack=what.place == "msgpack",
        )  # fmt: skip
        try:
            await client.start()
            await asyncio.sleep(_SETTLE_SECONDS)
            before = peak = server.memory()
            client.begin()
            task = asyncio.create_task(what.run(server.target))
            while not task.done():
                await asyncio.wait([task], timeout=0.1)
                peak = max(peak, server.memory())
            await asyncio.sleep(_SETTLE_SECONDS)
            return Outcome(task.result(), await client.stop(), (peak - before) / 1e6)
        finally:
            client.kill()


def is_held(what: Attack, ours: Outcome, node: Outcome | None) -> bool:
    """Return whether our server reaches the goals during an attack."""
    longest = max(GOAL_MS, node.waits.longest if node is not None else 0.0)
    return (
        ours.report.is_bounded
        and not ours.waits.lost
        and ours.waits.p99 <= GOAL_P99_MS
        and (ours.waits.longest <= longest or not what.is_single)
        and ours.growth <= what.memory
    )


async def run_all(only: str) -> list[tuple[str, ...]]:
    """Run the attacks; return the rows of the table."""
    rows = []
    for what in ATTACKS:
        if only not in what.name:
            continue
        title = (f"{what.name}: {what.what}", what.how_many)
        program = _PROGRAMS.get(what.place)
        if program is not None and shutil.which(program, path=_PATHS) is None:
            missing = f"{program} is not installed: run `make proxies`"
            rows.append((*title, what.place, missing, "", "", "", "", "not run"))
            continue
        try:
            ours = await attack(what, is_node=False)
            node = await attack(what, is_node=True) if what.is_compared else None
        except Exception as error:  # the other attacks still run
            print(f"{what.name}: {error!r}", flush=True)
            rows.append((*title, what.place, f"error: {error!r:.80}", "", "", "", "", "not run"))
            continue
        verdict = "held" if is_held(what, ours, node) else "not held"
        name = "ours" if what.place in {"core", "deflate", "msgpack"} else what.place
        rows.append((*title, name, *_cells(ours), verdict))
        if node is not None:
            rows.append(("", "", "Node", *_cells(node), ""))
        for row in rows[-1 - (node is not None) :]:
            print("  ".join(row), flush=True)
    return rows


def _cells(outcome: Outcome) -> tuple[str, ...]:
    waits = outcome.waits
    return (
        outcome.report.text, str(waits.lost), f"{waits.p99:.0f} ms", f"{waits.longest:.0f} ms",
        f"{outcome.growth:+.0f} MB",
    )  # fmt: skip


def main() -> int:
    """Print the table; the exit code is 1 if an attack was not held or not run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile")
    parser.add_argument("--only", default="", help="only attacks whose name contains this text")
    parser.add_argument("--write", action="store_true", help="write the table of SECURITY.md")
    arguments = parser.parse_args()
    _raise_file_limit()
    began = time.monotonic()
    rows = uvloop.run(run_all(arguments.only))
    failed = sum(row[-1].startswith("not") for row in rows)
    count = sum(bool(row[0]) for row in rows)
    print(f"{count - failed} of {count} attacks held, in {time.monotonic() - began:.0f} s")
    if arguments.write:
        rewrite_table(ROOT / "SECURITY.md", format_markdown([HEADS, *rows]), BEGIN, END)
    return int(failed > 0)


if __name__ == "__main__":
    if not OUR_PYTHON.exists():
        sys.exit("the servers are not installed: run `make peers`")
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
