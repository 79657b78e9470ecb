"""The figures of the benchmark and their goals.

A figure is derived from the samples of one experiment; `figures` computes it, `report` formats it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .experiments import (
    ACK_1,
    ACK_8,
    BROADCAST_500,
    BROADCAST_2000,
    BROADCAST_10000,
    BY_VERSION,
    CONNECT,
    CONNECT_UPGRADE,
    EXPERIMENTS,
    GROWTH,
    HEARTBEAT,
    IDLE_CONNECTIONS,
    MEMORY,
    MSGPACK,
    NO_ACK,
    POLLING,
    UNDER_UVICORN,
)
from .peers import VERSIONS

NO_GROWTH = 1.10
FULL_LIMIT = 1.15
METRICS_LIMIT = 1.03

PLAIN, ASYNC = "plain handler", "async handler"


@dataclass(frozen=True)
class Figure:
    """The cost of a contender, and the highest ratios to other contenders that are accepted.

    `goal` limits the ratio to `base`, `rust_goal` that to socketioxide, and `old_goal` that to the
    older commit of this project. With a compiled build, `compiled` is compared, and `ours` without.
    """

    name: str
    experiment: str
    ours: str
    goal: float | None = None
    base: str = "Node"
    rust_goal: float | None = None
    old_goal: float | None = None

    @property
    def compiled(self) -> str:
        """The contender of the compiled build."""
        return f"{self.ours}, compiled"

    @property
    def compiled_base(self) -> str:
        """The base of the compiled contender, if the base is a server of this project."""
        return f"{self.base}, compiled"

    @property
    def old(self) -> str:
        """The contender of the older commit."""
        return f"{self.ours}, older commit"


def _compare(
    experiment: str, handler: str, old_goal: float, goal: float, rust_goal: float, suffix: str = ""
) -> Figure:
    return Figure(
        experiment + suffix, experiment, handler, goal, rust_goal=rust_goal, old_goal=old_goal
    )


_THREE_PATHS = (ACK_8, NO_ACK, BROADCAST_500)

FIGURES = (
    _compare(ACK_8, PLAIN, 0.62, 0.18, 0.75, f", {PLAIN}"),
    _compare(ACK_8, ASYNC, 0.65, 0.22, 0.90, f", {ASYNC}"),
    _compare(ACK_1, PLAIN, 0.80, 0.46, 1.0, f", {PLAIN}"),
    _compare(ACK_1, ASYNC, 0.80, 0.48, 1.1, f", {ASYNC}"),
    _compare(NO_ACK, PLAIN, 0.50, 0.30, 0.50, f", {PLAIN}"),
    _compare(NO_ACK, ASYNC, 0.55, 0.36, 0.65, f", {ASYNC}"),
    _compare(BROADCAST_500, ASYNC, 0.92, 0.46, 0.62),
    _compare(BROADCAST_2000, ASYNC, 0.92, 0.50, 0.55),
    _compare(POLLING, ASYNC, 0.45, 0.33, 2.0),
    _compare(CONNECT, ASYNC, 0.60, 0.20, 1.1),
    _compare(CONNECT_UPGRADE, ASYNC, 0.70, 0.30, 2.0),
    _compare(MEMORY, ASYNC, 0.90, 0.29, 0.18, f", {IDLE_CONNECTIONS:,} of them"),
    Figure(HEARTBEAT, HEARTBEAT, ASYNC),
    Figure(MSGPACK, MSGPACK, ASYNC),
    Figure(BROADCAST_10000, BROADCAST_10000, ASYNC),
    *(
        Figure(experiment.name, experiment.name, ASYNC)
        for experiment in EXPERIMENTS
        if experiment.name.startswith(("payload", "binary", "permessage", "official"))
    ),
    *(
        Figure(UNDER_UVICORN + name, UNDER_UVICORN + name, "asgi_app", goal, "python-socketio")
        for name, goal in ((ACK_8, 0.35), (ACK_1, 0.45), (BROADCAST_500, 0.35))
    ),
    *(
        Figure(f"{name} ({flag})", f"{name} ({flag})", flag, limit, base=ASYNC)
        for flag, limit in (("--full", FULL_LIMIT), ("--metrics", METRICS_LIMIT))
        for name in _THREE_PATHS
    ),
    Figure(f"{GROWTH}, against 500", GROWTH, "5,000", NO_GROWTH, base="500"),
    *(
        Figure(
            f"{name}, Python {version}",
            f"{name}, by Python version",
            f"Python {version}",
            base="Python 3.11",
        )
        for name in BY_VERSION
        for version in VERSIONS[1:]
    ),
)
