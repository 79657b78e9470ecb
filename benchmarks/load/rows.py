"""Rows of the load benchmark: the rounds of one figure, as lines and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers import ROOT
from benchmarks.report import format_columns, format_markdown, rewrite_table

DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench-load:begin -->", "<!-- bench-load:end -->"
HEADS = ("figure", "server", "median", "lowest to highest", "goal", "")


@dataclass(frozen=True)
class Row:
    """The values of one figure of one server, one for each round.

    `goal` is the highest good value, or the lowest one if `is_minimum`.
    """

    figure: str
    server: str
    values: tuple[float, ...]
    unit: str
    digits: int = 0
    goal: float | None = None
    is_minimum: bool = False

    @property
    def result(self) -> str:
        """Whether the median reaches the goal: "reached", "not reached", or "" without a goal."""
        if self.goal is None:
            return ""
        value = median(self.values)
        is_reached = value >= self.goal if self.is_minimum else value <= self.goal
        return "reached" if is_reached else "not reached"

    def _format(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"

    def cells(self) -> tuple[str, ...]:
        """Return a cell for each of HEADS."""
        goal = "-" if self.goal is None else f"{self._format(self.goal)} {self.unit}"
        return (
            self.figure,
            self.server,
            f"{self._format(median(self.values))} {self.unit}",
            f"{self._format(min(self.values))} to {self._format(max(self.values))}",
            goal,
            self.result,
        )


def format_lines(rows: list[Row]) -> str:
    """Return the rows as lines in columns."""
    return format_columns([HEADS, *(row.cells() for row in rows)])


def format_table(
    rows: list[Row], rounds: int, machine: dict[str, str], failed: Sequence[str] = ()
) -> str:
    """Return the table of docs/benchmarks.md; `failed` are the names of parts without rows."""
    lines = [
        format_markdown([HEADS, *(row.cells() for row in rows)]),
        "",
        f"The median of {rounds} rounds in turns, with the lowest and the highest one. Measured by "
        f"`make bench-load` on {machine['cores']} cores ({machine['cpu']}), which the servers "
        f"share with the load generator, Linux {machine['kernel']}, Python {machine['python']}, "
        f"Node {machine['node']}, socket.io {machine['socket.io']}; commit {machine['commit']}.",
    ]
    if failed:
        lines += ["", f"These parts failed in this run: {', '.join(failed)}."]
    return "\n".join(lines)


def write_table(
    rows: list[Row], rounds: int, machine: dict[str, str], failed: Sequence[str] = ()
) -> None:
    """Write the table of docs/benchmarks.md. Raises ValueError if its markers are missing."""
    if not rewrite_table(
        DOCUMENT, f"\n{format_table(rows, rounds, machine, failed)}\n", BEGIN, END
    ):
        raise ValueError(f"{DOCUMENT} must contain {BEGIN} and {END}")
