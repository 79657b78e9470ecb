"""Reads the files of dialogues and checks that each step has one verb.

`player` defines the meaning of the steps.
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


def vectors_folder(clone: Path, prefix: Path) -> Path:
    """Return the folder of the vectors: in the clone, or the data folder of an installation."""
    folder = clone / "spec-vectors"
    return folder if folder.is_dir() else prefix / "share" / "socketio-conformance"


FOLDER = vectors_folder(Path(__file__).parent.parent, Path(sysconfig.get_path("data")))
FILES = ("engineio-dialogue.json", "socketio-dialogue.json")
OLD_FILES = ("engineio-v3-dialogue.json", "socketio-v4-dialogue.json")
# Subjects whose dialogues use revision 3 of Engine.IO; all others use revision 4.
OLD_SUBJECTS = {"engineio.v3-dialogue", "socketio.v4-dialogue"}
VERBS = {
    *("request", "more", "response", "pending", "cut", "abort", "post", "poll"),
    *("websocket", "send", "receive", "silent", "close", "closed", "drop", "wait"),
}

Step = dict[str, Any]


class DialogueError(ValueError):
    """A dialogue that the kit cannot play."""


class Dialogue(NamedTuple):
    """One case: its steps and the source of the expected behavior."""

    name: str
    subject: str
    group: str
    needs: frozenset[str]
    steps: tuple[Step, ...]
    source: str
    node_differs: str | None
    revision: int = 4
    """The revision of Engine.IO."""


def verb_of(step: Step) -> str:
    """Return the verb of a step. Raises DialogueError."""
    found = [verb for verb in step if verb in VERBS]
    if len(found) != 1:
        raise DialogueError(f"a step must have exactly one verb, got {json.dumps(step)}")
    return found[0]


def load(folder: Path = FOLDER) -> list[Dialogue]:
    """Read all dialogues. Raises DialogueError, or OSError for a missing file.

    The files of old revisions may be missing, as in folders of earlier versions.
    """
    dialogues: list[Dialogue] = []
    for name in (*FILES, *(name for name in OLD_FILES if (folder / name).is_file())):
        file = json.loads((folder / name).read_text(encoding="utf-8"))
        preludes = file.get("preludes", {})
        dialogues += [_read(case, file["subject"], preludes) for case in file["cases"]]
    return dialogues


def _expand(steps: list[Step]) -> Iterator[Step]:
    """Yield the steps; those of `each` once per number, with the number in place of `{n}`."""
    for step in steps:
        if "each" not in step:
            yield step
            continue
        text = json.dumps(step["steps"])
        each = step["each"]
        for number in range(1, each + 1) if isinstance(each, int) else each:
            yield from json.loads(text.replace("{n}", str(number)))


def _read(case: dict[str, Any], subject: str, preludes: dict[str, list[Step]]) -> Dialogue:
    begin = case.get("begin")
    if begin is not None and begin not in preludes:
        raise DialogueError(
            f"{case['name']}: `begin` must name a prelude of the same file, got {begin!r}"
        )
    steps = tuple(_expand([*(preludes[begin] if begin is not None else ()), *case["steps"]]))
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
        3 if subject in OLD_SUBJECTS else 4,
    )
