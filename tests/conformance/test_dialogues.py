"""The dialogues are complete, unique and playable."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from socketio_conformance.dialogue import Dialogue, DialogueError, load, verb_of

DIALOGUES = load()
OPENING = {"request", "websocket"}
WITHOUT_CONNECTION = {*OPENING, "post", "poll", "wait"}


def test_dialogues_are_numerous() -> None:
    assert len(DIALOGUES) >= 150


def test_group_has_more_than_one_dialogue() -> None:
    groups = [dialogue.group for dialogue in DIALOGUES]
    assert {group for group in groups if groups.count(group) == 1} == set()


@pytest.mark.parametrize("dialogue", [pytest.param(each, id=each.name) for each in DIALOGUES])
def test_dialogue_uses_only_known_connections(dialogue: Dialogue) -> None:
    opened: set[str] = set()
    captured: set[str] = set()
    expects = False
    for step in dialogue.steps:
        verb = verb_of(step)
        if verb in OPENING:
            opened.add(step[verb])
        elif verb not in WITHOUT_CONNECTION:
            assert step[verb] in opened, f"{step}: no earlier step opened this connection"
        assert uses(step) <= captured | captures(step), f"{step}: a value was not captured"
        captured |= captures(step)
        expects = expects or verb in {"response", "receive", "closed", "cut", "poll", "silent"}
        expects = expects or "expect" in step
    assert expects, "the dialogue has no expectation"


def uses(value: Any) -> set[str]:
    """Return the names of the captured values that a step uses."""
    if isinstance(value, str):
        return set(re.findall(r"\$\{([a-z_0-9]+)\}", value))
    if isinstance(value, dict):
        return {name for each in value.values() for name in uses(each)}
    return {name for each in value for name in uses(each)} if isinstance(value, list) else set()


def captures(value: Any) -> set[str]:
    """Return the names of the values that a step captures."""
    if isinstance(value, dict):
        own = {value["$capture"]} if "$capture" in value else set()
        return own | {name for each in value.values() for name in captures(each)}
    if isinstance(value, list):
        return {name for each in value for name in captures(each)}
    return set()


def test_steps_of_each_are_played_once_per_number(tmp_path: Path) -> None:
    steps = [
        {"each": each, "steps": [{"send": f"{name}{{n}}", "messages": ["4"]}]}
        for name, each in (("a", 2), ("b", [7, 5]))
    ]
    case = {"name": "a", "group": "g", "steps": steps, "source": "s"}
    for name, cases in (("engineio", [case]), ("socketio", [])):
        file = {"subject": f"{name}.dialogue", "cases": cases}
        (tmp_path / f"{name}-dialogue.json").write_text(json.dumps(file))
    (dialogue,) = load(tmp_path)
    assert [step["send"] for step in dialogue.steps] == ["a1", "a2", "b7", "b5"]


def test_step_with_two_verbs_is_rejected() -> None:
    with pytest.raises(DialogueError):
        verb_of({"send": "ws", "receive": "ws", "messages": []})


def test_unknown_prelude_is_rejected(tmp_path: Path) -> None:
    for name, cases in (
        ("engineio", '[{"name":"a","group":"g","begin":"x","steps":[{"wait":1}],"source":"s"}]'),
        ("socketio", "[]"),
    ):
        text = f'{{"subject":"{name}.dialogue","cases":{cases}}}'
        (tmp_path / f"{name}-dialogue.json").write_text(text)
    with pytest.raises(DialogueError, match="must name a prelude"):
        load(tmp_path)
