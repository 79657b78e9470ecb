"""What is told: lines, the table of the README, raw JSON.

Knows: text.  Does not know: how anything was measured.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .figures import Outcome, cost_of, plain
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
    """Return one row: name, ours, Node (or what else it is compared with), and so on."""
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
        outcome.verdict,
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
            best = sorted(samples, key=lambda sample: sample.cost)[len(samples) // 2]
            lines.append(
                f"{name:44} {contender:16} {best.rate:9,.0f} /s  p50 {best.p50_ms:8.2f} ms  "
                f"p99 {best.p99_ms:8.2f} ms  {best.cost:8.2f} us"
            )
    return "\n".join(lines)


def format_table(outcomes: list[Outcome], machine: dict[str, str], command: str) -> str:
    """Return the table of the README, in Markdown."""
    rows = [cells(outcome) for outcome in outcomes if outcome.goal is not None]
    lines = [
        "| " + " | ".join(row) + " |"
        for row in (HEADS, ("---",) * len(HEADS), *rows)
    ]  # fmt: skip
    lines += [
        "",
        "CPU of the server process per message (user and system), memory per connection; the "
        "ratio is to Node, the median of rounds taken in turns, with the least and the most. The "
        "floor is what the kernel and uvloop take: a program that knows its answers by heart. "
        f"Measured by `{command}` on {machine['cores']} cores ({machine['cpu']}), Linux "
        f"{machine['kernel']}, Python {machine['python']} (the quickest here), "
        f"Node {machine['node']}, socket.io {machine['socket.io']}, "
        f"python-socketio {machine['python-socketio']}; commit {machine['commit']}.",
    ]
    return "\n".join(lines)


def rewrite_readme(readme: Path, table: str) -> bool:
    """Put the table between the markers; tell whether they were there."""
    if not readme.exists():
        return False
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        return False
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    return True


def make_record(
    results: Results,
    outcomes: list[Outcome],
    effort: Effort,
    machine: dict[str, str],
    failures: list[str],
) -> dict[str, Any]:
    """Return everything, raw, as it goes to `results/`."""
    return {
        "machine": machine,
        "effort": asdict(effort),
        "figures": [plain(outcome) for outcome in outcomes],
        "failures": failures,
        "medians": {
            name: {who: cost_of(samples) for who, samples in contenders.items() if samples}
            for name, contenders in results.items()
        },
        "samples": {
            name: {who: [asdict(sample) for sample in samples] for who, samples in each.items()}
            for name, each in results.items()
        },
    }


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write the raw results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # One sample a line: short enough, and a diff can be read.
    text = json.dumps(record, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
