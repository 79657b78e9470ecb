"""Formats outcomes: lines for the terminal, the table of the page, the JSON of the raw results.

`figures` computes the outcomes.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .figures import OTHERS, Outcome, Ratio, median_cost, outcome_to_json
from .measure import Effort, Results

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
HEADS = (
    "figure", "compiled", "pure", *OTHERS, "to Node", "goal", "", "to socketioxide", "goal", "",
)  # fmt: skip


def _cost(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "B":
        return f"{value / 1024:.1f} KiB"
    return f"{value:.2f} us" if value < 100 else f"{value:.0f} us"


def _ratio(ratio: Ratio | None) -> tuple[str, str, str]:
    if ratio is None:
        return ("-", "-", "")
    return (
        f"{ratio.median:.2f} ({ratio.least:.2f}-{ratio.most:.2f})",
        "-" if ratio.goal is None else f"{ratio.goal:.2f}",
        ratio.result,
    )


def cells(outcome: Outcome) -> tuple[str, ...]:
    """Return one row with a cell for each of HEADS; the cell of a base other than Node names it."""
    costs = {name: _cost(outcome.others.get(name), outcome.unit) for name in OTHERS}
    if outcome.base_name not in OTHERS:
        costs["Node"] = f"({outcome.base_name}: {_cost(outcome.base, outcome.unit)})"
    to_base, goal, result = _ratio(outcome.to_base)
    if outcome.base_name != "Node":
        to_base += f" to {outcome.base_name}"
    if outcome.limit is not None:
        goal, result = f"{outcome.limit:.2f} us", outcome.results[-1]
    return (
        outcome.name,
        _cost(outcome.compiled, outcome.unit),
        _cost(outcome.ours, outcome.unit),
        *costs.values(),
        to_base,
        goal,
        result,
        *_ratio(outcome.to_rust),
    )


def make_rows(outcomes: list[Outcome]) -> list[tuple[str, ...]]:
    """Return the heads and the rows, without columns that are empty in all rows."""
    rows = [cells(outcome) for outcome in outcomes]
    used = [
        column for column in range(len(HEADS)) if any(row[column] not in {"", "-"} for row in rows)
    ]
    return [tuple(row[column] for column in used) for row in (HEADS, *rows)]


def format_lines(outcomes: list[Outcome]) -> str:
    """Return the figures as lines in columns."""
    rows = make_rows(outcomes)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
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
    heads, *rows = make_rows([outcome for outcome in outcomes if outcome.has_goal])
    lines = [
        "| " + " | ".join(row) + " |"
        for row in (heads, ("---",) * len(heads), *rows)
    ]  # fmt: skip
    lines += [
        "",
        "CPU time of the server process per message (user and system), or memory per connection. "
        "Ratio: the cost here (of the compiled build, if it has a column) divided by the cost "
        "there, the median of rounds in turns, with the lowest and the highest round; lower is "
        "better. socketioxide and Go run on one thread. Floor: a minimal uvloop server that "
        "sends precomputed replies, for the rows under uvicorn an ASGI application that does; "
        "C floor: the same in C on epoll. "
        f"Measured by `{command}` on {machine['cores']} cores ({machine['cpu']}), Linux "
        f"{machine['kernel']}, Python {machine['python']} (the fastest installed version), "
        f"Node {machine['node']}, socket.io {machine['socket.io']}, "
        f"socketioxide {machine['socketioxide']}, zishang520/socket.io {machine['go']}, "
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
