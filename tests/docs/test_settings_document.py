"""`docs/settings.md` lists every setting with its variables and its default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hextrackr_server.config import settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
#: Defaults that are too long for the table.
SHORTENED = {"kev_url": "CISA", "kev_hosts": "CISA"}


def rows() -> list[tuple[list[str], list[str], str]]:
    """Return names, alternative variables and the default of each line of the tables."""
    lines = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [line.split("|")[1:4] for line in lines]
    return [(_code(names), _code(variables), default) for names, variables, default in cells]


def _code(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


def shown(value: Any) -> str:
    """Return a default in the spelling of the document."""
    if value in (None, b"", ()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{value:.0f}`" if isinstance(value, float) else f"`{value}`"


def test_document_lists_every_setting_once_with_its_variables() -> None:
    listed = rows()
    names = [name for cells in listed for name in cells[0]]
    assert sorted(names) == sorted(settings.known())
    for of_names, variables, _ in listed:
        known = [each for name in of_names for each in settings.known()[name]]
        assert list(variables) == known


def test_document_lists_the_defaults() -> None:
    defaults = settings.Settings()
    for names, _, cell in rows():
        values = [getattr(defaults, name) for name in names]
        texts = [
            SHORTENED.get(name) or shown(value) for name, value in zip(names, values, strict=True)
        ]
        assert cell.strip() == ", ".join(filter(None, texts)), names
