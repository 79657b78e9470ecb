"""ARCHITECTURE.md agrees with the code where a program can compare them."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_state_diagrams_agree_with_the_tables() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "state_diagrams.py"))
    document = (ROOT / "ARCHITECTURE.md").read_text()
    assert script["render"](document) == document, "run: make diagrams"
