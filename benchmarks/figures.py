"""Statistics: turns samples into outcomes with medians, ratios, spread and the result of the goals.

`measure` collects the samples; `report` and `chart` present the outcomes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .experiments import MEMORY, Figure
from .measure import Results
from .workloads import Sample

RUST = "socketioxide"
#: The contenders of other projects and the floors, in the order of the columns.
OTHERS = ("Node", "python-socketio", RUST, "Go", "floor", "C floor")


@dataclass(frozen=True)
class Ratio:
    """The cost of one contender divided by that of another: median, lowest and highest round."""

    median: float
    least: float
    most: float
    goal: float | None

    @property
    def result(self) -> str:
        """Whether the goal is reached: "reached", "not reached", or "" without a goal."""
        if self.goal is None:
            return ""
        return "reached" if self.median <= self.goal else "not reached"


@dataclass(frozen=True)
class Outcome:
    """A measured figure; costs are microseconds per message or bytes, see `unit`."""

    name: str
    unit: str
    ours: float
    """The cost of the pure build, or of the only build of ours in this figure."""
    compiled: float | None
    base_name: str
    base: float
    others: dict[str, float]
    """The costs of the contenders in OTHERS that were measured."""
    to_base: Ratio
    to_rust: Ratio | None
    limit: float | None
    """The highest accepted cost."""

    @property
    def best(self) -> float:
        """The cost that is compared: of the compiled build, if it was measured."""
        return self.ours if self.compiled is None else self.compiled

    @property
    def has_goal(self) -> bool:
        """Whether the figure has a goal."""
        return bool(self.results)

    @property
    def results(self) -> list[str]:
        """The result of each goal: "reached" or "not reached"."""
        found = [ratio.result for ratio in (self.to_base, self.to_rust) if ratio is not None]
        if self.limit is not None:
            found.append("reached" if self.best <= self.limit else "not reached")
        return [result for result in found if result]


def median_cost(samples: list[Sample]) -> float:
    """Return the median cost of the samples."""
    return median(sample.cost for sample in samples)


def compare(ours: list[Sample], base: list[Sample], goal: float | None) -> Ratio:
    """Return the ratio of two contenders."""
    # The samples of one round are neighbors in time, so a disturbance most likely affects both.
    ratios = [our.cost / other.cost for our, other in zip(ours, base, strict=False)]
    return Ratio(median(ratios), min(ratios), max(ratios), goal)


def evaluate(figure: Figure, results: Results) -> Outcome | None:
    """Return the outcome of a figure, or None if the figure was not measured."""
    measured = results.get(figure.experiment, {})
    ours, base = measured.get(figure.ours), measured.get(figure.base)
    if not ours or not base:
        return None
    compiled, rust = measured.get(figure.compiled), measured.get(RUST)
    best = compiled or ours
    return Outcome(
        name=figure.name,
        unit="B" if figure.experiment == MEMORY else "us",
        ours=median_cost(ours),
        compiled=median_cost(compiled) if compiled else None,
        base_name=figure.base,
        base=median_cost(base),
        others={name: median_cost(samples) for name in OTHERS if (samples := measured.get(name))},
        to_base=compare(best, base, figure.goal),
        to_rust=compare(best, rust, figure.rust_goal) if rust else None,
        limit=figure.limit,
    )


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a JSON object."""
    return {**asdict(outcome), "results": outcome.results}
