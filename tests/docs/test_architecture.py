"""ARCHITECTURE.md is true to the code, as far as a machine can tell."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_state_diagrams_are_those_of_the_tables() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "state_diagrams.py"))
    document = (ROOT / "ARCHITECTURE.md").read_text()
    assert script["render"](document) == document, "run: make diagrams"


def test_every_floor_of_the_table_is_there() -> None:
    document = (ROOT / "ARCHITECTURE.md").read_text()
    floors = [line for line in document.splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert [line.split()[1] for line in floors] == [str(number) for number in range(10)]
