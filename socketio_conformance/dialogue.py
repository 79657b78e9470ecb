"""The files of dialogues, read.

Knows: where the files are, what stands in them, that every step says one thing.
Does not know: servers; what a step does.
"""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple


def vectors_folder(clone: Path, prefix: Path) -> Path:
    """Where the vectors are: in the clone, or where `pip install` has put them."""
    folder = clone / "spec-vectors"
    return folder if folder.is_dir() else prefix / "share" / "socketio-conformance"


FOLDER = vectors_folder(Path(__file__).parent.parent, Path(sysconfig.get_path("data")))
FILES = ("engineio-dialogue.json", "socketio-dialogue.json")
VERBS = {
    *("request", "more", "response", "pending", "cut", "abort", "post", "poll"),
    *("websocket", "send", "receive", "silent", "close", "closed", "drop", "wait"),
}

Step = dict[str, Any]


class BadDialogue(ValueError):
    """A dialogue that can't be played."""


class Dialogue(NamedTuple):
    """One case: what is done and expected, and where that is said."""

    name: str
    subject: str
    group: str
    needs: frozenset[str]
    steps: tuple[Step, ...]
    source: str
    node_differs: str | None


def verb_of(step: Step) -> str:
    """Return what a step does. Raises BadDialogue."""
    found = [verb for verb in step if verb in VERBS]
    if len(found) != 1:
        raise BadDialogue(f"a step says one thing: {json.dumps(step)}")
    return found[0]


def load(folder: Path = FOLDER) -> list[Dialogue]:
    """Read all dialogues. Raises BadDialogue, or OSError where a file is missing."""
    dialogues: list[Dialogue] = []
    for name in FILES:
        file = json.loads((folder / name).read_text(encoding="utf-8"))
        preludes = file.get("preludes", {})
        dialogues += [_read(case, file["subject"], preludes) for case in file["cases"]]
    return dialogues


def _read(case: dict[str, Any], subject: str, preludes: dict[str, list[Step]]) -> Dialogue:
    begin = case.get("begin")
    if begin is not None and begin not in preludes:
        raise BadDialogue(f"{case['name']} begins with {begin!r}, which is no prelude")
    steps = (*(preludes[begin] if begin is not None else ()), *case["steps"])
    for step in steps:
        verb_of(step)
    return Dialogue(
        case["name"],
        subject.partition(".")[0],
        case["group"],
        frozenset(case.get("needs", ())),
        steps,
        case["source"],
        case.get("node_differs"),
    )
