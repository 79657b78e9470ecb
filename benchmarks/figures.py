"""Statistics: turns samples into outcomes with medians, ratios, spread and the result of the goals.

`measure` collects the samples; `report` and `chart` present the outcomes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .experiments import MEMORY
from .goals import Figure
from .measure import Results
from .peers import OLDER_COMMIT
from .workloads import Sample

RUST = "socketioxide"
#: The contenders of other projects and the floors, in the order of the columns.
OTHERS = ("Node", "python-socketio", RUST, "Go", "floor", "C floor")
OLD = f"commit {OLDER_COMMIT}"


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
class Cost:
    """Microseconds per message, or bytes: median, lowest and highest round."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Outcome:
    """A measured figure; `unit` is that of all costs."""

    name: str
    unit: str
    ours: Cost
    """The cost of the pure build, or of the only build of ours in this figure."""
    compiled: Cost | None
    base_name: str
    base: Cost
    others: dict[str, Cost]
    """The costs of the contenders in OTHERS, and of OLD, that were measured."""
    to_base: Ratio
    """The ratio of the compiled build, if it was measured, else of the pure one; also below."""
    to_rust: Ratio | None = None
    to_old: Ratio | None = None

    @property
    def has_goal(self) -> bool:
        """Whether the figure has a goal."""
        return bool(self.results)

    @property
    def results(self) -> list[str]:
        """The result of each goal: "reached" or "not reached"."""
        ratios = (self.to_old, self.to_base, self.to_rust)
        return [ratio.result for ratio in ratios if ratio is not None and ratio.result]


def summarize(samples: list[Sample]) -> Cost:
    """Return the median, the lowest and the highest cost of the samples."""
    costs = [sample.cost for sample in samples]
    return Cost(median(costs), min(costs), max(costs))


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
    compiled, rust, old = (measured.get(each) for each in (figure.compiled, RUST, figure.old))
    best = compiled or ours
    others = {name: summarize(samples) for name in OTHERS if (samples := measured.get(name))}
    if old:
        others[OLD] = summarize(old)
    # A build of this project is compared with the same build.
    compiled_base = measured.get(figure.compiled_base) if compiled else None
    return Outcome(
        name=figure.name,
        unit="B" if figure.experiment == MEMORY else "us",
        ours=summarize(ours),
        compiled=summarize(compiled) if compiled else None,
        base_name=figure.base,
        base=summarize(compiled_base or base),
        others=others,
        to_base=compare(best, compiled_base or base, figure.goal),
        to_rust=compare(best, rust, figure.rust_goal) if rust else None,
        to_old=compare(best, old, figure.old_goal) if old else None,
    )


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a JSON object."""
    return {**asdict(outcome), "results": outcome.results}
