"""Formats the time of an acked event by part: a table for the page and a text for the README.

`stages` measures the stages without a network; the benchmark measures the servers.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from .experiments import ACK_8
from .figures import RUST, Outcome
from .goals import PLAIN
from .peers import COMPILED_SYNC, OURS_SYNC, Peer
from .report import Rows
from .stages import DECODE, ENCODE, READ, TOGETHER

BEGIN, END = "<!-- bench-stages:begin -->", "<!-- bench-stages:end -->"
FIGURE = f"{ACK_8}, {PLAIN}"


@dataclass(frozen=True)
class Stages:
    """Microseconds of one event by stage, of the pure and of the compiled build."""

    pure: dict[str, float]
    compiled: dict[str, float] | None


def measure_stages(rounds: int) -> Stages:
    """Measure the stages of the installed builds, each in a process of its own."""
    return Stages(
        _run(OURS_SYNC, rounds),
        _run(COMPILED_SYNC, rounds) if COMPILED_SYNC.is_installed else None,
    )


def _run(peer: Peer, rounds: int) -> dict[str, float]:
    command = [peer.command[0], "-m", "benchmarks.stages", "--json", "--rounds", str(rounds)]
    done = subprocess.run(
        command, cwd=peer.checkout, capture_output=True, text=True, timeout=300, check=True
    )
    times: dict[str, float] = json.loads(done.stdout)
    return times


def _rest(times: dict[str, float]) -> float:
    """Return the time of session, dispatch, handler and write."""
    return times[TOGETHER] - times[READ] - times[DECODE] - times[ENCODE]


def find_outcome(outcomes: list[Outcome]) -> Outcome | None:
    """Return the outcome of the event, if both floors were measured."""
    for outcome in outcomes:
        if outcome.name == FIGURE and {"floor", "C floor"} <= outcome.others.keys():
            return outcome
    return None


def make_rows(stages: Stages, outcome: Outcome) -> Rows:
    """Return the heads and a row for each part of the time."""
    floor, c_floor = (outcome.others[name].median for name in ("floor", "C floor"))
    builds = [(stages.pure, outcome.ours)]
    if stages.compiled is not None and outcome.compiled is not None:
        builds.insert(0, (stages.compiled, outcome.compiled))
    names = ("compiled", "pure")[-len(builds) :]
    parts = {
        "the kernel: `epoll_wait`, read and write, each for several events": [c_floor] * 2,
        "uvloop": [floor - c_floor] * 2,
        READ: [times[READ] for times, _ in builds],
        DECODE: [times[DECODE] for times, _ in builds],
        ENCODE: [times[ENCODE] for times, _ in builds],
        "session, dispatch, handler and write, of an event that arrives alone": [
            _rest(times) for times, _ in builds
        ],
        "the server, measured": [cost.median for _, cost in builds],
    }
    rows: Rows = [("part of an event with ack", *names)]
    for part, times in parts.items():
        rows.append((part, *(f"{each:.2f} us" for each in times[: len(builds)])))
    return rows


def format_text(stages: Stages, outcome: Outcome) -> str:
    """Return the text of README.md."""
    floor, c_floor = (outcome.others[name].median for name in ("floor", "C floor"))
    times, cost = stages.pure, outcome.ours
    total = f"{cost.median:.1f} us of CPU time in pure Python"
    if stages.compiled is not None and outcome.compiled is not None:
        total = (
            f"{outcome.compiled.median:.1f} us of CPU time with compiled modules, and "
            f"{cost.median:.1f} us in pure Python"
        )
        times = stages.compiled
    others = [f"{outcome.base.median:.1f} us on Node"]
    if RUST in outcome.others:
        others.append(f"{outcome.others[RUST].median:.1f} us with {RUST}")
    return (
        f"An acknowledged event takes {total} (8 events in flight on each of 50 connections); "
        f"it takes {' and '.join(others)}. The kernel and uvloop take {floor:.1f} us of it. The "
        f"frame of an event that arrives alone takes {times[READ]:.1f} us, JSON in both directions "
        f"{times[DECODE] + times[ENCODE]:.1f} us, and the session, the dispatch and the handler "
        f"{_rest(times):.1f} us. A server in C that sends precomputed replies takes "
        f"{c_floor:.1f} us."
    )
