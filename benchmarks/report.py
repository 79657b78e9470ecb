"""Formats outcomes: lines for the terminal, the table of the page, the JSON of the raw results.

`figures` computes the outcomes.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .figures import OLD, OTHERS, RUST, Cost, Outcome, Ratio, outcome_to_json, summarize
from .idle import GOAL, Idle
from .measure import Effort, Results
from .peers import C_FLOOR, VERSIONS

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
COSTS = ("figure", "compiled", "pure", *OTHERS, OLD)
GOALS = ("figure", f"to {OLD}", "goal", "", "to Node", "goal", "", f"to {RUST}", "goal", "")
RATIOS = ("figure", "here", "compared with", "cost there", "ratio", "goal", "")
IDLE = (
    "server", "idle connections", "opened per second", "memory of each", "CPU per heartbeat",
    "of a core per 100,000, every 25 s", "goal", "",
)  # fmt: skip
Rows = list[tuple[str, ...]]


def _number(value: float, unit: str) -> str:
    if unit == "B":
        return f"{value / 1024:.1f}"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _cost(cost: Cost | None, unit: str) -> str:
    if cost is None:
        return "-"
    median, least, most = (_number(each, unit) for each in (cost.median, cost.least, cost.most))
    return f"{median} {'KiB' if unit == 'B' else 'us'} ({least}-{most})"


def _ratio(ratio: Ratio | None) -> tuple[str, str, str]:
    if ratio is None:
        return ("-", "-", "")
    return (
        f"{ratio.median:.2f} ({ratio.least:.2f}-{ratio.most:.2f})",
        "-" if ratio.goal is None else f"{ratio.goal:.2f}",
        ratio.result,
    )


def make_cost_rows(outcomes: list[Outcome]) -> Rows:
    """Return the heads and a row with the costs of all servers for each figure.

    A row whose base is not another project is part of the ratios only.
    """
    rows = [COSTS]
    for outcome in outcomes:
        if outcome.base_name in OTHERS:
            costs = [outcome.compiled, outcome.ours]
            costs += [outcome.others.get(name) for name in (*OTHERS, OLD)]
            rows.append((outcome.name, *(_cost(each, outcome.unit) for each in costs)))
    return rows


def make_goal_rows(outcomes: list[Outcome]) -> Rows:
    """Return the heads and the ratios and results of the figures that have several goals."""
    rows = [GOALS]
    for outcome in outcomes:
        if outcome.base_name == "Node" and outcome.has_goal:
            ratios = (outcome.to_old, outcome.to_base, outcome.to_rust)
            rows.append((outcome.name, *(cell for ratio in ratios for cell in _ratio(ratio))))
    return rows


def make_ratio_rows(outcomes: list[Outcome]) -> Rows:
    """Return the heads and a row for each figure that is compared with one other server."""
    rows = [RATIOS]
    for outcome in outcomes:
        if outcome.base_name == "Node" or outcome.base_name.startswith("Python"):
            continue
        rows.append((
            outcome.name, _cost(outcome.compiled or outcome.ours, outcome.unit), outcome.base_name,
            _cost(outcome.base, outcome.unit), *_ratio(outcome.to_base),
        ))  # fmt: skip
    return rows


def make_version_rows(results: Results) -> Rows:
    """Return the heads and the costs of this server by version of Python."""
    rows = [("figure", *(f"Python {version}" for version in VERSIONS))]
    for name, contenders in results.items():
        samples = [contenders.get(head) for head in rows[0][1:]]
        if any(samples):
            costs = (_cost(summarize(each) if each else None, "us") for each in samples)
            rows.append((name.partition(", by ")[0], *costs))
    return rows


def make_idle_rows(found: list[Idle]) -> Rows:
    """Return the heads and a row for each server with idle connections."""
    rows = [IDLE]
    for idle in found:
        has_goal = idle.server != C_FLOOR.name
        result = "reached" if idle.share <= GOAL else "not reached"
        rows.append((
            idle.server, f"{idle.connections:,}", f"{idle.connections / idle.seconds:,.0f}",
            f"{idle.bytes_each / 1024:.1f} KiB", f"{idle.heartbeat:.2f} us", f"{idle.share:.1%}",
            *((f"{GOAL:.0%}", result) if has_goal else ("-", "")),
        ))  # fmt: skip
    return rows


def make_tables(outcomes: list[Outcome], results: Results, idle: list[Idle]) -> list[Rows]:
    """Return the tables that have rows: goals, costs, ratios, idle connections, versions."""
    tables = [
        make_goal_rows(outcomes), make_cost_rows(outcomes), make_ratio_rows(outcomes),
        make_idle_rows(idle), make_version_rows(results),
    ]  # fmt: skip
    return [rows for rows in tables if len(rows) > 1]


def format_columns(rows: Rows) -> str:
    """Return a table as lines in columns, for the terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def format_markdown(rows: Rows) -> str:
    """Return a table in Markdown."""
    heads, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ("---",) * len(heads), *others))


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


def format_document(tables: list[Rows], machine: dict[str, str], command: str) -> str:
    """Return the tables of docs/benchmarks.md in Markdown."""
    parts = [format_markdown(rows) for rows in tables]
    parts += [
        "CPU time of the server process per message (user and system), or memory per connection: "
        "the median of rounds in turns, with the lowest and the highest round; lower is better. "
        "Ratio: the cost here (of the compiled build, if it was measured) divided by the cost "
        "there, the median of the rounds. socketioxide and Go run on one thread. floor: a minimal "
        "uvloop server that sends precomputed replies, for the rows under uvicorn an ASGI "
        f"application that does; C floor: the same in C on epoll. {OLD}: this server before the "
        "goals were set, in pure Python. "
        f"Measured by `{command}` on {machine['cores']} cores ({machine['cpu']}), Linux "
        f"{machine['kernel']}, Python {machine['python']} (the fastest installed version), "
        f"Node {machine['node']}, socket.io {machine['socket.io']}, "
        f"socketioxide {machine['socketioxide']}, zishang520/socket.io {machine['go']}, "
        f"python-socketio {machine['python-socketio']}; commit {machine['commit']}.",
    ]
    return "\n\n".join(parts)


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
    idle: list[Idle],
    effort: Effort,
    machine: dict[str, str],
    failures: list[str],
) -> dict[str, Any]:
    """Return the record of a run: machine, effort, figures, medians and all samples."""
    return {
        "machine": machine,
        "effort": asdict(effort),
        "figures": [outcome_to_json(outcome) for outcome in outcomes],
        "idle": [asdict(each) for each in idle],
        "failures": failures,
        "medians": {
            name: {
                contender: summarize(samples).median
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
