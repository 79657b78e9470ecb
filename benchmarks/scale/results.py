"""Rows of the benchmark, and their forms: lines, a table for docs/scaling.md, JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

from benchmarks.peers import BENCHMARKS, ROOT
from benchmarks.report import format_columns, format_markdown, rewrite_table

RESULTS = BENCHMARKS / "results" / "scale.json"
DOCUMENT = ROOT / "docs" / "scaling.md"
HEADS = ("figure", "measured", "compared with", "ratio", "goal", "")


@dataclass(frozen=True)
class Row:
    """A figure: at most `goal` times the base, or at most `goal` if there is no base.

    `least` and `most` are the lowest and the highest ratio of a round.
    """

    name: str
    value: float
    unit: str
    goal: float | None
    base: float | None = None
    base_name: str = ""
    ratio: float | None = None
    least: float | None = None
    most: float | None = None

    @classmethod
    def compare(
        cls, name: str, ours: list[float], base: list[float], base_name: str, goal: float | None
    ) -> Self:
        """Return the row of costs in microseconds that were measured in turns."""
        ratios = [our / other for our, other in zip(ours, base, strict=True)]
        return cls(name, median(ours), "us", goal, median(base), base_name,
                   median(ratios), min(ratios), max(ratios))  # fmt: skip

    @property
    def result(self) -> str:
        """Whether the goal is reached: "reached", "not reached", or "" without a goal."""
        if self.goal is None:
            return ""
        value = self.value if self.ratio is None else self.ratio
        return "reached" if value <= self.goal else "not reached"

    def cells(self) -> tuple[str, ...]:
        """Return a cell for each of HEADS."""
        spread = "" if self.least is None else f" ({self.least:.2f}-{self.most:.2f})"
        goal = "-" if self.goal is None else f"{self.goal:.2f}"
        if self.goal is not None and self.ratio is None:
            goal = f"{self.goal:.0f} {self.unit}"
        return (
            self.name,
            f"{self.value:.2f} {self.unit}",
            "-" if self.base is None else f"{self.base_name}: {self.base:.2f} {self.unit}",
            "-" if self.ratio is None else f"{self.ratio:.2f}{spread}",
            goal,
            self.result,
        )


def format_lines(rows: list[Row]) -> str:
    """Return the rows as lines in columns."""
    return format_columns([HEADS, *(row.cells() for row in rows)])


def format_table(rows: list[Row], machine: dict[str, str]) -> str:
    """Return the table of docs/scaling.md."""
    lines = [
        format_markdown([HEADS, *(row.cells() for row in rows)]),
        "",
        "CPU time (user and system) of all server processes, without the broker and the clients: "
        "the medians of rounds in turns, with the lowest and the highest ratio of a round. Memory "
        "is the proportional set size: processes share their common pages. Measured by "
        f"`make bench-scale` on {machine['cores']} cores ({machine['cpu']}), Linux "
        f"{machine['kernel']}, Python {machine['python']}, Node {machine['node']}, socket.io "
        f"{machine['socket.io']}; commit {machine['commit']}.",
    ]
    return "\n".join(lines)


def read_record() -> dict[str, Any]:
    """Return the record of the last runs: a part for each key, empty without a run."""
    if not RESULTS.exists():
        return {}
    record: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return record


def write_part(name: str, part: Any, path: Path = RESULTS) -> None:
    """Replace one part of the record."""
    record = read_record() | {name: part}
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def rows_to_json(rows: list[Row]) -> list[dict[str, Any]]:
    """Return the rows as JSON objects."""
    return [asdict(row) | {"result": row.result} for row in rows]


def rows_from_json(objects: list[dict[str, Any]]) -> list[Row]:
    """Return the rows of a record."""
    return [Row(**{k: v for k, v in each.items() if k != "result"}) for each in objects]


def write_section(name: str, text: str) -> None:
    """Replace the text between the markers of a section of docs/scaling.md.

    Raises ValueError if a marker is missing.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if not rewrite_table(DOCUMENT, f"\n{text}\n", begin, end):
        raise ValueError(f"{DOCUMENT} must contain {begin} and {end}")
