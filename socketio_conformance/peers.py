"""Plays the dialogues against several servers and writes `PEERS.md`.

    python -m socketio_conformance.peers

The targets are those of this project's tests. The table shows their results side by side.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from .dialogue import FOLDER, Dialogue, load
from .probe import NoServerError, probe
from .session import Outcome, Result, Summary, make_plan, play
from .target import TargetError, running

ROOT = FOLDER.parent
TARGETS = ROOT / "tests" / "targets"
DOCUMENT = FOLDER / "PEERS.md"
PEERS_PYTHON = ROOT / "benchmarks" / ".venv" / "peers" / "bin" / "python"

_HEAD = """# Results of several servers

Written by `python -m socketio_conformance.peers`. A cell shows the number of dialogues of a group
that a server passed, and the number of dialogues played. The kit does not play a dialogue that
needs a feature the server lacks. The official servers differ in the cases that the vectors mark;
these cases count as different and are listed below with the reason. Differences of other servers
may be deliberate: the table makes no statement about right and wrong.
"""


class Played(NamedTuple):
    """One server and its results."""

    server: str
    summary: Summary


def commands() -> list[list[str]]:
    """Return the commands of the targets. Raises TargetError if one is not installed."""
    node = shutil.which("node")
    if node is None or not (TARGETS / "node_modules" / "socket.io").is_dir():
        raise TargetError("the servers for Node are not installed: run npm ci in tests/targets")
    python = Path(os.environ.get("PEERS_PYTHON", PEERS_PYTHON))
    if not python.exists():
        raise TargetError("python-socketio is not installed: run benchmarks/setup")
    return [
        [sys.executable, str(TARGETS / "ours.py")],
        [node, str(TARGETS / "node_target.js")],
        [str(python), str(TARGETS / "python_socketio_target.py")],
    ]


async def play_all(dialogues: list[Dialogue]) -> list[Played]:
    """Play every target, one after the other. Raises TargetError or NoServerError."""
    played = []
    for command in commands():
        async with running(command, ROOT, {"PYTHONPATH": str(ROOT)}) as target:
            endpoints = [endpoint for url in target.urls for endpoint in await probe(url)]
            summary = await play(make_plan(dialogues, endpoints, jobs=8))
            played.append(Played(target.server, summary))
    return played


def render(dialogues: list[Dialogue], played: list[Played]) -> str:
    """Return the Markdown text of `PEERS.md`."""
    rows = [f"| | {' | '.join(each.server for each in played)} |", "|---" * (len(played) + 1) + "|"]
    groups = sorted({(dialogue.subject, dialogue.group) for dialogue in dialogues})
    for group in groups:
        cells = [_cell([r for r in each.summary.results if _group(r) == group]) for each in played]
        rows.append(f"| {group[0]}, {group[1]} | {' | '.join(cells)} |")
    totals = [_cell(each.summary.results) for each in played]
    rows.append(f"| all | {' | '.join(totals)} |")
    parts = [_HEAD, "\n".join(rows), *(_details(each) for each in played)]
    return "\n".join(parts)


def _group(result: Result) -> tuple[str, str]:
    return result.dialogue.subject, result.dialogue.group


def _cell(results: list[Result]) -> str:
    passed = sum(result.outcome is Outcome.PASSED for result in results)
    return f"{passed} / {len(results)}" if results else "-"


def _details(played: Played) -> str:
    results = sorted(played.summary.results, key=lambda each: each.dialogue.name)
    others = [each for each in results if each.outcome is not Outcome.PASSED]
    lines = [f"\n## {played.server}\n"]
    for reason, count in sorted(played.summary.left_out.items()):
        lines.append(f"Not played, because the server lacks {reason}: {count}.\n")
    lines.append("Different results:\n" if others else "No different results.")
    for result in others:
        known = result.dialogue.node_differs
        is_node = played.server.startswith("socket.io")
        lines.append(f"* `{result.dialogue.name}`" + (f": {known}" if known and is_node else ""))
    return "\n".join([*lines, ""])


def main() -> int:
    """Run the command; return 1 for a difference of the official servers without a mark."""
    dialogues = load()
    try:
        played = asyncio.run(play_all(dialogues))
    except (TargetError, NoServerError) as error:
        sys.stderr.write(f"peers: {error}\n")
        return 2
    DOCUMENT.write_text(render(dialogues, played), encoding="utf-8")
    unmarked = 0
    for each in played:
        failed = [r for r in each.summary.results if r.outcome is not Outcome.PASSED]
        sys.stdout.write(f"{each.server}: {_cell(each.summary.results)} passed\n")
        if each.server.startswith("socket.io"):
            unmarked += sum(result.dialogue.node_differs is None for result in failed)
    sys.stdout.write(f"wrote {DOCUMENT.relative_to(ROOT)}\n")
    return 1 if unmarked else 0


if __name__ == "__main__":
    sys.exit(main())
