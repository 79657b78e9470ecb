"""Formats outcomes: lines for the terminal, the table of the page, the JSON of the raw results.

`figures` computes the outcomes.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .figures import Outcome, median_cost, outcome_to_json
from .measure import Effort, Results

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
HEADS = ("figure", "ours", "Node", "python-socketio", "floor", "ratio", "goal", "")


def _cost(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "B":
        return f"{value / 1024:.1f} KiB"
    return f"{value:.2f} us" if value < 100 else f"{value:.0f} us"


def cells(outcome: Outcome) -> tuple[str, ...]:
    """Return one row with a cell for each of HEADS; the cell of a base other than Node names it."""
    base = _cost(outcome.base, outcome.unit)
    if outcome.base_name != "Node":
        base = f"({outcome.base_name}: {base})"
    return (
        outcome.name,
        _cost(outcome.ours, outcome.unit),
        base,
        _cost(outcome.python_socketio, outcome.unit),
        _cost(outcome.floor, outcome.unit),
        f"{outcome.ratio:.2f} ({outcome.least:.2f}-{outcome.most:.2f})",
        "-" if outcome.goal is None else f"{outcome.goal:.2f}",
        outcome.result,
    )


def format_lines(outcomes: list[Outcome]) -> str:
    """Return the figures as lines in columns."""
    rows = [HEADS, *(cells(outcome) for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def format_details(results: Results) -> str:
    """Return messages per second and latencies of every contender, in columns."""
    lines = []
    for name, contenders in results.items():
        for contender, samples in contenders.items():
            if not samples or not samples[0].p50_ms:
                continue
            middle = sorted(samples, key=lambda sample: sample.cost)[len(samples) // 2]
            lines.append(
                f"{name:44} {contender:16} {middle.rate:9,.0f} /s  p50 {middle.p50_ms:8.2f} ms  "
                f"p99 {middle.p99_ms:8.2f} ms  {middle.cost:8.2f} us"
            )
    return "\n".join(lines)


def format_table(outcomes: list[Outcome], machine: dict[str, str], command: str) -> str:
    """Return the table of docs/benchmarks.md, in Markdown."""
    rows = [cells(outcome) for outcome in outcomes if outcome.goal is not None]
    lines = [
        "| " + " | ".join(row) + " |"
        for row in (HEADS, ("---",) * len(HEADS), *rows)
    ]  # fmt: skip
    lines += [
        "",
        "CPU time of the server process per message (user and system), or memory per connection. "
        "Ratio: the cost here divided by the cost on Node, the median of rounds in turns, with the "
        "lowest and the highest round. Floor: a minimal uvloop server that sends precomputed "
        "replies, for the rows under uvicorn an ASGI application that does; lower is better. "
        f"Measured by `{command}` on {machine['cores']} cores ({machine['cpu']}), Linux "
        f"{machine['kernel']}, Python {machine['python']} (the fastest installed version), "
        f"Node {machine['node']}, socket.io {machine['socket.io']}, "
        f"python-socketio {machine['python-socketio']}; commit {machine['commit']}.",
    ]
    return "\n".join(lines)


def rewrite_table(document: Path, table: str, begin: str = BEGIN, end: str = END) -> bool:
    """Replace the text between the markers; return False if a marker is missing."""
    if not document.exists():
        return False
    text = document.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        return False
    document.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")
    return True


def make_record(
    results: Results,
    outcomes: list[Outcome],
    effort: Effort,
    machine: dict[str, str],
    failures: list[str],
) -> dict[str, Any]:
    """Return the record of a run: machine, effort, figures, medians and all samples."""
    return {
        "machine": machine,
        "effort": asdict(effort),
        "figures": [outcome_to_json(outcome) for outcome in outcomes],
        "failures": failures,
        "medians": {
            name: {
                contender: median_cost(samples)
                for contender, samples in contenders.items()
                if samples
            }
            for name, contenders in results.items()
        },
        "samples": {
            name: {
                contender: [asdict(sample) for sample in samples]
                for contender, samples in contenders.items()
            }
            for name, contenders in results.items()
        },
    }


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record as JSON, indented so that diffs are readable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
