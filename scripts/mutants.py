"""Measure how many faults the conformance kit finds, one at a time, in a copy of the servers.

    python scripts/mutants.py [--only WORD] [--workers N]

`tests/conformance/mutants.toml` lists the faults: the file, a text that the file contains once, the
replacement, and the broken behavior. The kit catches a fault if a dialogue fails and fails again
when the kit plays it alone. The exit status is 1 if the share of caught faults is below the goal.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from socketio_conformance.dialogue import Dialogue, load  # noqa: E402
from socketio_conformance.probe import Endpoint, NoServerError, probe  # noqa: E402
from socketio_conformance.session import Outcome, Plan, make_plan, play  # noqa: E402
from socketio_conformance.target import TargetError, running  # noqa: E402

DATA = ROOT / "tests" / "conformance" / "mutants.toml"
TARGET = Path("tests") / "targets" / "ours.py"
PACKAGES = ("engineio_core", "socketio_core")
GOAL = 0.95
PLAY_WITHIN = 120.0


class Mutant(NamedTuple):
    """One fault: a text of a file and its replacement."""

    file: str
    breaks: str
    old: str
    new: str


class MutantResult(NamedTuple):
    """A fault and the dialogue that caught it, or None."""

    mutant: Mutant
    caught_by: str | None


class MeasurementError(Exception):
    """An error of the measurement, not of the server."""


def read_mutants(only: str) -> list[Mutant]:
    """Read the faults. Raises MeasurementError if a text is not in its file once."""
    mutants = [Mutant(**each) for each in tomllib.loads(DATA.read_text())["mutant"]]
    problems = []
    for mutant in mutants:
        count = (ROOT / mutant.file).read_text().count(mutant.old)
        if count != 1:
            problems.append(
                f"{mutant.file}: {mutant.breaks}: `old` must occur once, found {count} times"
            )
    if problems:
        raise MeasurementError(
            "update tests/conformance/mutants.toml to the current code:\n" + "\n".join(problems)
        )
    return [each for each in mutants if only in each.file or only in each.breaks]


class Copy:
    """A copy of the packages that contains one fault at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in PACKAGES:
            shutil.copytree(
                ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
            )
        (folder / TARGET).parent.mkdir(parents=True)
        shutil.copy(ROOT / TARGET, folder / TARGET)

    @asynccontextmanager
    async def serving(self, mutant: Mutant | None) -> AsyncIterator[list[str]]:
        """Run the target with this fault and yield the URLs of its servers."""
        original = ""
        if mutant is not None:
            path = self.folder / mutant.file
            original = path.read_text()
            path.write_text(original.replace(mutant.old, mutant.new))
        try:
            command = [sys.executable, str(self.folder / TARGET)]
            environment = {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
            async with running(command, self.folder, environment) as target:
                yield target.urls
        finally:
            if mutant is not None:
                path.write_text(original)


async def find_dialogue(copy: Copy, mutant: Mutant | None, dialogues: list[Dialogue]) -> str | None:
    """Return the dialogue that finds the fault, or None. Raises MeasurementError."""
    async with copy.serving(mutant) as urls:
        try:
            endpoints = [endpoint for url in urls for endpoint in await probe(url)]
        except (NoServerError, KeyError, ValueError):
            return "the probe"
        plan = make_plan(dialogues, endpoints, jobs=12, fail_fast=True)
        if plan.omitted:
            return "the probe: features are missing"
        return await _find(plan, endpoints)


async def _find(plan: Plan, endpoints: list[Endpoint]) -> str | None:
    """Play until a dialogue fails twice; a busy machine may cause a single failure."""
    while plan.pairs:
        summary = await play(plan)
        failed = [each.dialogue for each in summary.results if each.outcome is Outcome.FAILED]
        if not failed:
            return None
        again = await play(make_plan(failed, endpoints, jobs=1))
        for result in again.results:
            if result.outcome is Outcome.FAILED:
                return result.dialogue.name
        played = {each.dialogue.name for each in summary.results}
        plan = plan._replace(pairs=[pair for pair in plan.pairs if pair[0].name not in played])
    return None


async def _work(
    queue: asyncio.Queue[Mutant], copy: Copy, dialogues: list[Dialogue], found: list[MutantResult]
) -> None:
    while not queue.empty():
        mutant = queue.get_nowait()
        try:
            caught_by = await asyncio.wait_for(find_dialogue(copy, mutant, dialogues), PLAY_WITHIN)
        except TimeoutError:
            caught_by = "the time limit"
        found.append(MutantResult(mutant, caught_by))
        mark = f"caught by {caught_by}" if caught_by is not None else "SURVIVED"
        sys.stdout.write(f"{mutant.file}: {mutant.breaks}: {mark}\n")
        sys.stdout.flush()


async def measure(mutants: list[Mutant], workers: int) -> list[MutantResult]:
    """Measure all faults. Raises MeasurementError if a dialogue fails without a fault."""
    dialogues = load()
    queue: asyncio.Queue[Mutant] = asyncio.Queue()
    for mutant in mutants:
        queue.put_nowait(mutant)
    found: list[MutantResult] = []
    with tempfile.TemporaryDirectory() as folder:
        copies = [Copy(Path(folder) / str(number)) for number in range(workers)]
        dialogue = await find_dialogue(copies[0], None, dialogues)
        if dialogue is not None:
            raise MeasurementError(f"the kit reports a fault in the unchanged server: {dialogue}")
        await asyncio.gather(*(_work(queue, copy, dialogues, found) for copy in copies))
    return found


def main() -> int:
    """Run the command; return 1 below the goal and 2 if the measurement failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--only", default="", metavar="WORD", help="part of the file name or of the broken behavior"
    )
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    try:
        found = asyncio.run(measure(read_mutants(options.only), options.workers))
    except (MeasurementError, TargetError) as error:
        sys.stderr.write(f"mutants: {error}\n")
        return 2
    survivors = [each.mutant for each in found if each.caught_by is None]
    for mutant in survivors:
        sys.stdout.write(f"survived: {mutant.file}: {mutant.breaks}\n")
    caught = len(found) - len(survivors)
    share = caught / len(found) if found else 0.0
    sys.stdout.write(f"{caught} of {len(found)} faults caught: {share:.1%}\n")
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
