"""Wall time of an import, compared with an older commit of this project in the same run."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from statistics import mean

from benchmarks.imports.figures import Figure, Report
from benchmarks.imports.hub import Hub, HubError
from benchmarks.peers import ROOT

COMMIT = "abc01f9"
_NAME = "wall time of an import"
_GOAL = 0.2
_GIT_SECONDS = 60.0


class CommitMissingError(RuntimeError):
    """The repository does not contain the commit; the message contains the remedy."""


def export_commit(directory: Path) -> None:
    """Write the files of COMMIT into a new directory, or raise CommitMissingError."""
    try:
        done = subprocess.run(
            ["git", "archive", COMMIT, "hextrackr_server", "socketio_core", "engineio_core"],
            cwd=ROOT, capture_output=True, timeout=_GIT_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        raise CommitMissingError(
            f"commit {COMMIT} is not in this clone: fetch the whole history"
        ) from error
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(directory, filter="data")


def measure_wall(file: Path, directory: Path) -> Report:
    """Import the file into a hub of each version, with the Python of this process.

    Each version imports with its own command line. The older version runs between two runs of this
    one, whose mean counts.
    """
    checkout = directory / "older"
    checkout.mkdir(parents=True)
    goal = Figure(_NAME, _GOAL, "s", base_name=f"commit {COMMIT}")
    try:
        export_commit(checkout)
    except CommitMissingError as error:
        return Report([_missing(goal, str(error))])
    ours = [_import(file, directory / "before")]
    try:
        base = _import(file, directory / "older-hub", checkout)
    except HubError as error:
        reason = f"commit {COMMIT} does not run with the installed dependencies"
        return Report([_missing(goal, reason)], [str(error)])
    ours.append(_import(file, directory / "after"))
    details = [f"here {ours[0]:.2f} s and {ours[1]:.2f} s, commit {COMMIT} {base:.2f} s"]
    return Report([Figure(_NAME, _GOAL, "s", mean(ours), base, goal.base_name)], details)


def _missing(figure: Figure, reason: str) -> Figure:
    return Figure(figure.name, figure.goal, figure.unit, base_name=figure.base_name, missing=reason)


def _import(file: Path, directory: Path, checkout: Path = ROOT) -> float:
    with Hub(directory, checkout) as hub:
        return hub.import_file(file)
