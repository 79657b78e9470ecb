"""The table of executions in docs/fuzzing.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from fuzz.target import load, names

PAGE = Path(__file__).parent.parent / "docs" / "fuzzing.md"
BEGIN, END = "<!-- fuzz:begin -->", "<!-- fuzz:end -->"
_ROW = re.compile(r"\| `(\w+)` \|.*\| ([0-9,]+) \|")


def read_record() -> dict[str, int]:
    """Return the executions by target."""
    return {name: int(count.replace(",", "")) for name, count in _ROW.findall(PAGE.read_text())}


def make_table(executions: Mapping[str, int]) -> str:
    """Return the table of all targets."""
    lines = ["| target | parser and reference | executions |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {load(name).subject} | {executions.get(name, 0):,} |" for name in names()
    ]
    return "\n".join(lines)


def write_record(executions: Mapping[str, int]) -> None:
    """Add executions to those of the table."""
    known = read_record()
    total = {name: known.get(name, 0) + executions.get(name, 0) for name in names()}
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{make_table(total)}\n{END}{after}")
