"""Attack this project's server and Node's in turns: `python -m benchmarks.hostile [--only NAME]`.

For each attack and each server, the program starts a new process on the loopback interface. A
client sends acked events all the time; the table has its longest wait and its p99 during the
attack, the events that it lost, the growth of the server's memory, and what became of the attacker.
The goal is that of SECURITY.md: nothing is lost, and the longest wait is at most 50 ms, or at most
Node's in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from benchmarks.hostile.attacks import ATTACKS, Attack
from benchmarks.hostile.victim import Victim
from benchmarks.peers import NODE, OUR_PYTHON, OURS_SYNC, Peer, Server, memory_bytes
from benchmarks.peers import raise_file_limit as _raise_file_limit
from benchmarks.report import rewrite_table

ROOT: Final = Path(__file__).parents[2]
BEGIN, END = "<!-- hostile:begin -->", "<!-- hostile:end -->"
HEADS: Final = ("attack", "server", "attacker", "longest wait", "p99", "lost", "memory", "")
GOAL_MS: Final = 50.0
_SETTLE_SECONDS: Final = 0.5


class Outcome(NamedTuple):
    """The result of one attack on one server; times in milliseconds, memory in MB."""

    attacker: str
    longest: float
    p99: float
    lost: int
    growth: float


async def attack(peer: Peer, what: Attack) -> Outcome:
    """Run an attack on a new server process."""
    with Server(peer) as server:
        victim = Victim(server.port)
        await victim.start()
        await asyncio.sleep(_SETTLE_SECONDS)
        before = memory_bytes(server._process.pid)
        victim.waits.clear()
        running = asyncio.create_task(what.run(server.port))
        peak = before
        while not running.done():
            await asyncio.wait([running], timeout=0.1)
            with contextlib.suppress(OSError):  # the process may have ended
                peak = max(peak, memory_bytes(server._process.pid))
        await asyncio.sleep(_SETTLE_SECONDS)
        await victim.stop()
        waits = sorted(victim.waits) or [float("inf")]
        p99 = waits[min(len(waits) - 1, len(waits) * 99 // 100)]
        return Outcome(running.result(), waits[-1], p99, victim.lost, (peak - before) / 1e6)


async def run_all(only: str) -> list[tuple[str, ...]]:
    """Run the attacks; return the rows of the table."""
    peers = [OURS_SYNC.named("ours"), NODE.named("Node")]
    deflating = [peers[0].with_flags("--deflate"), peers[1].with_flags("--deflate")]
    rows = []
    for what in ATTACKS:
        if only not in what.name:
            continue
        used = deflating if what.name == "bombs" else peers
        outcomes = [await attack(peer, what) for peer in used[: 2 if what.is_compared else 1]]
        goal = max(GOAL_MS, *(each.longest for each in outcomes[1:]), GOAL_MS)
        is_held = not outcomes[0].lost and outcomes[0].longest <= goal
        titles = (f"{what.name}: {what.what}", "")
        verdicts = ("held" if is_held else "not held", "")
        for peer, each, title, verdict in zip(used, outcomes, titles, verdicts, strict=False):
            row = (
                title,
                peer.name,
                each.attacker,
                f"{each.longest:.0f} ms",
                f"{each.p99:.1f} ms",
                str(each.lost),
                f"{each.growth:+.0f} MB",
                verdict,
            )
            rows.append(row)
            print("  ".join(row), flush=True)
    return rows


def main() -> int:
    """Print the table; the exit code is 1 if an attack was not held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile")
    parser.add_argument("--only", default="", help="only attacks whose name contains this text")
    parser.add_argument("--write", action="store_true", help="write the table of SECURITY.md")
    arguments = parser.parse_args()
    _raise_file_limit()
    rows = uvloop.run(run_all(arguments.only))
    if arguments.write:
        cells = (HEADS, ("---",) * len(HEADS), *rows)
        table = "\n".join("| " + " | ".join(row) + " |" for row in cells)
        rewrite_table(ROOT / "SECURITY.md", table, BEGIN, END)
    return int(any(row[-1] == "not held" for row in rows))


if __name__ == "__main__":
    if not OUR_PYTHON.exists():
        sys.exit("the servers are not installed: run `make peers`")
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
