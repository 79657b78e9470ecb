"""`docs/settings.md` tells of every setting."""

from __future__ import annotations

import re
from pathlib import Path

from hextrackr_server.config import settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def rows() -> list[tuple[str, ...]]:
    lines = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [line.split("|")[1:3] for line in lines]
    return [tuple(re.findall(r"`(\w+)`", cell) for cell in pair) for pair in cells]


def test_every_setting_is_told_once_with_its_variables() -> None:
    told = rows()
    names = [name for cells in told for name in cells[0]]
    assert sorted(names) == sorted(settings.known())
    for of_names, variables in told:
        known = [each for name in of_names for each in settings.known()[name]]
        assert list(variables) == known
