"""Statistics: turns samples into outcomes with medians, ratios, spread and the result of the goal.

`measure` collects the samples; `report` and `chart` present the outcomes.
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
    """A measured figure; costs are microseconds per message or bytes, see `unit`."""

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
    def result(self) -> str:
        """Whether the goal is reached: "reached", "not reached", or "" without a goal."""
        if self.goal is None:
            return ""
        return "reached" if self.ratio <= self.goal else "not reached"


def median_cost(samples: list[Sample]) -> float:
    """Return the median cost of the samples."""
    return median(sample.cost for sample in samples)


def evaluate(figure: Figure, results: Results) -> Outcome | None:
    """Return the outcome of a figure, or None if the figure was not measured."""
    measured = results.get(figure.experiment, {})
    ours, base = measured.get(figure.ours), measured.get(figure.base)
    if not ours or not base:
        return None
    # The samples of one round are neighbors in time, so a disturbance most likely affects both.
    ratios = [our.cost / other.cost for our, other in zip(ours, base, strict=False)]
    python_socketio, floor = measured.get("python-socketio"), measured.get("floor")
    return Outcome(
        name=figure.name,
        unit="B" if figure.experiment == MEMORY else "us",
        ours=median_cost(ours),
        base_name=figure.base,
        base=median_cost(base),
        python_socketio=median_cost(python_socketio) if python_socketio else None,
        floor=median_cost(floor) if floor else None,
        ratio=median(ratios),
        least=min(ratios),
        most=max(ratios),
        goal=figure.goal,
    )


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a JSON object."""
    return {**asdict(outcome), "result": outcome.result}
