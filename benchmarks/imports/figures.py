"""Figures with their goals, and their forms: lines, the table of docs/benchmarks.md, JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.goal_chart import draw
from benchmarks.report import format_columns, format_markdown, rewrite_table

BEGIN, END = "<!-- bench-import:begin -->", "<!-- bench-import:end -->"
HEADS = ("figure", "measured", "compared with", "ratio", "goal", "")


@dataclass(frozen=True)
class Figure:
    """A figure of the benchmark: at most `goal`, or at most `goal` times the base.

    `measured` is None if the figure was not measured, for the reason `missing`.
    """

    name: str
    goal: float
    unit: str
    measured: float | None = None
    base: float | None = None
    base_name: str = ""
    missing: str = ""

    @property
    def ratio(self) -> float | None:
        """The measured value divided by the base, or None without a base."""
        if self.measured is None or not self.base:
            return None
        return self.measured / self.base

    @property
    def share(self) -> float | None:
        """The measured value, or the ratio, divided by the goal; None without a measurement."""
        value = self.ratio if self.base_name else self.measured
        return None if value is None else value / self.goal

    @property
    def result(self) -> str:
        """Whether the goal is reached: "reached", "not reached" or "not measured"."""
        if self.share is None:
            return "not measured"
        return "reached" if self.share <= 1 else "not reached"

    def cells(self) -> tuple[str, ...]:
        """Return a cell for each of HEADS."""
        ratio, goal = self.ratio, _number(self.goal)
        return (
            self.name,
            "-" if self.measured is None else f"{_number(self.measured)} {self.unit}",
            f"{self.base_name}: {_number(self.base)} {self.unit}" if self.base else "-",
            "-" if ratio is None else f"{ratio:.2f}",
            f"{goal} times" if self.base_name else f"{goal} {self.unit}",
            self.result + (f" ({self.missing})" if self.missing else ""),
        )


@dataclass
class Report:
    """The outcome of a part: its figures, and lines with details for the terminal."""

    figures: list[Figure] = field(default_factory=list)
    details: list[str] = field(default_factory=list)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def format_lines(figures: list[Figure]) -> str:
    """Return the figures as lines in columns."""
    return format_columns([HEADS, *(figure.cells() for figure in figures)])


def format_table(figures: list[Figure], machine: dict[str, str], rows: int) -> str:
    """Return the table of docs/benchmarks.md, in Markdown."""
    lines = [
        format_markdown([HEADS, *(figure.cells() for figure in figures)]),
        "",
        f"An import of {rows:,} rows, and queries over its findings. CPU time is that of the hub "
        "and its child processes (user and system). Floor: `csv.reader` and bulk upserts of the "
        "same findings into one table with six indexes, without validation and statistics. "
        f"Measured by `make bench-import FULL=1` on {machine['cores']} cores ({machine['cpu']}), "
        f"Linux {machine['kernel']}, Python {machine['python']}, SQLite {machine['sqlite']}; "
        f"commit {machine['commit']}.",
    ]
    return "\n".join(lines)


def write_results(path: Path, report: Report, machine: dict[str, str], rows: int) -> None:
    """Write the figures and the details as JSON, and the shares of the goals as a chart."""
    record: dict[str, Any] = {
        "machine": machine,
        "rows": rows,
        "figures": [asdict(each) | {"result": each.result} for each in report.figures],
        "details": report.details,
    }
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    path.with_suffix(".svg").write_text(draw_chart(report.figures), encoding="utf-8")


def draw_chart(figures: list[Figure]) -> str:
    """Return the chart of the figures that have a goal."""
    shares = [(each.name, each.share) for each in figures if each.share is not None]
    return draw("Imports and queries: measured value as a share of its goal", shares)


def write_table(path: Path, table: str) -> None:
    """Replace the table between the markers of this benchmark."""
    rewrite_table(path, table, BEGIN, END)
