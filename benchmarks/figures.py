"""From samples to figures: medians, ratios of neighbours in time, spread, reached or not.

Knows: statistics.  Does not know: how anything was measured or is shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .experiments import MEMORY, Figure
from .measure import Results
from .workloads import Sample


@dataclass(frozen=True)
class Outcome:
    """One figure as it was measured; costs are microseconds per message, or bytes (`unit`)."""

    name: str
    unit: str
    ours: float
    base_name: str
    base: float
    python_socketio: float | None
    floor: float | None
    ratio: float
    least: float
    most: float
    goal: float | None

    @property
    def verdict(self) -> str:
        """Reached or not; nothing where there is no goal."""
        if self.goal is None:
            return ""
        return "reached" if self.ratio <= self.goal else "not reached"


def cost_of(samples: list[Sample]) -> float:
    """Return the median cost."""
    return median(sample.cost for sample in samples)


def evaluate(figure: Figure, results: Results) -> Outcome | None:
    """Return what became of a figure; None if it was not measured."""
    measured = results.get(figure.experiment, {})
    ours, base = measured.get(figure.ours), measured.get(figure.base)
    if not ours or not base:
        return None
    # Those of one round are neighbours: what disturbed one has most likely disturbed the other.
    ratios = [mine.cost / theirs.cost for mine, theirs in zip(ours, base, strict=False)]
    other, floor = measured.get("python-socketio"), measured.get("floor")
    return Outcome(
        name=figure.name,
        unit="B" if figure.experiment == MEMORY else "us",
        ours=cost_of(ours),
        base_name=figure.base,
        base=cost_of(base),
        python_socketio=cost_of(other) if other else None,
        floor=cost_of(floor) if floor else None,
        ratio=median(ratios),
        least=min(ratios),
        most=max(ratios),
        goal=figure.goal,
    )


def plain(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON has it."""
    return {**asdict(outcome), "verdict": outcome.verdict}
