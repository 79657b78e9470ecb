"""The tables of Markdown documents."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def read_rows(document: str, heading: str | None = None) -> list[list[str]]:
    """Return the cells of all table rows below a heading, or of the document, without headers."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    if heading is not None:
        text = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [index for index, row in enumerate(rows) if all(re.fullmatch("-+", c) for c in row)]
    skipped = {*rules, *(index - 1 for index in rules)}
    return [row for index, row in enumerate(rows) if index not in skipped]
